"""A training that breaks down stops at the step, says where, and is left as it was before."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from training_cases import BATCH_SIZE, again, data, model

import tfp_vae as tv
from tfp_vae import training
from tfp_vae.data import Kind, Split
from tfp_vae.models import graphs, memory
from tfp_vae.models import vae as vae_module


@pytest.fixture(scope="module")
def found():
    return data()


class _Changed(tv.objectives.ELBO):
    """The ELBO with another loss."""

    def __init__(self, loss):
        super().__init__()
        self._loss = loss

    def loss(self, terms, step):
        return self._loss(terms, step)


class Break(keras.callbacks.Callback):
    """Makes the loss of training step `step` and later ones NaN, by the weight of its KL."""

    def __init__(self, step):
        super().__init__()
        self.step = step

    def set_model(self, made):
        """Puts an objective into the model that has no value from a step on."""
        super().set_model(made)
        objective = made.objective
        made.objective = _Changed(
            lambda terms, step: (
                tf.where(tf.cast(step, tf.int64) >= self.step, np.nan, 1.0)
                * objective.loss(terms, step)
            )
        )


@pytest.fixture(scope="module")
def whole(found):
    """Returns a model after five steps."""
    made = model("vae", found, steps_per_execution=1)
    made.fit(found.train.take(40), None, BATCH_SIZE, 1, 0)
    return made


@pytest.mark.all_only
@pytest.mark.parametrize(
    "jit",
    [pytest.param(False, id="graph"), pytest.param(True, id="xla", marks=pytest.mark.all_only)],
)
def test_a_loss_that_is_nan_stops_at_its_step_with_the_weights_before_it(jit, whole, found):
    made = model("vae", found, jit, steps_per_execution=4)
    broken = Break(5)
    broken.set_model(made)
    with pytest.raises(
        FloatingPointError,
        match=r"at step 6 \(pass 2 over the data, batch 1\).*Expected.*Received.* in the loss.*"
        r"left as it was before",
    ):
        made.fit(found.train.take(40), None, BATCH_SIZE, 2, 0, [training.StopOnNaN()])
    assert int(made.training_step) == 5
    for one, other in zip(made.get_weights(), whole.get_weights(), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-5, atol=1e-6)


def test_the_first_layer_that_breaks_is_named(found):
    made = model("vae", found)
    made.build((None, *found.shape))
    kernel = next(w for w in made.decoder.trainable_variables if "kernel" in w.path)
    kernel.assign(tf.fill(kernel.shape, 1e38))
    with pytest.raises(FloatingPointError, match=r"output of layer .*/dense") as error:
        made.fit(found.train, None, BATCH_SIZE, 1, 0, [training.StopOnNaN()])
    assert f"{kernel.path} has grown to 1e+38" in str(error.value)


def test_a_gradient_that_is_nan_names_its_weights(found):
    made = model("vae", found)
    made.build((None, *found.shape))
    weights = next(w for w in made.trainable_variables if "kernel" in w.path)
    objective = made.objective
    # sqrt(0): the value is 0, the slope infinite times zero.
    made.objective = _Changed(
        lambda terms, step: (
            objective.loss(terms, step) + tf.sqrt(tf.reduce_sum(0.0 * weights.value))
        )
    )
    with pytest.raises(FloatingPointError, match=rf"at step 1 .*gradient of {weights.path}"):
        made.fit(found.train, None, BATCH_SIZE, 1, 0, [training.StopOnNaN()])
    assert all(np.isfinite(w).all() for w in made.get_weights())


def test_without_a_loop_the_weights_that_broke_are_named(found, monkeypatch):
    monkeypatch.setattr("tfp_vae.models.fit.MOST_BYTES", 0)
    made = model("vae", found, rate=1e38)
    with pytest.raises(FloatingPointError, match=r"in epoch 1.*Expected finite.*Received NaN"):
        made.fit(found.train, None, BATCH_SIZE, 2, 0, [training.StopOnNaN()])


@pytest.mark.all_only
def test_a_sound_training_is_not_changed_by_being_watched(found):
    start, weights = again("vae"), []
    for callbacks in ([], [training.StopOnNaN()]):
        made = start()
        made.fit(found.train, None, BATCH_SIZE, 2, 0, callbacks)
        weights.append(made.get_weights())
    for one, other in zip(*weights, strict=True):
        np.testing.assert_array_equal(one, other)


def test_out_of_memory_halves_the_batches_and_says_so():
    split = Split(np.arange(22.0).reshape(11, 2), Kind.REAL)

    def run(start, index):
        if len(index) > 3:
            raise tf.errors.ResourceExhaustedError(None, None, "OOM when allocating")
        return start, index

    steps = []
    with pytest.warns(UserWarning, match=r"Out of memory with \d examples.*going on with"):
        parts = list(memory.in_batches(split, 8, run, lambda *step: steps.append(step)))
    assert [size for _, size in parts] == [2, 2, 2, 2, 2, 1]
    np.testing.assert_array_equal(
        np.concatenate([part[1][:size] for part, size in parts]), np.arange(11)
    )
    assert steps[-1] == (11, 11)


def test_no_memory_for_one_example_is_an_error():
    split = Split(np.zeros((3, 2)), Kind.REAL)

    def run(start, index):
        raise tf.errors.ResourceExhaustedError(None, None, "OOM when allocating")

    with pytest.raises(MemoryError, match=r"Expected memory for one example.*Received: OOM"):
        list(memory.in_batches(split, 1, run))


@pytest.mark.all_only
@pytest.mark.filterwarnings("ignore:Out of memory")
def test_log_likelihoods_survive_too_little_memory(found, monkeypatch):
    vae = model("vae", found)
    vae.build((None, *found.shape))
    expected = vae.log_evidence(found.test, 4000, proposal="encoder")
    function = graphs.compiled(vae, "bounds", None, lambda: None)

    def small(x, *rest):
        if len(x) > 4:
            raise tf.errors.ResourceExhaustedError(None, None, "OOM when allocating")
        return function(x, *rest)

    def compiled(owner, name, *rest, **options):
        return small if name == "bounds" else graphs.compiled(owner, name, *rest, **options)

    monkeypatch.setattr(vae_module, "compiled", compiled)
    few = vae.log_evidence(found.test, 4000, proposal="encoder")
    np.testing.assert_allclose(few, expected, atol=0.5)
