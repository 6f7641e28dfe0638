"""Whether predictions and targets are what the numbers about them are defined for."""

import numpy as np

from tfp_vae.evaluation.bounds import standard_error

_SUM_TOLERANCE = 1e-3
_CDF_TOLERANCE = 1e-6  # float32 rounding


def classification(log_probs, labels) -> tuple[np.ndarray, np.ndarray]:
    """Returns log_probs [N, K] as float64 and labels [N] as int64.

    Raises:
        ValueError: if they are not log-probabilities and labels that fit each other.
    """
    log_probs, labels = np.asarray(log_probs, np.float64), np.asarray(labels)
    if log_probs.ndim != 2 or log_probs.shape[0] < 1 or log_probs.shape[1] < 2:
        raise ValueError(
            f"log_probs has the wrong shape. Expected [N, K], at least one example and two "
            f"classes. Received shape {log_probs.shape}."
        )
    if labels.shape != log_probs.shape[:1]:
        raise ValueError(
            f"The labels do not fit log_probs. Expected shape ({len(log_probs)},). Received shape "
            f"{labels.shape}."
        )
    if labels.dtype.kind not in "iu":
        raise ValueError(
            f"The labels are not class numbers. Expected integers. Received {labels.dtype}."
        )
    if labels.min() < 0 or labels.max() >= log_probs.shape[1]:
        raise ValueError(
            f"A label is out of range. Expected 0 to {log_probs.shape[1] - 1}. Received "
            f"{labels.min()} to {labels.max()}."
        )
    if np.isnan(log_probs).any():
        raise ValueError(
            f"log_probs is not a number somewhere. Expected no NaN. Received "
            f"{np.isnan(log_probs).any(axis=1).sum()} rows with NaN."
        )
    with np.errstate(over="ignore"):
        sums = np.exp(log_probs).sum(axis=1)
    worst = np.argmax(np.abs(sums - 1))
    if not abs(sums[worst] - 1) <= _SUM_TOLERANCE:
        raise ValueError(
            f"log_probs is not normalised. Expected rows whose probabilities sum to one within "
            f"{_SUM_TOLERANCE:g}. Received a sum of {sums[worst]:g} in row {worst}."
        )
    return log_probs, labels.astype(np.int64)


def regression(**arrays) -> list[np.ndarray]:
    """Returns arrays [N] as float64.

    Raises:
        ValueError: if they are not of one length, or hold a value that they must not.
    """
    checked = {name: np.asarray(array, np.float64) for name, array in arrays.items()}
    count = next(iter(checked.values())).shape[:1]
    for name, array in checked.items():
        if array.ndim != 1 or not array.size or array.shape != count:
            expected = f"({count[0]},)" if count and count[0] else "(N,), at least one example"
            raise ValueError(
                f"{name} has the wrong shape. Expected {expected}. Received {array.shape}."
            )
        # A density may be zero at the target, whose log is -inf.
        allowed = np.isfinite(array) | (np.isneginf(array) & (name == "log_prob"))
        if not allowed.all():
            raise ValueError(
                f"{name} is not finite. Expected numbers. Received {np.sum(~allowed)} values that "
                f"are NaN or infinite."
            )
    if "cdf" in checked:
        cdf = checked["cdf"]
        if cdf.min() < -_CDF_TOLERANCE or cdf.max() > 1 + _CDF_TOLERANCE:
            raise ValueError(
                f"cdf is out of range. Expected values between 0 and 1. Received {cdf.min():g} "
                f"to {cdf.max():g}."
            )
        checked["cdf"] = np.clip(cdf, 0, 1)
    return list(checked.values())


def levels(values) -> np.ndarray:
    """Returns nominal coverages [L] as float64.

    Raises:
        ValueError: if they are not a list of numbers between 0 and 1.
    """
    values = np.asarray(values, np.float64)
    if values.ndim != 1 or not values.size or not np.all((values > 0) & (values < 1)):
        raise ValueError(
            f"The levels are not shares. Expected a list of numbers between 0 and 1. Received "
            f"{values.tolist()}."
        )
    return values


def bins(num_bins: int) -> None:
    """Raises a ValueError if `num_bins` is not a number of bins."""
    if num_bins < 1:
        raise ValueError(f"There are no bins. Expected num_bins >= 1. Received {num_bins}.")


def mean_with_error(values: np.ndarray) -> tuple[float | None, float | None]:
    """Returns the mean of per-example values [N] and its standard error, as JSON can hold them.

    None stands for what is not finite: an infinite mean and its error, the error of one example.
    """
    if not np.isfinite(values).all():
        return None, None
    return float(np.mean(values)), standard_error(values)


def unconditional(vae, what: str) -> None:
    """Raises `ValueError` if a VAE is conditional: `what` is not defined without its condition."""
    if vae.condition:
        raise ValueError(
            f"{what} is one of p(x). Expected a VAE without a condition. Received a "
            f"{type(vae).__name__}."
        )
