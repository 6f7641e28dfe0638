"""Models that play against a discriminator; no bound is of them."""

from typing import Any, ClassVar

import keras

from tfp_vae import networks
from tfp_vae.data import Data
from tfp_vae.distributions import encoders
from tfp_vae.distributions.deterministic import Deterministic
from tfp_vae.methods.vae_kinds.base import VAE_KINDS, VAEKind
from tfp_vae.models import AAE, VAE, VAEGAN


class Adversarial(VAEKind):
    """What both are."""

    fields = ("adversarial_weight",)
    on_bound = False
    made: ClassVar[Any]

    def model(self, recipe: Any, data: Data, parts: dict) -> VAE:
        """Returns the model with its discriminator."""
        parts["discriminator"] = networks.mlp(recipe.hidden, recipe.activation)
        return self.made(weight=recipe.adversarial_weight, **parts)


@VAE_KINDS.register("aae", "codes against a discriminator, on no bound")
class Autoencoder(Adversarial):
    """An `AAE`, whose q(z|x) is a point."""

    reads_posterior = False
    made = AAE

    def encoder(self, recipe: Any, network: keras.Layer) -> encoders.Encoder:
        """Returns the point."""
        return Deterministic(network, recipe.latent_dim)


@VAE_KINDS.register("vae_gan", "a VAE and a discriminator of images, on no bound")
class GAN(Adversarial):
    """A `VAEGAN`."""

    made = VAEGAN
