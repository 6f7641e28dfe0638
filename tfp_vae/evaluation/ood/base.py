"""What a score is: a number of one example that is to be high for what is out of distribution."""

import dataclasses
import functools
from collections.abc import Callable
from typing import ClassVar

import numpy as np

from tfp_vae.data import Split
from tfp_vae.models import VAE, Predictive
from tfp_vae.registry import Registry

SCORES = Registry(
    "tfp_vae.evaluation.ood",
    "score",
    first=(
        "negative_log_evidence",
        "negative_elbo",
        "typicality",
        "likelihood_regret",
        "input_complexity",
        "predictive_entropy",
        "mutual_information",
        "one_minus_max_probability",
    ),
)


@dataclasses.dataclass(frozen=True)
class Density:
    """What is known of examples by a model of p(x).

    Attributes:
        split: the examples.
        bounds: a function that returns log p(x) and its bound, [N] each, nats; called once.
        reference: mean log p(x) of validation data, or None.
        vae: the model; None where p(x) is not that of one VAE.
        regret: arguments of `likelihood_regret`.
    """

    split: Split
    bounds: "Callable[[], tuple[np.ndarray, np.ndarray | None]]"
    reference: "float | None" = None
    vae: "VAE | None" = None
    regret: dict = dataclasses.field(default_factory=dict)

    @functools.cached_property
    def _bounds(self):
        return self.bounds()

    @property
    def log_evidence(self) -> np.ndarray:
        """Log p(x), [N] float64, nats."""
        return np.asarray(self._bounds[0], np.float64)

    @property
    def elbo(self) -> np.ndarray:
        """The ELBO, [N] float64, nats."""
        return np.asarray(self._bounds[1], np.float64)


class Score:
    """A score; `SCORES[name]()`. A new one is one file with a subclass of one of the two below.

    Attributes:
        reported_as: its name in reports, a key of "scores" in the texts.
    """

    reported_as: ClassVar[str]


class DensityScore(Score):
    """A score of a model of p(x).

    Attributes:
        compared: whether it is one of those that a comparison of models reports.
        one_vae: whether it needs the VAE itself, and not only its numbers.
        is_log_density: whether it is log p(x) or its bound, up to the sign.
        portable: whether it is arithmetic of the numbers of `Density`, also where they are tensors.
    """

    compared: ClassVar[bool] = True
    one_vae: ClassVar[bool] = False
    is_log_density: ClassVar[bool] = False
    portable: ClassVar[bool] = False

    def check(self, seen: Density) -> None:
        """Raises `ValueError`, before anything is computed, if the score does not exist."""

    def __call__(self, seen: Density) -> np.ndarray:
        """Returns the score, [N] float64."""
        raise NotImplementedError


class ClassScore(Score):
    """A score of a classifier's prediction.

    Attributes:
        needs_draws: whether it is 0 for a prediction that is not a mean over draws.
    """

    needs_draws: ClassVar[bool] = False

    def __call__(self, predictive: Predictive) -> np.ndarray:
        """Returns the score, [N] float64."""
        raise NotImplementedError


def of_kind(kind: type) -> "dict[str, Score]":
    """Returns the scores of one kind, by name."""
    return {name: score() for name, score in SCORES.items() if issubclass(score, kind)}
