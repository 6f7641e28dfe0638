"""p(x) with a decoder whose pixels depend on those before them."""

from typing import Any

import keras

from tfp_vae.arguments import check_count
from tfp_vae.data import Data
from tfp_vae.distributions import decoders, heads
from tfp_vae.distributions.pixels import PixelDecoder
from tfp_vae.methods.vae_kinds.base import VAE_KINDS, VAEKind


@VAE_KINDS.register("pixel", "p(x) by masked convolutions given z")
class Pixel(VAEKind):
    """A `VAE` with a `PixelDecoder`, of `scale="trained"` where it is normal."""

    fields = ("receptive_field",)

    def check(self, recipe: Any) -> None:
        """Raises `ValueError` for a receptive field below 1."""
        check_count("receptive_field", recipe.receptive_field)

    def of_values(
        self, recipe: Any, network: keras.Layer, data: Data, head: heads.Head
    ) -> decoders.Decoder:
        """Returns the decoder, which sees a few rows and columns before a pixel."""
        reach, head = recipe.receptive_field, head.without_profile()
        return PixelDecoder(network, data.shape, head, reach=reach)
