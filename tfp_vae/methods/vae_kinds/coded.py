"""p(x) with discrete latents: one kind for all members of `codes.CODES`."""

from typing import Any

import keras

from tfp_vae.distributions import encoders, priors
from tfp_vae.methods import codes
from tfp_vae.methods.vae_kinds.base import VAEKind


class Coded(VAEKind):
    """A `VAE` whose encoder is the one of `codes.CODES` that the recipe names as its model."""

    fields = ("codes",)
    reads_prior = reads_posterior = False

    def check(self, recipe: Any) -> None:
        """Raises `ValueError` for options that such codes do not take."""
        codes.check(recipe.model, dict(recipe.codes))

    def encoder(self, recipe: Any, network: keras.Layer) -> encoders.Encoder:
        """Returns the encoder of the codes."""
        return codes.encoder(recipe.model, network, dict(recipe.codes))

    def prior(self, recipe: Any, encoder: encoders.Encoder) -> priors.Prior:
        """Returns the prior that codes are trained with."""
        del recipe
        return codes.prior(encoder)
