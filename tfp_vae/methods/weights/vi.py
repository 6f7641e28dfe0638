"""Variational inference: a normal posterior of weights, learned with the bound."""

from typing import TYPE_CHECKING

from tfp_vae.methods.weights.base import METHODS, Method

if TYPE_CHECKING:
    import keras


@METHODS.register("vi", "variational inference, mean field")
class VariationalInference(Method):
    """One network of Bayesian layers (Blundell et al., 2015)."""

    uses = (
        *("estimator", "prior", "prior_scale", "learned_prior", "initial_scale", "num_samples"),
        *("bayesian_layers", "covariance", "beta", "warm_up"),
    )
    point_weights = False

    def check_depth(self, depth: int) -> None:
        """Raises `ValueError` if more layers are to be Bayesian than there are, or can be."""
        if self._count(depth) > depth:
            raise ValueError(
                f"The network has too few layers with weights. Expected bayesian_layers of at most "
                f"{depth}, or 'all'. Received {self.recipe.bayesian_layers}."
            )
        if getattr(self._estimator()[0], "is_integrated", False) and self._count(depth) > 1:
            raise ValueError(
                f"The estimator {self.recipe.estimator!r} is one of the last layer. Expected "
                f"bayesian_layers='last'. Received {self.recipe.bayesian_layers!r}."
            )

    def dense(self, units: int, activation: "str | None" = None, behind: int = 0) -> "keras.Layer":
        """Returns a dense layer; its weights have a posterior if it is one of the last."""
        if behind >= self._count(behind + 1):
            return super().dense(units, activation, behind)
        covariance = "diagonal" if behind else self.recipe.covariance
        return self._estimator()[0](units, activation, covariance=covariance, **self._options())

    def convolution(self, filters: int, size: int, padding: str, behind: int = 0) -> "keras.Layer":
        """Returns a convolution; its weights have a posterior if it is one of the last."""
        if behind >= self._count(behind + 1):
            return super().convolution(filters, size, padding, behind)
        options = {"activation": self.recipe.activation, "padding": padding}
        return self._estimator()[1](filters, size, **self._options(), **options)

    def weight_prior(self):
        """Returns None: each layer has its own prior."""
        return None

    def _count(self, depth: int) -> int:
        """Returns how many of `depth` layers, from the last one on, have a posterior."""
        chosen = self.recipe.bayesian_layers
        return {"last": 1, "all": depth}.get(chosen, chosen)

    def _estimator(self) -> tuple:
        from tfp_vae.methods.network import ESTIMATORS

        return ESTIMATORS[self.recipe.estimator]

    def _options(self) -> dict:
        from tfp_vae import layers

        prior = layers.priors.WEIGHT_PRIORS[self.recipe.prior]
        return {
            "bayesian_bias": True,
            "prior": prior(self.recipe.prior_scale, learned=self.recipe.learned_prior),
            "initial_scale": self.recipe.initial_scale,
        }
