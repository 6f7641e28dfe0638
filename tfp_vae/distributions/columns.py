"""The decoder of a table: p(x|z) with a likelihood of its own for every column.

    log p(x|z) = sum over the columns that are there of log p_d(x_d | z)

in the units of the data. A cell that is missing (NaN) has no term, so that a bound of such a model
is one on log p(x_obs): the masked ELBO with one sample, and with importance weights that of MIWAE
(Mattei & Frellsen, 2019), which holds for values that are missing at random. Where they are not,
the mask has terms too, see `missingness`:

    log p(x_obs, mask|z) = sum over the columns of log p_d(x_d|z) + log p(there|x_d), or, of a cell
    that is missing, log E_{p_d(x_d|z)}[ p(missing|x_d) ]

A column of counts with an exposure has the rate that its head gives times the exposure of the row.
"""

from collections.abc import Mapping
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from tfp_vae.arguments import check_choice, check_type
from tfp_vae.data import Column, ColumnKind, Kind, Schema, Split, Stream
from tfp_vae.data.streams import column as of_column
from tfp_vae.distributions import heads
from tfp_vae.distributions.base import ConditionalDistribution, registered, tfd
from tfp_vae.distributions.missingness import MISSINGNESS, Missingness
from tfp_vae.distributions.own import key_of
from tfp_vae.distributions.portable import logsumexp
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


