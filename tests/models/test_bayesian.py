"""BayesianNetwork: its bound and gradients, what it takes, what comes back from a file."""

import subprocess
import sys

import keras
import numpy as np
import pytest
import tensorflow as tf
from scipy import stats

import tfp_vae as tv
from tfp_vae import objectives
from tfp_vae.data import Kind, Split
from tfp_vae.layers.noise import MEAN
from tfp_vae.models.draw import Draw
from tfp_vae.models.variational import VariationalModel

LIKELIHOODS = {
    "categorical": lambda: tv.likelihoods.Categorical(3),
    "shared": tv.likelihoods.Normal,
    "per_example": lambda: tv.likelihoods.Normal("per_example"),
    "fixed": lambda: tv.likelihoods.Normal(0.7),
    "poisson": tv.likelihoods.Poisson,
}


def _table(count=24, seed=0, of="regression"):
    rng = np.random.default_rng([seed, 5])
    x = rng.normal(size=(count, 3)).astype(np.float32)
    signal = x.sum(axis=1)
    if of == "categorical":
        return x, np.digitize(signal, [-1, 1])
    if of == "poisson":
        return x, rng.poisson(np.exp(0.5 * signal)).astype(np.float32)
    return x, (10 + 3 * signal + rng.normal(size=count)).astype(np.float32)


def _network(likelihood=None, layer="DenseFlipout", hidden=4, **options):
    """Returns a network with two layers for three features."""
    likelihood = likelihood or tv.likelihoods.Normal()
    dense = getattr(keras.layers if layer == "Dense" else tv.layers, layer)
    layers = [dense(hidden, activation="tanh"), dense(likelihood.num_features)]
    bnn = tv.BayesianNetwork(keras.Sequential(layers), likelihood, **options)
    bnn.build((None, 3))
    return bnn


@pytest.fixture
def without_noise(monkeypatch):
    """Puts every weight at its mean, in training too."""
    monkeypatch.setattr(VariationalModel, "at", lambda self, key, *_, **__: Draw(self, key, MEAN))


def _gradients(bnn, x, y, weight=None):
    with tf.GradientTape() as tape:
        outputs = bnn(x, training=True)
        loss = bnn.compute_loss(x=x, y=y, y_pred=outputs, sample_weight=weight)
    return [g.numpy() for g in tape.gradient(loss, bnn.trainable_variables)]


# The bound and its gradient.


@pytest.mark.all_only
@pytest.mark.parametrize(
    ("kind", "weighted"),
    [
        pytest.param("shared", True, id="shared-weighted"),
        pytest.param("categorical", False, id="categorical-plain"),
        pytest.param("shared", False, id="shared-plain", marks=pytest.mark.all_only),
        pytest.param("categorical", True, id="categorical-weighted", marks=pytest.mark.all_only),
    ],
)
def test_gradient_of_all_data_is_the_mean_of_those_of_batches_by_their_sizes(
    kind, weighted, without_noise, base_seed
):
    count = 7
    x, y = _table(count, base_seed, kind)
    weight = np.random.default_rng(base_seed).uniform(0, 3, count) if weighted else None
    bnn = _network(LIKELIHOODS[kind](), num_data=count, weight_prior=2.0)
    bnn.compile()
    whole = _gradients(bnn, x, y, weight)
    for batch_size in range(1, count + 1):
        total = [np.zeros_like(g) for g in whole]
        for start in range(0, count, batch_size):
            part = slice(start, start + batch_size)
            found = _gradients(bnn, x[part], y[part], None if weight is None else weight[part])
            share = len(x[part]) / count
            total = [t + share * g for t, g in zip(total, found, strict=True)]
        for one, other in zip(total, whole, strict=True):
            np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-6)


REPLICAS = """
import contextlib, keras, numpy as np, tensorflow as tf, tfp_vae as tv
from tfp_vae.layers.noise import MEAN
from tfp_vae.models.draw import Draw
from tfp_vae.models.variational import VariationalModel

cpu = tf.config.list_physical_devices("CPU")[0]
tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * 2)
VariationalModel.at = lambda self, key, *_, **__: Draw(self, key, MEAN)
x = np.random.default_rng(0).normal(size=(20, 3)).astype(np.float32)
data = tf.data.Dataset.from_tensor_slices((x, x.sum(1))).batch(8)
found = []
for several in (False, True):
    keras.utils.set_random_seed(0)
    strategy = tv.training.strategy("mirrored") if several else None
    with strategy.scope() if strategy else contextlib.nullcontext():
        layers = [keras.layers.Dense(4, "tanh"), tv.layers.DenseFlipout(1)]
        bnn = tv.BayesianNetwork(
            keras.Sequential(layers), tv.likelihoods.Normal(), weight_prior=1.0, num_data=20
        )
        bnn.build((None, 3))
        bnn.compile(optimizer=keras.optimizers.SGD(0.05), jit_compile=False)
        logs = bnn.fit(data, epochs=2, verbose=0).history
    found.append([*[v.numpy() for v in bnn.trainable_variables], logs["loss"], logs["elbo"]])
assert strategy.num_replicas_in_sync == 2
assert np.ptp(found[0][-1]) > 0.1
print(max(np.max(np.abs(np.subtract(a, b))) for a, b in zip(*found, strict=True)))
"""


