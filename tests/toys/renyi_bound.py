"""A bound of somebody else: Rényi's (Li & Turner, "Rényi divergence VI", 2016, eq. 14)."""

import math

import keras
import tensorflow as tf

from tfp_vae.objectives.bound import BOUNDS, Bound


@BOUNDS.register("toy_renyi", "Rényi's of order 1/2")
@keras.saving.register_keras_serializable(package="toys")
class Renyi(Bound):
    """1 / (1 - alpha) log E w^(1 - alpha) with alpha in [0, 1)."""

    name = "toy_renyi"

    def __init__(self, alpha: float = 0.5):
        self.alpha = alpha

    def __call__(self, terms):
        """Returns the bound of each example, [B]."""
        log_mass = terms.log_mass
        if log_mass is None:
            log_mass = -math.log(terms.log_likelihood.shape[0])
        powers = log_mass + (1 - self.alpha) * terms.log_weights()
        found = tf.reduce_logsumexp(powers, axis=0) / (1 - self.alpha)
        return found - terms.weights.per_example()

    def get_config(self):
        """Returns the order."""
        return {"alpha": self.alpha}