def _safe(values):
    # By "not equal to itself" ONNX knows NaN, and selects without products, which NaN outlives.
    return tf.where(tf.not_equal(values, values), tf.constant(_SAFE), values)


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
        missing: why cells are missing, a name in `missingness.MISSINGNESS`.
    """

    takes_missing = True

    def __init__(
        self,
        network: keras.Layer,
        schema: "Schema | list[dict]",
        heads: "Mapping[str, heads.Head] | None" = None,
        missing: str = "at_random",
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
        self.missing = MISSINGNESS.check(missing)
        self.missingness: Missingness = MISSINGNESS[missing](schema)
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
            if column.exposure and not head.has("exposed"):
                raise head.lacks("exposed")
            of_exposure = column.name in (each.exposure for each in self.schema)
            if (self.missingness.is_modelled or of_exposure) and not head.has("nodes"):
                raise head.lacks("nodes")

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
        mask = bool(self.missingness.non_trainable_variables)
        return mask or any(head.has_units for head in self.heads)

    def adapt(self, values: "np.ndarray | Stream") -> None:
        """Lets every head take the units of the cells [N, D] that are there."""
        self.missingness.adapt(values)
        for i, (column, head) in enumerate(zip(self.schema, self.heads, strict=True)):
            each = of_column(values, i)
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
            if column.exposure:
                beside = of_column(values, self.schema.names.index(column.exposure))
                exposure = beside[~np.isnan(each)]
                head.check(split)
                head.adapt_exposed(split, exposure)
            elif column.kind is not ColumnKind.BINARY:
                head.check(split)
                head.adapt(split)

    def split(self, outputs: tf.Tensor) -> "list[tf.Tensor]":
        """Cuts the projection into the features [..., F] of every column."""
        return tf.split(outputs, self.sizes, axis=-1)

    def distribution(self, *features: tf.Tensor) -> tfd.Distribution:
        """Returns p(x|z) of the features of every column."""
        parameters = [head(each) for head, each in zip(self.heads, features, strict=True)]
        reason = self.missingness if self.missingness.is_modelled else None
        return tfd.Independent(PerColumn(self.schema, self.heads, parameters, reason), 1)

    def get_config(self) -> dict:
        """Returns the constructor's arguments, as JSON."""
        config = super().get_config()
        del config["event_shape"]
        config["schema"] = self.schema.get_config()
        config["heads"] = {
            name: keras.saving.serialize_keras_object(head)
            for name, head in zip(self.schema.names, self.heads, strict=True)
        }
        config["missing"] = self.missing
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
        parameters: [..., Q] of each; of a column with an exposure those at an exposure of 1.
        missingness: why cells are missing, if that has a term in log p.
        exposed: whether the parameters are those at the exposures of some rows already.
    """

    def __init__(
        self,
        schema: Schema,
        heads: "list[heads.Head]",
        parameters: "list[tf.Tensor]",
        missingness: "Missingness | None" = None,
        exposed: bool = False,
    ):
        self.schema, self.heads, self.of_columns = schema, heads, parameters
        self.missingness = missingness
        self._exposures = {} if exposed else schema.exposures
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

    def given(self, value: tf.Tensor) -> "PerColumn":
        """Returns the distribution of rows with the exposures that values [..., D] have.

        Where there is none, counts are those at the mean of the exposure.
        """
        if not self._exposures:
            return self
        parameters = list(self.of_columns)
        for count, exposure in self._exposures.items():
            known = value[..., exposure]
            usual = self.heads[exposure].portable_mean(self.of_columns[exposure])
            at = tf.where(tf.equal(known, known), _safe(known), usual)
            parameters[count] = self.heads[count].exposed(parameters[count], tf.math.log(at))
            zero = tf.zeros_like(parameters[count][..., :1])  # all have the axes of the rows
            parameters = [each + zero for each in parameters]
        return PerColumn(self.schema, self.heads, parameters, self.missingness, exposed=True)

    def at_random(self) -> "PerColumn":
        """Returns the distribution of values alone: of missing cells nobody asks why."""
        if self.missingness is None:
            return self
        return PerColumn(self.schema, self.heads, self.of_columns, exposed=not self._exposures)

    def _log_prob(self, value):
        known = self.given(value)
        seen, safe = tf.equal(value, value), _safe(value)  # no gradient is NaN then
        each = [
            head.portable_log_prob(parameters, safe[..., i])
            for i, (head, parameters) in enumerate(zip(self.heads, known.of_columns, strict=True))
        ]
        found = tf.where(seen, tf.stack(each, axis=-1), 0.0)
        if self.missingness is None:
            return found
        masks = []
        for i in range(len(self.heads)):
            there = self.missingness.log_seen(i, safe[..., i])
            _, log_masses = known.joint_with_missing(i)
            masks.append(tf.where(seen[..., i], there, logsumexp(log_masses, -1)))
        return found + tf.stack(masks, axis=-1)

    def joint_with_missing(self, index: int) -> "tuple[tf.Tensor, tf.Tensor]":
        """Returns values of a column and log p(value, missing | z), [n] or [..., n] each.

        Values alone, log p(value | z), where the mask has no term.
        """
        values, log_masses = self.heads[index].nodes(self.of_columns[index])
        if self.missingness is not None:
            log_masses = log_masses + self.missingness.log_missing(index, values)
        return values, log_masses

    def _sample_n(self, n, seed=None):
        key, drawn = key_of(seed), {}
        order = [*(i for i in range(len(self.heads)) if i not in self._exposures),
                 *self._exposures]  # fmt: skip
        for i in order:
            if i in self._exposures:
                log_exposure = tf.math.log(drawn[self._exposures[i]])
                at = self.heads[i].exposed(self.of_columns[i], log_exposure)
                found = self.heads[i].distribution(at).sample(seed=fold_in(key, i))
            else:
                found = self.column(i).sample(n, seed=fold_in(key, i))
            drawn[i] = tf.cast(found, tf.float32)
        return tf.stack([drawn[i] for i in range(len(self.heads))], axis=-1)

    def _moments(self, index):
        """Returns mean and variance of a column of numbers, over what its exposure may be."""
        head, parameters = self.heads[index], self.of_columns[index]
        if index not in self._exposures:
            return head.portable_mean(parameters), head.portable_variance(parameters)
        exposure = self._exposures[index]
        values, log_masses = self.heads[exposure].nodes(self.of_columns[exposure])
        at = head.exposed(parameters[..., tf.newaxis, :], tf.math.log(values))
        means, masses = head.portable_mean(at), tf.exp(log_masses)
        mean = tf.reduce_sum(masses * means, axis=-1)
        within = tf.reduce_sum(masses * head.portable_variance(at), axis=-1)
        return mean, within + tf.reduce_sum(
            masses * tf.square(means - mean[..., tf.newaxis]), axis=-1
        )

    def _mean(self):
        """Returns the mean of numbers, the chance of the second of two levels, else the mode."""
        found = []
        for i, (column, head) in enumerate(zip(self.schema, self.heads, strict=True)):
            if head.task == "classification":
                levels = tf.range(column.num_levels, dtype=tf.float32)
                likeliest = tf.argmax(self.of_columns[i], axis=-1)
                found.append(tf.gather(levels, likeliest))
            else:
                found.append(self._moments(i)[0])
        return tf.stack(found, axis=-1)

    def _variance(self):
        """Returns the variance of numbers, and of classes the chance that two draws differ."""
        found = []
        for i, head in enumerate(self.heads):
            if head.task == "classification":
                chances = tf.nn.softmax(self.of_columns[i])
                found.append(1.0 - tf.reduce_sum(tf.square(chances), axis=-1))
            else:
                found.append(self._moments(i)[1])
        return tf.stack(found, axis=-1)
