"""p(x) with a decoder whose real values vary together."""

from typing import Any

import keras

from tfp_vae.arguments import check_count
from tfp_vae.data import Data
from tfp_vae.distributions import decoders, heads
from tfp_vae.distributions.correlated import CorrelatedDecoder
from tfp_vae.methods.vae_kinds.base import VAE_KINDS, VAEKind


@VAE_KINDS.register("correlated", "p(x) of real values that vary together given z")
class Correlated(VAEKind):
    """A `VAE` with a `CorrelatedDecoder`, of `scale="trained"` where it was to be shared."""

    fields = ("covariance_rank",)

    def check(self, recipe: Any) -> None:
        """Raises `ValueError` for no directions, or a likelihood that is not normal."""
        check_count("covariance_rank", recipe.covariance_rank)
        if recipe.likelihood not in (None, "normal"):
            raise ValueError(
                "Values that vary together are normal here. Expected likelihood='normal' with "
                f"model='correlated'. Received {recipe.likelihood!r}."
            )

    def of_values(
        self, recipe: Any, network: keras.Layer, data: Data, head: heads.Head
    ) -> decoders.Decoder:
        """Returns the decoder; its scale is trained beside the directions."""
        rank, head = recipe.covariance_rank, head.without_profile()
        return CorrelatedDecoder(network, data.shape, head, rank=rank)
