"""Masked convolutions over a square of codes."""

import math
from typing import Any

import keras
import tensorflow as tf

from tfp_vae import networks
from tfp_vae.arguments import check_count
from tfp_vae.distributions.code_priors.base import CODE_PRIORS, registered
from tfp_vae.distributions.code_priors.made import OrderedPrior


@CODE_PRIORS.register("pixelcnn", "masked convolutions over a square of codes")
@registered
class MaskedConvolutions(OrderedPrior):
    """`networks.masked_convolutions` over one-hot codes in a square, row by row.

    Args:
        places: T, a square number.
        count: K.
        width: E.
        filters: of each convolution.
        reach: how many rows and columns before a code it sees.
        **kwargs: see `OrderedPrior`.

    Raises:
        ValueError: for codes that make no square.
    """

    def __init__(
        self, places: int, count: int, width: int, filters: int = 64, reach: int = 3, **kwargs: Any
    ):
        self.side = math.isqrt(check_count("places", places))
        if self.side**2 != places:
            raise ValueError(
                "Convolutions go over a square of codes. Expected places such as 16 or 49, or the "
                f"prior 'made'. Received {places}."
            )
        self.filters, self.reach = check_count("filters", filters), check_count("reach", reach)
        super().__init__(places, count, width, **kwargs)

    def make_network(self) -> keras.Sequential:
        """Returns the masked convolutions and a projection of every place."""
        layers = networks.masked_convolutions(self.filters, self.reach)
        return keras.Sequential([*layers, keras.layers.Conv2D(self.count, 1)], name="pixelcnn")

    def logits(self, index: tf.Tensor) -> tf.Tensor:
        """Returns logits of all codes."""
        square = [-1, self.side, self.side, self.count]
        found = self.network(tf.reshape(tf.one_hot(index, self.count), square))
        return tf.cast(tf.reshape(found, [-1, self.places, self.count]), tf.float32)

    def get_config(self) -> dict:
        """Returns the constructor's arguments, as JSON."""
        return {**super().get_config(), "filters": self.filters, "reach": self.reach}
