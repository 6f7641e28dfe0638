"""Hamiltonian Monte Carlo: draws of the posterior itself, for networks that are small enough."""

import math

from tfp_vae.methods.weights.base import METHODS, Method


@METHODS.register("nuts", "Hamiltonian Monte Carlo (NUTS)")
class HamiltonianMonteCarlo(Method):
    """Chains that start near the trained weights (Hoffman & Gelman, 2014)."""

    uses = ("prior_scale", "posterior_steps")
    post_hoc = True
    trained_as = "map"
    needs_optimum = False

    def check(self, member, num_data):
        """Raises `ValueError` if chains are too short to say if they agree, or would take hours."""
        from tfp_vae.models.posteriors.chains import check_length
        from tfp_vae.models.posteriors.nuts import check_size

        check_length(self.recipe.posterior_steps, "nuts")
        check_size(sum(math.prod(v.shape) for v in member.trainable_variables), "nuts")

    def finish(self, model, train, seed=0, batch_size=32, callbacks=()):
        """Returns the chains."""
        del batch_size, callbacks
        from tfp_vae.models import NUTS

        steps = self.recipe.posterior_steps
        return NUTS(model, num_samples=steps, num_burnin=steps).fit(train, seed)

    def summary(self, predictor):
        """Returns how well the chains agree."""
        return predictor.chains.summary()
