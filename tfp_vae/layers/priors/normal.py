"""A normal prior of weights."""

import tensorflow as tf

from tfp_vae.distributions.base import tfd
from tfp_vae.layers.priors.base import WEIGHT_PRIORS, WeightPrior, registered


@WEIGHT_PRIORS.register("normal", "a normal")
@registered
class Normal(WeightPrior):
    """N(0, scale^2); the KL of a normal posterior to it is in closed form.

    With `learned`, scale^2 = (sum_i E[w_i^2] + 2 b) / (n + 2 a + 2) over the n weights of a group,
    the kernel or the bias of a layer, where the bound is highest under an inverse-gamma prior of
    scale^2 with shape a = `HYPER_SHAPE` and rate b = `HYPER_RATE` times the square of the argument
    `scale` (Wu et al., "Deterministic variational inference for robust Bayesian neural networks",
    ICLR 2019, eq. 13, who have 1 and 10 with scale 1). The KL is that to the prior with this scale.
    """

    closed_form = True
    of_tfp = tfd.Normal, ()

    def elementwise(self, scale: tf.Tensor) -> tfd.Distribution:
        """Returns a `Normal`."""
        return tfd.Normal(tf.zeros_like(scale), scale)
