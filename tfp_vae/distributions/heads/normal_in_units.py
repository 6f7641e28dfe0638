"""Real targets, in units that the head learns from the data."""

from typing import Any

import numpy as np
import tensorflow as tf

from tfp_vae.data import Split
from tfp_vae.distributions.base import inverse_positive, positive
from tfp_vae.distributions.heads.base import HEADS, registered
from tfp_vae.distributions.heads.normal import LocationScale

# Least scale of a target, in standard deviations of the training targets.
TARGET_SCALE_FLOOR = 1e-3


@HEADS.register(
    "normal_in_units", "a real target, whose units are learned from the data", "targets"
)
@registered
class NormalInUnits(LocationScale):
    """N(loc, scale^2) for a real target, in the units of the target.

    The network works in standard deviations of the training targets around their mean; `adapt`
    finds both and they are saved. So log p(y) and every error come out in the target's own units.

    Args:
        scale: "shared" to learn one scale; "per_example" for a scale from the network, which then
            has two features; a number for a fixed scale in the units of the target.
    """

    kinds = frozenset()
    per_value = "per_example"

    def build(self, input_shape: Any = None) -> None:
        """Makes the units of the target and, if shared, the scale."""
        options = {"shape": (), "dtype": "float32", "autocast": False, "trainable": False}
        self.target_mean = self.add_weight(name="target_mean", initializer="zeros", **options)
        self.target_scale = self.add_weight(name="target_scale", initializer="ones", **options)
        self.add_raw_scale(inverse_positive(0.5, TARGET_SCALE_FLOOR))
        self.built = True

    def adapt(self, split: Split) -> None:
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

    def parameters(self, features: tf.Tensor) -> tf.Tensor:
        """Returns (loc, scale) in the units of the target, [..., 1 or 2] -> [..., 2]."""
        unit = tf.convert_to_tensor(self.target_scale)
        loc = self.target_mean + unit * features[..., 0]
        if self.scale == self.per_value:
            scale = unit * positive(features[..., 1], TARGET_SCALE_FLOOR)
        elif self.scale == "shared":
            raw = tf.convert_to_tensor(self.raw_scale)
            scale = unit * positive(raw, TARGET_SCALE_FLOOR) + tf.zeros_like(loc)
        else:
            scale = tf.zeros_like(loc) + self.scale
        return tf.stack([loc, scale], axis=-1)

    def expected_log_prob(
        self, mean: tf.Tensor, variance: tf.Tensor, value: tf.Tensor
    ) -> tf.Tensor:
        """Returns log N(y | m, scale^2) - v / (2 scale^2): exact, of one scale for all."""
        if self.scale == self.per_value:
            raise ValueError(
                "A scale from the network has no expectation in closed form. Expected "
                f"scale='shared' or a number. Received {self.scale!r}."
            )
        parameters = self.parameters(mean)
        spread = variance[..., 0] * tf.square(self.target_scale / parameters[..., 1])
        return self.portable_log_prob(parameters, value) - 0.5 * spread

    @property
    def shared_scale(self) -> "tf.Tensor | None":
        """The learned scale in the units of the target, or None if there is not one for all."""
        if self.scale != "shared":
            return None
        return self.target_scale * positive(self.raw_scale, TARGET_SCALE_FLOOR)

    def set_shared_scale(self, scale: float) -> None:
        """Sets the learned scale, in the units of the target, no lower than its floor."""
        own = max(scale / float(self.target_scale), 1.001 * TARGET_SCALE_FLOOR)
        self.raw_scale.assign(inverse_positive(own, TARGET_SCALE_FLOOR))
