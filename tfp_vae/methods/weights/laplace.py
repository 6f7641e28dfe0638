"""Laplace: a normal posterior around the mode, its covariance from the curvature there."""

from tfp_vae.methods.weights.base import METHODS, Method


@METHODS.register("laplace", "Laplace, diagonal, all weights")
class DiagonalLaplace(Method):
    """A normal posterior of all weights with a diagonal covariance (MacKay, 1992)."""

    post_hoc = True
    trained_as = "map"

    def check(self, member, num_data):
        """Raises `ValueError` if the network is too large."""
        from tfp_vae.models import Laplace

        member.num_data = num_data
        Laplace(member, "diagonal")

    def finish(self, model, train, seed=0, batch_size=32, callbacks=()):
        """Returns the posterior around the trained weights."""
        del seed, batch_size, callbacks
        from tfp_vae.models import Laplace

        return Laplace(model, "diagonal").fit(train)