@pytest.mark.slow
@pytest.mark.all_only  # those of a process in tests/training/test_devices.py take their own batches
def test_two_replicas_train_as_one():
    done = subprocess.run(
        [sys.executable, "-c", REPLICAS], capture_output=True, text=True, check=True
    )
    assert float(done.stdout.split()[-1]) < 1e-5


@pytest.mark.all_only
@pytest.mark.parametrize(
    "kind", ["categorical", "shared", pytest.param("poisson", marks=pytest.mark.all_only)]
)
def test_bound_is_the_log_likelihood_less_the_kl_over_n(kind, base_seed):
    x, y = _table(24, base_seed, kind)
    bnn = _network(LIKELIHOODS[kind](), num_samples=3)
    bnn.compile(optimizer=keras.optimizers.SGD(0.0))
    history = bnn.fit(x, y, batch_size=24, verbose=0).history
    outputs = bnn(x, training=True, num_samples=3, seed=1)
    terms = bnn.terms(x, y, outputs)
    kl = sum(float(layer.kl_divergence()) for layer in bnn.bayesian_layers())
    assert history["kl"][0] == pytest.approx(kl / 24, rel=1e-4, abs=1e-5)
    assert history["loss"][0] == pytest.approx(-history["elbo"][0], rel=1e-6)
    bound = history["expected_log_likelihood"][0] - history["kl"][0]
    assert history["elbo"][0] == pytest.approx(bound, rel=1e-5)
    by_hand = outputs.log_prob(y).numpy().mean(axis=0) - kl / 24
    np.testing.assert_allclose(objectives.elbo(terms), by_hand, rtol=1e-4, atol=1e-5)
    assert outputs.batch_shape == (3, 24)


def test_objective_of_point_weights_is_the_log_posterior_over_n(base_seed):
    x, y = _table(24, base_seed)
    bnn = _network(tv.likelihoods.Normal(0.7), "Dense", weight_prior="student_t")
    bnn.compile(optimizer=keras.optimizers.SGD(0.0))
    logs = bnn.fit(x, y, batch_size=24, verbose=0).history
    first, second = (layer.get_weights() for layer in bnn.network.layers)
    loc = y.mean() + y.std() * (np.tanh(x @ first[0] + first[1]) @ second[0] + second[1])[:, 0]
    log_likelihood = stats.norm.logpdf(y, loc, 0.7).mean()
    log_prior = sum(stats.t.logpdf(w, 3.0).sum() for w in (*first, *second))
    assert logs["expected_log_likelihood"][0] == pytest.approx(log_likelihood, rel=1e-4)
    assert logs["elbo"][0] == pytest.approx(log_likelihood + log_prior / 24, rel=1e-4)
    assert logs["loss"][0] == pytest.approx(-logs["elbo"][0], rel=1e-6)
    plain = _network(tv.likelihoods.Normal(0.7), "Dense")
    plain.compile()
    assert plain.evaluate(x, y, verbose=0, return_dict=True)["kl"] == 0


def test_prior_of_point_weights_leaves_bayesian_layers_alone():
    layers = [keras.layers.Dense(2), tv.layers.DenseReparameterization(1)]
    bnn = tv.BayesianNetwork(
        keras.Sequential(layers), tv.likelihoods.Normal(), weight_prior=1.0, num_data=5
    )
    bnn.build((None, 3))
    assert [w.shape for w in bnn.point_weights()] == [(3, 2), (2,)]
    weights = np.concatenate([w.numpy().ravel() for w in bnn.point_weights()])
    expected = float(layers[1].kl_divergence()) - stats.norm.logpdf(weights).sum()
    assert float(bnn.kl_divergence()) == pytest.approx(expected, rel=1e-5)


# Where N and the units come from.


