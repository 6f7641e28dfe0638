"""Metrics of several models on the same test examples, with the errors of seeds and examples.

A number of a comparison has two sources of error: another seed (weights, order, noise) and other
test examples. Both are crossed: every seed is tried on the same examples. So examples are resampled
for all models and seeds at once, and every metric is computed anew from what it is made of (means,
binned calibration errors, areas under curves). Seeds are too few to be resampled: three of them
have the variance of two thirds. Their part of the error is Student's t with their own variance
instead (the parametric form of the hierarchical bootstrap): that of the model, or of the
differences of two models. It is not pooled over models: some vary ten times as much as others, and
a common variance would be too small for them.

The variance over seeds holds the interaction of seeds and examples, and so does that over examples:
it is counted once (Owen, 2007, "The pigeonhole bootstrap", says by how much it would be too large).
Intervals take it off the seeds. The rule that tells models apart takes it off the examples, and
has a variance over seeds of each model, which knows more than that of the differences, see
`_over_seeds`.
"""

import dataclasses
import functools
from collections.abc import Callable, Mapping, Sequence

import numpy as np
from scipy import special

from tfp_vae.evaluation import calibration

RESAMPLES = 1000
LEVEL = 0.95
# Three examples in N: what 95 % confidence does not exclude of a thing that never happened
# (Hanley & Lippman-Hand, 1983, "If nothing goes wrong, is everything all right?").
_RULE_OF_THREE = 3.0
_BINS = 15
_BORROWED = 4.0  # degrees of freedom from other models, at most
_POINTS = 300  # of the distribution of a variance


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


def _detection(
    parts: Mapping, counts: np.ndarray, outside: np.ndarray
) -> "tuple[np.ndarray, np.ndarray]":
    """Returns weights of inside and outside examples by rising score, those of a tie together."""
    scores = [np.asarray(parts[name], np.float64).tobytes() for name in ("inside", "outside")]
    return _weights_by_score(*scores, len(counts) - 1)


# The metrics of the same scores are asked for one after the other, those of all seeds by turns.
@functools.lru_cache(maxsize=8)
def _weights_by_score(inside: bytes, outside: bytes, resamples: int) -> "tuple":
    each = [np.frombuffer(one, np.float64) for one in (inside, outside)]
    values, tie = np.unique(np.concatenate(each), return_inverse=True)
    size, sums = len(each[0]), []
    for which, place in zip(_drawn([*map(len, each)]), (tie[:size], tie[size:]), strict=True):
        drawn = _counts(len(place), which, resamples)
        order = np.argsort(place, kind="stable")
        # Sums within ties: differences of the running sum at their ends.
        running = np.zeros((len(drawn), len(place) + 1))
        np.cumsum(drawn[:, order], axis=1, out=running[:, 1:])
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
        adjusted: the p-value of the difference for all pairs of models at once (Shaffer, 1986):
            below 0.05 the two are told apart, whatever the number of models that were looked at.
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
        counts = [
            _counts(each, which, resamples) for each, which in zip(size, _drawn(size), strict=True)
        ]
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


