"""Finite scalar quantisation."""

from collections.abc import Sequence
from typing import Any

import keras
import tensorflow as tf

from tfp_vae.arguments import check_count
from tfp_vae.distributions.codes.base import CODES, CodeEncoder, registered
from tfp_vae.distributions.codes.books import Levels
from tfp_vae.distributions.codes.masses import Point


@CODES.register("fsq", "finite scalar quantisation: points of a grid")
@registered
class FiniteScalar(CodeEncoder):
    """Codes are points of a grid that outputs are rounded to (Mentzer et al., ICLR 2024, sec. 3).

    q(z|x) is a point mass: beside a prior over codes the ELBO is log p(x|z) + log p(codes), exactly
    log p(x, codes). Rounding has the gradient of what is rounded; nothing else is trained.

    Args:
        network: Keras layer or model, [B, ...] -> [B, F].
        places: T.
        levels: of each number of a code, 3 or more; their product is K.

    Raises:
        ValueError: for fewer than three levels: two have no centre, and their bound no inverse.
    """

    reports_usage = draws_once = True

    def __init__(
        self, network: keras.Layer, places: int, levels: Sequence[int] = (8, 5, 5), **kwargs: Any
    ):
        places = check_count("places", places)
        self.levels = check_levels(levels)
        super().__init__(network, places, places * len(self.levels), **kwargs)

    @property
    def book(self) -> Levels:
        """The grid."""
        return Levels(self.places, self.levels)

    @property
    def output_size(self) -> int:
        """A number for each axis of the grid."""
        return self.places * len(self.levels)

    def distribution(self, raw: tf.Tensor) -> Point:
        """Returns a `Point` at the grid, of float32 numbers [..., T E]."""
        book = self.book
        return Point(book.joined(book.rounded(book.cut(raw))))

    def get_config(self) -> dict:
        """Returns the constructor's arguments, as JSON."""
        return {**super().get_config(), "levels": list(self.levels)}


def check_levels(levels: Any) -> "tuple[int, ...]":
    """Returns levels as a tuple; raises `ValueError` for none, or for fewer than three."""
    found = tuple(levels) if isinstance(levels, Sequence) and not isinstance(levels, str) else ()
    if not found or not all(isinstance(each, int) and each >= 3 for each in found):
        raise ValueError(
            "Finite scalar quantisation rounds to three levels or more. Expected levels such as "
            f"(8, 5, 5). Received {levels!r}."
        )
    return found
