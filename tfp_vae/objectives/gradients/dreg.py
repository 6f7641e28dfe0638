"""Doubly reparameterised gradients (Tucker, Lawson, Gu & Maddison, ICLR 2019)."""

from typing import Any

import keras
import tensorflow as tf

from tfp_vae.objectives.gradients.base import GRADIENTS, HeldGradient, Weighing
from tfp_vae.objectives.terms import Terms


@GRADIENTS.register("dreg", "doubly reparameterised: unbiased, better with more draws")
class DoublyReparameterized(HeldGradient):
    """The score term of the encoder's gradient, reparameterised once more (eq. 8).

    Of a bound F of log weights the encoder gets sum_k (F_k - F_kk) (d lw_k / d z_k) (d z_k / d phi)
    with F_k = dF/d lw_k and lw at held parameters of q: w^2 in the place of w for the
    importance-weighted bound. Model and prior get sum_k F_k grad lw_k as ever, in one backward
    pass: what flows back through z_k is multiplied by 1 - F_kk / F_k.
    """

    name = "dreg"

    def surrogate(
        self, bound: Weighing, terms: Terms, kl_weight: "tf.Tensor | float" = 1.0
    ) -> tf.Tensor:
        """Returns the bound of each example, [B]."""
        log_weights, log_shares = terms.stopped().log_weights(kl_weight), terms.log_shares()
        ratio = bound.path_ratio(tf.stop_gradient(log_weights), tf.stop_gradient(log_shares))
        terms.scale_path(tf.stop_gradient(ratio))
        return bound.local(log_weights, log_shares)

    def check_posterior(self, bound: Any, model: keras.Model) -> None:
        """Raises `ValueError` where `HeldGradient` does, or for a bound without derivatives."""
        super().check_posterior(bound, model)
        zeros = tf.zeros([1, 1])
        bound.path_ratio(zeros, zeros)
