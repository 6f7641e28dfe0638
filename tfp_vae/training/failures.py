"""A training that breaks down stops at the step, says where, and loses nothing."""

import contextlib
import math
import pathlib
from collections.abc import Callable, Iterator

import keras
import tensorflow as tf

from tfp_vae import keras_private
from tfp_vae.models.loop import Loop

_BETWEEN = 100  # batches between copies of the state
_LARGE = 1e6  # of a weight: no number that a training comes to by design


def check_finished(history: keras.callbacks.History) -> None:
    """Raises `FloatingPointError` if a training ended in NaN or infinity."""
    for name, values in history.history.items():
        if not math.isfinite(values[-1]):
            raise FloatingPointError(
                f"The training broke down in epoch {history.epoch[-1] + 1}. Expected a finite "
                f"{name}. Received {values[-1]}; a lower learning rate is the likely cure."
            )


@contextlib.contextmanager
def saved_if_interrupted(
    model: keras.Model, path: pathlib.Path, save: "Callable[[], None] | None" = None
) -> Iterator[None]:
    """A context in which Ctrl-C saves the model after its last whole epoch, if there is one.

    Args:
        model: that `fit` trains inside.
        path: of the .keras file.
        save: writes it, and what belongs beside it; by default the file alone is written.
    """
    try:
        yield
    except KeyboardInterrupt:
        history = getattr(model, "history", None)
        if history is not None and history.epoch:
            model.save(path) if save is None else save()
            print(f"saved {path} of epoch {history.epoch[-1] + 1}", flush=True)
        raise


class StopOnNaN(keras.callbacks.Callback):
    """Stops at the step where a loss, a gradient or a weight is not finite any more.

    The state is copied every hundred batches. When something is not finite, the batches since are
    run again one by one, which is exact because each is a function of its number; the step that
    fails is looked at layer by layer, and the model is left as it was before it. Steps that
    replicas share, or on data that Keras reads itself, are not run again: there the message names
    the loss or the weights alone.

    Raises:
        FloatingPointError: at the end of the call that ran the step. It names the step, the first
            layer, term or gradient that was not finite, and the likely cure.
    """

    def on_train_begin(self, logs=None):
        """Makes the variables of the optimizer, which the first step would."""
        if not self.model.optimizer.built:
            with self.model.distribute_strategy.scope():
                self.model.optimizer.build(self.model.trainable_variables)

    def on_epoch_begin(self, epoch, logs=None):
        """Remembers where the epoch is; the first batch makes a copy."""
        self._epoch, self._copied = epoch, None

    def on_train_batch_begin(self, batch, logs=None):
        """Copies the state, where it is time to."""
        loop, shared = self.model.train_function, self.model.num_replicas > 1
        if not isinstance(loop, Loop) or shared:
            return
        if self._copied is None or batch - self._copied >= _BETWEEN:
            self._check(batch)
            self._copied = batch
            self._copy = _copy(self.model), loop.position

    def on_train_batch_end(self, batch, logs=None):
        """Looks at the loss of the batches so far."""
        if not math.isfinite(float((logs or {}).get("loss", 0.0))):
            self._stop(batch)

    def on_epoch_end(self, epoch, logs=None):
        """Looks at the weights: a step may have broken them that no loss has seen yet."""
        self._check(None)
        self._copied = self._copy = None

    def _check(self, batch):
        if _broken_weights(self.model):
            self._stop(batch)

    def _stop(self, batch):
        model = self.model
        if self._copied is None:
            broken = _broken_weights(model) or ["the loss"]
            raise FloatingPointError(
                f"The training broke down in epoch {self._epoch + 1}. Expected finite numbers. "
                f"Received NaN or infinity in {', '.join(broken[:3])}; a lower learning rate is "
                "the likely cure."
            )
        position, found = _replay(model, *self._copy)
        epoch, batch = divmod(position, model.current.feed.num_batches)
        raise FloatingPointError(
            f"The training broke down at step {int(tf.convert_to_tensor(model.training_step)) + 1} "
            f"(pass {epoch + 1} over the data, batch {batch + 1}). Expected finite numbers. "
            f"Received {found}. The model is left as it was before that step."
        )


