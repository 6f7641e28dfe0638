"""Intervals of one width."""

import dataclasses
from typing import Any

import numpy as np

from tfp_vae.conformal.base import CONFORMAL, IntervalScore, Seen


@CONFORMAL.register("absolute", "|y - mean|: intervals of one width")
@dataclasses.dataclass(frozen=True)
class Absolute(IntervalScore):
    """|y - mean| (Papadopoulos et al., 2002)."""

    def scores(self, seen: Seen, y: np.ndarray) -> np.ndarray:
        """Returns the absolute errors."""
        return np.abs(y - seen.mean)

    def interval(self, seen: Seen, limit: Any) -> "tuple[Any, Any]":
        """Returns mean - limit and mean + limit."""
        return seen.mean - limit, seen.mean + limit
