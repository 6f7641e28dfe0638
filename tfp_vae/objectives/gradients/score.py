"""The score function estimator (Glynn, 1990; Williams, 1992), for any latents."""

import tensorflow as tf

from tfp_vae.objectives.gradients.base import GRADIENTS, Gradient, Weighing
from tfp_vae.objectives.terms import Terms


@GRADIENTS.register("score", "score function: any latents, noisy")
class Score(Gradient):
    """sum_k (F - c_k) grad log q(z_k) + sum_k F_k grad lw_k at fixed draws; here c_k is 0.

    The derivative of E[F] for draws that need no reparameterisation: of each row log q with the
    draws held, times what the bound is worth. A baseline c_k of the other draws changes no mean.
    """

    name, taps = "score", True

    def surrogate(
        self, bound: Weighing, terms: Terms, kl_weight: "tf.Tensor | float" = 1.0
    ) -> tf.Tensor:
        """Returns the bound of each example, [B]."""
        terms.scale_path(0.0)
        fixed = terms.fixed()
        log_weights, log_shares = fixed.log_weights(kl_weight), fixed.log_shares()
        found = bound.local(log_weights, log_shares)
        held = tf.stop_gradient(log_weights), tf.stop_gradient(log_shares)
        signal = bound.local(*held) - self.baseline(bound, *held, terms.rows_per_draw)
        # A row of no mass, of a class that is known not to be, tells nothing of its draws.
        signal = tf.stop_gradient(tf.where(tf.exp(held[1]) > 0, signal, 0.0))
        score = tf.reduce_sum(signal * fixed.log_q_of_draws(), axis=0)
        return found + score - tf.stop_gradient(score)

    def baseline(
        self, bound: Weighing, log_weights: tf.Tensor, log_shares: tf.Tensor, rows_per_draw: int
    ) -> "tf.Tensor | float":
        """Returns c_k, that does not depend on draw k, [rows, B].

        Args:
            bound: F.
            log_weights: [rows, B], held.
            log_shares: [rows, B], held.
            rows_per_draw: see `Terms`.
        """
        del bound, log_weights, log_shares, rows_per_draw
        return 0.0


def in_folds(bound: Weighing, log_weights: tf.Tensor, log_shares: tf.Tensor) -> tf.Tensor:
    """Returns F of each fold, [folds, B].

    Args:
        bound: F.
        log_weights: [rows, folds, B], or [rows, 1, B].
        log_shares: likewise.
    """
    shape = tf.broadcast_dynamic_shape(tf.shape(log_weights), tf.shape(log_shares))
    flat = tf.stack([shape[0], shape[1] * shape[2]])
    each = (tf.reshape(tf.broadcast_to(x, shape), flat) for x in (log_weights, log_shares))
    return tf.reshape(bound.local(*each), shape[1:])


def others(log_weights: tf.Tensor, rows_per_draw: int) -> "tuple[tf.Tensor, tf.Tensor, tf.Tensor]":
    """Returns (which row is left out of a fold, which is of the same class, number of draws).

    Args:
        log_weights: [rows, B].
        rows_per_draw: see `Terms`.

    Returns:
        Two masks [rows, folds, 1], a fold for each row, and a float32 scalar.
    """
    row = tf.range(tf.shape(log_weights)[0])
    out = tf.equal(row[:, tf.newaxis], row)[..., tf.newaxis]
    kind = row % rows_per_draw
    same = tf.equal(kind[:, tf.newaxis], kind)[..., tf.newaxis]
    return out, same, tf.cast(tf.shape(row)[0] // rows_per_draw, tf.float32)
