"""Models: the graph of a VAE, what a network says of a toy, a class among its kin."""

from docs.figures import kinds, methods, tree
from docs.figures.base import Picture

# What shows a model: the kind of VAE that is one, or the method that makes one.
_KINDS = {"VAE": "vae", "ConditionalVAE": "conditional", "M2": "m2", "AAE": "aae",
          "VAEGAN": "vae_gan", "Autoencoder": "autoencoder"}  # fmt: skip
_METHODS = {"BayesianNetwork": "vi", "Ensemble": "ensemble", "Laplace": "laplace", "SWAG": "swag",
            "NUTS": "nuts", "SGMCMC": "sgmcmc", "MILE": "mile", "IVONPosterior": "ivon",
            "Mixture": "multiswag", "LinearisedNetwork": "laplace"}  # fmt: skip


def picture(name: str) -> Picture:
    """Returns the figure of a model."""
    if name in _KINDS:
        return kinds.picture(_KINDS[name])
    if name in _METHODS:
        return methods.band(_METHODS[name], name)
    return tree.picture(name)
