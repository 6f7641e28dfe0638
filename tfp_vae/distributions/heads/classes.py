"""Classes as targets."""

from typing import Any

import numpy as np
import tensorflow as tf

from tfp_vae.arguments import check_count
from tfp_vae.data import Split
from tfp_vae.distributions.base import tfd
from tfp_vae.distributions.heads.base import HEADS, Head, registered
from tfp_vae.distributions.portable import logsumexp


@HEADS.register("classes", "one of K classes as a target", "targets")
@registered
class Classes(Head):
    """One of the classes 0, ..., K - 1, with a logit each.

    Args:
        num_classes: K >= 2.
    """

    kinds = frozenset()
    task = "classification"
    is_discrete = True

    def __init__(self, num_classes: int, **kwargs: Any):
        super().__init__(**kwargs)
        num_classes = check_count("num_classes", num_classes, 2)
        self.num_classes = self.num_features = int(num_classes)
        self.built = True

    def distribution(self, parameters: tf.Tensor) -> tfd.Distribution:
        """Returns a `Categorical`."""
        return tfd.Categorical(logits=parameters)

    def check(self, split: Split) -> None:
        """Raises `ValueError` for labels that are missing, outside the classes, or all the same."""
        if split.labels is None:
            raise ValueError(
                f"A classifier needs classes. Expected a {split.name} split with labels. Received "
                f"one with {'no labels' if split.targets is None else 'real targets'}."
            )
        highest = int(split.labels.max())
        if highest >= self.num_classes or split.labels.min() < 0:
            index = int(np.argmax((split.labels < 0) | (split.labels >= self.num_classes)))
            raise ValueError(
                f"The {split.name} labels are outside the classes. Expected 0 to "
                f"{self.num_classes - 1}. Received {split.labels[index]} at index {index}."
            )

    def adapt(self, split: Split) -> None:
        """Raises `ValueError` if there is only one class to learn from."""
        if len(np.unique(split.labels)) < 2:
            raise ValueError(
                f"There is nothing to tell apart. Expected {split.name} labels of at least two "
                f"classes. Received {split.labels[0]} for all {len(split)} examples."
            )

    def portable_log_prob(self, parameters: tf.Tensor, x: tf.Tensor) -> tf.Tensor:
        """Returns the log-probability of the class."""
        one_hot = tf.one_hot(tf.cast(x, tf.int32), self.num_classes)
        return tf.reduce_sum(parameters * one_hot, axis=-1) - logsumexp(parameters, -1)

    def fisher_root(self, parameters: tf.Tensor) -> tf.Tensor:
        """Returns diag(sqrt p) - sqrt(p) p', whose square is diag(p) - p p', [..., K, K]."""
        p = tf.nn.softmax(parameters)
        return tf.sqrt(p)[..., tf.newaxis] * (tf.eye(self.num_classes) - p[..., tf.newaxis, :])

    def expected_log_prob(
        self, mean: tf.Tensor, variance: tf.Tensor, value: tf.Tensor
    ) -> tf.Tensor:
        """Returns m_y - log sum_k exp(m_k + v_k / 2), by Jensen's inequality a bound below."""
        one_hot = tf.one_hot(tf.cast(value, tf.int32), self.num_classes)
        return tf.reduce_sum(mean * one_hot, axis=-1) - logsumexp(mean + variance / 2, -1)

    def nodes(self, parameters: tf.Tensor) -> "tuple[tf.Tensor, tf.Tensor]":
        """Returns the classes, and the logs of their probabilities."""
        classes = tf.range(self.num_classes, dtype=tf.float32)
        return classes, parameters - logsumexp(parameters, -1, keepdims=True)

    def tables(self, parameters: tf.Tensor) -> tf.Tensor:
        """Returns the probabilities of the classes."""
        return tf.nn.softmax(parameters)

    def get_config(self) -> dict:
        """Returns the constructor's arguments."""
        return {**super().get_config(), "num_classes": self.num_classes}
