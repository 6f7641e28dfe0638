"""The horseshoe as a prior of weights."""

import tensorflow as tf

from tfp_vae.distributions.base import tfd
from tfp_vae.layers.priors.base import WEIGHT_PRIORS, WeightPrior, registered


@WEIGHT_PRIORS.register("horseshoe", "a pole at 0 and heavy tails")
@registered
class Horseshoe(WeightPrior):
    """The horseshoe: a pole at 0 and Cauchy-like tails (Carvalho, Polson & Scott, 2009)."""

    of_tfp = tfd.Horseshoe, ()

    def elementwise(self, scale: tf.Tensor) -> tfd.Distribution:
        """Returns a `Horseshoe`."""
        return tfd.Horseshoe(scale)
