"""Split conformal prediction: held-out scores, and the regions that cover by them."""

import dataclasses
from collections.abc import Mapping
from typing import Any

import numpy as np

from tfp_vae.arguments import check_number, hint
from tfp_vae.conformal.base import CONFORMAL, Seen
from tfp_vae.conformal.ranks import limit

ALL = ""  # the group of predictors without groups
DEFAULT_LEVEL = 0.9
DEFAULT_SCORES = {"regression": "scaled", "classification": "aps"}


@dataclasses.dataclass(frozen=True)
class Conformal:
    """What covers: a score, and its values on examples that the model was not trained on.

    A new example of the same kind is in its region with probability `level` at least, and at most
    1 / (n + 1) more if no scores are equal: whatever the model, over held-out and new examples
    together (Vovk et al., 2005). Within each group where there are groups ("Mondrian").

    Attributes:
        score: the name of a member of `CONFORMAL`.
        held_out: {group: scores [n]}; the one group `ALL` where there are none.
        options: of the score.
        level: that regions have where nobody asks for another, as in an export.
    """

    score: str
    held_out: "Mapping[str, np.ndarray]"
    options: "Mapping[str, float]" = dataclasses.field(default_factory=dict)
    level: float = DEFAULT_LEVEL

    def __post_init__(self) -> None:
        CONFORMAL.check(self.score)
        check_number("level", self.level, above=0, below=1)
        held_out = {str(k): np.asarray(v, np.float64) for k, v in self.held_out.items()}
        object.__setattr__(self, "held_out", held_out)
        object.__setattr__(self, "options", dict(self.options))

    @classmethod
    def of(
        cls,
        seen: Seen,
        y: np.ndarray,
        score: str,
        *,
        groups: "np.ndarray | None" = None,
        level: float = DEFAULT_LEVEL,
        **options: float,
    ) -> "Conformal":
        """Returns what held-out targets `y` [n] say of predictions of them.

        Args:
            seen: of the predictions, of n examples.
            y: their targets or classes.
            score: a name in `CONFORMAL`.
            groups: to which group each example belongs, [n]; None for one of all.
            level: see `Conformal`.
            **options: of the score.
        """
        CONFORMAL.check(score)
        made = CONFORMAL[score](**options)
        made.check_task("regression" if seen.probs is None else "classification")
        values = made.scores(seen, np.asarray(y))
        named = _names(groups, len(values))
        held_out = {group: values[named == group] for group in sorted(set(named.tolist()))}
        return cls(score, held_out, options, level)

    @property
    def made(self) -> Any:
        """The score, a `ConformalScore` of its task."""
        return CONFORMAL[self.score](**self.options)

    def limits(self, count: int, level: "float | None" = None, groups: Any = None) -> np.ndarray:
        """Returns the highest score inside the region of each of `count` examples, [count].

        Raises:
            ValueError: if there are too few held-out scores for the level, or for a group that the
                held-out examples do not have.
        """
        level = self.level if level is None else level
        if groups is None and list(self.held_out) != [ALL]:
            raise ValueError(
                "The intervals are those of groups. Expected groups, one of "
                f"{', '.join(self.held_out)} for each example. Received None."
            )
        named = _names(groups, count)
        if groups is not None and list(self.held_out) == [ALL]:
            raise ValueError(
                "The calibration knows no groups. Expected groups=None, or a calibration with "
                f"groups. Received {str(named[0])!r}."
            )
        found = {}
        for group in dict.fromkeys(named.tolist()):
            if group not in self.held_out:
                raise ValueError(
                    f"Unknown group. Expected one of {', '.join(self.held_out)}. Received "
                    f"{group!r} at index {int(np.argmax(named == group))}."
                    f"{hint(group, self.held_out)}"
                )
            what = "level" if group == ALL else f"group {group!r} and level"
            found[group] = limit(self.held_out[group], level, what)
        return np.array([found[group] for group in named.tolist()], np.float64)

    def interval(
        self, seen: Seen, level: "float | None" = None, groups: Any = None
    ) -> "tuple[np.ndarray, np.ndarray]":
        """Returns the ends of the intervals that cover, [N] each; see `limits` for errors."""
        limits = self.limits(len(seen.mean), level, groups)
        return self.made.interval(seen, limits)

    def classes(self, seen: Seen, level: "float | None" = None, groups: Any = None) -> np.ndarray:
        """Returns which classes are in the sets that cover, bool [N, K]."""
        limits = self.limits(len(seen.probs), level, groups)
        return self.made.blocks(seen.probs) <= limits[:, None]

    def to_json(self) -> dict:
        """Returns all there is to know, JSON-ready."""
        held_out = {group: values.tolist() for group, values in self.held_out.items()}
        return {
            "score": self.score,
            "options": dict(self.options),
            "level": self.level,
            "held_out": held_out,
        }

    @classmethod
    def from_json(cls, known: Mapping) -> "Conformal":
        """Returns the calibration of `to_json`.

        Raises:
            ValueError: if it is none.
        """
        try:
            found = cls(known["score"], known["held_out"], known["options"], known["level"])
            for name, value in found.options.items():
                check_number(name, value)
            _ = found.made  # unknown options are an error
            held_out = found.held_out.values()
            if not all(v.ndim == 1 and v.size and np.isfinite(v).all() for v in held_out):
                raise ValueError("held-out scores that are no lists of finite numbers")
        except (KeyError, TypeError, AttributeError, ValueError) as error:
            raise ValueError(
                "The calibration is damaged. Expected what Conformal.to_json returned. Received "
                f"{type(error).__name__}: {' '.join(str(error).split())[:200]}"
            ) from error
        return found


