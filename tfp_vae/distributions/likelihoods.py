"""Likelihoods p(y | f) of targets given the outputs of a network.

A likelihood is a Keras layer in two halves. Calling it turns features [..., F] into the parameters
of a distribution, one float32 tensor [..., Q] that can be stacked, averaged and exported;
`distribution` makes the `tfp.distributions` object of them and owns no variable.
"""

import math

import keras
import numpy as np
import tensorflow as tf

from tfp_vae.arguments import is_count, is_number
from tfp_vae.data import Split
from tfp_vae.distributions.base import inverse_positive, positive, tfd

registered = keras.saving.register_keras_serializable(package="tfp_vae.likelihoods")

# Least scale of a target, in standard deviations of the training targets.
TARGET_SCALE_FLOOR = 1e-3


class Likelihood(keras.Layer):
    """p(y | f): features [..., num_features] -> parameters [..., Q] -> batch shape [...].

    Attributes:
        num_features: what the network has to put out per example.
        task: "classification" or "regression".
    """

    num_features = 1
    task = "regression"

    def adapt(self, split: Split) -> None:
        """Takes what has to be known of the training targets, such as their units; here nothing."""

    def check(self, split: Split) -> None:
        """Raises `ValueError` if the targets of `split` have no probability."""
        if split.targets is None:
            labels = "no targets" if split.labels is None else "class labels"
            raise ValueError(
                f"{type(self).__name__} is a likelihood of real targets. Expected a {split.name} "
                f"split with targets. Received one with {labels}."
            )
        if split.targets.ndim != 1:
            raise ValueError(
                f"{type(self).__name__} has one target per example. Expected {split.name} targets "
                f"of shape (N,). Received {split.targets.shape}."
            )

    def distribution(self, parameters: tf.Tensor) -> tfd.Distribution:
        """Returns the distribution of the targets, batch shape [...], event shape []."""
        raise NotImplementedError


@registered
class Categorical(Likelihood):
    """One of K classes, with a logit each.

    Args:
        num_classes: K >= 2.
    """

    task = "classification"

    def __init__(self, num_classes: int, **kwargs):
        super().__init__(**kwargs)
        if not is_count(num_classes, 2):
            raise ValueError(
                f"Too few classes. Expected num_classes >= 2. Received {num_classes!r}."
            )
        self.num_classes = self.num_features = int(num_classes)
        self.built = True

    def call(self, features):
        """Returns the logits, [..., K] -> [..., K]."""
        return tf.cast(features, tf.float32)

    def distribution(self, parameters):
        """Returns a `Categorical`."""
        return tfd.Categorical(logits=parameters)

    def check(self, split):
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

    def adapt(self, split):
        """Raises `ValueError` if there is only one class to learn from."""
        if len(np.unique(split.labels)) < 2:
            raise ValueError(
                f"There is nothing to tell apart. Expected {split.name} labels of at least two "
                f"classes. Received {split.labels[0]} for all {len(split)} examples."
            )

    def get_config(self):
        """Returns the constructor's arguments."""
        return {**super().get_config(), "num_classes": self.num_classes}


@registered
class Normal(Likelihood):
    """N(loc, scale^2) for a real target, in the units of the target.

    The network works in standard deviations of the training targets around their mean; `adapt`
    finds both and they are saved. So log p(y) and every error come out in the target's own units.

    Args:
        scale: "shared" to learn one scale; "per_example" for a scale from the network, which then
            has two features; a number for a fixed scale in the units of the target.
    """

    def __init__(self, scale: "str | float" = "shared", **kwargs):
        super().__init__(**kwargs)
        if scale not in ("shared", "per_example") and not is_number(scale, above=0):
            raise ValueError(
                "Unknown scale. Expected 'shared', 'per_example' or a number > 0. Received "
                f"{scale!r}."
            )
        self.scale = scale
        self.num_features = 2 if scale == "per_example" else 1

    def build(self, input_shape=None):
        """Makes the units of the target and, if shared, the scale."""
        options = {"shape": (), "dtype": "float32", "autocast": False}
        self.target_mean = self.add_weight(
            name="target_mean", initializer="zeros", trainable=False, **options
        )
        self.target_scale = self.add_weight(
            name="target_scale", initializer="ones", trainable=False, **options
        )
        if self.scale == "shared":
            start = keras.initializers.Constant(inverse_positive(0.5, TARGET_SCALE_FLOOR))
            self.raw_scale = self.add_weight(name="raw_scale", initializer=start, **options)
        self.built = True

    def adapt(self, split):
        """Takes mean and standard deviation of the training targets."""
        targets = split.targets.astype(np.float64)
        deviation = float(targets.std())
        if deviation <= 1e-7 * np.abs(targets).max():
            raise ValueError(
                f"The {split.name} targets do not vary. Expected at least two different targets. "
                f"Received {targets[0]:g} for all {len(targets)} examples."
            )
        self.target_mean.assign(targets.mean())
        self.target_scale.assign(deviation)

    def call(self, features):
        """Returns (loc, scale) in the units of the target, [..., 1 or 2] -> [..., 2]."""
        features = tf.cast(features, tf.float32)
        unit = tf.convert_to_tensor(self.target_scale)
        loc = self.target_mean + unit * features[..., 0]
        if self.scale == "per_example":
            scale = unit * positive(features[..., 1], TARGET_SCALE_FLOOR)
        elif self.scale == "shared":
            raw = tf.convert_to_tensor(self.raw_scale)
            scale = unit * positive(raw, TARGET_SCALE_FLOOR) + tf.zeros_like(loc)
        else:
            scale = tf.zeros_like(loc) + self.scale
        return tf.stack([loc, scale], axis=-1)

    def distribution(self, parameters):
        """Returns a `Normal`."""
        return tfd.Normal(parameters[..., 0], parameters[..., 1])

    def get_config(self):
        """Returns the constructor's arguments."""
        return {**super().get_config(), "scale": self.scale}


@registered
class Poisson(Likelihood):
    """Counts 0, 1, 2, ... with the log of their rate from the network."""

    def build(self, input_shape=None):
        """Makes the mean log rate that the network's output is relative to."""
        self.log_mean = self.add_weight(
            name="log_mean", shape=(), initializer="zeros", trainable=False, autocast=False
        )
        self.built = True

    def check(self, split):
        """Raises `ValueError` unless every target is a count."""
        super().check(split)
        bad = (split.targets < 0) | (split.targets != np.round(split.targets))
        if bad.any():
            index = int(np.argmax(bad))
            raise ValueError(
                f"The {split.name} targets are no counts. Expected 0, 1, 2, .... Received "
                f"{split.targets[index]:g} at index {index}."
            )

    def adapt(self, split):
        """Takes the log of the mean count."""
        mean = float(split.targets.mean())
        if mean <= 0:
            raise ValueError(
                f"The {split.name} counts are all zero. Expected a positive one. Received none."
            )
        self.log_mean.assign(math.log(mean))

    def call(self, features):
        """Returns the log rate, [..., 1] -> [..., 1]."""
        return tf.cast(features, tf.float32) + self.log_mean

    def distribution(self, parameters):
        """Returns a `Poisson`."""
        return tfd.Poisson(log_rate=parameters[..., 0])
