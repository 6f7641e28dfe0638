"""Real values in [0, 1]."""

import tensorflow as tf

from tfp_vae.data import Kind
from tfp_vae.distributions.base import tfd
from tfp_vae.distributions.heads.base import HEADS, Head, registered
from tfp_vae.distributions.portable import SMALL, log_share


@HEADS.register("continuous_bernoulli", "a real number in [0, 1], with a logit each")
@registered
class ContinuousBernoulli(Head):
    """Density on [0, 1] with the normaliser that the Bernoulli form lacks there.

    Loaiza-Ganem & Cunningham, "The continuous Bernoulli", NeurIPS 2019, eq. 1-8.
    """

    kinds = frozenset({Kind.UNIT_INTERVAL})
    preferred_kind = Kind.UNIT_INTERVAL

    def distribution(self, parameters: tf.Tensor) -> tfd.Distribution:
        """Returns a `ContinuousBernoulli`."""
        return tfd.ContinuousBernoulli(logits=tf.squeeze(parameters, -1))

    def portable_log_prob(self, parameters: tf.Tensor, x: tf.Tensor) -> tf.Tensor:
        """Returns x logit - log of the normaliser."""
        logits = tf.squeeze(parameters, -1)
        return x * logits - tf.nn.relu(logits) - log_share(tf.abs(logits))

    def portable_mean(self, parameters: tf.Tensor) -> tf.Tensor:
        """Returns 1 / (1 - exp(-l)) - 1 / l, 1/2 at l = 0."""
        logits = tf.squeeze(parameters, -1)
        a = tf.abs(logits)
        small = a < SMALL
        safe = tf.where(small, tf.ones_like(a), a)
        square = tf.square(a)
        series = a * (1 / 12 - square * (1 / 720 - square * (1 / 30240 - square / 1209600)))
        above = tf.where(small, series, 1.0 / (1.0 - tf.exp(-safe)) - 1.0 / safe - 0.5)
        return 0.5 + tf.sign(logits) * above  # odd around 1/2

    def steps(self) -> dict:
        """Returns the mean by name."""
        return {"mean": "continuous_bernoulli"}
