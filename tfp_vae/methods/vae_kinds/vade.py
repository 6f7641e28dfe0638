"""p(x) with a mixture as prior, whose components are clusters."""

from typing import Any

from tfp_vae.arguments import check_count
from tfp_vae.data import Data
from tfp_vae.distributions import priors
from tfp_vae.methods.vae_kinds.base import VAE_KINDS, VAEKind


@VAE_KINDS.register("vade", "p(x) with clusters as prior")
class VaDE(VAEKind):
    """A `VAE` with a mixture of `clusters`, to be started by `training.StartClusters`."""

    fields = ("clusters",)
    reads_prior = False
    finds_clusters = True

    def check(self, recipe: Any) -> None:
        """Raises `ValueError` for no number of clusters."""
        if recipe.clusters is not None:
            check_count("clusters", recipe.clusters)

    def given(self, recipe: Any, data: Data) -> dict:
        """Returns the mixture, by default of as many components as there are classes."""
        clusters = recipe.clusters or data.num_classes
        if clusters is None:
            raise ValueError(
                "Nobody says how many clusters there are. Expected a number of them, or data with "
                f"classes. Received {data!r} without."
            )
        if clusters > len(data.train):
            raise ValueError(
                "There are more clusters than examples. Expected at most "
                f"{len(data.train)}. Received {clusters}."
            )
        return {"prior": priors.PRIORS["mixture"](recipe.latent_dim, clusters)}
