"""MILE: microcanonical Langevin chains that start from the members of an ensemble."""

from typing import TYPE_CHECKING

from tfp_vae.methods.weights.base import METHODS, Method

if TYPE_CHECKING:
    from tfp_vae.models import Ensemble


class ChainsMethod(Method):
    """What samplers that start from an ensemble have in common."""

    uses = ("prior_scale", "members", "posterior_steps")
    post_hoc = True
    trained_as = "map"
    several = True

    def check(self, member, num_data):
        """Raises `ValueError` if the chains are too short to say whether they agree."""
        from tfp_vae.models.posteriors.chains import check_length

        check_length(self.recipe.posterior_steps, self.recipe.method)

    def model(self, member, seed: int = 0) -> "Ensemble":
        """Returns the ensemble of `Recipe.members` networks that the chains start from."""
        from tfp_vae.models import Ensemble

        return Ensemble(member, self.recipe.members, seed=seed)

    def finish_groups(self, ensemble, train, batch_size):
        """Returns the chains of each group, from all its members; each has a seed of its own."""
        return [
            self.finish(
                ensemble.group(group),
                self.of_group(train, group),
                ensemble.seed + group,
                batch_size,
            )
            for group in range(train.shape[0])
        ]

    def summary(self, predictor):
        """Returns how well the chains agree, and which of them diverged."""
        return predictor.chains.summary()


@METHODS.register("mile", "microcanonical Langevin from an ensemble (MILE)")
class MicrocanonicalLangevin(ChainsMethod):
    """Chains of full gradients, tuned by their energy error (Sommer et al., 2025)."""

    def finish(self, model, train, seed=0, batch_size=32, callbacks=()):
        """Returns the chains."""
        del batch_size, callbacks
        from tfp_vae.models import MILE

        return MILE(model, self.recipe.posterior_steps).fit(train, seed)
