"""Intervals as wide as the model is uncertain."""

import dataclasses
from typing import Any

import numpy as np

from tfp_vae.conformal.base import CONFORMAL, IntervalScore, Seen


@CONFORMAL.register("scaled", "|y - mean| / standard deviation: wide where the model is uncertain")
@dataclasses.dataclass(frozen=True)
class Scaled(IntervalScore):
    """|y - mean| / sd, with the predictive standard deviation (Papadopoulos et al., 2008)."""

    def scores(self, seen: Seen, y: np.ndarray) -> np.ndarray:
        """Returns the errors in predictive standard deviations."""
        return np.abs(y - seen.mean) / seen.scale

    def interval(self, seen: Seen, limit: Any) -> "tuple[Any, Any]":
        """Returns mean - limit sd and mean + limit sd."""
        return seen.mean - limit * seen.scale, seen.mean + limit * seen.scale
