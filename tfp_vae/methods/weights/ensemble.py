"""Deep ensembles: networks that differ in where they started."""

from tfp_vae.methods.weights.base import METHODS, Method


@METHODS.register("ensemble", "deep ensemble")
class DeepEnsemble(Method):
    """Networks at modes of their posteriors (Lakshminarayanan et al., 2017)."""

    uses = ("prior_scale", "members", "beta", "warm_up")
    trained_as = "map"
    several = True

    def model(self, member, seed=0):
        """Returns the ensemble of `Recipe.members` networks."""
        from tfp_vae.models import Ensemble

        return Ensemble(member, self.recipe.members, seed=seed)
