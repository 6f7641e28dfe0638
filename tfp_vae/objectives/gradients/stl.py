"""Sticking the landing (Roeder, Wu & Duvenaud, NeurIPS 2017)."""

import tensorflow as tf

from tfp_vae.objectives.gradients.base import GRADIENTS, HeldGradient, Weighing
from tfp_vae.objectives.terms import Terms


@GRADIENTS.register("stl", "sticking the landing: the path of z alone, biased for K > 1")
class StickingTheLanding(HeldGradient):
    """The derivative with the parameters of q held in log q: 0 on every draw where q is exact.

    Unbiased for the ELBO (eq. 6 without its score term, whose mean is 0); of an importance-weighted
    bound of K > 1 draws it is biased (Tucker et al., 2019, section 4).
    """

    name, taps = "stl", False

    def surrogate(
        self, bound: Weighing, terms: Terms, kl_weight: "tf.Tensor | float" = 1.0
    ) -> tf.Tensor:
        """Returns the bound of each example, [B]."""
        return bound.local(terms.stopped().log_weights(kl_weight), terms.log_shares())
