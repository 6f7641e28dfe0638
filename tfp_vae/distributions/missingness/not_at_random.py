"""Cells that are missing for what they are, such as incomes that the rich do not tell."""

from typing import Any

import numpy as np
import tensorflow as tf

from tfp_vae.data import ColumnKind, Schema, Stream
from tfp_vae.data.streams import column as of_column
from tfp_vae.distributions.base import spread
from tfp_vae.distributions.missingness.base import MISSINGNESS, Missingness, registered


@MISSINGNESS.register("not_at_random", "whether a cell is missing depends on its own value")
@registered
class NotAtRandom(Missingness):
    """A logistic regression of the mask of each column on its own value (Ipsen et al., 2021).

    log p(missing | x) = log s(a + b u(x)) with u(x) the value in standard deviations of those that
    are there, a log for positive numbers and counts; of classes a logit for each level. a starts at
    the share of the column that is missing in training, b at 0.

    What the missing values are is then told by the shape of p(x|z): where that is wrong, so is what
    is filled in, and no data can say so.

    Args:
        schema: of the table.
    """

    def __init__(self, schema: "Schema | list[dict]", **kwargs: Any):
        super().__init__(schema, **kwargs)
        schema = self.schema
        options: dict = {"dtype": "float32", "autocast": False, "initializer": "zeros"}
        size = (len(schema),)
        self.centre = self.add_weight(name="centre", shape=size, trainable=False, **options)
        self.start = self.add_weight(name="start", shape=size, trainable=False, **options)
        self.scale = self.add_weight(
            name="scale", shape=size, trainable=False, **{**options, "initializer": "ones"}
        )
        self.offset = self.add_weight(name="offset", shape=size, **options)
        self.slope = self.add_weight(name="slope", shape=size, **options)
        self.of_levels = {
            str(i): self.add_weight(name=f"levels_{i}", shape=(column.num_levels,), **options)
            for i, column in enumerate(schema)
            if column.kind.has_levels
        }

    def adapt(self, values: "np.ndarray | Stream") -> None:
        """Takes the share that is missing of each column, and mean and deviation of the rest."""
        share, centre = np.zeros(len(self.schema)), np.zeros(len(self.schema))
        scale = np.ones(len(self.schema))
        for i, column in enumerate(self.schema):
            cells = of_column(values, i)
            gone = np.isnan(cells)
            share[i] = (gone.sum() + 0.5) / (len(cells) + 1)
            known = cells[~gone].astype(np.float64)
            if len(known) and not column.kind.has_levels:
                logs = np.log(known) if column.kind is ColumnKind.POSITIVE else known
                logs = np.log1p(known) if column.kind is ColumnKind.COUNT else logs
                centre[i], scale[i] = logs.mean(), spread(logs, (0,))
        self.start.assign(np.log(share) - np.log1p(-share))
        self.centre.assign(centre)
        self.scale.assign(scale)

    def logit(self, column: int, values: tf.Tensor) -> tf.Tensor:
        """Returns a + b u(x), or that of the level."""
        at = self.start[column] + self.offset[column]
        kind = self.schema[column].kind
        if kind.has_levels:
            levels = tf.convert_to_tensor(self.of_levels[str(column)])
            one_hot = tf.one_hot(tf.cast(values, tf.int32), levels.shape[0])
            return at + tf.reduce_sum(one_hot * levels, axis=-1)
        if kind is ColumnKind.POSITIVE:
            values = tf.math.log(values)
        elif kind is ColumnKind.COUNT:
            values = tf.math.log1p(values)
        return at + self.slope[column] * (values - self.centre[column]) / self.scale[column]
