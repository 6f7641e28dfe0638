"""SNGP: a network that keeps distances, and a Gaussian process of its features."""

from tfp_vae.arguments import is_number
from tfp_vae.methods.weights.base import METHODS, Method


@METHODS.register("sngp", "spectral-normalized Gaussian process")
class SpectralNormalizedGP(Method):
    """One network, the last layer a Gaussian process by random features (Liu et al., 2020).

    One pass gives all that predictions need; its other weights are points with a prior.
    """

    uses = (
        *("prior_scale", "random_features", "spectral_bound", "posterior_predictive"),
        *("beta", "warm_up"),
    )

    def dense(self, units, activation=None, behind=0):
        """Returns a dense layer with a bound on its kernel; the last one is the process."""
        from tfp_vae import layers

        recipe = self.recipe
        if behind:
            return self._bounded(super().dense(units, activation, behind))
        size, scale = recipe.random_features, recipe.prior_scale
        # That of the prior which beta has as all other weights.
        ridge = 1 / scale**2 if is_number(scale) else size
        return layers.RandomFeatureGaussianProcess(
            units, size, ridge=ridge, predictive=recipe.posterior_predictive
        )

    def convolution(self, filters, size, padding, behind=0):
        """Returns a convolution with a bound on its kernel."""
        return self._bounded(super().convolution(filters, size, padding, behind))

    def _bounded(self, layer):
        from tfp_vae import layers

        layer.kernel_constraint = layers.SpectralBound(self.recipe.spectral_bound)
        return layer
