"""p(x|c) of the class or the targets c."""

from typing import Any

from tfp_vae import networks
from tfp_vae.data import Data
from tfp_vae.distributions import priors
from tfp_vae.methods.vae_kinds.base import VAE_KINDS, VAEKind
from tfp_vae.methods.vae_networks import VAE_NETWORKS
from tfp_vae.models import VAE, ConditionalVAE


@VAE_KINDS.register("conditional", "p(x|c), c a class or targets")
class Conditional(VAEKind):
    """A `ConditionalVAE`; targets as condition have a `ConditionalNormal` as prior."""

    fields = ("class_prior",)
    reads_activation = True

    def given(self, recipe: Any, data: Data) -> dict:
        """Returns how the model is told what its condition is, and the prior that goes with it."""
        if data.num_classes is not None:
            found: dict = {"num_classes": data.num_classes}
            if recipe.class_prior:
                found["prior"] = priors.ClassNormal(recipe.latent_dim, data.num_classes)
            return found
        if data.task is None:
            raise ValueError(
                "A conditional model needs a condition. Expected data with labels or targets. "
                f"Received {data!r} with neither."
            )
        targets = data.train.targets
        network = networks.mlp(recipe.hidden, recipe.activation)
        return {
            "condition_dim": targets.reshape(len(targets), -1).shape[1],
            "prior": priors.ConditionalNormal(network, recipe.latent_dim),
        }

    def model(self, recipe: Any, data: Data, parts: dict) -> VAE:
        """Returns the `ConditionalVAE`."""
        return ConditionalVAE(**parts, **joined(recipe))


def joined(recipe: Any) -> dict:
    """Returns how the condition is joined to what networks see."""
    is_spatial = VAE_NETWORKS[recipe.network].is_spatial
    return {
        "join": "planes" if is_spatial else "flat",
        "decoder_sees_condition": not recipe.class_prior,
    }
