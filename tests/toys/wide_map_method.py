"""A weight method of somebody else: maximum a posteriori with a wide prior."""

from tfp_vae.methods.weights.base import METHODS, Method


@METHODS.register("toy_wide_map", "maximum a posteriori, wide prior")
class WideMap(Method):
    """One network whose weights have a prior of ten times the scale."""

    def weight_prior(self):
        """Returns the prior."""
        from tfp_vae import layers

        return layers.priors.Normal(10 * self.recipe.prior_scale)
