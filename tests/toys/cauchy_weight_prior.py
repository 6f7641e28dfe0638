"""A prior of weights of somebody else: Cauchy."""

import keras
import tensorflow as tf

from tfp_vae.layers.priors.base import WEIGHT_PRIORS, WeightPrior
from tfp_vae.probability import tfd


@WEIGHT_PRIORS.register("toy_cauchy", "Cauchy")
@keras.saving.register_keras_serializable(package="toys")
class CauchyWeightPrior(WeightPrior):
    """p(w) = 1 / (pi scale (1 + (w / scale)^2))."""

    def elementwise(self, scale):
        """Returns a `Cauchy`."""
        return tfd.Cauchy(tf.zeros_like(scale), scale)
