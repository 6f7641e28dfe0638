"""Positive targets: their logs are normal."""

import numpy as np
import tensorflow as tf

from tfp_vae.data import Split
from tfp_vae.distributions.base import tfd
from tfp_vae.distributions.heads.base import HEADS, Head, registered
from tfp_vae.distributions.heads.normal_in_units import NormalInUnits


@HEADS.register("log_normal", "a positive target, such as an income or a duration", "targets")
@registered
class LogNormal(NormalInUnits):
    """A positive target whose log is N(loc, scale^2), in units of the log that are learned.

    Args:
        scale: see `NormalInUnits`; a number is in units of the log.
    """

    support = (0.0, np.inf)

    def check(self, split: Split) -> None:
        """Raises `ValueError` unless every target is positive."""
        super().check(split)
        if not (split.targets > 0).all():
            index = int(np.argmin(split.targets > 0))
            raise ValueError(
                f"The {split.name} targets are not positive. Expected numbers > 0. Received "
                f"{split.targets[index]:g} at index {index}."
            )

    def adapt(self, split: Split) -> None:
        """Takes mean and standard deviation of the logs of the training targets."""
        super().adapt(split.retargeted(np.log(split.targets.astype(np.float64))))

    def distribution(self, parameters: tf.Tensor) -> tfd.Distribution:
        """Returns a `LogNormal`."""
        return tfd.LogNormal(parameters[..., 0], parameters[..., 1])

    def portable_log_prob(self, parameters: tf.Tensor, x: tf.Tensor) -> tf.Tensor:
        """Returns the log-density of the log, less the log."""
        log_x = tf.math.log(x)
        return super().portable_log_prob(parameters, log_x) - log_x

    def nodes(self, parameters: tf.Tensor) -> "tuple[tf.Tensor, tf.Tensor]":
        """Returns the exponentials of those of the log."""
        values, log_masses = super().nodes(parameters)
        return tf.exp(values), log_masses

    def portable_mean(self, parameters: tf.Tensor) -> tf.Tensor:
        """Returns exp(loc + scale^2 / 2)."""
        return tf.exp(parameters[..., 0] + 0.5 * tf.square(parameters[..., 1]))

    def portable_variance(self, parameters: tf.Tensor) -> tf.Tensor:
        """Returns the square of the mean times exp(scale^2) - 1."""
        factor = tf.exp(tf.square(parameters[..., 1])) - 1.0
        return tf.square(self.portable_mean(parameters)) * factor

    squared_deviations = Head.squared_deviations  # its location and scale are those of the log
    expected_log_prob = Head.expected_log_prob
