"""The importance-weighted bound (Burda, Grosse & Salakhutdinov, 2016)."""

import keras
import tensorflow as tf

from tfp_vae.distributions.base import registered
from tfp_vae.objectives.bound import BOUNDS, Bound
from tfp_vae.objectives.terms import Terms


@BOUNDS.register("iwae", "importance-weighted, L_K = E log mean_k p(x, z_k) / q(z_k|x)")
@registered
class IWAE(Bound):
    """L_K = log 1/K sum_k p(x, z_k) / q(z_k|x), eq. 8; K is `num_samples` of the model.

    Of rows of enumerated classes the sum over classes is exact. A KL of weights is subtracted as
    from the ELBO: the expectation over the weights stays outside the logarithm.
    """

    name = "iwae"

    def __call__(self, terms: Terms) -> tf.Tensor:
        """Returns L_K of each example, [B], nats."""
        return importance_weighted_bound(terms)

    def check(self, model: keras.Model) -> None:
        """Raises `ValueError` for a model whose only latents are its weights."""
        if not getattr(model, "latents", ()):
            raise ValueError(
                "The importance-weighted bound needs latents of each example. Expected a VAE. "
                f"Received a {type(model).__name__}, whose weights belong to all examples at once."
            )


def importance_weighted_bound(terms: Terms) -> tf.Tensor:
    """Returns L_S of each example, [B]: the log of the sum of mass times weight of the rows."""
    log_mass = terms.log_mass
    if log_mass is None:
        log_mass = -tf.math.log(tf.cast(tf.shape(terms.log_likelihood)[0], tf.float32))
    local = tf.reduce_logsumexp(log_mass + terms.log_weights(), axis=0)
    return local - terms.weights.per_example()
