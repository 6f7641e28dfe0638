"""The decoder of a table: p(x|z) with a likelihood of its own for every column.

    log p(x|z) = sum over the columns that are there of log p_d(x_d | z)

in the units of the data. A cell that is missing (NaN) has no term, so that a bound of such a model
is one on log p(x_obs): the masked ELBO with one sample, and with importance weights that of MIWAE
(Mattei & Frellsen, 2019), which holds for values that are missing at random.
"""

from collections.abc import Mapping
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from tfp_vae.arguments import check_choice, check_type
from tfp_vae.data import Column, ColumnKind, Kind, Schema, Split
from tfp_vae.distributions import heads
from tfp_vae.distributions.base import ConditionalDistribution, registered, tfd
from tfp_vae.distributions.own import key_of
from tfp_vae.randomness import fold_in

# Which likelihood the values of a kind have.
HEADS_OF_KINDS = {
    ColumnKind.REAL: "normal_in_units",
    ColumnKind.POSITIVE: "log_normal",
    ColumnKind.COUNT: "negative_binomial",
    ColumnKind.BINARY: "bernoulli",
    ColumnKind.CATEGORICAL: "classes",
    ColumnKind.ORDINAL: "ordinal",
}
_SAFE = 1.0  # a value that every kind has, in the place of one that is missing


def head_of(column: Column) -> heads.Head:
    """Returns the likelihood that values of a column have unless another one is said."""
    kind = heads.HEADS[HEADS_OF_KINDS[column.kind]]
    if column.kind in (ColumnKind.CATEGORICAL, ColumnKind.ORDINAL):
        return kind(column.num_levels)
    return kind()


@registered
class Columns(ConditionalDistribution):
    """p(x|z) of a table: [B, D] -> batch shape [B]; [S, B, D] -> batch shape [S, B].

    What it returns is a `tfd.Independent` whose `distribution` has the columns in its batch shape:
    its `log_prob` [..., D] has log p of every value, 0 where one is missing.

    Args:
        network: Keras layer or model, [B, D] -> [B, F].
        schema: of the table, a `Schema` or its `get_config`.
        heads: {column: head} of those with another likelihood than `head_of`, such as
            {"age": tv.heads.StudentT()}.
    """

    takes_missing = True

    def __init__(
        self,
        network: keras.Layer,
        schema: "Schema | list[dict]",
        heads: "Mapping[str, heads.Head] | None" = None,
        **kwargs: Any,
    ):
        known = Schema.from_config(schema) if isinstance(schema, list) else schema
        schema = check_type("schema", known, Schema, "Columns")
        super().__init__(network, (len(schema),), **kwargs)
        self.schema = schema
        given = dict(heads or {})
        for name in given:
            check_choice("column", name, self.schema.names)
        self.heads = [given.get(c.name) or head_of(c) for c in self.schema]
        self._check_heads()

    def _check_heads(self):
        for column, head in zip(self.schema, self.heads, strict=True):
            check_type("head", head, heads.Head, "Columns")
            is_classes = column.kind in (ColumnKind.CATEGORICAL, ColumnKind.ORDINAL)
            levels = getattr(head, "num_classes", None)
            if is_classes != (head.task == "classification") or levels not in (
                None,
                column.num_levels,
            ):
                raise ValueError(
                    f"{type(head).__name__} is no likelihood of column {column.name!r}. Expected "
                    f"one of kind '{column.kind}' with {column.num_levels} levels, such as "
                    f"{type(head_of(column)).__name__}. Received one of "
                    f"{levels if levels else 'numbers'}."
                )

    @property
    def sizes(self) -> "list[int]":
        """F of every column, the numbers that its head needs."""
        return [head.num_features for head in self.heads]

    @property
    def output_size(self) -> int:
        """The numbers that all heads need."""
        return sum(self.sizes)

    @property
    def kinds(self) -> "frozenset[Kind]":
        """The kind that the schema has as a whole."""
        return frozenset({self.schema.kind})

    def check_kind(self, kind: Kind) -> None:
        """Raises `ValueError` if a table is of another kind than the schema."""
        if kind is not self.schema.kind:
            raise ValueError(
                f"A table of these columns is of another kind. Expected '{self.schema.kind}'. "
                f"Received '{kind}'."
            )

    def build(self, input_shape: Any) -> None:
        """Builds for latents [B, D]; sample axes in front are not part of it."""
        for head in self.heads:
            if not head.built:
                head.build((None, head.num_features))
        super().build((None, input_shape[-1]))

    @property
    def has_units(self) -> bool:
        """Whether a head takes the units of its column."""
        return any(head.has_units for head in self.heads)

    def adapt(self, values: np.ndarray) -> None:
        """Lets every head take the units of the cells [N, D] that are there."""
        for column, head, each in zip(self.schema, self.heads, values.T, strict=True):
            known = each[~np.isnan(each)]
            if not len(known):
                raise ValueError(
                    f"Column {column.name!r} is empty in training. Expected at least one value. "
                    f"Received {len(each)} missing ones."
                )
            y = {"targets": known}
            if head.task == "classification":
                y = {"labels": known.astype(np.int64)}
            split = Split(np.zeros((len(known), 1), np.float32), Kind.REAL, name=column.name, **y)
            if column.kind is not ColumnKind.BINARY:
                head.check(split)
                head.adapt(split)

    def split(self, outputs: tf.Tensor) -> "list[tf.Tensor]":
        """Cuts the projection into the features [..., F] of every column."""
        return tf.split(outputs, self.sizes, axis=-1)

    def distribution(self, *features: tf.Tensor) -> tfd.Distribution:
        """Returns p(x|z) of the features of every column."""
        parameters = [head(each) for head, each in zip(self.heads, features, strict=True)]
        return tfd.Independent(PerColumn(self.schema, self.heads, parameters), 1)

    def get_config(self) -> dict:
        """Returns the constructor's arguments, as JSON."""
        config = super().get_config()
        del config["event_shape"]
        config["schema"] = self.schema.get_config()
        config["heads"] = {
            name: keras.saving.serialize_keras_object(head)
            for name, head in zip(self.schema.names, self.heads, strict=True)
        }
        return config

    @classmethod
    def from_config(cls, config: dict) -> "Columns":
        """Returns the decoder of `get_config`."""
        made = {
            name: keras.saving.deserialize_keras_object(head)
            for name, head in config["heads"].items()
        }
        return super().from_config({**config, "heads": made})


