"""An autoencoder, plain or denoising; it is on no bound."""

from typing import Any

import keras

from tfp_vae.data import Data
from tfp_vae.distributions import encoders
from tfp_vae.distributions.deterministic import Deterministic, Nowhere
from tfp_vae.distributions.priors import Prior
from tfp_vae.methods.vae_kinds.base import VAE_KINDS, VAEKind
from tfp_vae.models import VAE, Autoencoder


@VAE_KINDS.register("autoencoder", "codes without p(z), plain or denoising, on no bound")
class PlainAutoencoder(VAEKind):
    """An `Autoencoder`."""

    fields = ("noise",)
    reads_prior = False
    reads_posterior = False
    on_bound = False

    def encoder(self, recipe: Any, network: keras.Layer) -> encoders.Encoder:
        """Returns the point."""
        return Deterministic(network, recipe.latent_dim)

    def prior(self, recipe: Any, encoder: encoders.Encoder) -> Prior:
        """Returns what stands for no p(z)."""
        del encoder
        return Nowhere(recipe.latent_dim)

    def model(self, recipe: Any, data: Data, parts: dict) -> VAE:
        """Returns the model with its noise."""
        del data
        return Autoencoder(noise=recipe.noise, **parts)
