"""The combined bound (Rainforth et al., "Tighter variational bounds are not ...", ICML 2018)."""

import tensorflow as tf

from tfp_vae.arguments import is_number
from tfp_vae.distributions.base import registered
from tfp_vae.objectives.bound import BOUNDS
from tfp_vae.objectives.gradients.base import Gradient
from tfp_vae.objectives.weighted import WeightedBound, mean_of


@BOUNDS.register("ciwae", "share of elbo + the rest of iwae")
@registered
class CIWAE(WeightedBound):
    """share (mean_k log w_k) + (1 - share) L_K, eq. 13, which calls the share beta.

    Args:
        share: of the ELBO, in [0, 1].
        gradient: a name of `objectives.gradients.GRADIENTS`.
    """

    name = "ciwae"

    def __init__(self, share: float = 0.5, gradient: "Gradient | str" = "path"):
        super().__init__(gradient)
        if not (is_number(share, 0) and share <= 1):
            raise ValueError(
                f"Impossible share of the ELBO. Expected 0 <= share <= 1. Received {share!r}."
            )
        self.share = float(share)

    def local(self, log_weights: tf.Tensor, log_shares: tf.Tensor) -> tf.Tensor:
        """Returns the bound of each example, [B], nats."""
        weighted = tf.reduce_logsumexp(log_shares + log_weights, axis=0)
        return self.share * mean_of(log_weights, log_shares) + (1.0 - self.share) * weighted

    def path_ratio(self, log_weights: tf.Tensor, log_shares: tf.Tensor) -> tf.Tensor:
        """Returns (s m + (1 - s) w~^2) / (s m + (1 - s) w~), [rows, B]."""
        mass, weight = tf.exp(log_shares), tf.nn.softmax(log_shares + log_weights, axis=0)
        first = self.share * mass + (1.0 - self.share) * weight
        return tf.math.divide_no_nan(first - (1.0 - self.share) * weight * (1.0 - weight), first)

    def get_config(self) -> dict:
        """Returns the constructor's arguments, as JSON."""
        return {**super().get_config(), "share": self.share}
