"""How good class probabilities are: accuracy, proper scores, calibration, and what to reject.

Everything is a pure function of log_probs [N, K], the normalised log predictive probabilities in
nats (for a model with random weights the log of the averaged probabilities), and of labels [N],
integers in 0..K-1. Sums are float64 whatever the input. The prediction is the most probable class,
the first of them where several tie; the confidence is its probability.
"""

import math
import warnings
from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from tfp_vae.arguments import check_number
from tfp_vae.evaluation import checks

_EDGE_TOLERANCE = 1e-6  # float32 rounding does not move a probability over the edge of a bin
_TEMPERATURES = (1e-2, 1e2)


class ReliabilityCurve(NamedTuple):
    """Bins of confidence: means [M] (NaN where a bin is empty) and counts [M]."""

    confidence: np.ndarray
    accuracy: np.ndarray
    count: np.ndarray


class RiskCoverage(NamedTuple):
    """Shares of the examples kept [N], the error rate among them [N], and the area under it."""

    coverage: np.ndarray
    risk: np.ndarray
    area: float


def _top(log_probs: np.ndarray, labels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Returns the log-probability of the predicted class [N] and whether it is the label [N]."""
    return log_probs.max(axis=1), log_probs.argmax(axis=1) == labels


def _nlls(log_probs: np.ndarray, labels: np.ndarray) -> np.ndarray:
    return -log_probs[np.arange(len(labels)), labels]


def _briers(log_probs: np.ndarray, labels: np.ndarray) -> np.ndarray:
    difference = np.exp(log_probs)
    difference[np.arange(len(labels)), labels] -= 1
    return np.square(difference).sum(axis=1)


def parts(log_probs, labels) -> "dict[str, np.ndarray]":
    """Returns what the scores here are made of, example by example, {name: [N]}.

    `correct` (0 or 1), `nll` (nats), `brier` and `log_confidence` of the predicted class (nats).
    """
    log_probs, labels = checks.classification(log_probs, labels)
    log_confidence, correct = _top(log_probs, labels)
    return {
        "correct": correct.astype(np.float64),
        "nll": _nlls(log_probs, labels),
        "brier": _briers(log_probs, labels),
        "log_confidence": log_confidence,
    }


# Scores.


def accuracy(log_probs, labels) -> float:
    """Returns the share of examples whose most probable class is the label."""
    return float(_top(*checks.classification(log_probs, labels))[1].mean())


def nll(log_probs, labels) -> float:
    """Returns the mean of -log p(label) in nats per example; infinite if a label had p = 0."""
    return float(_nlls(*checks.classification(log_probs, labels)).mean())


def brier(log_probs, labels) -> float:
    """Returns the mean of sum_k (p_k - [k = label])^2, between 0 and 2.

    Brier, 1950. `tfp.stats.brier_score` is lower by one.
    """
    return float(_briers(*checks.classification(log_probs, labels)).mean())


def brier_decomposition(log_probs, labels, num_bins: int = 15) -> dict[str, float]:
    """Returns the parts of the Brier score, which add up exactly.

        brier = reliability - resolution + uncertainty
                + within_bin_variance - within_bin_covariance

    Each class is a yes-or-no forecast (Murphy, 1973), binned by its probability into equal widths,
    and the parts are summed over classes; the two terms within bins (Stephenson, Coelho &
    Jolliffe, 2008) make it exact whatever the bins. `tfp.stats.brier_decomposition` has one bin per
    predicted class, leaves out the covariance, counts the variance as reliability, has an
    uncertainty lower by one, and in TFP 0.25 a resolution that is wrong for unbalanced labels.

    Args:
        log_probs: [N, K].
        labels: [N].
        num_bins: bins of each class.

    Returns:
        `reliability` (distance of probabilities from frequencies, down is better), `resolution`
        (distance of frequencies from the mean ones, up is better), `uncertainty` (of the labels
        alone), `within_bin_variance`, `within_bin_covariance`.
    """
    log_probs, labels = checks.classification(log_probs, labels)
    checks.bins(num_bins)
    probs = np.exp(log_probs)
    count, num_classes = probs.shape
    hits = labels[:, None] == np.arange(num_classes)
    cells = (equal_width(probs, num_bins) + num_bins * np.arange(num_classes)).ravel()
    size = np.bincount(cells, minlength=num_classes * num_bins)
    per_cell = np.maximum(size, 1)
    mean = np.bincount(cells, probs.ravel(), len(size)) / per_cell
    frequency = np.bincount(cells, hits.ravel(), len(size)) / per_cell
    base = hits.mean(axis=0)
    spread = probs.ravel() - mean[cells]
    parts = {
        "reliability": size @ np.square(mean - frequency) / count,
        "resolution": size @ np.square(frequency - np.repeat(base, num_bins)) / count,
        "uncertainty": base @ (1 - base),
        "within_bin_variance": spread @ spread / count,
        "within_bin_covariance": 2 * spread @ (hits.ravel() - frequency[cells]) / count,
    }
    return {name: float(value) for name, value in parts.items()}


# Calibration of the predicted class.


def equal_width(probs: np.ndarray, num_bins: int) -> np.ndarray:
    """Returns the bin of each probability, [N]; bin m is (m/M, (m+1)/M], and 0 is in the first."""
    bins = np.ceil(probs * num_bins - _EDGE_TOLERANCE).astype(np.int64) - 1
    return np.clip(bins, 0, num_bins - 1)


def equal_mass(values: np.ndarray, num_bins: int) -> np.ndarray:
    """Returns the bin of each value by its rank; equal values have one rank, the middle of theirs.

    So the bins do not depend on the order of the examples.
    """
    _, which, count = np.unique(values, return_inverse=True, return_counts=True)
    twice_rank = 2 * np.cumsum(count) - count
    return (num_bins * twice_rank // (2 * len(values)))[which]


def _curve(log_confidence, correct, num_bins: int, adaptive: bool) -> ReliabilityCurve:
    confidence = np.exp(log_confidence)
    if adaptive:
        bins = equal_mass(log_confidence, num_bins)
    else:
        bins = equal_width(confidence, num_bins)
    count = np.bincount(bins, minlength=num_bins)
    size = np.where(count > 0, count, np.nan)
    return ReliabilityCurve(
        np.bincount(bins, confidence, num_bins) / size,
        np.bincount(bins, correct, num_bins) / size,
        count,
    )


def _calibration_error(log_confidence, correct, num_bins: int, adaptive: bool) -> float:
    curve = _curve(log_confidence, correct, num_bins, adaptive)
    gap = np.nan_to_num(np.abs(curve.accuracy - curve.confidence))
    return float(curve.count @ gap / len(correct))


def reliability_curve(
    log_probs, labels, num_bins: int = 15, adaptive: bool = False
) -> ReliabilityCurve:
    """Returns mean confidence, accuracy and count per bin of confidence.

    Args:
        log_probs: [N, K].
        labels: [N].
        num_bins: M.
        adaptive: bins of equal mass, which hold the same number of examples as far as ties allow,
            instead of equal width, which are (0, 1/M], (1/M, 2/M], ...
    """
    log_probs, labels = checks.classification(log_probs, labels)
    checks.bins(num_bins)
    return _curve(*_top(log_probs, labels), num_bins, adaptive)


def expected_calibration_error(
    log_probs, labels, num_bins: int = 15, adaptive: bool = False
) -> float:
    """Returns the mean over examples of |accuracy - confidence| of their bin, between 0 and 1.

    Guo et al., 2017, equation 3; with bins of equal mass, Nguyen & O'Connor, 2015. It is biased
    upwards: a calibrated model has up to 0.4 sqrt(M / N), not 0.

    Args:
        log_probs: [N, K].
        labels: [N].
        num_bins: M.
        adaptive: bins of equal mass instead of equal width.
    """
    log_probs, labels = checks.classification(log_probs, labels)
    checks.bins(num_bins)
    return _calibration_error(*_top(log_probs, labels), num_bins, adaptive)


def _percentiles(function: Callable, arrays: tuple, num: int, level: float, seed: int):
    if num < 2 or not 0 < level < 1:
        raise ValueError(
            f"No interval can be taken. Expected num >= 2 and 0 < level < 1. Received num {num}, "
            f"level {level}."
        )
    rng = np.random.default_rng(seed)
    count = len(arrays[0])
    drawn = []
    for _ in range(num):
        chosen = rng.integers(count, size=count)
        drawn.append(function(*(array[chosen] for array in arrays)))
    low, high = np.quantile(drawn, [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)


def bootstrap(
    function: Callable, log_probs, labels, num: int = 200, level: float = 0.95, seed: int = 0
) -> tuple[float, float]:
    """Returns the percentile interval (low, high) of a score over resampled examples.

    Efron & Tibshirani, 1993. A calibration error of resampled examples is higher than that of the
    examples themselves, because resampling adds noise and the error counts noise: for a nearly
    calibrated model the interval lies above the estimate, or holds it near its lower end.

    Args:
        function: (log_probs [N, K], labels [N]) -> float.
        log_probs: [N, K].
        labels: [N].
        num: how often to resample.
        level: share of the resampled scores inside the interval.
        seed: the same seed gives the same interval.
    """
    return _percentiles(function, checks.classification(log_probs, labels), num, level, seed)


# Refusing to answer.


def risk_coverage(log_probs, labels) -> RiskCoverage:
    """Returns the error rate among the n most confident examples, for n = 1..N.

    `area` (AURC) is its mean over n (Geifman, Uziel & El-Yaniv, 2019), between 0 and 1, down is
    better. Examples are ranked by the probability of the predicted class; those that tie count as
    if in random order, with the expectation taken, so their order does not matter.
    """
    return _risk_coverage(*_top(*checks.classification(log_probs, labels)))


def _risk_coverage(log_confidence, correct) -> RiskCoverage:
    _, which, count = np.unique(-log_confidence, return_inverse=True, return_counts=True)
    errors = np.bincount(which, ~correct) / count  # the mean of each group of ties
    kept = np.arange(1, len(correct) + 1)
    risk = np.cumsum(np.repeat(errors, count)) / kept
    return RiskCoverage(kept / len(correct), risk, float(risk.mean()))


# Recalibration.


def apply_temperature(log_probs, temperature: float) -> np.ndarray:
    """Returns the log of softmax(log_probs / temperature), [N, K] float64.

    Raises:
        ValueError: if the temperature is not positive and finite.
    """
    check_number("temperature", temperature, above=0)
    scaled = np.asarray(log_probs, np.float64) / temperature
    scaled = scaled - scaled.max(axis=-1, keepdims=True)
    return scaled - np.log(np.exp(scaled).sum(axis=-1, keepdims=True))


def temperature_scaling(log_probs, labels) -> float:
    """Returns the temperature T that minimises the NLL of softmax(log_probs / T).

    Guo et al., 2017, section 4.2. Use validation data, then `apply_temperature` on test data. The
    NLL is convex in 1/T, so this is the root of its slope.

    Args:
        log_probs: [N, K].
        labels: [N].

    Raises:
        ValueError: if a label has probability zero, which no temperature changes.

    Warns:
        UserWarning: if the best T is outside 0.01..100; then the nearer end is returned. So it is
            if every label is the predicted class (0.01), or if predictions are no better than
            chance (100).
    """
    from scipy import optimize

    log_probs, labels = checks.classification(log_probs, labels)
    at_label = -_nlls(log_probs, labels)
    if np.isinf(at_label).any():
        raise ValueError(
            f"No temperature makes the NLL finite. Expected every label to have p > 0. Received "
            f"{np.isinf(at_label).sum()} labels with p = 0."
        )
    # Zero probabilities stay zero at every temperature, and 0 * -inf is not a number.
    finite = np.where(np.isneginf(log_probs), 0.0, log_probs)

    def slope(log_temperature: float) -> float:
        """Returns d NLL / d (1/T), which falls as T rises."""
        probs = np.exp(apply_temperature(log_probs, math.exp(log_temperature)))
        return float(((probs * finite).sum(axis=1) - at_label).mean())

    low, high = _TEMPERATURES
    at_low, at_high = slope(math.log(low)), slope(math.log(high))
    tiny = 1e-12
    if max(abs(at_low), abs(at_high)) < tiny:  # uniform predictions: all temperatures are the same
        return 1.0
    if at_low > tiny and at_high < -tiny:
        return math.exp(optimize.brentq(slope, math.log(low), math.log(high), xtol=1e-10))
    end = low if at_low <= tiny else high
    warnings.warn(
        f"No temperature minimises the NLL. Expected one between {low:g} and {high:g}. Received "
        f"predictions for which it falls up to {end:g}, which is returned.",
        stacklevel=2,
    )
    return end


# Everything at once.


def classification_metrics(log_probs, labels, prefix: str = "test_", seed: int = 0) -> dict:
    """Returns everything that is reported of class probabilities, JSON-ready.

    Args:
        log_probs: [N, K].
        labels: [N].
        prefix: of every key.
        seed: of the bootstrap.

    Returns:
        `accuracy`, `error` (percent), `nll` (nats per example) and `brier`, each with `_se` over
        examples; `ece` and `ece_adaptive` (15 bins) with `_low` and `_high`, the 95 % bootstrap;
        `aurc`; `brier_` with each part of `brier_decomposition`. None stands for what is not
        finite.

    Warns:
        UserWarning: if the NLL is infinite.
    """
    log_probs, labels = checks.classification(log_probs, labels)
    log_confidence, correct = _top(log_probs, labels)
    result = {}
    for name, values in (
        ("accuracy", correct),
        ("error", 100.0 * ~correct),
        ("nll", _nlls(log_probs, labels)),
        ("brier", _briers(log_probs, labels)),
    ):
        result[name], result[f"{name}_se"] = checks.mean_with_error(values)
    if result["nll"] is None:
        warnings.warn(
            f"The NLL is infinite. Expected every label to have p > 0. Received "
            f"{np.isinf(_nlls(log_probs, labels)).sum()} labels with p = 0.",
            stacklevel=2,
        )
    for name, adaptive in (("ece", False), ("ece_adaptive", True)):

        def error(log_confidence, correct, adaptive=adaptive):
            return _calibration_error(log_confidence, correct, 15, adaptive)

        result[name] = error(log_confidence, correct)
        interval = _percentiles(error, (log_confidence, correct), 200, 0.95, seed)
        result[f"{name}_low"], result[f"{name}_high"] = interval
    result["aurc"] = _risk_coverage(log_confidence, correct).area
    parts = brier_decomposition(log_probs, labels)
    result |= {f"brier_{name}": value for name, value in parts.items()}
    return {prefix + name: value for name, value in result.items()}