def calibrate(
    predictor: Any,
    held_out: Any,
    score: "str | None" = None,
    *,
    groups: "np.ndarray | None" = None,
    level: float = DEFAULT_LEVEL,
    num_samples: int = 100,
    seed: "int | None" = None,
    **options: float,
) -> Conformal:
    """Lets the intervals, or the sets of classes, of a predictor cover; returns what they cover by.

    From then on `predictor.predictive(x).interval(0.9)`, or `.class_set(0.9)`, has the target of
    nine of ten examples of the kind of the held-out ones, whatever the model is worth; a model that
    is worth more has narrower ones.

    Args:
        predictor: what has `predictive`: a network of any method, an ensemble, a posterior over
            weights, a VAE with classes.
        held_out: a `Split` with targets or labels that the model was not trained on.
        score: a name in `CONFORMAL`; "scaled" for numbers and "aps" for classes by default.
        groups: to which group each held-out example belongs, [n]; the groups of new examples are
            then given to `interval`, and each is covered by itself.
        level: of regions where none is asked for, as in an export.
        num_samples: S draws of the weights behind each prediction; predict with as many.
        seed: fixes the draws; the model's seed by default.
        **options: of the score.

    Raises:
        ValueError: for a score of another task, or data that do not fit the model.

    Example:
        >>> tv.conformal.calibrate(bnn, data.validation, "scaled")  # doctest: +SKIP
        >>> low, high = bnn.predictive(data.test).interval(0.9)  # doctest: +SKIP
    """
    if getattr(held_out, "y", None) is None:
        raise ValueError(
            "Held-out examples need targets. Expected a Split with targets or labels. Received "
            f"{held_out!r}."
        )
    predictive = predictor.predictive(held_out, num_samples, seed=seed)
    task = "classification" if predictive.is_categorical else "regression"
    score = DEFAULT_SCORES[task] if score is None else score
    found = Conformal.of(
        Seen.of(predictive), held_out.y, score, groups=groups, level=level, **options
    )
    predictor.conformal = found
    return found


def _names(groups: Any, count: int) -> np.ndarray:
    """Returns the names of the groups of `count` examples, an array of text."""
    if groups is None:
        return np.full(count, ALL)
    groups = np.asarray(groups)
    if groups.shape != (count,):
        raise ValueError(
            f"The groups do not fit the examples. Expected shape ({count},). Received "
            f"{groups.shape}."
        )
    return np.array([str(each) for each in groups.tolist()])
