"""log p(x|z) and E[x|z] of the decoders by operations that every format has.

TFP's forms of three likelihoods guard their limits by expm1, log1p, searches and masked products,
which ONNX or LiteRT lack, or have with errors of 1e-4 nats. Here the limits are power series.
tests/export compares each with the decoder's own distribution.
"""

import tensorflow as tf

from tfp_vae.distributions.base import tfd
from tfp_vae.distributions.discretized import DiscretizedLogistic
from tfp_vae.export.signatures.base import logsumexp

# Below it a series in a^2 is exact to float32, above it the difference of 1 and exp(-a) is.
_SMALL = 0.5


def log_prob(likelihood: tfd.Independent, x: tf.Tensor) -> tf.Tensor:
    """Returns log p(x|z) summed over the event, [B], in nats."""
    each = likelihood.distribution
    if isinstance(each, tfd.ContinuousBernoulli):
        logits = each.logits
        elementwise = x * logits - tf.nn.relu(logits) - _log_share(tf.abs(logits))
    elif isinstance(each, DiscretizedLogistic):
        elementwise = _log_mass(each, x)
    elif isinstance(each, tfd.FiniteDiscrete):
        logits = each.logits
        levels = logits.shape[-1]
        level = tf.cast(tf.round(x * (levels - 1)), tf.int32)
        chosen = tf.reduce_sum(logits * tf.one_hot(level, levels), axis=-1)
        elementwise = chosen - logsumexp(logits, -1)
    else:
        elementwise = each.log_prob(x)
    return tf.reduce_sum(elementwise, axis=[*range(1, elementwise.shape.rank)])


def mean(likelihood: tfd.Independent) -> tf.Tensor:
    """Returns E[x|z], [B, ...], in the units of the data."""
    each = likelihood.distribution
    if isinstance(each, tfd.ContinuousBernoulli):
        return _mean_of_continuous_bernoulli(each.logits)
    if isinstance(each, tfd.FiniteDiscrete):
        probs = tf.exp(each.logits - tf.expand_dims(logsumexp(each.logits, -1), -1))
        return tf.reduce_sum(probs * each.outcomes, axis=-1)
    if isinstance(each, DiscretizedLogistic):
        return _mean_of_logistic(each)
    if isinstance(each, tfd.Normal):  # whose own mean broadcasts loc and scale
        return each.loc
    return likelihood.mean()


def _log_share(a: tf.Tensor) -> tf.Tensor:
    """Returns log((1 - exp(-a)) / a) for a >= 0."""
    small = a < _SMALL
    safe = tf.where(small, 1.0, a)
    square = tf.square(a)
    series = -0.5 * a + square * (1 / 24 - square * (1 / 2880 - square / 181440))
    return tf.where(small, series, tf.math.log((1.0 - tf.exp(-safe)) / safe))


def _mean_of_continuous_bernoulli(logits: tf.Tensor) -> tf.Tensor:
    """Returns 1 / (1 - exp(-l)) - 1 / l, 1/2 at l = 0 (Loaiza-Ganem & Cunningham, 2019)."""
    a = tf.abs(logits)
    small = a < _SMALL
    safe = tf.where(small, 1.0, a)
    square = tf.square(a)
    series = a * (1 / 12 - square * (1 / 720 - square * (1 / 30240 - square / 1209600)))
    above = tf.where(small, series, 1.0 / (1.0 - tf.exp(-safe)) - 1.0 / safe - 0.5)
    return 0.5 + tf.sign(logits) * above  # odd around 1/2


def _log_mass(each: DiscretizedLogistic, x: tf.Tensor) -> tf.Tensor:
    step = 1.0 / (each.num_values - 1)
    centred, half = (x - each.loc) / each.scale, 0.5 * step / each.scale
    below_upper, above_lower = -tf.math.softplus(-centred - half), -tf.math.softplus(centred - half)
    inner = below_upper + above_lower + tf.math.log(2 * half) + _log_share(2 * half)
    outer = tf.where(x > 1 - 0.5 * step, above_lower, inner)
    return tf.where(x < 0.5 * step, below_upper, outer)


def _mean_of_logistic(each: DiscretizedLogistic) -> tf.Tensor:
    """Returns the sum over borders of P(x > border), as the distribution's own mean does."""
    step = 1.0 / (each.num_values - 1)

    def add(i, total):  # counted, where `tf.foldl` reads the borders from a list of tensors
        border = (tf.cast(i, tf.float32) + 0.5) * step
        return i + 1, total + tf.sigmoid((each.loc - border) / each.scale)

    start = tf.constant(0), tf.zeros_like(each.loc)
    count = each.num_values - 1
    return step * tf.while_loop(lambda i, _: i < count, add, start)[1]
