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
    diagonal = isinstance(distribution, tfd.MultivariateNormalDiag)
    if not (diagonal or isinstance(distribution, tfd.MultivariateNormalTriL)):
        return distribution.sample(sample_shape, seed=key)
    loc, scale = (
        tf.convert_to_tensor(distribution.parameters[name])
        for name in ("loc", "scale_diag" if diagonal else "scale_tril")
    )
    sample_shape = tf.convert_to_tensor(sample_shape, tf.int32)
    shape = [sample_shape, distribution.batch_shape_tensor(), distribution.event_shape_tensor()]
    noise = randomness.normal(tf.concat(shape, axis=0), key)
    return loc + (scale * noise if diagonal else tf.linalg.matvec(scale, noise))
