"""Laplace on the last layer: all but its weights stay at the mode."""

from tfp_vae.methods.weights.base import METHODS, Method


@METHODS.register("laplace_last_layer", "Laplace, full covariance, last layer")
class LastLayerLaplace(Method):
    """A normal posterior of the last layer with a full covariance (Daxberger et al., 2021)."""

    post_hoc = True
    trained_as = "map"

    def check(self, member, num_data):
        """Raises `ValueError` if the network is too large."""
        from tfp_vae.models import Laplace

        member.num_data = num_data
        Laplace(member, "last_layer")

    def finish(self, model, train, seed=0, batch_size=32, callbacks=()):
        """Returns the posterior around the trained weights."""
        del seed, batch_size, callbacks
        from tfp_vae.models import Laplace

        return Laplace(model, "last_layer").fit(train)
