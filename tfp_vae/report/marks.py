"""Which models are best within error: the rule that tables and sentences of a report share.

Where models are compared pair by pair ("pairs" of a report: the same seeds and test examples), a
model is among the best unless another one is better than it at 5 %, for all pairs of models at
once (Holm's p-values, `evaluation.paired`). So the chance that any of equal models is left out is
at most about 5 %, however many there are.

Without pairs the best model has the best mean, and with it are marked all whose interval overlaps
with its interval. For two independent estimates with equal 95 % intervals that is a test at the
level of about 0.6 %, and blind to what two models have in common.

A single value (n = 1) without a width has an error that nobody knows, and is treated as if its
interval had no ends; but not if it counts or measures a cost, such as parameters or seconds.
"""

import dataclasses
import math
from collections.abc import Mapping, Sequence

from tfp_vae.report.comparison import key_of

_UP = "accuracy auroc aupr log_likelihood elbo"
_DOWN = (
    "nll nll_scaled brier ece ece_scaled ece_adaptive aurc fpr95 error rmse mae bits_per_dim drop"
)
ALPHA = 0.05  # of all pairs of models at once
# The sizes of a difference in words, each up to a share: of what the worse one lacks to perfection,
# or of log-likelihoods, which have none, up to so many nats per example.
SIZES = ("negligible", "small", "medium", "large")
_SHARES, _NATS = (0.05, 0.2, 0.5), (0.1, 1.0, 10.0)
_PERFECT = dict.fromkeys("accuracy auroc aupr".split(), 1.0)
COSTS = frozenset("seconds milliseconds parameters memory".split())
DIRECTIONS: "dict[str, int]" = {
    **dict.fromkeys(_UP.split(), 1),
    **dict.fromkeys([*_DOWN.split(), *sorted(COSTS)], -1),
}


@dataclasses.dataclass(frozen=True)
class Estimate:
    """A mean of n values and its interval; `exact` says that no width means no error."""

    mean: float
    lower: float
    upper: float
    n: int = 1
    exact: bool = False

    @property
    def known(self) -> bool:
        """Whether anything is known about the error."""
        return self.exact or self.n > 1 or self.lower < self.upper

    def overlaps(self, other: "Estimate") -> bool:
        """Whether the intervals have a point in common."""
        if not (self.known and other.known):
            return True
        return self.lower <= other.upper and other.lower <= self.upper

    def minus(self, other: "Estimate") -> "Estimate":
        """Returns the difference with an interval from both, of the same confidence.

        Newcombe, 1998 (method 10): the half-widths that face each other, as root of the sum of
        squares. It takes the two as independent; models and conditions that share their test
        examples have a smaller error than that as a rule.
        """
        mean = self.mean - other.mean
        down = math.hypot(max(self.mean - self.lower, 0), max(other.upper - other.mean, 0))
        up = math.hypot(max(self.upper - self.mean, 0), max(other.mean - other.lower, 0))
        exact = self.exact and other.exact
        return Estimate(mean, mean - down, mean + up, min(self.n, other.n), exact)


def interval(values) -> "tuple[float, float, float]":
    """Returns mean, lower and upper of the 95 % interval of Student's t over seeds.

    One value has no interval: both ends are the value. For what is measured once per seed: it says
    what another seed would give (weights, order, noise), not what other test examples would.
    """
    import numpy as np
    from scipy import stats  # loaded when used

    values = np.asarray(values, np.float64)
    mean, count = float(values.mean()), len(values)
    if count < 2:
        return mean, mean, mean
    half = float(stats.t.ppf(0.975, count - 1) * values.std(ddof=1) / np.sqrt(count))
    return mean, mean - half, mean + half


@dataclasses.dataclass(frozen=True)
class Marked:
    """An estimate of one model, and whether it is best within error."""

    model: str
    estimate: Estimate
    best: bool


def estimate_of(result: Mapping) -> Estimate:
    """Returns the estimate of an entry of "results"."""
    numbers = (float(result[part]) for part in ("mean", "lower", "upper"))
    return Estimate(*numbers, result["n"], result["metric"] in COSTS)


def estimate_of_pair(pair: Mapping, direction: int = 1) -> Estimate:
    """Returns the difference of an entry of "pairs", above 0 where a is the better one."""
    ends = sorted(direction * pair[part] for part in ("lower", "upper"))
    return Estimate(direction * pair["difference"], *ends, 2)


def ordered(estimates: "Mapping[str, Estimate]", direction: int) -> list[str]:
    """Returns the models, best mean first; with equal means in the order given."""
    return sorted(estimates, key=lambda model: -direction * estimates[model].mean)


def best_within_error(estimates: "Mapping[str, Estimate]", direction: int) -> frozenset[str]:
    """Returns the models that are best within error, as this module defines it.

    Args:
        estimates: by model.
        direction: 1 if more is better, -1 if less is, 0 if neither.

    Returns:
        Names of models; none if there is one model only or no direction.
    """
    if len(estimates) < 2 or not direction:
        return frozenset()
    leader = estimates[ordered(estimates, direction)[0]]
    return frozenset(model for model, one in estimates.items() if one.overlaps(leader))


def best_by_pairs(
    pairs: Sequence[Mapping], estimates: "Mapping[str, Estimate]", direction: int
) -> frozenset[str]:
    """Returns the models that no other one is better than, by the entries of "pairs" of one key.

    Models without pairs are among them: nothing is known of their differences.
    """
    beaten = set()
    for pair in pairs:
        if pair["adjusted"] < ALPHA:
            beaten.add(pair["b" if direction * pair["difference"] > 0 else "a"])
    return frozenset(estimates) - beaten


def size_of(metric: str, a: float, b: float) -> str:
    """Returns one of `SIZES`: how large the difference of two means is, in words."""
    if metric in ("log_likelihood", "elbo"):
        gap, limits = abs(a - b), _NATS
    else:
        best = _PERFECT.get(metric, 0.0)
        lacking = max(abs(best - a), abs(best - b))
        gap, limits = (abs(a - b) / lacking if lacking else 0.0), _SHARES
    return SIZES[sum(gap >= limit for limit in limits)]


def by_key(pairs: Sequence[Mapping]) -> "dict[tuple, list[Mapping]]":
    """Returns {(task, metric, condition, level): entries of "pairs"}."""
    found: dict[tuple, list[Mapping]] = {}
    for pair in pairs:
        found.setdefault(key_of(pair), []).append(pair)
    return found


def mark(results: Sequence[Mapping], pairs: Sequence[Mapping] = ()) -> "dict[tuple, list[Marked]]":
    """Returns the results with marks, {(task, metric, condition, level): [Marked]}.

    Args:
        results: the entries of "results" of a report.
        pairs: its entries of "pairs".

    Returns:
        Keys and models in the order in which they come first.
    """
    groups: dict[tuple, dict[str, Estimate]] = {}
    for result in results:
        groups.setdefault(key_of(result), {})[result["model"]] = estimate_of(result)
    marked, compared = {}, by_key(pairs)
    for key, estimates in groups.items():
        direction = DIRECTIONS.get(key[1], 0)
        if key in compared:
            best = best_by_pairs(compared[key], estimates, direction)
        else:
            best = best_within_error(estimates, direction)
        marked[key] = [Marked(model, one, model in best) for model, one in estimates.items()]
    return marked
