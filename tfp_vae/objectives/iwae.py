"""The importance-weighted bound (Burda, Grosse & Salakhutdinov, 2016)."""

import tensorflow as tf

from tfp_vae.distributions.base import registered
from tfp_vae.objectives.bound import BOUNDS
from tfp_vae.objectives.terms import Terms
from tfp_vae.objectives.weighted import WeightedBound


@BOUNDS.register("iwae", "importance-weighted, L_K = E log mean_k p(x, z_k) / q(z_k|x)")
@registered
class IWAE(WeightedBound):
    """L_K = log 1/K sum_k p(x, z_k) / q(z_k|x), eq. 8; K is `num_samples` of the model.

    Of rows of enumerated classes the sum over classes is exact. A KL of weights is subtracted as
    from the ELBO: the expectation over the weights stays outside the logarithm.

    Args:
        gradient: a name of `objectives.gradients.GRADIENTS`.
    """

    name = "iwae"

    def local(self, log_weights: tf.Tensor, log_shares: tf.Tensor) -> tf.Tensor:
        """Returns L_K of each example, [B], nats."""
        return tf.reduce_logsumexp(log_shares + log_weights, axis=0)

    def path_ratio(self, log_weights: tf.Tensor, log_shares: tf.Tensor) -> tf.Tensor:
        """Returns the normalised weights, [rows, B]: DReG squares them."""
        return tf.nn.softmax(log_shares + log_weights, axis=0)


def importance_weighted_bound(terms: Terms) -> tf.Tensor:
    """Returns L_S of each example, [B]: the log of the sum of mass times weight of the rows."""
    return IWAE()(terms)
