"""Monte Carlo dropout: units that are dropped in training are dropped in predictions too."""

from tfp_vae.methods.weights.base import METHODS, Method


@METHODS.register("mc_dropout", "Monte Carlo dropout")
class MonteCarloDropout(Method):
    """One network with dropout before its layers of hidden units (Gal & Ghahramani, 2016)."""

    uses = ("prior_scale", "dropout", "num_samples", "beta", "warm_up")

    def before(self):
        """Returns the layer that drops units."""
        from tfp_vae import layers

        return [layers.MonteCarloDropout(self.recipe.dropout)]
