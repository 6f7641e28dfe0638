"""Multivariate normals by operations that every format has.

TFP's own `log_prob`, `kl_divergence` and `mean` broadcast shapes by operations (BroadcastArgs,
MatrixDiagPart, MatrixTriangularSolve) that ONNX or LiteRT lack, and the ONNX converter then prints
an error, returns success and leaves a file that no runtime loads. With the noise known nothing has
to be solved: where z = loc + L noise,

    log N(z; loc, L L') = log N(noise; 0, I) - log det L.

tests/export compares each with TFP.
"""

import math

import tensorflow as tf

from tfp_vae.distributions.base import tfd
from tfp_vae.distributions.draws import is_diagonal, loc_of, scale_of

_LOG_2_PI = math.log(2 * math.pi)


def log_prob_of_noise(normal: tfd.Distribution, noise: tf.Tensor) -> tf.Tensor:
    """Returns the log-density at loc + L noise, [..., B], in nats."""
    standard = -0.5 * (tf.square(noise) + _LOG_2_PI)
    return tf.reduce_sum(standard - tf.math.log(_diagonal(normal)), axis=-1)


def log_prob(normal: tfd.Distribution, z: tf.Tensor) -> tf.Tensor:
    """Returns the log-density of a diagonal normal at z, [..., B, D] -> [..., B], in nats."""
    scale = _diagonal(normal)
    standard = (z - loc_of(normal)) / scale
    return tf.reduce_sum(-0.5 * (tf.square(standard) + _LOG_2_PI) - tf.math.log(scale), axis=-1)


def kl_divergence(posterior: tfd.Distribution, prior: tfd.Distribution) -> tf.Tensor:
    """Returns KL(posterior || prior) for a diagonal prior, [B], in nats."""
    scale, prior_scale = scale_of(posterior), _diagonal(prior)
    variance = tf.square(scale)
    if not is_diagonal(posterior):
        variance = tf.reduce_sum(variance, axis=-1)
    offset = loc_of(posterior) - loc_of(prior)
    spread = (variance + tf.square(offset)) / tf.square(prior_scale)
    log_ratio = tf.math.log(_diagonal(posterior)) - tf.math.log(prior_scale)
    return tf.reduce_sum(0.5 * (spread - 1.0) - log_ratio, axis=-1)


def _diagonal(normal) -> tf.Tensor:
    scale = scale_of(normal)
    if is_diagonal(normal):
        return scale
    return tf.reduce_sum(scale * tf.eye(scale.shape[-1]), axis=-1)
