"""Smaller sets of classes: long ones cost something."""

import dataclasses
from collections.abc import Callable
from typing import Any

import numpy as np

from tfp_vae.arguments import check_count, check_number
from tfp_vae.conformal.aps import APS, more_probable
from tfp_vae.conformal.base import CONFORMAL


@CONFORMAL.register("raps", "aps, and a penalty for every class beyond the first few")
@dataclasses.dataclass(frozen=True)
class RAPS(APS):
    """`APS` + penalty max(0, rank - free) (Angelopoulos et al., 2021); the best class has rank 1.

    Attributes:
        penalty: for each class beyond.
        free: how many classes cost nothing.
    """

    penalty: float = 0.01
    free: int = 5

    def __post_init__(self) -> None:
        check_number("penalty", self.penalty, low=0)
        check_count("free", self.free, 0)

    def of_classes(self, probs: Any, where: Callable = np.where) -> Any:
        """Returns the probability above every class and its penalty."""
        above = more_probable(probs, where)
        one = probs * 0 + 1
        beyond = (above @ one[..., None])[..., 0] + 1 - self.free
        return (above @ probs[..., None])[..., 0] + self.penalty * where(
            beyond > 0, beyond, 0 * one
        )