def _drawn(sizes: "Sequence[int]") -> "list[int]":
    """Returns which examples are drawn: as many as the first are drawn together with those."""
    return [0 if size == sizes[0] else 1 for size in sizes]


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
    """The parts of the errors of means [P] over the same n seeds.

    Attributes:
        mean: [P].
        over_seeds, interaction: variances [P]; the first holds the second.
        examples: [P, R], around 0; their variance holds the interaction too.
        least: [P], see `Sample`.
        n: of seeds.
    """

    mean: np.ndarray
    over_seeds: np.ndarray
    interaction: np.ndarray
    examples: np.ndarray
    least: np.ndarray
    n: int

    @classmethod
    def of(cls, values: np.ndarray, draws: np.ndarray, least: np.ndarray) -> "_Errors":
        """Returns those of values [P, n] and draws [P, n, R]."""
        mean, count = draws.mean(axis=1), values.shape[1]
        over_seeds = interaction = np.zeros(len(values))
        if count > 1:
            over_seeds = values.var(axis=1, ddof=1) / count
            each = draws.var(axis=2).mean(axis=1)
            interaction = np.maximum(each - mean.var(axis=1), 0) / (count - 1)
        centred = mean - mean.mean(axis=1, keepdims=True)
        return cls(values.mean(axis=1), over_seeds, interaction, centred, least, count)

    def noise(self) -> np.ndarray:
        """Returns draws of the errors [P, R]; of one seed of examples alone."""
        if self.n < 2:
            return self.examples
        spread = np.sqrt(np.maximum(self.over_seeds - self.interaction, 0))
        return self.examples + spread[:, None] * _student(self.examples.shape[1], self.n - 1)

    def ends(self, noise: np.ndarray, level: float) -> "tuple[np.ndarray, np.ndarray]":
        """Returns lower and upper ends [P] of the intervals of draws [P, R]."""
        low, high = np.quantile(noise, [(1 - level) / 2, (1 + level) / 2], axis=1)
        flat = high - low < 1e-12
        low, high = np.where(flat, -self.least, low), np.where(flat, self.least, high)
        return self.mean + low, self.mean + high

    def p_values(self, over_seeds: np.ndarray, degrees: np.ndarray) -> np.ndarray:
        """Returns how often differences that are 0 are as large [P].

        Normal over examples, as means of many are: resampled ones are too few for what one in a
        thousand would say. Over seeds normal with a variance that is known as well as theirs is,
        so the share is a mean over what the variance may be.

        Args:
            over_seeds: variances [P], see `_over_seeds`.
            degrees: of freedom of these [P].
        """
        examples = np.maximum(self.examples.var(axis=1) - self.interaction, 0)
        none = examples + over_seeds < 1e-24
        examples = np.where(none, np.square(self.least / 2), examples)
        scale, weights = _variances(degrees)
        total = examples[:, None] + over_seeds[:, None] / scale
        return special.erfc(np.abs(self.mean)[:, None] / np.sqrt(2 * total)) @ weights


def _over_seeds(
    values: np.ndarray, first: np.ndarray, second: np.ndarray
) -> "tuple[np.ndarray, np.ndarray]":
    """Returns variances over seeds [P] of differences of means, and their degrees of freedom.

    A model trained with a seed knows nothing of another one with that seed, so the variance of a
    difference is a sum of two, each of n - 1 degrees of freedom (Welch, 1947), where that of n
    differences has n - 1 in all. What seeds have in common, as where they choose the labels, is
    taken off before, if it is there (an F-test at 1 %).

    Variances of models borrow degrees of freedom from each other by how alike they are (Smyth,
    2004): logarithms of variances of equal things differ by trigamma(degrees / 2), and what they
    differ by more is what the things do. None is taken below what was seen.

    Args:
        values: [M, n].
        first: [P], places of the first models of pairs.
        second: [P], of the second ones.
    """
    models, count = values.shape
    degrees = count - 1.0
    rest = values - values.mean(axis=1, keepdims=True)
    alone = rest - rest.mean(axis=0)
    common, free = models * np.square(rest.mean(axis=0)).sum(), (models - 1) * degrees
    inside = np.square(alone).sum()
    if common > inside / (models - 1) * special.fdtri(degrees, free, 0.99):
        rest, degrees = alone, free / models
    seen = np.square(rest).sum(axis=1) / degrees / count
    borrowed = _alike(seen, degrees, min(_BORROWED, models - 2))
    shrunk = (borrowed * seen.mean() + degrees * seen) / (borrowed + degrees)
    a, b = (np.maximum(seen, shrunk)[each] for each in (first, second))
    total, squares = a + b, np.square(a) + np.square(b)
    known = np.divide(np.square(total), squares, out=np.ones_like(total), where=squares > 0)
    return total, known * (borrowed + degrees)


def _alike(variances: np.ndarray, degrees: float, most: float) -> float:
    """Returns how many degrees of freedom the other variances [M] are worth, at most so many."""
    if most <= 0 or not variances.any():
        return 0.0
    known = np.maximum(variances, 1e-3 * variances.mean())
    more = np.log(known).var(ddof=1) - special.polygamma(1, degrees / 2)
    borrowed = np.linspace(most, 0.05, 100)
    return float(np.interp(more, special.polygamma(1, borrowed / 2), borrowed))


@functools.lru_cache(maxsize=8)
def _student(resamples: int, degrees: int) -> np.ndarray:
    """Returns Student's t in as many equally likely steps, [R], shuffled."""
    steps = special.stdtrit(degrees, (np.arange(resamples) + 0.5) / resamples)
    return np.random.default_rng([7, degrees]).permutation(steps)


