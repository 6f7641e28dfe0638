"""Training from memory gives what stock Keras gives through tf.data, to the last bit."""

import functools

import keras
import numpy as np
import pytest
import tensorflow as tf
from loop_cases import N, small_m2, small_vae
from training.training_cases import Again

import tfp_vae as tv
from tfp_vae.data import UNLABELLED, Kind, Split
from tfp_vae.models import fit as fits
from tfp_vae.models.loop import Loop

STEPS = 4  # per execution: no divisor of the steps of an epoch


@pytest.fixture
def through_tf_data(monkeypatch):
    """Returns a function after which all data count as too large to stay in memory."""
    return lambda: monkeypatch.setattr("tfp_vae.models.fit.MOST_BYTES", 0)


def _split(count=N, labels=None):
    rng = np.random.default_rng(0)
    return Split(rng.random((count, 4, 4, 1), np.float32), Kind.DYNAMIC, labels)


def _network():
    layers = [keras.layers.Flatten(), tv.layers.DenseReparameterization(3)]
    return tv.BayesianNetwork(keras.Sequential(layers), tv.likelihoods.Categorical(3))


def _convolutional():
    layers = [tv.layers.Conv2DReparameterization(2, 2), keras.layers.Flatten()]
    layers.append(keras.layers.Dense(3))
    return tv.BayesianNetwork(keras.Sequential(layers), tv.likelihoods.Categorical(3))


@functools.cache
def _again(make, steps, jit, in_memory):
    """Returns an `Again`, so that a step that several tests take is traced once."""
    del in_memory  # of either a model of its own, which is traced once too
    keras.utils.set_random_seed(0)
    model = make()
    model.build((None, 4, 4, 1))
    model.compile(optimizer="adam", steps_per_execution=steps, jit_compile=jit)
    return Again(model)


def _run(make, split, steps=STEPS, jit=False, **options):
    model = _again(make, steps, jit, bool(fits.MOST_BYTES))()
    history = model.fit(split, batch_size=5, epochs=3, verbose=0, **options)
    return model, history.history


LABELS = np.arange(N) % 3
FEW = np.where(np.arange(N) < 6, LABELS, UNLABELLED)


WEIGHTS = {0: 1.0, 1: 3.0, 2: 0.5}


@pytest.mark.all_only
@pytest.mark.parametrize(
    ("make", "labels", "steps", "weights"),
    [
        (small_vae, None, STEPS, None),
        pytest.param(small_vae, None, 1, None, marks=pytest.mark.all_only),  # below, in part
        (small_m2, FEW, STEPS, None),
        (_network, LABELS, STEPS, WEIGHTS),
        pytest.param(_network, LABELS, STEPS, None, marks=pytest.mark.all_only),
    ],
    ids=["vae", "single_steps", "semi_supervised", "class_weights", "bayesian"],
)
@pytest.mark.dear(reason="two trainings of M2, each of its own graph")
def test_training_from_memory_equals_training_through_tf_data(
    through_tf_data, make, labels, steps, weights
):
    split = _split(labels=labels)
    if labels is not None:
        split = split.augmented(0.1)
    validation = _split(8, None if labels is None else LABELS[:8])
    ours, history = _run(make, split, steps, validation_data=validation, class_weight=weights)
    assert isinstance(ours.train_function, Loop)
    assert isinstance(ours.test_function, Loop)
    through_tf_data()
    stock, expected = _run(make, split, steps, validation_data=validation, class_weight=weights)
    assert not isinstance(stock.train_function, Loop)
    # The same numbers in the same order: a graph that is rewritten may round its last bit.
    assert history.keys() == expected.keys()
    for name, values in expected.items():
        np.testing.assert_allclose(history[name], values, rtol=1e-6, err_msg=name)
    for one, other in zip(ours.get_weights(), stock.get_weights(), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-6, atol=1e-8)


@pytest.mark.all_only
@pytest.mark.parametrize(
    ("make", "labels", "steps"),
    [
        (small_vae, None, STEPS),
        pytest.param(_network, LABELS, 1, marks=pytest.mark.all_only),
    ],
    ids=["vae", "network"],
)
@pytest.mark.dear(reason="compares two XLA programs and a graph")
def test_training_is_the_same_in_one_xla_program_step_by_step_and_in_a_graph(
    request, through_tf_data, make, labels, steps
):
    # The same data, order and noise: what differs is the order in which XLA sums.
    split = _split(labels=labels)
    program, history = _run(make, split, steps, jit=True, validation_data=split)
    graph, in_a_graph = _run(make, split, steps, jit=False, validation_data=split)
    others = [(graph, in_a_graph)]
    if request.config.getoption("whole"):
        through_tf_data()
        others.append(_run(make, split, steps, jit=True, validation_data=split))
    for other, figures in others:
        for name, values in history.items():
            np.testing.assert_allclose(values, figures[name], rtol=2e-5, atol=2e-5)
        for one, same in zip(program.get_weights(), other.get_weights(), strict=True):
            np.testing.assert_allclose(one, same, rtol=1e-4, atol=2e-5)


@pytest.mark.all_only
def test_epochs_that_are_no_passes_go_on_where_the_last_one_ended(through_tf_data):
    model, history = _run(small_vae, _split(), steps=1, steps_per_epoch=7)
    whole, _ = _run(small_vae, _split(), steps=STEPS, steps_per_epoch=7)
    assert model is not whole
    for found in (model, whole):  # stock Keras takes 8 steps where 4 are one execution
        assert int(found.optimizer.iterations) == 3 * 7
    for one, other in zip(model.get_weights(), whole.get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)
    through_tf_data()
    _, expected = _run(small_vae, _split(), steps=1, steps_per_epoch=7)
    assert history == expected


