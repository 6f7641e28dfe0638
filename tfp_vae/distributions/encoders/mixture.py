"""A mixture of normals as posterior."""

from typing import Any

import tensorflow as tf

from tfp_vae.arguments import check_count
from tfp_vae.distributions.base import positive
from tfp_vae.distributions.encoders.base import ENCODERS, Encoder, registered
from tfp_vae.distributions.mixtures import NormalMixture


@ENCODERS.register("mixture", "mixture of normals")
@registered
class Mixture(Encoder):
    """q(z|x) = sum_k w_k(x) N(loc_k(x), diag(scale_k(x))^2).

    log q is that of the whole mixture, so that two equal components are one. Gradients go through
    draws, weights included, by implicit differentiation (Figurnov et al., 2018).

    Args:
        network: Keras layer or model, [B, ...] -> [B, F].
        latent_dim: D.
        components: K.

    Raises:
        ValueError: for components < 1.
    """

    def __init__(self, network: Any, latent_dim: int, components: int = 3, **kwargs: Any):
        super().__init__(network, latent_dim, **kwargs)
        self.components = check_count("components", components)

    @property
    def output_size(self) -> int:
        """K weights, and D values of loc and of scale for each component."""
        return self.components * (1 + 2 * self.latent_dim)

    def split(self, outputs: tf.Tensor) -> "list[tf.Tensor]":
        """Cuts the projection into weights [..., K], and loc and scale [..., K, D]."""
        count, size = self.components, self.components * self.latent_dim
        logits, loc, scale = tf.split(outputs, [count, size, size], axis=-1)
        shape = tf.concat([tf.shape(outputs)[:-1], [count, self.latent_dim]], 0)
        return [logits, tf.reshape(loc, shape), tf.reshape(scale, shape)]

    def distribution(
        self, logits: tf.Tensor, loc: tf.Tensor, raw_scale: tf.Tensor
    ) -> NormalMixture:
        """Returns the `NormalMixture`."""
        return NormalMixture(logits, loc, positive(raw_scale), reparameterized=True)

    def get_config(self) -> dict:
        """Returns the constructor's arguments, as JSON."""
        return {**super().get_config(), "components": self.components}