def _state(model) -> list:
    """Returns all variables that a training step writes."""
    metrics = [variable for metric in model.metrics for variable in metric.variables]
    optimizer = [] if model.optimizer is None else model.optimizer.variables
    return [*model.variables, *optimizer, *metrics]


def _copy(model) -> list:
    return [tf.identity(tf.convert_to_tensor(variable.value)) for variable in _state(model)]


def _restore(model, copy) -> None:
    for variable, value in zip(_state(model), copy, strict=True):
        variable.assign(value)


def _is_finite(value) -> bool:
    return not value.dtype.is_floating or bool(tf.reduce_all(tf.math.is_finite(value)))


def _broken_weights(model) -> list[str]:
    weights = {v.path: tf.convert_to_tensor(v.value) for v in model.trainable_variables}
    return [f"the weights {path}" for path, value in weights.items() if not _is_finite(value)]


def _replay(model, copy, position: int) -> tuple[int, str]:
    """Returns (position of the batch that breaks the model, what of it is not finite first)."""
    loop, feed = model.train_function, model.current.feed
    end = loop.position
    _restore(model, copy)
    while position < end:
        copy = _copy(model)
        loop.begin(feed, position, 1)
        loss = float(loop()["loss"])
        if not math.isfinite(loss) or _broken_weights(model):
            break
        position += 1
    _restore(model, copy)
    return position, _first_broken(model, feed, position)


def _first_broken(model, feed, position: int) -> str:
    """Returns in words what is not finite first in the step on batch `position`, and the cure."""
    epoch, step = divmod(position, feed.num_batches)
    order = feed.order(tf.constant(epoch, tf.int64))
    x, *rest = feed.batch(feed.arrays, order, tf.constant(step, tf.int64))
    rate = "a lower learning rate, or gradient clipping (clipnorm of the optimizer)"
    if not all(_is_finite(part) for part in (x, *rest)):
        return "NaN or infinity in the batch itself; look at the data"
    x, y = model.to_keras(x, *rest[:1] or [None])
    broken = []
    with _watching(model, broken), model.stepping(), tf.GradientTape() as tape:
        outputs = model(x, training=True)
        loss = model.compute_loss(x, y, outputs, *rest[1:], training=True)
    largest = max(
        model.trainable_variables, key=lambda v: float(tf.reduce_max(tf.abs(v.value))), default=None
    )
    if largest is not None and float(tf.reduce_max(tf.abs(largest.value))) > _LARGE:
        rate += f": {largest.path} has grown to {float(tf.reduce_max(tf.abs(largest.value))):.3g}"
    if broken:
        return f"NaN or infinity in the output of layer {broken[0]}; the likely cure is {rate}"
    if not _is_finite(loss):
        return (
            "NaN or infinity in the loss, of finite outputs of all layers; the likely cure is "
            f"{rate}, or data in smaller units"
        )
    variables = [variable.value for variable in model.trainable_variables]
    for variable, gradient in zip(
        model.trainable_variables, tape.gradient(loss, variables), strict=True
    ):
        if gradient is not None and not _is_finite(tf.convert_to_tensor(gradient)):
            return f"NaN or infinity in the gradient of {variable.path}; the likely cure is {rate}"
    return f"NaN or infinity in the update of the weights; the likely cure is {rate}"


class _watching:
    """A context in which layers that give NaN or infinity are noted, first one first."""

    def __init__(self, model, found: list):
        self._inside = keras_private.all_sublayers(model)
        self._found = found

    def __enter__(self):
        for layer in self._inside:
            layer.__dict__["call"] = self._watched(layer, layer.call)

    def __exit__(self, *_):
        for layer in self._inside:
            del layer.__dict__["call"]

    def _watched(self, layer, call):
        def watched(*args, **kwargs):
            outputs = call(*args, **kwargs)
            tensors = [part for part in tf.nest.flatten(outputs) if tf.is_tensor(part)]
            if not all(_is_finite(tensor) for tensor in tensors):
                self._found.append(layer.path)
            return outputs

        return watched
