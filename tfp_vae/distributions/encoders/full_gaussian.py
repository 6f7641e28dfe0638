"""A normal posterior with all covariances between latents."""

import tensorflow as tf

from tfp_vae.distributions.base import positive, registered, tfd
from tfp_vae.distributions.encoders.base import ENCODERS, Encoder
from tfp_vae.probability import math


@ENCODERS.register("full", "normal, all covariances")
@registered
class FullGaussian(Encoder):
    """q(z|x) = N(loc(x), L(x) L(x)^T), a `MultivariateNormalTriL` with D (D + 1) / 2 scales."""

    @property
    def output_size(self) -> int:
        """D values of loc and D (D + 1) / 2 of the triangle."""
        return self.latent_dim + self.latent_dim * (self.latent_dim + 1) // 2

    def split(self, outputs: tf.Tensor) -> "list[tf.Tensor]":
        """Cuts the projection into loc [..., D] and the triangle [..., D (D + 1) / 2]."""
        return tf.split(outputs, [self.latent_dim, self.output_size - self.latent_dim], axis=-1)

    def distribution(self, loc: tf.Tensor, triangle: tf.Tensor) -> tfd.MultivariateNormalTriL:
        """Returns the `MultivariateNormalTriL`."""
        raw = math.fill_triangular(triangle)
        # Not tf.linalg.set_diag: its gradient does not compile with XLA for batches of any size,
        # and LiteRT has no operation for diagonals.
        diagonal = tf.eye(self.latent_dim)
        factor = (1.0 - diagonal) * raw + diagonal * positive(raw)
        return tfd.MultivariateNormalTriL(loc, factor)
