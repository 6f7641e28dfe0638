"""Draws of a distribution as functions of a key, the same ones in a graph and under XLA."""

import tensorflow as tf

from tfp_vae import randomness
from tfp_vae.distributions.base import tfd


def draw(distribution: tfd.Distribution, sample_shape, key) -> tf.Tensor:
    """Returns draws, [*sample_shape, *batch shape, *event shape], reparameterised where TFP does.

    Multivariate normals are loc + L noise, of noise that does not depend on how it is compiled. The
    rest is drawn by TFP, whose noise does.

    Args:
        distribution: any.
        sample_shape: integers, or integer tensors.
        key: int32 [2].
    """
    if not is_supported(distribution):
        index, count = randomness.current_part()
        key = key if count == 1 else randomness.fold_in(key, index)
        return distribution.sample(sample_shape, seed=key)
    sample_shape = tf.convert_to_tensor(sample_shape, tf.int32)
    shape = [sample_shape, distribution.batch_shape_tensor(), distribution.event_shape_tensor()]
    # The examples are the first axis of the batch shape; a prior without one is the same for all.
    axis = sample_shape.shape[0] if distribution.batch_shape.rank else None
    return from_standard(distribution, randomness.normal(tf.concat(shape, axis=0), key, axis))


def is_supported(distribution: tfd.Distribution) -> bool:
    """Whether it is a multivariate normal whose draws are loc + L noise."""
    return isinstance(distribution, tfd.MultivariateNormalDiag | tfd.MultivariateNormalTriL)


def loc_of(normal: tfd.Distribution) -> tf.Tensor:
    """Returns the mean, [B, D] or [D]."""
    return tf.convert_to_tensor(normal.parameters["loc"])


def scale_of(normal: tfd.Distribution) -> tf.Tensor:
    """Returns the standard deviations [B, D], or the lower triangular factor [B, D, D]."""
    diagonal = isinstance(normal, tfd.MultivariateNormalDiag)
    return tf.convert_to_tensor(normal.parameters["scale_diag" if diagonal else "scale_tril"])


def is_diagonal(normal: tfd.Distribution) -> bool:
    """Whether the latents are independent."""
    return isinstance(normal, tfd.MultivariateNormalDiag)


def from_standard(normal: tfd.Distribution, noise: tf.Tensor) -> tf.Tensor:
    """Returns loc + L noise, [..., B, D] for standard normal numbers [..., B, D]."""
    scale = scale_of(normal)
    if is_diagonal(normal):
        return loc_of(normal) + scale * noise
    return loc_of(normal) + tf.reduce_sum(scale * tf.expand_dims(noise, -2), axis=-1)
