"""Metrics that Keras does not have."""

from typing import Any

import keras
import tensorflow as tf

ACTIVE_UNIT_THRESHOLD = 0.01


class Bound(keras.metrics.Mean):
    """A mean that also counts the batches of the pass, whatever their weights."""

    def __init__(self, name: str, **kwargs: Any):
        super().__init__(name=name, **kwargs)
        self.batches = self.add_variable((), "zeros", dtype="int32", name="batches")

    def reset_state(self) -> None:
        """Starts a new pass."""
        super().reset_state()
        self.batches.assign(0)

    def update_state(self, values: tf.Tensor, sample_weight: "tf.Tensor | None" = None) -> None:
        """Adds a batch of values [B]."""
        self.batches.assign_add(1)
        super().update_state(values, sample_weight)


class ActiveUnits(keras.metrics.Metric):
    """Number of latent dimensions whose posterior mean varies over the data by more than 0.01.

    Cov_x(E_q(z|x)[z_d]) > 0.01 (Burda, Grosse & Salakhutdinov, 2016, sec. 5.2). Sums of values and
    squares in float64, which has room for the cancellation between them: sums of replicas add up.

    Args:
        latent_dim: D.
    """

    def __init__(self, latent_dim: int, name: str = "active_units", **kwargs: Any):
        super().__init__(name=name, **kwargs)
        self.count = self.add_variable((), "zeros", dtype="float64", name="count")
        self.total = self.add_variable((latent_dim,), "zeros", dtype="float64", name="total")
        self.squares = self.add_variable((latent_dim,), "zeros", dtype="float64", name="squares")

    def update_state(
        self, posterior_mean: tf.Tensor, sample_weight: "tf.Tensor | None" = None
    ) -> None:
        """Adds posterior means [B, D]."""
        del sample_weight  # the definition is over the data, not over a weighted sample
        means = tf.cast(posterior_mean, tf.float64)
        self.count.assign_add(tf.cast(tf.shape(means)[0], tf.float64))
        self.total.assign_add(tf.reduce_sum(means, axis=0))
        self.squares.assign_add(tf.reduce_sum(means**2, axis=0))

    def variance(self) -> tf.Tensor:
        """Returns the variance of each latent dimension's posterior mean, float64 [D]."""
        count = tf.maximum(tf.convert_to_tensor(self.count), 1.0)
        return self.squares / count - (self.total / count) ** 2

    def result(self) -> tf.Tensor:
        """Returns the number of active units, a float32 scalar."""
        return tf.reduce_sum(tf.cast(self.variance() > ACTIVE_UNIT_THRESHOLD, tf.float32))
