"""Schedules of a KL weight: Keras learning-rate schedules, functions of the optimizer's step."""

import keras
import tensorflow as tf

from tfp_vae.arguments import check_count, check_number, is_number
from tfp_vae.distributions.base import registered


def linear(
    steps: int, start: float = 0.0, end: float = 1.0
) -> keras.optimizers.schedules.LearningRateSchedule:
    """Returns a schedule that goes straight from `start` to `end` in `steps` steps and stays.

    Bowman et al., "Generating sentences from a continuous space", 2016.
    """
    _check_steps(steps)
    check_number("start", start, 0)
    check_number("end", end, 0)
    return keras.optimizers.schedules.PolynomialDecay(start, steps, end)


@registered
class Cyclical(keras.optimizers.schedules.LearningRateSchedule):
    """Rises linearly from 0 to `end` in the first `ramp` of every cycle and stays for the rest.

    Fu et al., "Cyclical annealing schedule", NAACL 2019, eq. 6-7.

    Args:
        steps: steps per cycle.
        ramp: share of the cycle spent rising, in (0, 1].
        end: the weight at the top.
    """

    def __init__(self, steps: int, ramp: float = 0.5, end: float = 1.0):
        _check_steps(steps, least=2)  # a cycle of one step would never leave 0
        if not (is_number(ramp, above=0) and ramp <= 1):
            raise ValueError(f"ramp must be a share. Expected 0 < ramp <= 1. Received {ramp!r}.")
        self.steps, self.ramp = int(steps), float(ramp)
        self.end = check_number("end", end, 0)

    def __call__(self, step: "tf.Tensor | int") -> tf.Tensor:
        """Returns the weight at `step`."""
        position = tf.math.floormod(tf.cast(step, tf.float32), self.steps) / self.steps
        return self.end * tf.minimum(position / self.ramp, 1.0)

    def get_config(self) -> dict:
        """Returns the constructor's arguments."""
        return {"steps": self.steps, "ramp": self.ramp, "end": self.end}


@registered
class Sigmoid(keras.optimizers.schedules.LearningRateSchedule):
    """Rises as a logistic curve: half at `steps` / 2, 0.7 % at step 0, 99.3 % at `steps`.

    Args:
        steps: steps of the rise.
        end: what the curve tends to.
    """

    def __init__(self, steps: int, end: float = 1.0):
        _check_steps(steps)
        self.steps, self.end = int(steps), check_number("end", end, 0)

    def __call__(self, step: "tf.Tensor | int") -> tf.Tensor:
        """Returns the weight at `step`."""
        return self.end * tf.sigmoid(10.0 * (tf.cast(step, tf.float32) / self.steps - 0.5))

    def get_config(self) -> dict:
        """Returns the constructor's arguments."""
        return {"steps": self.steps, "end": self.end}


WARM_UPS = {"linear": linear, "cyclical": Cyclical, "sigmoid": Sigmoid}


def _check_steps(steps, least=1):
    check_count("steps", steps, least)
