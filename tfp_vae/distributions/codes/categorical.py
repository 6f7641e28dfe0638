"""Categorical latents, one-hot."""

from typing import Any

import keras

from tfp_vae.arguments import check_count
from tfp_vae.distributions.codes.base import CODES, LogitEncoder, registered
from tfp_vae.distributions.codes.books import OneHots


@CODES.register("categorical", "categorical, one-hot")
@registered
class Categorical(LogitEncoder):
    """q(z|x) of T independent categorical variables, one-hot: z [B, T K].

    Draws have no slope: train with gradient="vimco", "loo" or "score", or sum over all codes.

    Args:
        network: Keras layer or model, [B, ...] -> [B, F].
        places: T.
        categories: K.
        enumerate: whether all K^T codes are summed over in the place of draws: bounds and
            gradients are exact.
    """

    def __init__(
        self,
        network: keras.Layer,
        places: int,
        categories: int = 10,
        enumerate: bool = False,
        **kwargs: Any,
    ):
        places = check_count("places", places)
        self.categories = check_count("categories", categories, 2)
        super().__init__(network, places, places * categories, enumerate, **kwargs)

    @property
    def book(self) -> OneHots:
        """One-hot codes."""
        return OneHots(self.places, self.categories)

    def get_config(self) -> dict:
        """Returns the constructor's arguments, as JSON."""
        return {**super().get_config(), "categories": self.categories}
