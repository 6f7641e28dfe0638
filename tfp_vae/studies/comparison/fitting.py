"""Trains the models of a comparison with matched sizes or matched times."""

import math
import time

import keras
import numpy as np
import tensorflow as tf

from tfp_vae import training
from tfp_vae.data import Data
from tfp_vae.models.variational import VariationalModel
from tfp_vae.studies.comparison.entrants import entrant_of
from tfp_vae.studies.comparison.settings import Settings

_REFERENCE = "ml"


def num_parameters(model: keras.Model) -> int:
    """Returns how many numbers are trained."""
    return sum(math.prod(variable.shape) for variable in model.trainable_variables)


def width_of(name: str, data: Data, settings: Settings) -> int:
    """Returns the width of the hidden layers with which a model has the settings' parameters."""
    if settings.match != "parameters" or name == _REFERENCE or ":" in name:
        return settings.hidden  # a network of one's own has the width that it has

    key = (name, data.shape, data.num_classes, repr(settings))
    if key not in _WIDTHS:
        _WIDTHS[key] = _matched_width(name, data, settings)
    return _WIDTHS[key]


_WIDTHS: "dict[tuple, int]" = {}  # the same for every seed and stage


def _matched_width(name: str, data: Data, settings: Settings) -> int:
    def count(entrant: str, width: int) -> int:
        return num_parameters(entrant_of(entrant).build(data, width, settings, 0))

    wanted = count(_REFERENCE, settings.hidden)
    # A quadratic function of the width, because layers of that width stand behind each other.
    points = np.array([4, 8, 12])
    a, b, c = np.polyfit(points, [count(name, int(width)) for width in points], 2)
    widths = np.arange(1, 8 * settings.hidden + 1)
    return int(widths[np.argmin(np.abs(a * widths**2 + b * widths + c - wanted))])


def train(
    name: str,
    data: Data,
    settings: Settings,
    seed: int,
    epochs: int | None = None,
    rate: float | None = None,
) -> "tuple[VariationalModel, dict]":
    """Returns a trained model and what is known of its training.

    Args:
        name: see `entrant_of`.
        data: what to train on.
        settings: of the comparison.
        seed: of weights, order and noise.
        epochs: instead of those of the settings.
        rate: instead of the one that is chosen from the rates of the settings.

    Raises:
        FloatingPointError: if the training broke down.
    """
    width = width_of(name, data, settings)
    if epochs is None:
        epochs = settings.epochs
        if settings.match == "seconds":
            epochs = _epochs_in(settings.seconds, name, width, data, settings, seed)
    run = _Run(name, width, data, settings, seed)
    tried: dict[float, float] = {}
    if rate is None and len(settings.rates) > 1:
        tried = run.tried(max(1, round(settings.trial * epochs)))
        rate = max(tried, key=tried.__getitem__)
    rate = rate or settings.rates[0]
    seconds, history = run.fit(rate, epochs)
    run.model.optimizer.learning_rate = training.learning_rate("cosine", rate, run.steps(epochs))
    return run.model, {
        "parameters": num_parameters(run.model),
        "width": width,
        "epochs": epochs,
        "train_seconds": seconds,
        "learning_rate": rate,
        "rate_at_end": _at_end(rate, tried),
        "rates_tried": {f"{key:g}": value for key, value in tried.items() if math.isfinite(value)},
        "training": training.convergence_of(run.model, history),
    }


def _at_end(rate: float, tried: "dict[float, float]") -> str:
    """Returns "largest" or "smallest" if the choice is at an end of the grid, else ""."""
    if len(tried) < 2:
        return ""
    return {max(tried): "largest", min(tried): "smallest"}.get(rate, "")


class _Cosine(keras.optimizers.schedules.LearningRateSchedule):
    """A cosine whose start and length are variables: one graph trains with any of them."""

    def __init__(self):
        super().__init__()
        self.initial, self.steps = (tf.Variable(1.0, trainable=False) for _ in range(2))

    def __call__(self, step):
        part = tf.minimum(tf.cast(step, tf.float32) / self.steps, 1.0)
        return self.initial * 0.5 * (1 + tf.cos(math.pi * part))


class _Run:
    """A model that is trained from the same start again and again, compiled once."""

    def __init__(self, name, width, data, settings, seed):
        keras.utils.set_random_seed(seed)
        self.entrant, self.data = entrant_of(name), data
        self.model = self.entrant.build(data, width, settings, seed)
        self.batch_size = min(settings.batch_size, len(data.train))
        self.schedule = _Cosine()
        self.model.compile(
            optimizer=self.entrant.optimizer(self.schedule, data, settings, width, seed),
            jit_compile=settings.jit and self.model.supports_jit,
            steps_per_execution=training.steps_per_execution(data.train, self.batch_size),
        )
        self.rates = settings.rates
        self._start: list | None = None
        self._moments: list = []

    def tried(self, epochs: int) -> "dict[float, float]":
        """Returns the objective on validation data by learning rate; -inf where it broke down."""
        found = {}
        for rate in self.rates:
            try:
                self.fit(rate, epochs)
                scores = self.model.evaluate(self.data.validation, verbose=0, return_dict=True)
                score = float(scores[self.entrant.objective])
            except FloatingPointError:
                score = -math.inf
            found[rate] = score if math.isfinite(score) else -math.inf
        return found

    def steps(self, epochs: int) -> int:
        """Returns the steps of so many epochs."""
        return self.model.batches_per_epoch(self.data.train, self.batch_size) * epochs

    def fit(self, rate: float, epochs: int, callbacks=()) -> "tuple[float, dict]":
        """Trains from the start; returns the seconds and the history."""
        model, optimizer = self.model, self.model.optimizer
        if self._start is None:
            self._start = [np.array(weight) for weight in model.weights]
            optimizer.build(model.trainable_variables)
            self._moments = [np.array(variable) for variable in optimizer.variables]
        else:
            starts = (*self._start, *self._moments)  # moments and the count of steps too
            variables = (*model.weights, *optimizer.variables)
            for variable, value in zip(variables, starts, strict=True):
                variable.assign(value)
        self.schedule.initial.assign(rate)
        self.schedule.steps.assign(float(self.steps(epochs)))
        started = time.monotonic()
        history = model.fit(
            self.data.train,
            batch_size=self.batch_size,
            epochs=epochs,
            initial_epoch=0,
            verbose=0,
            callbacks=callbacks,
        )
        seconds = time.monotonic() - started
        training.check_finished(history)
        return seconds, history.history


class _Watch(keras.callbacks.Callback):
    """Remembers when epochs ended."""

    def __init__(self):
        super().__init__()
        self.ends = []

    def on_epoch_end(self, epoch, logs=None):
        self.ends.append(time.monotonic())


def _epochs_in(seconds, name, width, data, settings, seed) -> int:
    watch = _Watch()
    _Run(name, width, data, settings, seed).fit(settings.rates[0], 4, [watch])
    per_epoch = (watch.ends[-1] - watch.ends[0]) / 3  # the first one has the compilation
    return min(max(1, round(seconds / per_epoch)), 10_000)
