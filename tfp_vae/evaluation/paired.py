"""Metrics of several models on the same test examples, with the errors of seeds and examples.

A number of a comparison has two sources of error: another seed (weights, order, noise) and other
test examples. Both are crossed: every seed is tried on the same examples. So examples are resampled
for all models and seeds at once, and every metric is computed anew from what it is made of (means,
binned calibration errors, areas under curves). Seeds are too few to be resampled: three of them
have the variance of two thirds. Their part of the error is drawn from Student's t with their
variance instead (the parametric form of the hierarchical bootstrap), which is pooled over models
where models are compared, and never below that of the models themselves.

The variance over seeds holds the interaction of seeds and examples, and so does that over examples:
it is counted once (Owen, 2007, "The pigeonhole bootstrap", says by how much it would be too large).
"""

import dataclasses
import functools
from collections.abc import Callable, Mapping, Sequence

import numpy as np

from tfp_vae.evaluation import calibration

RESAMPLES = 1000
LEVEL = 0.95
# Three examples in N: what 95 % confidence does not exclude of a thing that never happened
# (Hanley & Lippman-Hand, 1983, "If nothing goes wrong, is everything all right?").
_RULE_OF_THREE = 3.0
_BINS = 15
_DRAWS = 8000  # of the largest of all differences


@functools.lru_cache(maxsize=8)
def _counts(size: int, which: int, num: int) -> np.ndarray:
    """Returns how often each example is drawn, [1 + R, N]; first of all once, as they are."""
    rng = np.random.default_rng([size, which])
    drawn = rng.multinomial(size, np.full(size, 1 / size), num)
    return np.concatenate([np.ones((1, size)), drawn]).astype(np.float32)


def _mean(name: str) -> Callable:
    def of(parts: Mapping, counts: np.ndarray) -> np.ndarray:
        values = np.asarray(parts[name], np.float64)
        return counts @ values / counts.sum(axis=1)

    return of


def _calibration_error(bins_of: Callable, prefix: str = "") -> Callable:
    def of(parts: Mapping, counts: np.ndarray) -> np.ndarray:
        log_confidence = np.asarray(parts[f"{prefix}log_confidence"], np.float64)
        gap = np.exp(log_confidence) - np.asarray(parts["correct"], np.float64)
        cells = np.zeros((len(gap), _BINS))
        cells[np.arange(len(gap)), bins_of(log_confidence)] = gap
        return np.abs(counts @ cells).sum(axis=1) / counts.sum(axis=1)

    return of


def _risk_over_coverage(parts: Mapping, counts: np.ndarray) -> np.ndarray:
    log_confidence = np.asarray(parts["log_confidence"], np.float64)
    order = np.argsort(-log_confidence, kind="stable")
    wrong = 1 - np.asarray(parts["correct"], np.float64)[order]
    # Equal confidences are one step: whatever their order, they have their mean error.
    _, tie = np.unique(-log_confidence[order], return_inverse=True)
    wrong = (np.bincount(tie, wrong) / np.bincount(tie))[tie]
    drawn = counts[:, order]
    kept = np.cumsum(drawn, axis=1)
    risk = np.cumsum(drawn * wrong, axis=1) / np.maximum(kept, 1)
    return (drawn * risk).sum(axis=1) / kept[:, -1]


def _detection(parts: Mapping, counts: np.ndarray, outside: np.ndarray) -> tuple:
    """Returns weights of inside and outside examples by rising score, and where a tie ends."""
    scores = np.concatenate([parts["inside"], parts["outside"]]).astype(np.float64)
    values, tie = np.unique(scores, return_inverse=True)
    size = len(parts["inside"])
    sums = []
    for drawn, place in ((counts, tie[:size]), (outside, tie[size:])):
        order = np.argsort(place, kind="stable")
        # Sums within ties: differences of the running sum at their ends.
        running = np.concatenate([np.zeros((len(drawn), 1)), drawn[:, order].cumsum(axis=1)], 1)
        ends = np.searchsorted(place[order], np.arange(len(values)), side="right")
        sums.append(np.diff(running[:, ends], axis=1, prepend=0.0))
    return tuple(sums)


