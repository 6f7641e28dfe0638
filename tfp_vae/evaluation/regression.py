"""How good predictive densities of a real number are: errors, log-likelihood and coverage.

Everything is a pure function of arrays [N]: the predictive mean, the log density at the target in
nats (`log_prob`), the predictive distribution function at the target (`cdf`, the probability
integral transform, uniform for a correct model: Dawid, 1984) and the targets. Units of the mean
and of the targets are those of the data, as is the unit of the density.
"""

import numpy as np

from tfp_vae.evaluation import checks

LEVELS = np.arange(1, 20) / 20  # nominal coverage 0.05, 0.1, ..., 0.95


def rmse(mean, targets) -> tuple[float, float | None]:
    """Returns the root mean square error and its standard error, in the unit of the targets.

    The error is by the delta method: se(mean square) / (2 rmse). None for a single example.
    """
    mean, targets = checks.regression(mean=mean, targets=targets)
    square, error = checks.mean_with_error(np.square(mean - targets))
    root = float(np.sqrt(square))
    if error is None or root == 0:
        return root, error
    return root, error / (2 * root)


def log_likelihood(log_prob) -> tuple[float, float | None]:
    """Returns the mean of log p(y|x), nats per example, and its standard error.

    A target of density zero makes it -inf, and its error None.
    """
    (log_prob,) = checks.regression(log_prob=log_prob)
    value, error = checks.mean_with_error(log_prob)
    return (float("-inf") if value is None else value), error


def _needed_level(cdf: np.ndarray) -> np.ndarray:
    """Returns the level of the smallest central interval that holds each target, [N]."""
    return np.abs(2 * cdf - 1)


def interval_coverage(cdf, levels=LEVELS) -> tuple[np.ndarray, np.ndarray]:
    """Returns the shares of targets inside central predictive intervals, and their errors.

    Args:
        cdf: [N], the predictive distribution function at the targets.
        levels: [L], the probabilities of the intervals, whose ends are the quantiles
            (1 - level) / 2 and (1 + level) / 2.

    Returns:
        The coverage [L] and its binomial standard error [L], the root of c (1 - c) / N, which is
        zero where all targets or none are inside.
    """
    (cdf,) = checks.regression(cdf=cdf)
    levels = checks.levels(levels)
    needed = np.sort(_needed_level(cdf))
    coverage = np.searchsorted(needed, levels, side="right") / len(cdf)
    return coverage, np.sqrt(coverage * (1 - coverage) / len(cdf))


def calibration_error(cdf, levels=LEVELS) -> float:
    """Returns the mean over levels of |observed - nominal coverage| of central intervals.

    Kuleshov, Fenner & Ermon, 2018, with absolute instead of squared differences and
    central intervals instead of quantiles. It is biased upwards: a correct model has about
    0.33 / sqrt(N) for the levels given here, not 0.

    Args:
        cdf: [N], the predictive distribution function at the targets.
        levels: [L].
    """
    coverage, _ = interval_coverage(cdf, levels)
    return float(np.abs(coverage - checks.levels(levels)).mean())


def _calibration_error_se(cdf: np.ndarray, seed: int, num: int = 1000) -> float | None:
    """Returns the standard deviation of the calibration error over resampled examples."""
    if len(cdf) < 2:
        return None
    # Only the number of targets between two levels matters, and resampling draws a multinomial.
    cells = np.bincount(np.searchsorted(LEVELS, _needed_level(cdf)), minlength=len(LEVELS) + 1)
    drawn = np.random.default_rng(seed).multinomial(len(cdf), cells / len(cdf), size=num)
    coverage = np.cumsum(drawn, axis=1)[:, :-1] / len(cdf)
    return float(np.abs(coverage - LEVELS).mean(axis=1).std(ddof=1))


def regression_metrics(
    mean, log_prob, cdf, targets, prefix: str = "test_", seed: int = 0
) -> "dict[str, float | None]":
    """Returns everything that is reported of predictive densities, JSON-ready.

    Args:
        mean: [N], predictive means.
        log_prob: [N], log densities at the targets, nats.
        cdf: [N], predictive distribution functions at the targets.
        targets: [N].
        prefix: of every key.
        seed: of the bootstrap.

    Returns:
        `rmse` and `mae` (unit of the targets), `log_likelihood` (nats per example), `coverage_50`,
        `coverage_90`, `coverage_95` and `calibration_error`, each with `_se`, which is by bootstrap
        for the last. None stands for what is not finite.
    """
    mean, log_prob, cdf, targets = checks.regression(
        mean=mean, log_prob=log_prob, cdf=cdf, targets=targets
    )
    result = {}
    result["rmse"], result["rmse_se"] = rmse(mean, targets)
    result["mae"], result["mae_se"] = checks.mean_with_error(np.abs(mean - targets))
    name = "log_likelihood"
    result[name], result[f"{name}_se"] = checks.mean_with_error(log_prob)
    for percent in (50, 90, 95):
        coverage, error = interval_coverage(cdf, [percent / 100])
        result[f"coverage_{percent}"] = float(coverage[0])
        result[f"coverage_{percent}_se"] = float(error[0])
    result["calibration_error"] = calibration_error(cdf)
    result["calibration_error_se"] = _calibration_error_se(cdf, seed)
    return {prefix + name: value for name, value in result.items()}
