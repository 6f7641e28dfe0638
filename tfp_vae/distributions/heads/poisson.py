"""Counts as targets."""

import math
from typing import Any

import numpy as np
import tensorflow as tf

from tfp_vae.data import Split
from tfp_vae.distributions import quadrature
from tfp_vae.distributions.base import tfd
from tfp_vae.distributions.heads.base import HEADS, Head, registered
from tfp_vae.distributions.portable import logsumexp

# Where rates end: counts beyond 2e17 are none that float32 tells apart, and the squares of their
# gradients, which optimizers take, still have a number.
MAX_LOG_RATE = 40.0


@HEADS.register("poisson", "a count as a target", "targets")
@registered
class Poisson(Head):
    """Counts 0, 1, 2, ... with the log of their rate from the network."""

    kinds = frozenset()
    is_discrete = True

    def build(self, input_shape: Any = None) -> None:
        """Makes the mean log rate that the network's output is relative to."""
        self.log_mean = self.add_weight(
            name="log_mean", shape=(), initializer="zeros", trainable=False, autocast=False
        )
        self.built = True

    def check(self, split: Split) -> None:
        """Raises `ValueError` unless every target is a count."""
        super().check(split)
        bad = (split.targets < 0) | (split.targets != np.round(split.targets))
        if bad.any():
            index = int(np.argmax(bad))
            raise ValueError(
                f"The {split.name} targets are not counts. Expected 0, 1, 2, .... Received "
                f"{split.targets[index]:g} at index {index}."
            )

    def adapt(self, split: Split) -> None:
        """Takes the log of the mean count."""
        mean = float(split.targets.mean())
        if mean <= 0:
            raise ValueError(
                f"The {split.name} counts are all zero. Expected a positive one. Received none."
            )
        self.log_mean.assign(math.log(mean))

    def parameters(self, features: tf.Tensor) -> tf.Tensor:
        """Returns the log rate, at most `MAX_LOG_RATE`, [..., 1] -> [..., 1].

        Beyond it the gradient goes on as if there were no end, so that training comes back.
        """
        rate = features + self.log_mean
        return rate - tf.stop_gradient(tf.nn.relu(rate - MAX_LOG_RATE))

    def distribution(self, parameters: tf.Tensor) -> tfd.Distribution:
        """Returns a `Poisson`."""
        return tfd.Poisson(log_rate=parameters[..., 0])

    def nodes(self, parameters: tf.Tensor) -> "tuple[tf.Tensor, tf.Tensor]":
        """Returns counts, and the logs of their shares: exact up to 63, for means up to 1e5."""
        counts = tf.constant(quadrature.COUNTS)
        log_p = self.portable_log_prob(parameters[..., tf.newaxis, :], counts)
        log_masses = log_p + quadrature.LOG_WIDTHS
        return counts, log_masses - logsumexp(log_masses, -1, keepdims=True)

    def exposed(self, parameters: tf.Tensor, log_exposure: tf.Tensor) -> tf.Tensor:
        """Returns the parameters with the log of the exposure added to that of the mean."""
        log_mean = parameters[..., 0] + log_exposure
        rest = parameters[..., 1:] + tf.zeros_like(log_mean)[..., tf.newaxis]
        return tf.concat([log_mean[..., tf.newaxis], rest], axis=-1)

    def adapt_exposed(self, split: Split, exposure: np.ndarray) -> None:
        """Takes what `adapt` takes, with counts over exposures in the place of the mean count."""
        self.adapt(split)
        self.log_mean.assign(self.log_mean - math.log(np.mean(exposure, dtype=np.float64)))

    def portable_mean(self, parameters: tf.Tensor) -> tf.Tensor:
        """Returns the rate."""
        return tf.exp(parameters[..., 0])

    def portable_variance(self, parameters: tf.Tensor) -> tf.Tensor:
        """Returns the rate."""
        return tf.exp(parameters[..., 0])

    def expected_log_prob(
        self, mean: tf.Tensor, variance: tf.Tensor, value: tf.Tensor
    ) -> tf.Tensor:
        """Returns y m - exp(m + v / 2) - log y!, with the log rate m at the mean: exact."""
        value = tf.cast(value, tf.float32)
        rate = self.parameters(mean)[..., 0]
        expected = tf.exp(self.parameters(mean + variance / 2)[..., 0])
        return value * rate - expected - tf.math.lgamma(value + 1)

    def fisher_root(self, parameters: tf.Tensor) -> tf.Tensor:
        """Returns the square root of the rate, [..., 1, 1]."""
        return tf.exp(0.5 * parameters)[..., tf.newaxis]
