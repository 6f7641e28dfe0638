"""What an encoder sees of a table: numbers, classes, and which cells are there."""

from typing import Any

import keras
import numpy as np
import tensorflow as tf

from tfp_vae.data import ColumnKind, Schema, Stream
from tfp_vae.data.streams import column
from tfp_vae.layers.plain import Standardize

registered = keras.saving.register_keras_serializable(package="tfp_vae")

_MOST_WIDTH = 16  # of the embedding of a class


@registered
class TableInput(Standardize):
    """Values [B, D] of a table to features [B, F]: the first layer of an encoder of tables.

    Numbers are standardized, counts and positive numbers as logs; a class is a vector that is
    learned, one for each level; a cell that is missing (NaN) is zeros; and beside them stands for
    each column whether it is there. Means and scales are those of the cells that are.

    Args:
        schema: of the table, a `Schema` or its `get_config`.
    """

    takes_missing = True

    def __init__(self, schema: "Schema | list[dict]", **kwargs: Any):
        super().__init__(**kwargs)
        self.schema = schema if isinstance(schema, Schema) else Schema.from_config(schema)
        kinds = [column.kind for column in self.schema]
        self._classes = [i for i, kind in enumerate(kinds) if kind.has_levels]
        self._numbers = [i for i, kind in enumerate(kinds) if not kind.has_levels]
        self._as_log = np.array([kinds[i] is ColumnKind.POSITIVE for i in self._numbers])
        self._as_log1p = np.array([kinds[i] is ColumnKind.COUNT for i in self._numbers])

    def build(self, input_shape: Any) -> None:
        """Makes the statistics of the D columns and the vectors of the levels."""
        if input_shape[-1] != len(self.schema):
            raise ValueError(
                f"{self.name} is for tables of its schema. Expected {len(self.schema)} columns. "
                f"Received inputs of shape {tuple(input_shape)}."
            )
        super().build(input_shape)
        self.vectors = []
        for i in self._classes:
            levels = self.schema[i].num_levels
            width = min(levels - 1 if levels < 4 else levels // 2 + 1, _MOST_WIDTH)
            self.vectors.append(
                self.add_weight(name=f"vectors_{i}", shape=(levels, width), initializer="uniform")
            )

    def adapt(self, x: "np.ndarray | Stream") -> None:
        """Takes mean and standard deviation of the cells of `x` [N, D] that are there."""
        if not self.built:
            self.build(x.shape)
        mean, scale = np.zeros(len(self.schema)), np.ones(len(self.schema))
        for i, log, log1p in zip(self._numbers, self._as_log, self._as_log1p, strict=True):
            known = column(x, i).astype(np.float64)
            known = known[~np.isnan(known)]
            known = np.log(known) if log else np.log1p(known) if log1p else known
            if len(known) and known.std() > 1e-7 * np.abs(known).max():
                mean[i], scale[i] = known.mean(), known.std()
        self.mean.assign(mean)
        self.scale.assign(scale)

    def call(self, inputs: tf.Tensor) -> tf.Tensor:
        """Returns the features, [B, D] -> [B, F]."""
        gone = tf.not_equal(inputs, inputs)  # by which ONNX knows NaN, and selects without products
        mask = tf.cast(tf.equal(inputs, inputs), self.compute_dtype)
        safe = tf.where(gone, tf.ones_like(inputs), inputs)
        parts = [mask]
        if self._numbers:
            x = tf.gather(safe, self._numbers, axis=-1)
            logs = tf.math.log(tf.where(self._as_log, x, 1.0))
            logs1p = tf.math.log1p(tf.where(self._as_log1p, x, 0.0))
            x = tf.where(self._as_log, logs, tf.where(self._as_log1p, logs1p, x))
            mean, scale = (tf.gather(each, self._numbers) for each in (self.mean, self.scale))
            x = tf.cast((x - mean) / scale, self.compute_dtype)
            parts.append(x * tf.gather(mask, self._numbers, axis=-1))
        for i, vectors in zip(self._classes, self.vectors, strict=True):
            one_hot = tf.one_hot(tf.cast(safe[..., i], tf.int32), vectors.shape[0])
            found = tf.cast(one_hot, self.compute_dtype) @ tf.cast(vectors, self.compute_dtype)
            parts.append(found * mask[..., i : i + 1])
        return tf.concat(parts, axis=-1)

    def compute_output_shape(self, input_shape: Any) -> Any:
        """Returns [B, F]."""
        width = len(self.schema) + len(self._numbers)
        for i in self._classes:
            levels = self.schema[i].num_levels
            width += min(levels - 1 if levels < 4 else levels // 2 + 1, _MOST_WIDTH)
        return (*input_shape[:-1], width)

    def get_config(self) -> dict:
        """Returns the constructor's arguments, as JSON."""
        return {**super().get_config(), "schema": self.schema.get_config()}
