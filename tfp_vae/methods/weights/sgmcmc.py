"""Cyclical stochastic-gradient MCMC: chains on batches, from the members of an ensemble."""

from tfp_vae.methods.weights.base import METHODS
from tfp_vae.methods.weights.mile import ChainsMethod


@METHODS.register("sgmcmc", "cyclical stochastic-gradient MCMC from an ensemble")
class StochasticGradientChains(ChainsMethod):
    """Chains whose rate falls in cycles, at temperature 1 (Zhang et al., 2020)."""

    uses = (*ChainsMethod.uses, "posterior_rate")
    default_rate = 1e-2

    def finish(self, model, train, seed=0, batch_size=32, callbacks=()):
        """Returns the chains."""
        from tfp_vae.models import SGMCMC

        chains = SGMCMC(model, self.recipe.posterior_steps, learning_rate=self.rate)
        return chains.fit(train, seed, batch_size, callbacks)
