"""Counts of which some are zero for a reason of their own."""

from typing import Any

import numpy as np
import tensorflow as tf

from tfp_vae.data import Split
from tfp_vae.distributions.base import tfd
from tfp_vae.distributions.heads.base import HEADS, registered
from tfp_vae.distributions.heads.negative_binomial import NegativeBinomial, log_prob


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


class _ZeroInflated(tfd.Distribution):
    def __init__(self, log_mean: tf.Tensor, log_concentration: tf.Tensor, logits: tf.Tensor):
        self._log_mean, self._log_concentration, self._gate = log_mean, log_concentration, logits
        super().__init__(
            dtype=tf.float32,
            reparameterization_type=tfd.NOT_REPARAMETERIZED,
            validate_args=False,
            allow_nan_stats=True,
            parameters={
                "log_mean": log_mean, "log_concentration": log_concentration, "logits": logits,
            },
            name="ZeroInflatedNegativeBinomial",
        )  # fmt: skip

    def _batch_shape(self):
        return self._log_mean.shape

    def _batch_shape_tensor(self, **_):
        return tf.shape(self._log_mean)

    def _event_shape(self):
        return tf.TensorShape([])

    def _event_shape_tensor(self):
        return tf.constant([], tf.int32)

    def _sample_n(self, n, seed=None):
        counts, gate = tf.unstack(tf.random.experimental.stateless_split(_key(seed), 2))
        drawn = tfd.NegativeBinomial(
            tf.exp(self._log_concentration), logits=self._log_mean - self._log_concentration
        ).sample(n, seed=counts)
        zero = tfd.Bernoulli(logits=self._gate, dtype=tf.float32).sample(n, seed=gate)
        return drawn * (1.0 - zero)

    def _log_prob(self, value):
        value = tf.cast(value, tf.float32)
        counted = log_prob(value, self._log_mean, self._log_concentration)
        log_on, log_off = tf.math.log_sigmoid(self._gate), tf.math.log_sigmoid(-self._gate)
        whole = log_off + counted
        # log(exp(a) + exp(b)) by its larger part.
        high, low = tf.maximum(log_on, whole), tf.minimum(log_on, whole)
        return tf.where(value > 0, whole, high + tf.math.softplus(low - high))

    def _mean(self):
        return tf.sigmoid(-self._gate) * tf.exp(self._log_mean)

    def _variance(self):
        mean, share = tf.exp(self._log_mean), tf.sigmoid(self._gate)
        spread = tf.exp(-self._log_concentration) + share
        return (1 - share) * (mean + tf.square(mean) * spread)


def _key(seed):
    return tf.convert_to_tensor(seed, tf.int32)
