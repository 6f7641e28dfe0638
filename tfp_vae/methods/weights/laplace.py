"""Laplace: a normal posterior around the mode, its covariance from the curvature there."""

import warnings
from typing import TYPE_CHECKING, ClassVar

from tfp_vae.arguments import is_number
from tfp_vae.methods.weights.base import METHODS, Method

if TYPE_CHECKING:
    from tfp_vae.data import Split
    from tfp_vae.models import Predictor


class LaplaceMethod(Method):
    """What Laplace approximations have in common: they start at the mode and fit one curvature.

    Attributes:
        structure: of the covariance, as `models.Laplace` calls it.
    """

    structure: ClassVar[str]
    uses = ("prior_scale", "posterior_precision", "posterior_predictive")
    post_hoc = True
    trained_as = "map"

    def check(self, member, num_data):
        """Raises `ValueError` if the network is too large or the predictive is not for it."""
        member.num_data = num_data
        self._posterior(member)

    def finish(self, model, train, seed=0, batch_size=32, callbacks=()):
        """Returns the posterior around the trained weights, with the precision of the recipe."""
        del seed, batch_size, callbacks
        chosen = self.recipe.posterior_precision
        return self._posterior(model).fit(train, chosen if is_number(chosen) else None)

    def tuned(self, predictor: "Predictor", validation: "Split | None") -> "Predictor":
        """Returns the posterior with the precision that validation data ask for, if they may.

        Warns:
            UserWarning: if they may and there are none; the precision stays that of the training.
        """
        if self.recipe.posterior_precision != "validation":
            return predictor
        if validation is None:
            warnings.warn(
                "Nothing to choose the precision by: it stays that of the training. Expected "
                "methods.finish(..., validation=split), or posterior_precision='prior'. Received "
                "validation=None.",
                UserWarning,
                stacklevel=3,
            )
            return predictor
        return predictor.tune(validation)

    def summary(self, predictor):
        """Returns the precision, and by which NLL it was chosen."""
        return predictor.summary()

    def _posterior(self, model):
        from tfp_vae.models import Laplace

        return Laplace(model, self.structure, predictive=self.recipe.posterior_predictive)


@METHODS.register("laplace", "Laplace, diagonal, all weights")
class DiagonalLaplace(LaplaceMethod):
    """A normal posterior of all weights with a diagonal covariance (MacKay, 1992)."""

    structure = "diagonal"