@pytest.mark.all_only
def test_n_is_that_of_the_training_data_and_changes_with_them(base_seed):
    bnn = _network()
    bnn.compile(optimizer=keras.optimizers.SGD(0.0))
    kl = float(bnn.kl_divergence())
    x, y = _table(24, base_seed)
    for count in (24, 12):
        split = Split(x[:count], Kind.REAL, targets=y[:count], name="train")
        for data in ((split,), (x[:count], y[:count])):
            history = bnn.fit(*data, batch_size=12, verbose=0).history
            assert bnn.num_data == count
            assert history["kl"][0] == pytest.approx(kl / count, rel=1e-5)
        logs = bnn.evaluate(x[:5], y[:5], verbose=0, return_dict=True)
        assert logs["kl"] == pytest.approx(kl / count, rel=1e-5)  # N is that of the training data


@pytest.mark.all_only
@pytest.mark.parametrize(
    ("kind", "key"),
    [pytest.param("categorical", "labels", marks=pytest.mark.all_only), ("shared", "targets")],
)
def test_a_split_and_its_arrays_are_the_same_data(kind, key, base_seed):
    x, y = _table(24, base_seed, kind)
    histories = []
    for data in ((x, y), (Split(x, Kind.REAL, **{key: y}),)):
        keras.utils.set_random_seed(base_seed)
        bnn = _network(LIKELIHOODS[kind]())
        bnn.compile(optimizer="adam")
        histories.append(bnn.fit(*data, batch_size=10, epochs=2, verbose=0).history)
    assert histories[0] == histories[1]


def _batches(x, y):
    return tf.data.Dataset.from_tensor_slices((x, y)).batch(8)


def _generator(x, y):
    while True:
        yield x[:8], y[:8]


# Keras says for every generator that it does not shuffle it.
@pytest.mark.all_only
@pytest.mark.filterwarnings("ignore:`shuffle=True` was passed:UserWarning")
@pytest.mark.filterwarnings("ignore:Units are not known:UserWarning")
@pytest.mark.parametrize(
    "make",
    [
        pytest.param(_batches, id="dataset"),
        pytest.param(_generator, id="generator", marks=pytest.mark.all_only),  # that below is one
    ],
)
def test_data_without_a_size_need_n_to_be_given(make):
    data = make(*_table(24))
    bnn = _network()
    bnn.compile(optimizer="adam")
    with pytest.raises(ValueError, match=r"N is not known.*num_data=N given to BayesianNetwork"):
        bnn.fit(data, steps_per_epoch=3, verbose=0)
    assert int(bnn.optimizer.iterations) == 0
    bnn = _network(num_data=24)
    bnn.compile(optimizer="adam")
    history = bnn.fit(data, steps_per_epoch=3, verbose=0).history
    assert history["kl"][0] == pytest.approx(float(bnn.kl_divergence()) / 24, rel=0.1)
    points = _network(layer="Dense")  # without a KL there is nothing to divide
    points.compile(optimizer="adam")
    points.fit(make(*_table(24)), steps_per_epoch=3, verbose=0)


@pytest.mark.filterwarnings("ignore:`shuffle=True` was passed:UserWarning")
@pytest.mark.filterwarnings("ignore:Units are not known:UserWarning")
def test_a_generator_builds_a_network_that_is_told_n():
    bnn = tv.BayesianNetwork(tv.layers.DenseFlipout(1), tv.likelihoods.Normal(), num_data=24)
    bnn.compile(optimizer="adam")
    bnn.fit(_generator(*_table(24)), steps_per_epoch=3, verbose=0)


def test_units_and_inputs_are_taken_from_the_first_training_data_and_kept(base_seed):
    x, y = _table(24, base_seed)
    x[:, 1] = 5.0  # a constant feature
    layers = [tv.layers.Standardize(), tv.layers.DenseLocalReparameterization(1)]
    bnn = tv.BayesianNetwork(keras.Sequential(layers), tv.likelihoods.Normal())
    bnn.compile(optimizer="adam")
    history = bnn.fit(x, y, epochs=2, verbose=0).history
    assert np.all(np.isfinite(history["elbo"]))
    np.testing.assert_allclose(layers[0].mean, x.mean(0), atol=1e-6)
    np.testing.assert_allclose(layers[0].scale, [x[:, 0].std(), 1, x[:, 2].std()], rtol=1e-5)
    assert float(bnn.likelihood.target_mean) == pytest.approx(y.mean(), rel=1e-6)
    assert float(bnn.likelihood.target_scale) == pytest.approx(y.std(), rel=1e-5)
    bnn.fit(x + 100, y - 50, verbose=0)
    np.testing.assert_allclose(layers[0].mean, x.mean(0), atol=1e-6)
    assert float(bnn.likelihood.target_mean) == pytest.approx(y.mean(), rel=1e-6)


# Keras: fit, evaluate, predict, files.