def _variances(degrees: np.ndarray) -> "tuple[np.ndarray, np.ndarray]":
    """Returns what variances of `degrees` [P] may be found as, if they are 1, [P, points].

    And how often each, [points].

    Closest where it is small, which is what large differences hang on.
    """
    edges = np.square(np.linspace(0, 1, _POINTS + 1))
    middle = np.square((np.arange(_POINTS) + 0.5) / _POINTS)
    return special.chdtri(degrees[:, None], 1 - middle) / degrees[:, None], np.diff(edges)


def interval(one: Sample, level: float = LEVEL) -> Interval:
    """Returns the mean of a sample and its interval of both errors; of one seed of examples alone.

    The interval is never without a width: an accuracy of 1 on N examples is at least 1 - 3 / N.
    """
    values, draws = np.array([*one.values.values()]), np.stack([*one.draws.values()])
    errors = _Errors.of(values[None], draws[None], np.array([one.least]))
    (lower,), (upper,) = errors.ends(errors.noise(), level)
    return Interval(float(errors.mean[0]), float(lower), float(upper), errors.n)


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
    alike: dict[tuple, list] = {}  # pairs by the seeds that they share: they are one array
    for i, a in enumerate(names):
        for b in names[i + 1 :]:
            seeds = tuple(seed for seed in samples[a].values if seed in samples[b].values)
            if len(seeds) > 1:
                alike.setdefault(seeds, []).append((a, b))
    found = {}
    for seeds, those in alike.items():
        for pair, numbers in zip(those, _differences(samples, those, seeds, level), strict=True):
            found[pair] = numbers
    ordered = sorted(found, key=lambda pair: found[pair]["p"])
    adjusted = 0.0
    for pair, count in zip(ordered, _may_be_equal(len(names), len(ordered)), strict=True):
        adjusted = max(adjusted, min(1.0, count * found[pair]["p"]))
        found[pair]["adjusted"] = adjusted
    result = []
    for a, b in ((a, b) for i, a in enumerate(names) for b in names[i + 1 :] if (a, b) in found):
        numbers = found[a, b]
        above = numbers["above"]
        result.append(
            Pair(
                a,
                b,
                numbers["mean"],
                numbers["lower"],
                numbers["upper"],
                above if direction > 0 else 1 - above,
                numbers["adjusted"],
            )
        )
    return result


def _may_be_equal(models: int, pairs: int) -> "list[int]":
    """Returns how many pairs can be equal when 0, 1, 2, ... of them are known to differ.

    All of the rest by Holm (1979). But if one of seven models differs from another, it differs from
    one of each other pair too: of 21 pairs not 20 but 15 can be equal, those of six equal models
    (Shaffer, 1986).
    """
    possible = [{0}, {0}]  # numbers of equal pairs among so many models, as they fall into groups
    for count in range(2, models + 1):
        sizes = range(1, count + 1)
        found = {size * (size - 1) // 2 + rest for size in sizes for rest in possible[count - size]}
        possible.append(found)
    if pairs < models * (models - 1) // 2:
        return [*range(pairs, 0, -1)]
    return [max(n for n in possible[models] if n <= left) for left in range(pairs, 0, -1)]


def _differences(samples: Mapping, those: "list[tuple]", seeds: tuple, level: float) -> "list":
    """Returns what is known of differences on the same seeds: ends, p-value, share above 0."""
    models = dict.fromkeys(name for pair in those for name in pair)
    place = {name: index for index, name in enumerate(models)}
    values = np.array([[samples[name].values[seed] for seed in seeds] for name in models])
    draws = np.array([[samples[name].draws[seed] for seed in seeds] for name in models])
    least = np.array([samples[name].least for name in models])
    first, second = (np.array([place[pair[i]] for pair in those]) for i in (0, 1))
    errors = _Errors.of(
        values[first] - values[second],
        draws[first] - draws[second],
        np.maximum(least[first], least[second]),
    )
    noise = errors.noise()
    drawn = errors.mean[:, None] + noise
    wins = np.sum(drawn > 0, axis=1) + np.sum(drawn == 0, axis=1) / 2
    columns = {
        "mean": errors.mean,
        "p": errors.p_values(*_over_seeds(values, first, second)),
        "above": (wins + 0.5) / (noise.shape[1] + 1),
        **dict(zip(("lower", "upper"), errors.ends(noise, level), strict=True)),
    }
    return [
        {name: float(column[row]) for name, column in columns.items()} for row in range(len(those))
    ]
