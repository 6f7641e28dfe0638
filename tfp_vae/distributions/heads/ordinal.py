"""Levels in an order, such as school marks, as targets."""

from typing import Any

import numpy as np
import tensorflow as tf

from tfp_vae.data import Split
from tfp_vae.distributions.base import inverse_positive, positive
from tfp_vae.distributions.heads.base import HEADS, Head, registered
from tfp_vae.distributions.heads.classes import Classes


@HEADS.register("ordinal", "one of K levels in an order, as a target", "targets")
@registered
class Ordinal(Classes):
    """One of the levels 0 < 1 < ... < K - 1: P(y <= k) = sigmoid(t_k - f) (McCullagh, 1980).

    The network gives one number f, which moves all levels alike; the K - 1 thresholds are learned
    and stay in order. They start at the frequencies of the training levels.

    Args:
        num_classes: K >= 2.
    """

    def __init__(self, num_classes: int, **kwargs: Any):
        super().__init__(num_classes, **kwargs)
        self.num_features = 1
        self.built = False

    def build(self, input_shape: Any = None) -> None:
        """Makes the lowest threshold and the steps to the others."""
        options: dict = {"dtype": "float32", "autocast": False}
        self.lowest = self.add_weight(name="lowest", shape=(), initializer="zeros", **options)
        self.raw_steps = self.add_weight(
            name="raw_steps", shape=(self.num_classes - 2,), initializer="zeros", **options
        )
        self.built = True

    def adapt(self, split: Split) -> None:
        """Puts the thresholds where f = 0 has the frequencies of the levels, one more of each."""
        super().adapt(split)
        counts = np.bincount(split.labels, minlength=self.num_classes) + 1.0
        below = np.cumsum(counts)[:-1] / counts.sum()
        thresholds = np.log(below) - np.log1p(-below)
        self.lowest.assign(thresholds[0])
        self.raw_steps.assign([inverse_positive(step) for step in np.diff(thresholds)])

    @property
    def thresholds(self) -> tf.Tensor:
        """t_0 < ... < t_(K - 2), float32 [K - 1]."""
        lowest = tf.convert_to_tensor(self.lowest)[tf.newaxis]
        steps = positive(tf.convert_to_tensor(self.raw_steps))
        return tf.concat([lowest, lowest + tf.cumsum(steps)], axis=0)

    def parameters(self, features: tf.Tensor) -> tf.Tensor:
        """Returns the log-probabilities of the levels, [..., 1] -> [..., K].

        Of a level between a and b it is log(s(b) - s(a)) = log s(b) + log s(-a) + log(1 - e^(a-b)):
        no difference of numbers that are nearly the same.
        """
        upper = tf.cast(self.thresholds, features.dtype) - features  # [..., K - 1]
        steps = tf.cast(positive(tf.convert_to_tensor(self.raw_steps)), features.dtype)
        log_below, log_above = tf.math.log_sigmoid(upper), tf.math.log_sigmoid(-upper)
        inner = log_below[..., 1:] + log_above[..., :-1] + tf.math.log(-tf.math.expm1(-steps))
        return tf.concat([log_below[..., :1], inner, log_above[..., -1:]], axis=-1)

    expected_log_prob = Head.expected_log_prob  # that of the classes is of features that are logits
