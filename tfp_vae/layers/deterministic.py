"""A dense last layer that is integrated out in closed form."""

from typing import Any

import tensorflow as tf

from tfp_vae.layers.base import Reparameterization, registered
from tfp_vae.layers.dense import _Dense


@registered
class DenseDeterministic(Reparameterization, _Dense):
    """The last layer of a network whose likelihood takes the expectation over it by itself.

    Its outputs f are normal, and a `BayesianNetwork` trains on E[log p(y|f)] without a draw: exact
    for a normal likelihood and for counts, a bound below it for classes (Harrison, Willes & Snoek,
    "Variational Bayesian last layers", ICLR 2024); see `heads.Head.expected_log_prob`. There is no
    noise in the gradient; for classes the bound is looser than that of draws. Predictions draw the
    weights as with any other layer, and so does a call outside of such a network.

    [B, I] -> [B, U]; arguments as of `BayesianLayer`, without an activation.
    """

    is_integrated = True  # what `BayesianNetwork` asks its last layer

    def __init__(self, units: int, activation: Any = None, **kwargs: Any):
        super().__init__(units, activation, **kwargs)
        if self.activation.__name__ != "linear":
            raise ValueError(
                "A layer that is integrated out is linear. Expected activation=None. Received "
                f"{activation!r}."
            )

    def moments(self, inputs: tf.Tensor) -> "tuple[tf.Tensor, tf.Tensor]":
        """Returns means and variances of the outputs, [B, I] -> [B, U] each, float32."""
        inputs = tf.cast(inputs, self.compute_dtype)
        mean = tf.cast(self.affine(inputs, tf.convert_to_tensor(self.loc)), tf.float32)
        rows = tf.cast(inputs, tf.float32)
        if self.bayesian_bias:
            rows = tf.concat([rows, tf.ones_like(rows[:, :1])], axis=1)
        posterior = self.posterior
        if self.covariance == "diagonal":
            return mean, tf.matmul(rows**2, posterior.distribution.scale**2)
        size = rows.shape[1] * self.units
        root = tf.reshape(posterior.scale_tril, [rows.shape[1], self.units * size])
        turned = tf.reshape(tf.matmul(rows, root), [-1, self.units, size])
        return mean, tf.reduce_sum(turned**2, axis=-1)
