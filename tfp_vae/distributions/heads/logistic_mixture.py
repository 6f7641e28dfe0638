"""Grey levels, as the cells of a mixture of logistic variables."""

from typing import Any

import tensorflow as tf

from tfp_vae.arguments import check_count
from tfp_vae.data import Kind
from tfp_vae.data.kinds import GREY_LEVELS
from tfp_vae.distributions import discretized
from tfp_vae.distributions.base import SCALE_FLOOR, positive, tfd
from tfp_vae.distributions.heads.base import HEADS, Head, registered
from tfp_vae.distributions.heads.discretized_logistic import DiscretizedLogistic
from tfp_vae.distributions.portable import logsumexp


@HEADS.register("logistic_mixture", "one of 256 grey levels, with several locations and scales")
@registered
class LogisticMixture(Head):
    """sum_k w_k of logistic masses of each of the 256 grey levels (PixelCNN++, eq. 2).

    A value may be one of several: dark or light, where one location would say grey. Weights,
    locations and scales of every value are of the network (Salimans et al., ICLR 2017).

    Args:
        components: K.

    Raises:
        ValueError: for components < 1.
    """

    kinds = frozenset({Kind.EIGHT_BIT})
    preferred_kind = Kind.EIGHT_BIT
    is_discrete = True

    def __init__(self, components: int = 3, **kwargs: Any):
        super().__init__(**kwargs)
        self.components = check_count("components", components)
        self.num_features = 3 * self.components

    def parameters(self, features: tf.Tensor) -> tf.Tensor:
        """Returns log weights, locations and scales side by side, [..., 3K] -> [..., 3K]."""
        logits, loc, raw = tf.split(features, 3, axis=-1)
        # Locations spread over the grid, or the components would have nothing to differ by.
        start = (tf.range(self.components, dtype=features.dtype) + 0.5) / self.components
        log_weights = logits - logsumexp(logits, -1, keepdims=True)
        return tf.concat([log_weights, loc + start, positive(raw - 2.0, SCALE_FLOOR)], axis=-1)

    def _each(self, parameters):
        """Returns log weights [..., K] and the parameters of the components, [..., K, 2]."""
        log_weights, loc, scale = tf.split(parameters, 3, axis=-1)
        return log_weights, tf.stack([loc, scale], axis=-1)

    def distribution(self, parameters: tf.Tensor) -> tfd.Distribution:
        """Returns a `MixtureSameFamily` of `DiscretizedLogistic`."""
        log_weights, each = self._each(parameters)
        return tfd.MixtureSameFamily(
            tfd.Categorical(logits=log_weights),
            discretized.DiscretizedLogistic(each[..., 0], each[..., 1], GREY_LEVELS),
        )

    def portable_log_prob(self, parameters: tf.Tensor, x: tf.Tensor) -> tf.Tensor:
        """Returns the log-probability of the level."""
        log_weights, each = self._each(parameters)
        parts = DiscretizedLogistic().portable_log_prob(each, tf.expand_dims(x, -1))
        return logsumexp(log_weights + parts, -1)

    def portable_mean(self, parameters: tf.Tensor) -> tf.Tensor:
        """Returns the mean of the means."""
        log_weights, each = self._each(parameters)
        means = DiscretizedLogistic().portable_mean(each)
        return tf.reduce_sum(tf.exp(log_weights) * means, axis=-1)

    def steps(self) -> dict:
        """Returns the mean by name, the number of levels and the least scale of a component."""
        return {"mean": "logistic_mixture", "levels": GREY_LEVELS, "floor": SCALE_FLOOR}

    def tables(self, parameters: tf.Tensor) -> tf.Tensor:
        """Returns the probabilities of the 256 levels."""
        log_weights, each = self._each(parameters)
        # One exponential per level and component, where a log-probability has six.
        parts = DiscretizedLogistic().tables(each)
        return tf.reduce_sum(tf.exp(log_weights)[..., tf.newaxis] * parts, axis=-2)

    def get_config(self) -> dict:
        """Returns the constructor's arguments, as JSON."""
        return {**super().get_config(), "components": self.components}
