"""Variational inference for Monte Carlo objectives (Mnih & Rezende, ICML 2016)."""

import tensorflow as tf

from tfp_vae.objectives.gradients.base import GRADIENTS, Weighing
from tfp_vae.objectives.gradients.score import Score, in_folds, others


@GRADIENTS.register("vimco", "score function less the bound with the mean of the other log weights")
class VIMCO(Score):
    """The score function whose c_k is F with lw_k replaced by the mean of the others (eq. 10).

    Of rows of classes the others are those of the same class. Takes memory of rows^2 B numbers.
    """

    name, least_samples = "vimco", 2

    def baseline(
        self, bound: Weighing, log_weights: tf.Tensor, log_shares: tf.Tensor, rows_per_draw: int
    ) -> "tf.Tensor | float":
        """Returns the bound with one log weight replaced, [rows, B]."""
        out, _, count = others(log_weights, rows_per_draw)
        by_draw = tf.reshape(log_weights, [-1, rows_per_draw, tf.shape(log_weights)[1]])
        mean = (tf.reduce_sum(by_draw, axis=0, keepdims=True) - by_draw) / (count - 1.0)
        mean = tf.reshape(mean, tf.shape(log_weights))
        replaced = tf.where(out, mean[tf.newaxis], log_weights[:, tf.newaxis])
        return in_folds(bound, replaced, log_shares[:, tf.newaxis])