def _auroc(parts: Mapping, counts: np.ndarray, outside: np.ndarray) -> np.ndarray:
    inside, outside = _detection(parts, counts, outside)
    below = inside.cumsum(axis=1) - inside / 2
    return (below * outside).sum(axis=1) / (inside.sum(axis=1) * outside.sum(axis=1))


def _aupr(parts: Mapping, counts: np.ndarray, outside: np.ndarray) -> np.ndarray:
    inside, outside = _detection(parts, counts, outside)
    found = outside[:, ::-1].cumsum(axis=1)
    called = found + inside[:, ::-1].cumsum(axis=1)
    precision = found / np.maximum(called, 1)
    return (precision * outside[:, ::-1]).sum(axis=1) / found[:, -1]


def _fpr95(parts: Mapping, counts: np.ndarray, outside: np.ndarray) -> np.ndarray:
    inside, outside = _detection(parts, counts, outside)
    found = outside[:, ::-1].cumsum(axis=1)
    alarms = inside[:, ::-1].cumsum(axis=1)
    reached = np.argmax(found >= 0.95 * found[:, -1:] - 1e-9, axis=1)
    return alarms[np.arange(len(alarms)), reached] / alarms[:, -1]


def _width(log_confidence: np.ndarray) -> np.ndarray:
    return calibration.equal_width(np.exp(log_confidence), _BINS)


def _mass(log_confidence: np.ndarray) -> np.ndarray:
    return calibration.equal_mass(log_confidence, _BINS)


# Of parts [N], each metric of every resampling of the examples.
_METRICS: "dict[str, Callable]" = {
    "accuracy": _mean("correct"),
    **{name: _mean(name) for name in ("nll", "nll_scaled", "brier", "log_likelihood", "elbo")},
    "ece": _calibration_error(_width),
    "ece_scaled": _calibration_error(_width, "scaled_"),
    "ece_adaptive": _calibration_error(_mass),
    "aurc": _risk_over_coverage,
}
_DETECTIONS: "dict[str, Callable]" = {"auroc": _auroc, "aupr": _aupr, "fpr95": _fpr95}
METRICS = (*_METRICS, *_DETECTIONS)
_SPREAD = {"brier": 2.0}  # by how much one example can change a metric; else 1 or what is seen


@dataclasses.dataclass(frozen=True)
class Sample:
    """A metric of one model by seed, as measured and with its examples resampled.

    Attributes:
        values: {seed: what was measured}.
        draws: {seed: [R]}, the same resampled examples for every seed and model.
        least: the smallest half of an interval: three examples in N.
    """

    values: "Mapping[int, float]"
    draws: "Mapping[int, np.ndarray]"
    least: float

    @property
    def mean(self) -> float:
        """The mean over seeds."""
        return float(np.mean([*self.values.values()]))

    def minus(self, other: "Sample") -> "Sample":
        """Returns the difference, seed by seed and example by example."""
        both = [seed for seed in self.values if seed in other.values]
        return Sample(
            {seed: self.values[seed] - other.values[seed] for seed in both},
            {seed: self.draws[seed] - other.draws[seed] for seed in both},
            max(self.least, other.least),
        )


@dataclasses.dataclass(frozen=True)
class Interval:
    """A mean over n seeds and its interval."""

    mean: float
    lower: float
    upper: float
    n: int


@dataclasses.dataclass(frozen=True)
class Pair:
    """A difference a - b, its interval, and how likely a is the better one.

    Attributes:
        a, b: models.
        difference: of the means.
        lower, upper: ends of its interval.
        probability: that a is better than b, within (0, 1).
        adjusted: how often the largest of all differences of the models is as large, in units of
            its error, if all are equal: below 0.05 the two are told apart, whatever the number of
            models that were looked at.
    """

    a: str
    b: str
    difference: float
    lower: float
    upper: float
    probability: float
    adjusted: float


