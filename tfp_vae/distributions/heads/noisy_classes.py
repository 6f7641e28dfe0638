"""Classes as targets, some of whose labels are wrong."""

from typing import Any

import tensorflow as tf

from tfp_vae.arguments import check_number
from tfp_vae.distributions.base import tfd
from tfp_vae.distributions.heads.base import HEADS, registered
from tfp_vae.distributions.heads.classes import Classes


@HEADS.register(
    "noisy_classes", "one of K classes as a target, a stated share of labels at random", "targets"
)
@registered
class NoisyClasses(Classes):
    """p(y|f) = (1 - e) softmax(f)_y + e / K: a share e of the labels says nothing of the class.

    Labels that are known to be noisy, or images that are moved at random, make a likelihood softer
    than a softmax. Stated here it stays Bayes' rule, where a KL weight below 1 would be a posterior
    at another temperature, that of data counted more than once (Kapoor et al., "On uncertainty,
    tempering, and data augmentation in Bayesian classification", 2022).

    Args:
        num_classes: K >= 2.
        noise: e in (0, 1), a number of the user.
    """

    def __init__(self, num_classes: int, noise: float = 0.01, **kwargs: Any):
        super().__init__(num_classes, **kwargs)
        self.noise = check_number("noise", noise, above=0, below=1)

    def log_probs(self, parameters: tf.Tensor) -> tf.Tensor:
        """Returns log p of every class, [..., K] -> [..., K], in nats."""
        # Maximum and exponentials of differences, as every runtime has them; no probability is 0.
        peak = tf.reduce_max(parameters, axis=-1, keepdims=True)
        shifted = parameters - tf.stop_gradient(peak)
        certain = shifted - tf.math.log(tf.reduce_sum(tf.exp(shifted), axis=-1, keepdims=True))
        floor = self.noise / self.num_classes
        return tf.math.log((1 - self.noise) * tf.exp(certain) + floor)

    def distribution(self, parameters: tf.Tensor) -> tfd.Distribution:
        """Returns a `Categorical` of labels as they are observed, noise included."""
        return tfd.Categorical(logits=self.log_probs(parameters))

    def portable_log_prob(self, parameters: tf.Tensor, x: tf.Tensor) -> tf.Tensor:
        """Returns the log-probability of the label."""
        one_hot = tf.one_hot(tf.cast(x, tf.int32), self.num_classes)
        return tf.reduce_sum(self.log_probs(parameters) * one_hot, axis=-1)

    def fisher_root(self, parameters: tf.Tensor) -> tf.Tensor:
        """Returns diag(p)^-1/2 dp/df, whose square is the Fisher information, [..., K, K]."""
        certain = tf.nn.softmax(parameters)
        slope = certain[..., tf.newaxis] * (tf.eye(self.num_classes) - certain[..., tf.newaxis, :])
        probs = tf.exp(self.log_probs(parameters))
        return (1 - self.noise) * slope / tf.sqrt(probs)[..., tf.newaxis]

    def expected_log_prob(
        self, mean: tf.Tensor, variance: tf.Tensor, value: tf.Tensor
    ) -> tf.Tensor:
        """Returns log p at the bound below E[log softmax(f)_y], a bound below too.

        log p is convex in log softmax(f)_y, and rises with it.
        """
        certain = super().expected_log_prob(mean, variance, value)
        return tf.math.log((1 - self.noise) * tf.exp(certain) + self.noise / self.num_classes)

    def tables(self, parameters: tf.Tensor) -> tf.Tensor:
        """Returns the probabilities of the labels."""
        return tf.exp(self.log_probs(parameters))

    def get_config(self) -> dict:
        """Returns the constructor's arguments."""
        return {**super().get_config(), "noise": self.noise}
