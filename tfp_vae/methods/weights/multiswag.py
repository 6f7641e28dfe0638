"""MultiSWAG: a SWAG around each member of an ensemble."""

from tfp_vae.methods.weights.base import METHODS
from tfp_vae.methods.weights.ensemble import DeepEnsemble


@METHODS.register("multiswag", "SWAG around each member of an ensemble")
class MultiSWAG(DeepEnsemble):
    """A mixture of the normals around several modes (Wilson & Izmailov, 2020)."""

    uses = ("prior_scale", "members", "posterior_steps", "posterior_rate")
    post_hoc = True

    def finish(self, model, train, seed=0, batch_size=32, callbacks=()):
        """Returns the mixture."""
        del seed
        from tfp_vae.models import Mixture
        from tfp_vae.models.posteriors.swag import around_members

        steps = self.recipe.posterior_steps
        return Mixture(around_members(model, train, steps, self.rate, batch_size, callbacks))
