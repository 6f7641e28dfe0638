"""Training loops of one's own: noise of every call, schedules, and the chapter of the docs."""

import pathlib
import re

import keras
import numpy as np
import pytest
import tensorflow as tf

import tfp_vae as tv

X = np.random.default_rng(0).normal(size=(8, 3)).astype(np.float32)
Y = (X[:, 0] > 0).astype(np.int32)


def vae(**options):
    return tv.VAE(
        prior=tv.priors.StandardNormal(2),
        encoder=tv.encoders.Gaussian(tv.networks.mlp([4]), 2),
        # A shared scale would follow each batch of a call that trains, as moving means do.
        decoder=tv.decoders.Normal(tv.networks.mlp([4]), (3,), scale=0.5),
        **options,
    )


def bnn(layer):
    kind = getattr(tv.layers, layer)
    network = keras.Sequential([kind(4, "relu"), kind(2)])
    return tv.BayesianNetwork(network, tv.likelihoods.Categorical(2), num_data=8)


def ensemble():
    network = keras.Sequential([tv.layers.DenseFlipout(2)])
    member = tv.BayesianNetwork(network, tv.likelihoods.Categorical(2))
    return tv.Ensemble(member, 2, input_shape=(3,), num_data=8)


MODELS = {
    "vae": vae,
    "reparameterization": lambda: bnn("DenseReparameterization"),
    "flipout": lambda: bnn("DenseFlipout"),
    "local reparameterization": lambda: bnn("DenseLocalReparameterization"),
    "ensemble": ensemble,
}


def loss_of(model, training):
    return lambda x, y: model.compute_loss(x=x, y=y, y_pred=model(x, training=training))


ALL = pytest.mark.all_only


@pytest.mark.parametrize(
    ("training", "graph"),
    [
        (True, True),
        (None, False),
        pytest.param(True, False, marks=ALL),
        pytest.param(None, True, marks=ALL),
    ],
    ids=["training in a graph", "by hand", "training", "by hand in a graph"],
)
@pytest.mark.parametrize("kind", list(MODELS))
def test_every_call_by_hand_has_noise_of_its_own(kind, training, graph):
    found = []
    for _ in range(1 if graph else 2):
        keras.utils.set_random_seed(0)
        loss = loss_of(MODELS[kind](), training)  # not compiled: the optimizer is another one
        loss = tf.function(loss) if graph else loss
        found.append([float(loss(tf.constant(X), tf.constant(Y))) for _ in range(3)])
    assert len(set(found[0])) == 3
    assert found[-1] == pytest.approx(found[0], rel=1e-5)  # and that of the model's seed


def test_a_seed_says_the_noise_of_a_call():
    model = vae()
    np.testing.assert_array_equal(model(X, seed=1).z, model(X, seed=1).z)
    assert np.any(model(X, seed=1).z != model(X, seed=2).z)


def test_calls_by_hand_leave_the_noise_of_evaluate_alone():
    model = vae()
    model.compile(run_eagerly=True)
    model.adapt(tv.data.Split(X, "real"))
    before = model.evaluate(X, verbose=0)
    model(X)
    model.compute_loss(x=X, y_pred=model(X, training=True), training=True)
    assert model.evaluate(X, verbose=0) == before


def test_schedules_count_the_steps_of_a_loop_with_another_optimizer():
    model = vae()
    seen = []
    model.objective.loss = lambda terms, step: seen.append(int(step)) or tf.constant(0.0)
    for _ in range(3):
        model.compute_loss(x=X, y_pred=model(X, training=True), training=True)
    assert seen == [0, 1, 2]


@pytest.mark.always(reason="documents change with every commit")
def test_the_loop_of_the_docs_runs_and_learns(capsys):
    page = pathlib.Path(__file__).parents[2] / "docs" / "en" / "training_loops.md"
    (code,) = re.findall(r"```python\n(.*?)```", page.read_text(encoding="utf-8"), re.S)
    exec(compile(code, page.name, "exec"), {})
    first, last = (float(line.split()[1]) for line in capsys.readouterr().out.splitlines())
    assert last > first + 2
