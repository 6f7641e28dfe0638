"""Binary values."""

import functools

import tensorflow as tf

from tfp_vae.data import Kind
from tfp_vae.data.kinds import BINARY
from tfp_vae.distributions.base import tfd
from tfp_vae.distributions.heads.base import HEADS, Head, registered

_FACTORS = 8  # of one logarithm: their product is at most 2^8, and more of them save little


@HEADS.register("bernoulli", "0 or 1, with a logit each")
@registered
class Bernoulli(Head):
    """A binary value with its logit; for `STATIC`, `DYNAMIC`, `THRESHOLD` data."""

    kinds = BINARY
    preferred_kind = Kind.DYNAMIC
    is_discrete = True

    def distribution(self, parameters: tf.Tensor) -> tfd.Distribution:
        """Returns a `Bernoulli`."""
        return _Bernoulli(logits=tf.squeeze(parameters, -1), dtype=tf.float32)

    def joint(self, parameters: tf.Tensor, axes: int) -> tfd.Distribution:
        """Returns an `Independent(Bernoulli)`."""
        return _IndependentBernoulli(self.distribution(parameters), axes)

    def portable_log_prob(self, parameters: tf.Tensor, x: tf.Tensor) -> tf.Tensor:
        """Returns x logit - softplus(logit)."""
        return _log_prob(x, tf.squeeze(parameters, -1))

    def portable_mean(self, parameters: tf.Tensor) -> tf.Tensor:
        """Returns the probability of 1."""
        return tf.sigmoid(tf.squeeze(parameters, -1))

    def portable_variance(self, parameters: tf.Tensor) -> tf.Tensor:
        """Returns p (1 - p)."""
        mean = self.portable_mean(parameters)
        return mean * (1.0 - mean)

    def fisher_root(self, parameters: tf.Tensor) -> tf.Tensor:
        """Returns the square root of p (1 - p), [..., 1, 1]."""
        return tf.exp(-0.5 * (tf.math.softplus(parameters) + tf.math.softplus(-parameters)))[
            ..., tf.newaxis
        ]

    def nodes(self, parameters: tf.Tensor) -> "tuple[tf.Tensor, tf.Tensor]":
        """Returns 0 and 1, and the logs of their probabilities."""
        logits = tf.concat([parameters, -parameters], axis=-1)
        return tf.constant([0.0, 1.0]), -tf.math.softplus(logits)

    def steps(self) -> dict:
        """Returns the sigmoid."""
        return {"mean": "sigmoid"}

    def tables(self, parameters: tf.Tensor) -> tf.Tensor:
        """Returns the probabilities of 0 and 1."""
        return tf.sigmoid(tf.concat([-parameters, parameters], axis=-1))


class _Bernoulli(tfd.Bernoulli):
    def _log_prob(self, event):
        return _log_prob(event, self.logits)


class _IndependentBernoulli(tfd.Independent):
    def _log_prob(self, event):
        axes = len(self.event_shape)
        if not axes:
            return self.distribution.log_prob(event)
        size = self.event_shape.num_elements()

        # One long axis, because XLA vectorises the innermost one: that of an image is its channels.
        def flat(values):
            return tf.reshape(values, tf.concat([tf.shape(values)[:-axes], [size or -1]], axis=0))

        return _summed(flat(event), flat(self.distribution.logits), size or 1)


def _log_prob(event, logits):
    # TFP evaluates softplus(logits) and softplus(-logits); x logits - softplus(logits) is equal
    # (tests/distributions compares value and gradient) and needs one of them.
    return event * logits - tf.math.softplus(logits)


def _summed(event, logits, size):
    """Returns the sum of `_log_prob` over the last axis, with one logarithm for a few values.

    softplus(l) = max(l, 0) + log(1 + exp(-|l|)), and logarithms of factors in (1, 2] add up to that
    of their product, which is a float32 as exactly as each of them. What that rounds away is below
    3e-7 nats a value; the gradient, sigmoid(l), has nothing of it.
    """
    parts = max(number for number in range(1, _FACTORS + 1) if size % number == 0)
    linear = event * logits
    if parts == 1:
        return tf.reduce_sum(linear - tf.math.softplus(logits), axis=-1)

    @tf.custom_gradient
    def total(linear, logits):
        above = tf.split(linear - tf.nn.relu(logits), parts, axis=-1)
        factors = tf.split(1.0 + tf.exp(-tf.abs(logits)), parts, axis=-1)
        each = sum(above) - tf.math.log(functools.reduce(tf.multiply, factors))

        def back(upstream):
            upstream = upstream[..., tf.newaxis]
            return tf.broadcast_to(upstream, tf.shape(linear)), -upstream * tf.sigmoid(logits)

        return tf.reduce_sum(each, axis=-1), back

    return total(linear, tf.broadcast_to(logits, tf.shape(linear)))
