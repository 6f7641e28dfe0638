"""Laplace on the last layer: all but its weights stay at the mode."""

from tfp_vae.methods.weights.base import METHODS
from tfp_vae.methods.weights.laplace import LaplaceMethod


@METHODS.register("laplace_last_layer", "Laplace, last layer")
class LastLayerLaplace(LaplaceMethod):
    """A normal posterior of the last layer, with all covariances by default (Daxberger, 2021)."""

    layers = "last"

    def default_structure(self, model):
        """Returns "full"."""
        del model
        return "full"
