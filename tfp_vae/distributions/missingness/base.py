"""What is said of the reason why a cell is missing.

Whether a cell is there depends on its own value: p(mask | x) = prod_d p(mask_d | x_d). So a cell
that is not there has one number that is not known, whose sum is taken and not drawn:

    log p(mask_d = 0 | z) = log E_{p(x_d|z)}[ p(mask_d = 0 | x_d) ]

Of Ipsen, Mattei & Frellsen ("not-MIWAE", 2021) it is the self-masking case, with the expectation in
the place of draws of x_mis, which makes every bound at least as high and exports free of noise.
"""

from typing import Any

import keras
import numpy as np
import tensorflow as tf

from tfp_vae.data import Schema, Stream
from tfp_vae.registry import Registry

registered = keras.saving.register_keras_serializable(package="tfp_vae.missingness")

MISSINGNESS = Registry(
    "tfp_vae.distributions.missingness", "reason for missing cells", first=("at_random",)
)


class Missingness(keras.Layer):
    """p(mask_d | x_d) of every column of a table.

    A subclass gives `logit`, and `adapt` if it takes anything from the data.

    Args:
        schema: of the table.

    Attributes:
        is_modelled: whether the mask has a term in log p; without it nothing else is asked.
    """

    is_modelled = True

    def __init__(self, schema: "Schema | list[dict]", **kwargs: Any):
        super().__init__(**kwargs)
        self.schema = schema if isinstance(schema, Schema) else Schema.from_config(schema)
        self.built = True  # weights, if there are, come with the schema

    def get_config(self) -> dict:
        """Returns the constructor's arguments, as JSON."""
        return {**super().get_config(), "schema": self.schema.get_config()}

    def adapt(self, values: "np.ndarray | Stream") -> None:
        """Takes what has to be known of training values [N, D], NaN where missing; nothing here."""

    def logit(self, column: int, values: tf.Tensor) -> tf.Tensor:
        """Returns the logit of the probability that cells of these values are missing, [...].

        Args:
            column: number of the column.
            values: [...], none missing.
        """
        raise NotImplementedError

    def log_missing(self, column: int, values: tf.Tensor) -> tf.Tensor:
        """Returns log p(missing | value), nats, [...]; see `logit`."""
        return -tf.math.softplus(-self.logit(column, values))

    def log_seen(self, column: int, values: tf.Tensor) -> tf.Tensor:
        """Returns log p(there | value), nats, [...]; see `logit`."""
        return -tf.math.softplus(self.logit(column, values))
