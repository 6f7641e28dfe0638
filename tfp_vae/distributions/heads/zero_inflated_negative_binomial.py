"""Counts of which some are zero for a reason of their own."""

from typing import Any

import numpy as np
import tensorflow as tf

from tfp_vae.data import Split
from tfp_vae.distributions.base import tfd
from tfp_vae.distributions.heads.base import HEADS, registered
from tfp_vae.distributions.heads.negative_binomial import Counts, NegativeBinomial
from tfp_vae.distributions.own import key_of
from tfp_vae.randomness import fold_in


@HEADS.register(
    "zero_inflated_negative_binomial", "a count that is often zero, as a target", "targets"
)
@registered
class ZeroInflatedNegativeBinomial(NegativeBinomial):
    """0 with the probability s, and else a `NegativeBinomial`; logit s from the network.

    Args:
        dispersion: of the counts, see `NegativeBinomial`.
    """

    def __init__(self, dispersion: str = "shared", **kwargs: Any):
        super().__init__(dispersion, **kwargs)
        self.num_features += 1

    def build(self, input_shape: Any = None) -> None:
        """Makes the units, that of the logit among them."""
        self.logit_start = self.add_weight(
            name="logit_start", shape=(), initializer="zeros", trainable=False, autocast=False
        )
        super().build(input_shape)

    def adapt(self, split: Split) -> None:
        """Takes mean and variance of the positive counts, and half of the share of zeros."""
        positive = split.targets[split.targets > 0]
        super().adapt(split if not len(positive) else split.select(split.targets > 0, split.name))
        share = np.clip(0.5 * np.mean(split.targets == 0), 0.01, 0.99)
        self.logit_start.assign(np.log(share / (1 - share)))

    def parameters(self, features: tf.Tensor) -> tf.Tensor:
        """Returns (log m, log r, logit s), [..., 2 or 3] -> [..., 3]."""
        counts = super().parameters(features[..., :-1])
        return tf.concat([counts, features[..., -1:] + self.logit_start], axis=-1)

    def distribution(self, parameters: tf.Tensor) -> tfd.Distribution:
        """Returns the mixture, over counts in float32."""
        return _ZeroInflated(*tf.unstack(parameters, axis=-1))

    def portable_mean(self, parameters: tf.Tensor) -> tf.Tensor:
        """Returns (1 - s) m."""
        return tf.sigmoid(-parameters[..., 2]) * tf.exp(parameters[..., 0])

    def portable_variance(self, parameters: tf.Tensor) -> tf.Tensor:
        """Returns (1 - s) (m + m^2 / r + s m^2)."""
        mean, share = tf.exp(parameters[..., 0]), tf.sigmoid(parameters[..., 2])
        return (1 - share) * (mean + tf.square(mean) * (tf.exp(-parameters[..., 1]) + share))


class _ZeroInflated(Counts):
    def __init__(self, log_mean: tf.Tensor, log_concentration: tf.Tensor, logits: tf.Tensor):
        self.gate = logits
        super().__init__(log_mean, log_concentration, logits=logits)

    def _sample_n(self, n, seed=None):
        counts, gate = (fold_in(key_of(seed), part) for part in range(2))
        zero = tfd.Bernoulli(logits=self.gate, dtype=tf.float32).sample(n, seed=gate)
        return self._of_tfp().sample(n, seed=counts) * (1.0 - zero)

    def _log_prob(self, value):
        value = tf.cast(value, tf.float32)
        whole = tf.math.log_sigmoid(-self.gate) + super()._log_prob(value)
        log_on = tf.math.log_sigmoid(self.gate)
        # log(exp(a) + exp(b)) by its larger part.
        high, low = tf.maximum(log_on, whole), tf.minimum(log_on, whole)
        return tf.where(value > 0, whole, high + tf.math.softplus(low - high))

    def _cdf(self, value):
        share = tf.sigmoid(self.gate)
        below = tf.cast(value < 0, tf.float32)
        return (1.0 - below) * share + (1.0 - share) * super()._cdf(value)

    def _mean(self):
        return tf.sigmoid(-self.gate) * super()._mean()

    def _variance(self):
        mean, share = super()._mean(), tf.sigmoid(self.gate)
        spread = tf.exp(-self.log_concentration) + share
        return (1 - share) * (mean + tf.square(mean) * spread)
