"""Trains the models of a comparison with matched sizes or matched times."""

import math
import time

import keras
import numpy as np

from tfp_vae import training
from tfp_vae.data import Data
from tfp_vae.models.variational import VariationalModel
from tfp_vae.studies.comparison.entrants import ENTRANTS
from tfp_vae.studies.comparison.settings import Settings

_REFERENCE = "ml"


def num_parameters(model: keras.Model) -> int:
    """Returns how many numbers are trained."""
    return sum(math.prod(variable.shape) for variable in model.trainable_variables)


def width_of(name: str, data: Data, settings: Settings) -> int:
    """Returns the width of the hidden layers with which a model has the settings' parameters."""
    if settings.match != "parameters" or name == _REFERENCE:
        return settings.hidden

    def count(entrant: str, width: int) -> int:
        return num_parameters(ENTRANTS[entrant].build(data, width, settings, 0))

    wanted = count(_REFERENCE, settings.hidden)
    # A quadratic function of the width, because layers of that width stand behind each other.
    points = np.array([4, 8, 12])
    a, b, c = np.polyfit(points, [count(name, int(width)) for width in points], 2)
    widths = np.arange(1, 8 * settings.hidden + 1)
    return int(widths[np.argmin(np.abs(a * widths**2 + b * widths + c - wanted))])


def train(
    name: str, data: Data, settings: Settings, seed: int, epochs: int | None = None
) -> "tuple[VariationalModel, dict]":
    """Returns a trained model and what is known of its training.

    Args:
        name: one of `ENTRANTS`.
        data: what to train on.
        settings: of the comparison.
        seed: of weights, order and noise.
        epochs: instead of those of the settings.

    Raises:
        FloatingPointError: if the training broke down.
    """
    width = width_of(name, data, settings)
    if epochs is None:
        epochs = settings.epochs
        if settings.match == "seconds":
            epochs = _epochs_in(settings.seconds, name, width, data, settings, seed)
    model, seconds = _fitted(name, width, data, settings, seed, epochs)
    return model, {
        "parameters": num_parameters(model),
        "width": width,
        "epochs": epochs,
        "train_seconds": seconds,
    }


def _fitted(name, width, data, settings, seed, epochs, callbacks=()):
    keras.utils.set_random_seed(seed)
    model = ENTRANTS[name].build(data, width, settings, seed)
    batch_size = min(settings.batch_size, len(data.train))
    per_epoch = model.batches_per_epoch(data.train, batch_size)  # M2 passes over some only
    rate = training.learning_rate("cosine", settings.learning_rate, per_epoch * epochs)
    model.compile(
        optimizer=keras.optimizers.Adam(rate),
        jit_compile=settings.jit and model.supports_jit,
        steps_per_execution=training.steps_per_execution(data.train, batch_size),
    )
    started = time.monotonic()
    history = model.fit(
        data.train, batch_size=batch_size, epochs=epochs, verbose=0, callbacks=callbacks
    )
    seconds = time.monotonic() - started
    training.check_finished(history)
    return model, seconds


class _Watch(keras.callbacks.Callback):
    """Remembers when epochs ended."""

    def __init__(self):
        super().__init__()
        self.ends = []

    def on_epoch_end(self, epoch, logs=None):
        self.ends.append(time.monotonic())


def _epochs_in(seconds, name, width, data, settings, seed) -> int:
    watch = _Watch()
    _fitted(name, width, data, settings, seed, 4, [watch])
    per_epoch = (watch.ends[-1] - watch.ends[0]) / 3  # the first one has the compilation
    return min(max(1, round(seconds / per_epoch)), 10_000)
