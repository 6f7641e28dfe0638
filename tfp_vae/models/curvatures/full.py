"""The whole curvature: all covariances."""

from collections.abc import Callable

import keras
import numpy as np
import tensorflow as tf

from tfp_vae.models.curvatures.base import STRUCTURES, Curvature, second_moments

MAX_WEIGHTS = 4096  # a covariance costs their square in memory, its root their cube in time


@STRUCTURES.register("full", "all covariances, of few weights")
class Full(Curvature):
    """A matrix [P, P]."""

    def __init__(self, network: keras.Layer, chosen: list, whiten: Callable):
        super().__init__(network, chosen, whiten)
        if self.num_weights > MAX_WEIGHTS:
            raise ValueError(
                f"The weights are too many for all their covariances. Expected at most "
                f"{MAX_WEIGHTS}, or the structure 'kronecker'. Received {self.num_weights}."
            )

    def of_batch(self, x: tf.Tensor) -> "list[tf.Tensor]":
        """Returns the sum of J' H J, [P, P]."""
        joined = tf.concat(self.jacobians(x), axis=-1)
        return [second_moments(tf.reshape(joined, [-1, self.num_weights]))]  # of [B R, P]

    def set_precision(self, own: np.ndarray) -> None:
        """Takes the precision of the prior of every weight, [P]."""
        root = np.linalg.cholesky(self.factor * self.totals[0] + np.diag(own))
        self.keep("scale", np.linalg.inv(root).T)  # scale scale' is the covariance

    def deviations(self, standard: tf.Tensor) -> tf.Tensor:
        """Returns draws around zero, [S, P] -> [S, P]."""
        return tf.matmul(standard, self.kept("scale"), transpose_b=True)

    def variances(self, slopes: tf.Tensor) -> tf.Tensor:
        """Returns the variances of linear functions, [B, K, P] -> [B, K]."""
        return tf.reduce_sum(tf.matmul(slopes, self.kept("scale")) ** 2, axis=-1)

    def log_determinant(self, factor: float, own: np.ndarray) -> "tuple[float, np.ndarray]":
        """Returns log |factor H + D| and the diagonal of its inverse, [P]."""
        precision = factor * self.totals[0] + np.diag(own)
        return float(np.linalg.slogdet(precision)[1]), np.diag(np.linalg.inv(precision))
