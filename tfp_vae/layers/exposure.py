"""An exposure: what the rate of a count is per unit of, a column of the examples."""

from typing import Any

import keras
import numpy as np
import tensorflow as tf

from tfp_vae.arguments import check_count, check_type
from tfp_vae.data import Split
from tfp_vae.layers.base import registered
from tfp_vae.layers.plain import Standardize


@registered
class Exposure(Standardize):
    """A network of rates: the log of a column is added to its first feature, [B, D] -> [B, F].

    With a likelihood of counts, whose first feature is the log of a mean, the mean is then the
    exposure of the row times a rate (the offset of a generalized linear model). The network sees
    the mean of the column in its place, and the offset is relative to it. As the exposure is a
    column of x, it goes through fitting, predicting, saving and exports like the others.

    Args:
        network: [B, D] -> [B, F].
        column: number of the exposure among the D columns.

    Example:
        >>> network = keras.Sequential([tv.layers.Standardize(), keras.layers.Dense(1)])
        >>> model = tv.BayesianNetwork(tv.layers.Exposure(network, 2), tv.likelihoods.Poisson())
    """

    def __init__(self, network: keras.Layer, column: int, **kwargs: Any):
        super().__init__(**kwargs)
        self.network = check_type("network", network, keras.Layer, "Exposure")
        self.column = check_count("column", column, 0)

    def build(self, input_shape: Any) -> None:
        """Builds the network and makes the statistics of the columns."""
        if len(input_shape) != 2 or self.column >= input_shape[-1]:
            raise ValueError(
                f"{self.name} takes its exposure from a table. Expected inputs of shape (B, D), D "
                f"above {self.column}. Received {tuple(input_shape)}."
            )
        if not self.network.built:
            self.network.build(input_shape)
        super().build(input_shape)

    def check_examples(self, split: Split) -> None:
        """Raises `ValueError` unless every example has a finite exposure above 0."""
        exposure = split.values()[:, self.column]
        wrong = ~(np.isfinite(exposure) & (exposure > 0))
        if wrong.any():
            name = f" {split.columns[self.column]!r}" if split.columns else f" {self.column}"
            row = int(np.argmax(wrong))
            raise ValueError(
                f"The {split.name} examples have no exposure of the right kind. Expected numbers "
                f"above 0 in column{name}. Received {exposure[row]:g} in row {row}."
            )

    def call(self, inputs: tf.Tensor, training: "bool | None" = None) -> tf.Tensor:
        """Returns the features with the offset, [B, D] -> [B, F]."""
        here = np.arange(inputs.shape[-1]) == self.column
        mean = tf.cast(self.mean, inputs.dtype)
        exposure = inputs[:, self.column]
        usual = tf.where(mean[self.column] > 0, mean[self.column], 1.0)  # 1 before it is known
        features = self.network(tf.where(here, mean, inputs), training=training)
        offset = tf.cast(tf.math.log(exposure / usual), features.dtype)
        first = tf.one_hot(0, features.shape[-1], dtype=features.dtype)
        return features + offset[:, tf.newaxis] * first

    def compute_output_shape(self, input_shape: Any) -> Any:
        """Returns the shape of the features."""
        return self.network.compute_output_shape(input_shape)

    def get_config(self) -> dict:
        """Returns the constructor's arguments, as JSON."""
        network = keras.saving.serialize_keras_object(self.network)
        return {**super().get_config(), "network": network, "column": self.column}

    @classmethod
    def from_config(cls, config: dict) -> "Exposure":
        """Returns the layer of `get_config`."""
        network = keras.saving.deserialize_keras_object(config["network"])
        return cls(**{**config, "network": network})
