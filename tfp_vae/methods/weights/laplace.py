"""Laplace: a normal posterior around the mode, its covariance from the curvature there."""

from typing import ClassVar

from tfp_vae.methods.weights.base import METHODS, Method


class LaplaceMethod(Method):
    """What Laplace approximations have in common: they start at the mode and fit one curvature.

    Attributes:
        structure: of the covariance, as `models.Laplace` calls it.
    """

    structure: ClassVar[str]
    post_hoc = True
    trained_as = "map"

    def check(self, member, num_data):
        """Raises `ValueError` if the network is too large."""
        from tfp_vae.models import Laplace

        member.num_data = num_data
        Laplace(member, self.structure)

    def finish(self, model, train, seed=0, batch_size=32, callbacks=()):
        """Returns the posterior around the trained weights."""
        del seed, batch_size, callbacks
        from tfp_vae.models import Laplace

        return Laplace(model, self.structure).fit(train)


@METHODS.register("laplace", "Laplace, diagonal, all weights")
class DiagonalLaplace(LaplaceMethod):
    """A normal posterior of all weights with a diagonal covariance (MacKay, 1992)."""

    structure = "diagonal"
