"""Laplace: a normal posterior around the mode, its covariance from the curvature there."""

import warnings
from typing import TYPE_CHECKING, ClassVar

from tfp_vae.arguments import is_number
from tfp_vae.methods.weights.base import METHODS, Method

if TYPE_CHECKING:
    from tfp_vae.data import Data, Split
    from tfp_vae.models import BayesianNetwork, Predictor

FEW = 2048  # weights, up to which all covariances are kept unasked: 16 MB


class LaplaceMethod(Method):
    """What Laplace approximations have in common: they start at the mode and fit one curvature.

    Attributes:
        layers: "all" or "last", those that have a posterior.
    """

    layers: ClassVar[str]
    uses = (
        *("prior_scale", "posterior_precision", "posterior_structure", "posterior_predictive"),
        *("posterior_steps", "posterior_rate"),
    )
    post_hoc = True
    trained_as = "map"

    def default_structure(self, model: "BayesianNetwork") -> str:
        """Returns the structure of a recipe without one, as `models.Laplace` calls it."""
        raise NotImplementedError

    def check(self, member, num_data):
        """Raises `ValueError` if the network is too large or the predictive is not for it."""
        member.num_data = num_data
        self._posterior(member)

    def check_data(self, data: "Data") -> None:
        """Raises `ValueError` if validation data are to choose a precision and have one class."""
        if self.recipe.posterior_precision == "validation" and data.validation is not None:
            from tfp_vae.models.posteriors.laplace import check_several_classes

            check_several_classes(data.validation)

    def finish(self, model, train, seed=0, batch_size=32, callbacks=()):
        """Returns the posterior around the trained weights, with the precision of the recipe."""
        del seed
        chosen, posterior = self.recipe.posterior_precision, self._posterior(model)
        if chosen != "evidence":
            return posterior.fit(train, chosen if is_number(chosen) else None)
        epochs, rate = self.recipe.posterior_steps, self.rate
        return posterior.train(train, epochs, rate, batch_size, callbacks=callbacks)

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

        structure = self.recipe.posterior_structure or self.default_structure(model)
        form = self.recipe.posterior_predictive
        return Laplace(model, structure, self.layers, predictive=form)


@METHODS.register("laplace", "Laplace, all weights")
class AllLayersLaplace(LaplaceMethod):
    """A normal posterior of all weights (MacKay, 1992).

    By default with all covariances of up to `FEW` weights, and the variances alone of more.
    """

    layers = "all"

    def default_structure(self, model):
        """Returns "full" of few weights, which can afford it, and "diagonal" of more."""
        return "full" if model.count_params() <= FEW else "diagonal"
