"""The variational Renyi bound (Li & Turner, "Renyi divergence VI", NeurIPS 2016)."""

import math

import tensorflow as tf

from tfp_vae.arguments import is_number
from tfp_vae.distributions.base import registered
from tfp_vae.objectives.bound import BOUNDS
from tfp_vae.objectives.gradients.base import Gradient
from tfp_vae.objectives.weighted import WeightedBound, mean_of

_NEAR = 1e-3  # of alpha to 1, where the quotient has no digits left


@BOUNDS.register("renyi", "Renyi's of order alpha: 1 the elbo, 0 iwae, -inf VR-max")
@registered
class Renyi(WeightedBound):
    """log (1/K sum_k w_k^(1 - alpha)) / (1 - alpha), eq. 8 and 14.

    It falls with alpha: -inf is max_k log w_k (VR-max, section 4.3), 0 the importance-weighted
    bound, 1 the mean of log w_k. Below 0 it is no lower bound on log p(x) for many draws.

    Args:
        alpha: the order, a number or -inf (also as the text "-inf").
        gradient: a name of `objectives.gradients.GRADIENTS`.
    """

    name = "renyi"

    def __init__(self, alpha: "float | str" = 0.5, gradient: "Gradient | str" = "path"):
        super().__init__(gradient)
        alpha = -math.inf if alpha == "-inf" else alpha
        if not (is_number(alpha) or alpha == -math.inf):
            raise ValueError(
                "The order of Renyi's bound does not exist. Expected a finite alpha, or -inf for "
                f"the largest weight. Received alpha={alpha!r}."
            )
        self.alpha = float(alpha)

    def local(self, log_weights: tf.Tensor, log_shares: tf.Tensor) -> tf.Tensor:
        """Returns the bound of each example, [B], nats."""
        if self.alpha == -math.inf:
            there = log_shares > -math.inf
            return tf.reduce_max(tf.where(there, log_weights, -math.inf), axis=0)
        order = 1.0 - self.alpha
        if abs(order) < _NEAR:
            return mean_of(log_weights, log_shares)
        return tf.reduce_logsumexp(log_shares + order * log_weights, axis=0) / order

    def path_ratio(self, log_weights: tf.Tensor, log_shares: tf.Tensor) -> tf.Tensor:
        """Returns alpha + (1 - alpha) w~, [rows, B]; raises `ValueError` for VR-max."""
        if self.alpha == -math.inf:
            raise ValueError(
                "The largest weight has no second derivative. Expected a finite alpha with "
                "gradient='dreg', or 'path' or 'score'. Received alpha=-inf."
            )
        order = 1.0 - self.alpha
        weights = tf.nn.softmax(log_shares + order * log_weights, axis=0)
        return self.alpha + order * weights

    def get_config(self) -> dict:
        """Returns the constructor's arguments, as JSON."""
        alpha = self.alpha if math.isfinite(self.alpha) else "-inf"
        return {**super().get_config(), "alpha": alpha}
