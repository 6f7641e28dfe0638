"""Metrics that Keras does not have."""

import keras
import tensorflow as tf

ACTIVE_UNIT_THRESHOLD = 0.01


class Bound(keras.metrics.Mean):
    """A mean that also counts the batches of the pass, whatever their weights."""

    def __init__(self, name: str, **kwargs):
        super().__init__(name=name, **kwargs)
        self.batches = self.add_variable((), "zeros", dtype="int32", name="batches")

    def reset_state(self):
        """Starts a new pass."""
        super().reset_state()
        self.batches.assign(0)

    def update_state(self, values, sample_weight=None):
        """Adds a batch of values [B]."""
        self.batches.assign_add(1)
        super().update_state(values, sample_weight)


class ActiveUnits(keras.metrics.Metric):
    """Number of latent dimensions whose posterior mean varies over the data by more than 0.01.

    Cov_x(E_q(z|x)[z_d]) > 0.01 (Burda, Grosse & Salakhutdinov, 2016, sec. 5.2). The variance is
    merged batch by batch (Chan et al., 1979), so it has no cancellation and short batches count for
    what they are.

    Args:
        latent_dim: D.
    """

    def __init__(self, latent_dim: int, name: str = "active_units", **kwargs):
        super().__init__(name=name, **kwargs)
        self.count = self.add_variable((), "zeros", dtype="float32", name="count")
        self.mean = self.add_variable((latent_dim,), "zeros", dtype="float32", name="mean")
        self.squares = self.add_variable((latent_dim,), "zeros", dtype="float32", name="squares")

    def update_state(self, posterior_mean, sample_weight=None):
        """Adds posterior means [B, D]."""
        del sample_weight  # the definition is over the data, not over a weighted sample
        added = tf.cast(tf.shape(posterior_mean)[0], tf.float32)
        mean, variance = tf.nn.moments(posterior_mean, axes=[0])
        total = self.count + added
        shift = mean - self.mean
        self.squares.assign_add(variance * added + shift**2 * self.count * added / total)
        self.mean.assign_add(shift * added / total)
        self.count.assign(total)

    def variance(self) -> tf.Tensor:
        """Returns the variance of each latent dimension's posterior mean, [D]."""
        return self.squares / tf.maximum(self.count, 1.0)

    def result(self):
        """Returns the number of active units, a float32 scalar."""
        return tf.reduce_sum(tf.cast(self.variance() > ACTIVE_UNIT_THRESHOLD, tf.float32))