def sample(metric: str, by_seed: "Mapping[int, Mapping]", resamples: int = RESAMPLES) -> Sample:
    """Returns a metric of one model.

    Args:
        metric: one of `METRICS`.
        by_seed: {seed: parts}, each part an array [N] in the order of the examples, which are the
            same for all models: `calibration.parts`, `nll_scaled` and `scaled_log_confidence`,
            `log_likelihood`, `elbo`; of detection `inside` [N] and `outside` [M].
        resamples: R.

    Raises:
        ValueError: if there are fewer than two examples.
    """
    function = _DETECTIONS[metric] if metric in _DETECTIONS else _METRICS[metric]
    found, least = {}, np.inf
    for seed, parts in by_seed.items():
        size = _sizes(parts)
        least = min(least, *size)
        if least < 2:
            raise ValueError(
                "There are too few examples for an interval. Expected at least 2. Received "
                f"{int(least)} of seed {seed}."
            )
        # What was made of the test examples has as many, and is drawn together with them.
        counts = [_counts(each, 0 if each == size[0] else 1, resamples) for each in size]
        found[seed] = function(parts, *counts)
    spread = _SPREAD.get(metric, 1.0)
    if metric in ("nll", "nll_scaled", "log_likelihood", "elbo"):
        each = np.concatenate([np.ravel(parts[metric]) for parts in by_seed.values()])
        spread = float(np.ptp(each)) or 1.0
    return Sample(
        {seed: float(values[0]) for seed, values in found.items()},
        {seed: values[1:] for seed, values in found.items()},
        _RULE_OF_THREE * spread / least,
    )


def _sizes(parts: Mapping) -> "tuple[int, ...]":
    if "inside" in parts:
        return len(parts["inside"]), len(parts["outside"])
    return (len(next(iter(parts.values()))),)


def average(samples: Sequence[Sample]) -> Sample:
    """Returns the mean of several samples of one model, such as those of several conditions."""
    seeds = [seed for seed in samples[0].values if all(seed in s.values for s in samples)]
    return Sample(
        {seed: float(np.mean([s.values[seed] for s in samples])) for seed in seeds},
        {seed: np.mean([s.draws[seed] for s in samples], axis=0) for seed in seeds},
        float(np.mean([s.least for s in samples])),
    )


@dataclasses.dataclass(frozen=True)
class _Errors:
    """The parts of the error of one mean: over seeds without the interaction, and examples [R]."""

    mean: float
    over_seeds: float
    interaction: float
    examples: np.ndarray
    n: int

    @classmethod
    def of(cls, one: Sample) -> "_Errors":
        values = np.array([*one.values.values()])
        draws = np.stack([*one.draws.values()])
        mean, count = draws.mean(axis=0), len(values)
        over_seeds = interaction = 0.0
        if count > 1:
            over_seeds = float(values.var(ddof=1) / count)
            each = float(draws.var(axis=1).mean())
            interaction = max(each - float(mean.var()), 0.0) / (count - 1)
        return cls(float(values.mean()), over_seeds, interaction, mean - mean.mean(), count)


def interval(one: Sample, level: float = LEVEL) -> Interval:
    """Returns the mean of a sample and its interval of both errors; of one seed of examples alone.

    The interval is never without a width: an accuracy of 1 on N examples is at least 1 - 3 / N.
    """
    errors = _Errors.of(one)
    noise = errors.examples
    if errors.n > 1:
        variance = max(errors.over_seeds - errors.interaction, 0.0)
        noise = noise + np.sqrt(variance) * _student(1, len(noise), errors.n - 1)[0]
    return Interval(*_ends(errors.mean, noise, one.least, level), errors.n)


def _student(rows: int, resamples: int, degrees: int) -> np.ndarray:
    """Returns draws of Student's t, [rows, R], of one variance: the rows share its error."""
    rng = np.random.default_rng([7, degrees])
    normal = rng.standard_normal((rows, resamples))
    return normal / np.sqrt(rng.chisquare(degrees, resamples) / degrees)


def _ends(mean: float, noise: np.ndarray, least: float, level: float) -> tuple:
    low, high = np.quantile(noise, [(1 - level) / 2, (1 + level) / 2])
    if high - low < 1e-12:
        low, high = -least, least
    return mean, float(mean + low), float(mean + high)


