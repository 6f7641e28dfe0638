"""A likelihood whose features are normal: its log p is an expectation."""

import tensorflow as tf

from tfp_vae.distributions.heads import Head


class Integrated:
    """log p(y) is E[log p(y|f)] over f ~ N(mean, variance); all else is that of f at its mean.

    What a `BayesianNetwork` with an integrated last layer is trained on, where others have a draw.

    Args:
        head: with `expected_log_prob`.
        mean: of the features, [..., F].
        variance: of the features, [..., F].
    """

    def __init__(self, head: Head, mean: tf.Tensor, variance: tf.Tensor):
        self.head, self.features, self.variance = head, mean, variance
        self.at_mean = head.distribution(head(mean))

    @property
    def batch_shape(self) -> tf.TensorShape:
        """Of the targets."""
        return self.at_mean.batch_shape

    @property
    def dtype(self) -> tf.DType:
        """Of the targets."""
        return self.at_mean.dtype

    def log_prob(self, value: tf.Tensor) -> tf.Tensor:
        """Returns the expectation of log p(value | f), or a bound below it, in nats."""
        value = tf.broadcast_to(value, tf.shape(self.features)[:-1])
        return self.head.expected_log_prob(self.features, self.variance, value)

    def probs_parameter(self) -> tf.Tensor:
        """Returns the probabilities of classes at the mean, [..., K]."""
        return self.at_mean.probs_parameter()

    def mean(self) -> tf.Tensor:
        """Returns the mean of the targets at the mean of the features."""
        return self.at_mean.mean()
