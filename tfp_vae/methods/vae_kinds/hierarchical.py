"""p(x) of several latents, each given those above."""

from typing import Any

import keras

from tfp_vae import networks
from tfp_vae.arguments import check_count
from tfp_vae.data import Data
from tfp_vae.distributions import encoders, priors
from tfp_vae.distributions.base import inverse_positive
from tfp_vae.methods.vae_kinds.base import VAE_KINDS, VAEKind, encoding_of, prior_of
from tfp_vae.methods.vae_networks import VAE_NETWORKS
from tfp_vae.models import VAE, LatentVariable

_START = 0.1  # of the projection of a prior below others


@VAE_KINDS.register("hierarchical", "p(x) of several latents, each given those above")
class Hierarchical(VAEKind):
    """p(z_L) ... p(z_1|z_>1) p(x|z) with a shared bottom-up pass and skips to x."""

    fields = ("levels", "level_dims")

    def check(self, recipe: Any) -> None:
        """Raises `ValueError` where sizes and levels differ, or no network is shared."""
        check_count("levels", recipe.levels)
        for size in recipe.level_dims:
            check_count("level_dims", size)
        if recipe.level_dims and len(recipe.level_dims) != recipe.levels:
            raise ValueError(
                f"Sizes and levels differ. Expected level_dims of {recipe.levels} sizes, one for "
                f"each level, top first. Received {list(recipe.level_dims)}."
            )
        if not recipe.hidden:
            raise ValueError(
                "Levels share a network over the example. Expected at least one hidden width. "
                "Received none."
            )

    def build(self, recipe: Any, data: Data, **options: Any) -> VAE:
        """Returns the model for a data set; see the base."""
        bottom_up = encoding_of(recipe, data)
        sizes = recipe.level_dims or (recipe.latent_dim,) * recipe.levels
        below = encoders.ENCODERS[recipe.posterior]
        latents = []
        for level, size in enumerate(sizes):
            name = f"z{len(sizes) - level}" if len(sizes) > 1 else "z"
            is_top = level == 0
            encoder = encoders.ENCODERS["diagonal"] if is_top and below.uses_prior else below
            prior = (
                prior_of(recipe, size) if is_top else priors.ConditionalNormal(_level(recipe), size)
            )
            latents.append(LatentVariable(name, prior, encoder(_level(recipe), size)))
        model = VAE(
            latents=latents,
            decoder=self.decoder(recipe, data),
            bottom_up=bottom_up,
            decoder_sees_above=True,
            **options,
        )
        for latent in latents[1:]:  # p(z_l|z_>l) starts near N(0, I)
            projection = latent.prior.head.projection
            projection.kernel.assign(_START * projection.kernel)
            size = latent.latent_dim
            projection.bias.assign([0.0] * size + [inverse_positive(1.0)] * size)
        return model


def _level(recipe: Any) -> keras.Sequential:
    """Returns the network of one level, of features and what lies above."""
    width = recipe.hidden[-1:]
    if VAE_NETWORKS[recipe.network].has_activation:
        return networks.mlp(width, recipe.activation)
    return networks.gated_mlp(width)