def test_evaluation_from_memory_equals_that_through_tf_data(through_tf_data):
    model, _ = _run(small_vae, _split())
    ours = model.evaluate(_split(), batch_size=5, verbose=0, return_dict=True)
    through_tf_data()
    assert model.evaluate(_split(), batch_size=5, verbose=0, return_dict=True) == ours


def test_what_tensorflow_is_told_to_run_eagerly_takes_the_steps_of_the_graph():
    _, expected = _run(small_vae, _split())
    model = _again(small_vae, STEPS, False, None)()  # another one, which nobody traced
    tf.config.run_functions_eagerly(True)
    try:
        history = model.fit(_split(), batch_size=5, epochs=1, verbose=0).history
    finally:
        tf.config.run_functions_eagerly(False)
    assert isinstance(model.train_function, Loop) and not model.train_function._steps
    np.testing.assert_allclose(history["loss"], expected["loss"][:1], rtol=1e-5)


@pytest.mark.all_only
def test_an_evaluation_within_a_training_disturbs_nothing():
    split, other = _split(), _split(9)
    seen = []

    class Look(keras.callbacks.Callback):
        def on_train_batch_end(self, batch, logs=None):
            seen.append(self.model.evaluate(other, verbose=0, return_dict=True)["elbo"])

    _, expected = _run(small_vae, split, validation_data=_split(8))
    model, history = _run(small_vae, split, validation_data=_split(8), callbacks=[Look()])
    assert len(seen) == 6
    # The metrics of the epoch so far are reset by Keras; what is learned is not touched.
    assert history["val_elbo"] == expected["val_elbo"]
    assert model.evaluate(other, verbose=0, return_dict=True)["elbo"] == seen[-1]


def test_callbacks_hear_of_every_execution_and_may_stop_it():
    heard = []

    class Stop(keras.callbacks.Callback):
        def on_train_batch_end(self, batch, logs=None):
            heard.append((batch, sorted(logs)))
            self.model.stop_training = len(heard) == 3

    model, history = _run(small_vae, _split(), callbacks=[Stop()])
    assert [batch for batch, _ in heard] == [3, 7, 3]
    assert {"elbo", "kl", "loss"} <= set(heard[0][1])
    assert len(history["loss"]) == 2
    assert int(model.optimizer.iterations) == 5 + STEPS


@pytest.mark.all_only
def test_the_step_is_traced_once_for_all_epochs_and_calls():
    traced = []

    class Counting(tv.VAE):
        def train_step(self, data):
            traced.append(tf.inside_function())
            return super().train_step(data)

    def make():
        vae = small_vae()
        return Counting(vae.prior, vae.encoder, vae.decoder)

    split = _split()
    model, _ = _run(make, split)
    model.fit(split, batch_size=5, epochs=2, verbose=0)
    assert traced == [True]
    model.fit(split, batch_size=6, epochs=1, verbose=0)  # other shapes, another graph
    assert traced == [True, True]


def test_data_are_let_go_after_training():
    model, _ = _run(small_vae, _split(), validation_data=_split(8))
    assert model.current is None
    for function in (model.train_function, model.test_function):
        assert function._feed is None
        with pytest.raises(StopIteration):
            function()


def test_eager_models_and_large_data_go_through_tf_data(monkeypatch):
    model = small_vae()
    model.compile(optimizer="adam", run_eagerly=True)
    assert not model.stays_in_memory(_split())
    model.compile(optimizer="adam")
    assert model.stays_in_memory(_split())
    monkeypatch.setattr("tfp_vae.models.fit.MOST_BYTES", _split().stored.nbytes - 1)
    assert not model.stays_in_memory(_split())


def test_convolutions_are_left_to_xla_on_a_gpu_alone(monkeypatch):
    convolutional, dense = _convolutional(), small_vae()
    monkeypatch.setattr(tf.config, "list_physical_devices", lambda kind: [])
    assert (convolutional.supports_jit, dense.supports_jit) == (False, True)
    monkeypatch.setattr(tf.config, "list_physical_devices", lambda kind: ["a GPU"])
    assert (convolutional.supports_jit, dense.supports_jit) == (True, True)


def test_one_line_says_how_data_are_read_and_why(monkeypatch):
    split = _split(labels=FEW)

    def reading(make=small_vae, split=split, **options):
        model = make()
        model.compile(optimizer="adam", **options)
        return model.reading(split, 5)

    assert "one XLA program" in reading(jit_compile=True)
    assert "in a graph" in reading(jit_compile=False)
    assert "cannot make" in reading(split=split.augmented(0.1), jit_compile=True)
    assert "cannot make" in reading(small_m2, jit_compile=True)
    with pytest.warns(UserWarning, match="doesn't support `jit_compile=True`"):
        assert "XLA is slow at convolutions" in reading(_convolutional, jit_compile=True)
    assert "eagerly" in reading(run_eagerly=True)
    monkeypatch.setattr("tfp_vae.models.fit.MOST_BYTES", split.stored.nbytes - 1)
    assert f"tf.data: {split.stored.nbytes:,} bytes are more" in reading()
