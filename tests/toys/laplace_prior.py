"""A prior of somebody else: independent double exponentials."""

import keras
import tensorflow as tf

from tfp_vae.distributions.priors.base import PRIORS, Prior
from tfp_vae.probability import tfd


@PRIORS.register("toy_laplace", "double exponential")
@keras.saving.register_keras_serializable(package="toys")
class LaplacePrior(Prior):
    """p(z) = prod exp(-|z_d| / scale) / (2 scale) with a learned scale."""

    def build(self, spec=None):
        """Makes the log of the scale."""
        self.log_scale = self.add_weight(name="log_scale", shape=(), initializer="zeros")
        self.built = True

    def distribution(self, context):
        """Returns an `Independent(Laplace)`."""
        scale = tf.exp(self.log_scale) * tf.ones(self.latent_dim)
        return tfd.Independent(tfd.Laplace(tf.zeros(self.latent_dim), scale), 1)
