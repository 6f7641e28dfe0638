"""The score function with leave-one-out baselines (Kool et al., 2019; Mnih & Rezende, 2016)."""

import math

import tensorflow as tf

from tfp_vae.objectives.gradients.base import GRADIENTS, Weighing
from tfp_vae.objectives.gradients.score import Score, in_folds, others


@GRADIENTS.register("loo", "score function less the bound of the other draws")
class LeaveOneOut(Score):
    """The score function whose c_k is F of the other draws: the mean of their lw for the ELBO.

    For the importance-weighted bound it is VIMCO with an arithmetic mean in the place of the
    geometric one (Mnih & Rezende, 2016, section 2.4). Takes memory of rows^2 B numbers.
    """

    name, least_samples = "loo", 2

    def baseline(
        self, bound: Weighing, log_weights: tf.Tensor, log_shares: tf.Tensor, rows_per_draw: int
    ) -> "tf.Tensor | float":
        """Returns the bound of the other draws, [rows, B]."""
        out, same, count = others(log_weights, rows_per_draw)
        more = tf.where(same, tf.math.log(count / (count - 1.0)), 0.0)
        shares = tf.where(out, -math.inf, log_shares[:, tf.newaxis] + more)
        return in_folds(bound, log_weights[:, tf.newaxis], shares)
