"""Variational inference: a normal posterior of every weight, learned with the bound."""

from tfp_vae.methods.weights.base import METHODS, Method


@METHODS.register("vi", "variational inference, mean field")
class VariationalInference(Method):
    """One network of Bayesian layers (Blundell et al., 2015)."""

    uses = (
        *("estimator", "prior", "prior_scale", "learned_prior", "initial_scale", "num_samples"),
        *("beta", "warm_up"),
    )
    point_weights = False

    def dense(self, units, activation=None):
        """Returns a dense layer whose weights have a posterior."""
        return self._estimator()[0](units, activation, **self._options())

    def convolution(self, filters, size, padding):
        """Returns a convolution whose weights have a posterior."""
        options = {"activation": self.recipe.activation, "padding": padding}
        return self._estimator()[1](filters, size, **self._options(), **options)

    def weight_prior(self):
        """Returns None: each layer has its own prior."""
        return None

    def _estimator(self) -> tuple:
        from tfp_vae.methods.network import ESTIMATORS

        return ESTIMATORS[self.recipe.estimator]

    def _options(self) -> dict:
        from tfp_vae import layers

        prior = layers.priors.BY_NAME[self.recipe.prior]
        return {
            "bayesian_bias": True,
            "prior": prior(self.recipe.prior_scale, learned=self.recipe.learned_prior),
            "initial_scale": self.recipe.initial_scale,
        }
