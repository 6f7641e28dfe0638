"""A posterior on a sphere."""

from typing import Any

import tensorflow as tf

from tfp_vae.arguments import check_count
from tfp_vae.distributions import spheres
from tfp_vae.distributions.base import SPHERE, positive
from tfp_vae.distributions.encoders.base import ENCODERS, Encoder, registered

_MOST = 500.0


@ENCODERS.register("von_mises_fisher", "von Mises-Fisher, on the unit sphere")
@registered
class VonMisesFisher(Encoder):
    """q(z|x) proportional to exp(k(x) m(x).z) on the unit sphere (Davidson et al., 2018).

    k is below 500. Gradients go through draws, by the inverse of the distribution function of the
    angle to m in place of the paper's rejection.

    Args:
        network: Keras layer or model, [B, ...] -> [B, F].
        latent_dim: D >= 2.
    """

    support = SPHERE

    def __init__(self, network: Any, latent_dim: int, **kwargs: Any):
        super().__init__(network, check_count("latent_dim of a sphere", latent_dim, 2), **kwargs)

    @property
    def output_size(self) -> int:
        """D values of the direction, and the concentration."""
        return self.latent_dim + 1

    def split(self, outputs: tf.Tensor) -> "list[tf.Tensor]":
        """Cuts the projection into the direction [..., D] and the concentration [...]."""
        return [outputs[..., :-1], outputs[..., -1]]

    def distribution(self, raw: tf.Tensor, raw_concentration: tf.Tensor) -> spheres.VonMisesFisher:
        """Returns the `spheres.VonMisesFisher`."""
        length = tf.sqrt(tf.reduce_sum(tf.square(raw), axis=-1, keepdims=True) + 1e-12)
        # As spread as a scale of 1 in D dimensions at the start.
        concentration = self.latent_dim * positive(raw_concentration)
        return spheres.VonMisesFisher(raw / length, _MOST * tf.tanh(concentration / _MOST))
