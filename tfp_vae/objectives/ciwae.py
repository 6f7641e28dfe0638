"""The combined bound (Rainforth et al., "Tighter variational bounds are not ...", ICML 2018)."""

import tensorflow as tf

from tfp_vae.arguments import is_number
from tfp_vae.distributions.base import registered
from tfp_vae.objectives.bound import BOUNDS
from tfp_vae.objectives.gradients.base import Gradient
from tfp_vae.objectives.weighted import WeightedBound, mean_of


@BOUNDS.register("ciwae", "beta elbo + (1 - beta) iwae")
@registered
class CIWAE(WeightedBound):
    """beta (mean_k log w_k) + (1 - beta) L_K, eq. 13.

    Args:
        beta: share of the ELBO, in [0, 1].
        gradient: a name of `objectives.gradients.GRADIENTS`.
    """

    name = "ciwae"

    def __init__(self, beta: float = 0.5, gradient: "Gradient | str" = "path"):
        super().__init__(gradient)
        if not (is_number(beta, 0) and beta <= 1):
            raise ValueError(
                "beta is the share of the ELBO in ciwae. Expected 0 <= beta <= 1. Received "
                f"{beta!r}."
            )
        self.beta = float(beta)

    def local(self, log_weights: tf.Tensor, log_shares: tf.Tensor) -> tf.Tensor:
        """Returns the bound of each example, [B], nats."""
        weighted = tf.reduce_logsumexp(log_shares + log_weights, axis=0)
        return self.beta * mean_of(log_weights, log_shares) + (1.0 - self.beta) * weighted

    def path_ratio(self, log_weights: tf.Tensor, log_shares: tf.Tensor) -> tf.Tensor:
        """Returns (beta m + (1 - beta) w~^2) / (beta m + (1 - beta) w~), [rows, B]."""
        share, weight = tf.exp(log_shares), tf.nn.softmax(log_shares + log_weights, axis=0)
        first = self.beta * share + (1.0 - self.beta) * weight
        return tf.math.divide_no_nan(first - (1.0 - self.beta) * weight * (1.0 - weight), first)

    def get_config(self) -> dict:
        """Returns the constructor's arguments, as JSON."""
        return {**super().get_config(), "beta": self.beta}
