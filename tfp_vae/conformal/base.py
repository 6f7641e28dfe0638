"""What a conformal score is: how badly a prediction and a target fit, and what fits well enough.

    @CONFORMAL.register("absolute", "|y - mean|")
    class Absolute(IntervalScore): ...

Pure NumPy. `interval` and `of_classes` are arithmetic alone where `portable` says so, so that an
export computes the same with tensors of another library.
"""

import dataclasses
from collections.abc import Callable
from typing import Any, ClassVar

import numpy as np

from tfp_vae.registry import Registry

CONFORMAL = Registry(
    "tfp_vae.conformal",
    "conformal score",
    first=("absolute", "scaled", "quantile", "aps", "raps"),
)


@dataclasses.dataclass(frozen=True)
class Seen:
    """The numbers of predictive distributions of N examples that scores look at.

    Attributes:
        mean: [N], in the unit of the target; None for classes.
        scale: standard deviations [N]; None for classes.
        quantile: probabilities [L] -> quantiles [L, N]; None for classes.
        probs: class probabilities [N, K]; None for numbers.
    """

    mean: Any = None
    scale: Any = None
    quantile: "Callable[[np.ndarray], np.ndarray] | None" = None
    probs: Any = None

    @classmethod
    def of(cls, predictive: Any) -> "Seen":
        """Returns what there is to see of a `models.Predictive`, batch shape [N]."""
        if predictive.is_categorical:
            return cls(probs=np.asarray(predictive.probs))
        return cls(
            np.asarray(predictive.mean(), np.float64),
            np.sqrt(np.asarray(predictive.total, np.float64)),
            lambda p: np.asarray(predictive.quantile(np.float32(p)[:, None]), np.float64),
        )


class ConformalScore:
    """A score: high where prediction and target do not fit.

    The options are the fields of a frozen dataclass, plain numbers.

    Attributes:
        task: "regression" or "classification".
        portable: whether regions are arithmetic of mean, scale or class probabilities.
    """

    task: ClassVar[str]
    portable: ClassVar[bool] = True

    def scores(self, seen: Seen, y: np.ndarray) -> np.ndarray:
        """Returns the scores of targets `y` [N], [N]."""
        raise NotImplementedError

    def check_task(self, task: "str | None") -> None:
        """Raises `ValueError` if the score is of another task than "regression" and the like."""
        if self.task != task:
            fitting = [name for name in CONFORMAL if CONFORMAL[name].task == task]
            raise ValueError(
                f"{type(self).__name__} is a score of {self.task}. Expected one of "
                f"{', '.join(fitting)}. Received data for {task}."
            )


class IntervalScore(ConformalScore):
    """A score of numbers, whose regions are intervals."""

    task = "regression"

    def interval(self, seen: Seen, limit: Any) -> "tuple[Any, Any]":
        """Returns the ends [N] of the targets whose score is at most `limit`, a number or [N]."""
        raise NotImplementedError


class ClassScore(ConformalScore):
    """A score of classes, whose regions are sets."""

    task = "classification"

    def of_classes(self, probs: Any, where: Callable = np.where) -> Any:
        """Returns the score of every class, [N, K] -> [N, K].

        Args:
            probs: class probabilities.
            where: of the library that `probs` are of.
        """
        raise NotImplementedError

    def scores(self, seen: Seen, y: np.ndarray) -> np.ndarray:
        """Returns the scores of the classes `y` [N], [N]."""
        return np.take_along_axis(self.blocks(seen.probs), np.asarray(y)[:, None], axis=1)[:, 0]

    def blocks(self, probs: np.ndarray) -> np.ndarray:
        """Returns `of_classes` of many examples, of some at a time, [N, K]."""
        rows = max(1, 2**22 // probs.shape[1] ** 2)
        parts = [self.of_classes(probs[i : i + rows]) for i in range(0, len(probs), rows)]
        return np.concatenate(parts) if parts else np.empty(probs.shape)
