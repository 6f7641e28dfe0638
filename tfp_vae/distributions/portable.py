"""Functions by operations that every runtime has, exact to float32 where TFP's have guards.

TFP's forms of some likelihoods guard their limits by expm1, log1p, searches and masked products,
which ONNX or LiteRT lack, or have with errors of 1e-4 nats. Here the limits are power series.
"""

import math

import tensorflow as tf

HALF_LOG_2_PI = 0.5 * math.log(2 * math.pi)
# Below it a series in a^2 is exact to float32, above it the difference of 1 and exp(-a) is.
SMALL = 0.5


def logsumexp(values: tf.Tensor, axis: int, keepdims: bool = False) -> tf.Tensor:
    """Returns log sum exp of finite values; without the guards that portable formats lack."""
    top = tf.reduce_max(values, axis=axis, keepdims=True)
    total = tf.math.log(tf.reduce_sum(tf.exp(values - top), axis=axis, keepdims=keepdims))
    return total + (top if keepdims else tf.squeeze(top, axis=axis))


def times(x: tf.Tensor, matrix: tf.Tensor) -> tf.Tensor:
    """Returns x matrix, [..., I] [I, O] -> [..., O], also of one vector."""
    if x.shape.rank == 1:
        return tf.matmul(x[tf.newaxis], matrix)[0]
    return tf.matmul(x, matrix)


def log_share(a: tf.Tensor) -> tf.Tensor:
    """Returns log((1 - exp(-a)) / a) for a >= 0."""
    small = a < SMALL
    safe = tf.where(small, tf.ones_like(a), a)  # a number alone would be float32 in a graph
    square = tf.square(a)
    series = -0.5 * a + square * (1 / 24 - square * (1 / 2880 - square / 181440))
    return tf.where(small, series, tf.math.log((1.0 - tf.exp(-safe)) / safe))