class PerColumn(tfd.Distribution):
    """Values of a table, independent given the parameters of each: batch shape [..., D].

    Args:
        schema: of the table.
        heads: D of them.
        parameters: [..., Q] of each.
    """

    def __init__(self, schema: Schema, heads: "list[heads.Head]", parameters: "list[tf.Tensor]"):
        self.schema, self.heads, self.of_columns = schema, heads, parameters
        super().__init__(
            dtype=tf.float32,
            reparameterization_type=tfd.NOT_REPARAMETERIZED,
            validate_args=False,
            allow_nan_stats=True,
            parameters={"schema": schema, "heads": heads, "parameters": parameters},
            name="PerColumn",
        )

    def _batch_shape(self):
        return self.of_columns[0].shape[:-1].concatenate(len(self.heads))

    def _batch_shape_tensor(self, **_):
        return tf.concat([tf.shape(self.of_columns[0])[:-1], [len(self.heads)]], axis=0)

    def _event_shape(self):
        return tf.TensorShape([])

    def _event_shape_tensor(self):
        return tf.constant([], tf.int32)

    def column(self, index: int) -> tfd.Distribution:
        """Returns the distribution of one column, batch shape [...]."""
        return self.heads[index].distribution(self.of_columns[index])

    def _log_prob(self, value):
        seen = value == value
        safe = tf.where(seen, value, tf.constant(_SAFE))  # no gradient is NaN then
        each = [
            head.portable_log_prob(parameters, safe[..., i])
            for i, (head, parameters) in enumerate(zip(self.heads, self.of_columns, strict=True))
        ]
        return tf.where(seen, tf.stack(each, axis=-1), 0.0)

    def _sample_n(self, n, seed=None):
        key = key_of(seed)
        drawn = [
            tf.cast(self.column(i).sample(n, seed=fold_in(key, i)), tf.float32)
            for i in range(len(self.heads))
        ]
        return tf.stack(drawn, axis=-1)

    def _mean(self):
        """Returns the mean of numbers, the chance of the second of two levels, else the mode."""
        found = []
        for column, head, parameters in zip(self.schema, self.heads, self.of_columns, strict=True):
            if head.task == "classification":
                levels = tf.range(column.num_levels, dtype=tf.float32)
                likeliest = tf.argmax(parameters, axis=-1)
                found.append(tf.gather(levels, likeliest))
            else:
                found.append(head.portable_mean(parameters))
        return tf.stack(found, axis=-1)

    def _variance(self):
        """Returns the variance of numbers, and of classes the chance that two draws differ."""
        found = []
        for head, parameters in zip(self.heads, self.of_columns, strict=True):
            if head.task == "classification":
                found.append(1.0 - tf.reduce_sum(tf.square(tf.nn.softmax(parameters)), axis=-1))
            else:
                found.append(head.portable_variance(parameters))
        return tf.stack(found, axis=-1)
