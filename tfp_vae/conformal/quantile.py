"""Predictive intervals, moved until they cover."""

import dataclasses
from typing import Any

import numpy as np

from tfp_vae.arguments import check_number
from tfp_vae.conformal.base import CONFORMAL, IntervalScore, Seen


@CONFORMAL.register("quantile", "how far y is outside of the predictive interval")
@dataclasses.dataclass(frozen=True)
class Quantile(IntervalScore):
    """max(low - y, y - high) of the central predictive interval (Romano et al., 2019).

    It covers at every level that is asked for, whatever the interval that it starts from.

    Attributes:
        base: probability of that interval, in (0, 1).
    """

    portable = False
    base: float = 0.9

    def __post_init__(self) -> None:
        check_number("base", self.base, above=0, below=1)

    def _ends(self, seen):
        return seen.quantile(np.array([1 - self.base, 1 + self.base]) / 2)

    def scores(self, seen: Seen, y: np.ndarray) -> np.ndarray:
        """Returns how far the targets are outside; below 0 for those inside."""
        low, high = self._ends(seen)
        return np.maximum(low - y, y - high)

    def interval(self, seen: Seen, limit: Any) -> "tuple[Any, Any]":
        """Returns low - limit and high + limit; both in the middle where that leaves nothing."""
        low, high = self._ends(seen)
        low, high = low - limit, high + limit
        middle = (low + high) / 2
        return np.minimum(low, middle), np.maximum(high, middle)