@pytest.mark.all_only
@pytest.mark.parametrize(
    "kind", ["categorical", pytest.param("poisson", marks=pytest.mark.all_only)]
)
def test_training_learns_and_predict_is_the_predictive_mean(kind, base_seed):
    x, y = _table(200, base_seed, kind)
    bnn = _network(LIKELIHOODS[kind](), "DenseLocalReparameterization")
    bnn.compile(optimizer=keras.optimizers.Adam(0.05))
    history = bnn.fit(
        x, y, batch_size=50, epochs=15, validation_data=(x[:20], y[:20]), verbose=0
    ).history
    names = {"loss", "elbo", "expected_log_likelihood", "kl"}
    names |= {"accuracy"} if kind == "categorical" else set()
    assert set(history) == names | {f"val_{name}" for name in names}
    assert history["expected_log_likelihood"][-1] > history["expected_log_likelihood"][0] + 0.1
    predicted = bnn.predict(x[:37], batch_size=10, verbose=0)
    assert predicted.shape == ((37, 3) if kind == "categorical" else (37,))
    if kind == "categorical":
        np.testing.assert_allclose(predicted.sum(axis=1), 1, rtol=1e-5)
        assert history["accuracy"][-1] > 0.7
        expected = bnn.predictive(x[:37], bnn.num_predictive_samples).probs
    else:
        assert np.corrcoef(predicted, y[:37])[0, 1] > 0.5
        expected = bnn.predictive(x[:37], bnn.num_predictive_samples).mean()
    np.testing.assert_allclose(predicted, expected, rtol=1e-4, atol=1e-5)


def test_sample_weights_count_in_loss_and_metrics(base_seed):
    x, y = _table(20, base_seed)
    weight = np.r_[np.full(10, 2.0), np.zeros(10)].astype(np.float32)
    logs = {}
    for name, options in {"weighted": {"sample_weight": weight}, "plain": {}}.items():
        bnn = _network(layer="Dense", weight_prior=1.0)
        for layer in bnn.network.layers:
            layer.kernel.assign(np.full(layer.kernel.shape, 0.1))
        bnn.compile(optimizer=keras.optimizers.SGD(0.0))
        logs[name] = bnn.fit(x, y, batch_size=20, verbose=0, **options).history
        assert bnn.num_data == 20
    outputs = bnn(x).log_prob(y).numpy()[0]
    assert logs["weighted"]["expected_log_likelihood"][0] == pytest.approx(
        outputs[:10].mean(), rel=1e-5
    )
    loss = logs["plain"]["kl"][0] - 2 * outputs[:10].sum() / 20
    assert logs["weighted"]["loss"][0] == pytest.approx(loss, rel=1e-5)


@pytest.mark.parametrize(
    "kind", [pytest.param("categorical", marks=pytest.mark.all_only), "per_example"]
)
def test_a_loaded_network_predicts_and_trains_on_as_the_saved_one(kind, tmp_path, base_seed):
    x, y = _table(30, base_seed, kind)
    layers = [
        tv.layers.Standardize(),
        tv.layers.DenseLocalReparameterization(4, "relu", prior="scale_mixture"),
        tv.layers.MonteCarloDropout(0.2),
        keras.layers.Dense(LIKELIHOODS[kind]().num_features),
    ]
    bnn = tv.BayesianNetwork(
        keras.Sequential(layers), LIKELIHOODS[kind](), weight_prior=2.0, num_samples=2, seed=3
    )
    bnn.compile(optimizer="adam")
    bnn.fit(x, y, batch_size=10, epochs=2, verbose=0)
    bnn.save(tmp_path / "model.keras")
    again = tv.load(tmp_path / "model.keras")
    assert again.num_data == 30
    for one, other in zip(again.weights, bnn.weights, strict=True):
        np.testing.assert_array_equal(one, other)
    draws = [m._drawing_function(5)(tf.constant(x), m.caller_key(1)).numpy() for m in (bnn, again)]
    np.testing.assert_array_equal(*draws)
    np.testing.assert_array_equal(again.predict(x, verbose=0), bnn.predict(x, verbose=0))
    histories = [m.fit(x, y, batch_size=10, epochs=2, verbose=0).history for m in (bnn, again)]
    for name, values in histories[0].items():
        np.testing.assert_allclose(histories[1][name], values, rtol=1e-5)


@pytest.mark.slow
def test_networks_train_and_predict_under_xla(base_seed):
    x, y = _table(24, base_seed, "categorical")
    bnn = _network(tv.likelihoods.Categorical(3), "DenseReparameterization")
    bnn.compile(optimizer="adam", jit_compile=True)
    history = bnn.fit(x, y, batch_size=12, epochs=2, verbose=0).history
    assert np.all(np.isfinite(history["loss"]))
    assert bnn.predictive(x, 5).probs.shape == (24, 3)