def pairs(
    samples: "Mapping[str, Sample]", direction: int = 1, level: float = LEVEL
) -> "list[Pair]":
    """Returns every pair of models, in the order given, with the errors of their difference.

    Models that share fewer than two seeds have no pair: what another seed would change of their
    difference is not known.

    Args:
        samples: by model, of one metric on the same examples.
        direction: 1 if more is better, -1 if less is.
        level: of the intervals, of each difference alone.
    """
    names = [*samples]
    found: dict = {}
    for i, a in enumerate(names):
        for b in names[i + 1 :]:
            gap = samples[a].minus(samples[b])
            if len(gap.values) > 1:
                found[a, b] = gap, _Errors.of(gap)
    if not found:
        return []
    errors = [each for _, each in found.values()]
    resamples = len(errors[0].examples)
    pooled = float(np.mean([each.over_seeds for each in errors]))
    together = float(np.mean([each.interaction for each in errors]))
    compared = {name for pair in found for name in pair}
    degrees = (len(compared) - 1) * (min(each.n for each in errors) - 1)
    # Differences of independent models: of two with a noise of 1 / sqrt(2) each it is 1.
    noise = dict(zip(names, _student(len(names), resamples, degrees) / np.sqrt(2), strict=True))
    draws, scales = [], []
    for (a, b), (gap, each) in found.items():
        variance = max(each.over_seeds, pooled) - min(each.interaction, together)
        drawn = each.examples + np.sqrt(max(variance, 0.0)) * (noise[a] - noise[b])
        draws.append(drawn)
        spread = float(np.sqrt(each.examples.var() + max(variance, 0.0)))
        scales.append(max(spread, 1e-12, gap.least / 2 if spread < 1e-12 else 0.0))
    largest = _largest(found, samples, noise_scale=pooled - together, degrees=degrees)
    result = []
    for ((a, b), (gap, each)), drawn, scale in zip(found.items(), draws, scales, strict=True):
        mean, lower, upper = _ends(each.mean, drawn, gap.least, level)
        better = direction * (each.mean + drawn)
        wins = np.sum(better > 0) + np.sum(better == 0) / 2
        adjusted = (1 + np.sum(largest >= abs(mean) / scale)) / (len(largest) + 1)
        result.append(
            Pair(
                a,
                b,
                mean,
                lower,
                upper,
                float((wins + 0.5) / (resamples + 1)),
                float(adjusted) if mean else 1.0,
            )
        )
    return result


def _largest(found: dict, samples: Mapping, noise_scale: float, degrees: int) -> np.ndarray:
    """Returns draws of the largest difference of equal models, in units of its error.

    Normal over examples, as means of many are, with the covariance of the resampled ones: their
    tails are too few for what one in a hundred would say.
    """
    names = [name for name in samples if any(name in pair for pair in found)]
    draws = np.stack([np.mean([*samples[name].draws.values()], axis=0) for name in names])
    covariance = np.cov(draws) + 1e-24 * np.eye(len(names))
    variance = max(noise_scale, 0.0)
    rng = np.random.default_rng(11)
    values, vectors = np.linalg.eigh(covariance)
    normal = rng.standard_normal((_DRAWS, len(names)))
    examples = normal @ (vectors * np.sqrt(np.maximum(values, 0.0))).T
    seeds = _student(len(names), _DRAWS, degrees).T * np.sqrt(variance / 2)
    place = {name: index for index, name in enumerate(names)}
    first, second = (np.array([place[pair[i]] for pair in found]) for i in (0, 1))
    drawn = examples[:, first] - examples[:, second]
    spread = np.sqrt(np.maximum(_variances(covariance, first, second), 1e-24) + variance)
    return np.max(np.abs(drawn + seeds[:, first] - seeds[:, second]) / spread, axis=1)


def _variances(covariance: np.ndarray, first: np.ndarray, second: np.ndarray) -> np.ndarray:
    diagonal = np.diag(covariance)
    return diagonal[first] + diagonal[second] - 2 * covariance[first, second]
