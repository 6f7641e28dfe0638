"""Encoders: the approximate posterior q(z|x), a distribution over latents given an example."""

import keras
import tensorflow as tf
import tensorflow_probability as tfp

from tfp_vae.arguments import is_count
from tfp_vae.distributions.base import ConditionalDistribution, positive, registered, tfd


class Encoder(ConditionalDistribution):
    """q(z|x): [B, ...] -> a distribution with batch shape [B] and event shape [D].

    Args:
        network: Keras layer or model, [B, ...] -> [B, F].
        latent_dim: D.
    """

    def __init__(self, network: keras.Layer, latent_dim: int, **kwargs):
        if not is_count(latent_dim):
            raise ValueError(
                f"latent_dim must be positive. Expected an integer >= 1. Received {latent_dim!r}."
            )
        super().__init__(network, (latent_dim,), **kwargs)
        self.latent_dim = int(latent_dim)

    def get_config(self):
        """Returns the constructor's arguments, as JSON."""
        config = super().get_config()
        del config["event_shape"]
        return {**config, "latent_dim": self.latent_dim}


@registered
class Gaussian(Encoder):
    """q(z|x) = N(loc(x), diag(scale(x))^2), a `MultivariateNormalDiag` (Kingma & Welling, 2014)."""

    parameters_per_event = 2

    def distribution(self, loc, raw_scale):
        """Returns the `MultivariateNormalDiag`."""
        return tfd.MultivariateNormalDiag(loc, positive(raw_scale))


@registered
class FullGaussian(Encoder):
    """q(z|x) = N(loc(x), L(x) L(x)^T), a `MultivariateNormalTriL` with D (D + 1) / 2 scales."""

    @property
    def output_size(self):
        """D values of loc and D (D + 1) / 2 of the triangle."""
        return self.latent_dim + self.latent_dim * (self.latent_dim + 1) // 2

    def split(self, outputs):
        """Cuts the projection into loc [..., D] and the triangle [..., D (D + 1) / 2]."""
        return tf.split(outputs, [self.latent_dim, self.output_size - self.latent_dim], axis=-1)

    def distribution(self, loc, triangle):
        """Returns the `MultivariateNormalTriL`."""
        raw = tfp.math.fill_triangular(triangle)
        # Not tf.linalg.set_diag: its gradient does not compile with XLA for batches of any size,
        # and LiteRT has no operation for diagonals.
        diagonal = tf.eye(self.latent_dim)
        factor = (1.0 - diagonal) * raw + diagonal * positive(raw)
        return tfd.MultivariateNormalTriL(loc, factor)


BY_NAME = {"diagonal": Gaussian, "full": FullGaussian}
