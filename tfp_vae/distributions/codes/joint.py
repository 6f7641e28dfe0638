"""Continuous and categorical latents side by side."""

from typing import Any

import keras
import tensorflow as tf

from tfp_vae.arguments import check_count
from tfp_vae.distributions.base import positive, tfd
from tfp_vae.distributions.codes.base import CODES, registered
from tfp_vae.distributions.codes.gumbel import GumbelSoftmax
from tfp_vae.distributions.codes.masses import Codes, Concatenated, Relaxed


@CODES.register("joint", "normal and categorical latents side by side")
@registered
class Joint(GumbelSoftmax):
    """q(z|x) = N(loc(x), diag(scale(x))^2) times categorical variables (Dupont, NeurIPS 2018).

    z has the normal latents first, then the codes. Draws of codes are relaxed in training, see
    `GumbelSoftmax`.

    Args:
        network: Keras layer or model, [B, ...] -> [B, F].
        places: T, categorical latents.
        categories: K of each.
        continuous: D, normal latents.
        **kwargs: see `GumbelSoftmax`.
    """

    def __init__(
        self,
        network: keras.Layer,
        places: int = 1,
        categories: int = 10,
        continuous: int = 10,
        **kwargs: Any,
    ):
        super().__init__(network, places, categories, **kwargs)
        self.continuous = check_count("continuous", continuous)
        self.latent_dim += self.continuous
        self.event_shape = (self.latent_dim,)

    @property
    def support(self) -> str:
        """The latents, in words."""
        return f"{self.continuous} real numbers and {super().support}"

    @property
    def output_size(self) -> int:
        """Loc and scale of the normal latents, and the logits."""
        return 2 * self.continuous + super().output_size

    def split(self, outputs: tf.Tensor) -> "list[tf.Tensor]":
        """Cuts the projection into loc, scale and logits."""
        sizes = [self.continuous, self.continuous, super().output_size]
        return tf.split(outputs, sizes, axis=-1)

    def distribution(self, loc: tf.Tensor, raw_scale: tf.Tensor, raw: tf.Tensor) -> Concatenated:
        """Returns the `Concatenated` distribution."""
        normal = tfd.MultivariateNormalDiag(loc, positive(raw_scale))
        return Concatenated([normal, Codes(self.book, self.logits(raw))])

    def relaxed(self, found: Concatenated, temperature: tf.Tensor) -> Concatenated:
        """Returns the distribution with relaxed codes."""
        normal, codes = found.parts
        relaxed = Relaxed(self.book, codes.logits, temperature, self.straight_through)
        return Concatenated([normal, relaxed])

    def codes_of(self, posterior: tfd.Distribution) -> tf.Tensor:
        """Returns the likeliest codes of a posterior, int32 [B, T]."""
        return self.book.index(self.centre(posterior)[..., self.continuous :])

    def get_config(self) -> dict:
        """Returns the constructor's arguments, as JSON."""
        return {**super().get_config(), "continuous": self.continuous}
