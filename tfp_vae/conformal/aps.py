"""Sets of classes: the most probable ones, until they have enough probability."""

import dataclasses
from collections.abc import Callable
from typing import Any

import numpy as np

from tfp_vae.conformal.base import CONFORMAL, ClassScore


@CONFORMAL.register("aps", "the probability of all classes that are more probable")
@dataclasses.dataclass(frozen=True)
class APS(ClassScore):
    """The probability of all classes that are more probable than y (Romano et al., 2020).

    Without the share of y's own probability that the paper adds at random, so that a set is a
    function of the example and never empty: the most probable class has the score 0. Sets then
    cover as stated; more, where the most probable class alone is right more often than that.
    """

    def of_classes(self, probs: Any, where: Callable = np.where) -> Any:
        """Returns the probability above every class."""
        above = more_probable(probs, where)
        return (above @ probs[..., None])[..., 0]


def more_probable(probs: Any, where: Callable = np.where) -> Any:
    """Returns 1.0 where class j is more probable than class k, [..., K, K] of [k, j]."""
    one = probs[..., None, :] * 0 + 1
    return where(probs[..., None, :] > probs[..., :, None], one, 0 * one)
