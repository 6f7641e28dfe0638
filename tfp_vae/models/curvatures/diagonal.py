"""The diagonal of the curvature: no covariances."""

import numpy as np
import tensorflow as tf

from tfp_vae.models.curvatures.base import STRUCTURES, Curvature


@STRUCTURES.register("diagonal", "the diagonal of the precision")
class Diagonal(Curvature):
    """One number per weight."""

    def of_batch(self, x: tf.Tensor) -> "list[tf.Tensor]":
        """Returns the sums of squares of the Jacobians, [P]."""
        return [tf.concat([tf.reduce_sum(j**2, axis=(0, 1)) for j in self.jacobians(x)], axis=0)]

    def set_precision(self, own: np.ndarray) -> None:
        """Takes the precision of the prior of every weight, [P]."""
        self.keep("scale", 1 / np.sqrt(self.factor * self.totals[0] + own))

    def deviations(self, standard: tf.Tensor) -> tf.Tensor:
        """Returns draws around zero, [S, P] -> [S, P]."""
        return standard * self.kept("scale")

    def variances(self, slopes: tf.Tensor) -> tf.Tensor:
        """Returns the variances of linear functions, [B, K, P] -> [B, K]."""
        return tf.reduce_sum((slopes * self.kept("scale")) ** 2, axis=-1)

    def log_determinant(self, factor: float, own: np.ndarray) -> "tuple[float, np.ndarray]":
        """Returns log |factor H + D| and the diagonal of its inverse, [P]."""
        precision = factor * self.totals[0] + own
        return float(np.log(precision).sum()), 1 / precision
