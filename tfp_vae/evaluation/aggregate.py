"""Where the KL of a VAE goes: information, total correlation, and dimensions by themselves.

    mean KL(q(z|x) || p(z)) = I(x; z) + TC(z) + sum_d KL(q(z_d) || p(z_d))

with q(z) = mean_n q(z|x_n) (Chen et al., 2018, eq. 2). q(z) and q(z_d) have the sum over all
examples in them, in blocks: an estimate by a minibatch is good to train with and no metric.
"""

from typing import Any

import numpy as np

from tfp_vae.arguments import check_count, check_seed

_BLOCK = 2**22  # numbers of log q(z_md|x_n) at a time


def decompose(
    loc: np.ndarray, scale: np.ndarray, *, seed: int = 0, most: int = 2000
) -> "dict[str, Any]":
    """Returns the parts of the KL of diagonal normals to N(0, I), nats, by the full sum.

    Args:
        loc: of q(z|x), [N, D].
        scale: standard deviations, [N, D], or one number.
        seed: of the draws.
        most: examples that z is drawn for, once each; the sum of q(z) is always over all.

    Returns:
        "mutual_information" I(x; z), "total_correlation", "dimension_wise_kl" and
        "kl_per_dimension" KL(q(z_d) || p(z_d)) [D], each with "..._error", one standard error over
        the draws, where it is a number; "kl", whose expectation is the sum of the first three.

    Raises:
        ValueError: for one dimension, of which there is no total correlation, or unusable numbers.
    """
    loc = np.asarray(loc, np.float64)
    if loc.ndim != 2 or loc.shape[1] < 2:
        raise ValueError(
            "A total correlation is one of several dimensions. Expected locations of shape (N, D) "
            f"with D >= 2. Received shape {loc.shape}."
        )
    scale = np.broadcast_to(np.asarray(scale, np.float64), loc.shape)
    if not np.isfinite(loc).all() or not np.all(scale > 0) or not np.isfinite(scale).all():
        raise ValueError(
            "Unusable posteriors. Expected finite locations and scales > 0. Received others."
        )
    rng = np.random.default_rng(check_seed(seed))
    index = np.sort(rng.permutation(len(loc))[: check_count("most", most, 2)])
    z = loc[index] + scale[index] * rng.standard_normal((len(index), loc.shape[1]))
    own = _log_normal(z, loc[index], scale[index])
    log_p = _log_normal(z, 0.0, 1.0)
    joint, each = np.empty(len(z)), np.empty(z.shape)
    rows = max(1, _BLOCK // max(1, min(len(loc), _BLOCK // loc.shape[1]) * loc.shape[1]))
    columns = max(1, _BLOCK // (rows * loc.shape[1]))
    for start in range(0, len(z), rows):
        here = slice(start, start + rows)
        whole, single = np.full(len(z[here]), -np.inf), np.full(z[here].shape, -np.inf)
        for first in range(0, len(loc), columns):
            there = slice(first, first + columns)
            log_q = _log_normal(z[here, np.newaxis], loc[there], scale[there])
            whole = np.logaddexp(whole, _log_sum(log_q.sum(axis=-1)))
            single = np.logaddexp(single, _log_sum(log_q))
        joint[here], each[here] = whole, single
    joint, each = joint - np.log(len(loc)), each - np.log(len(loc))
    parts = {
        "mutual_information": own.sum(axis=1) - joint,
        "total_correlation": joint - each.sum(axis=1),
        "dimension_wise_kl": (each - log_p).sum(axis=1),
        "kl": (own - log_p).sum(axis=1),
    }
    found: dict[str, Any] = {}
    for name, values in parts.items():
        found[name] = float(values.mean())
        found[f"{name}_error"] = float(values.std() / np.sqrt(len(values)))
    return {**found, "kl_per_dimension": (each - log_p).mean(axis=0).tolist()}


def _log_normal(z, loc, scale):
    return -0.5 * ((z - loc) / scale) ** 2 - np.log(scale) - 0.5 * np.log(2 * np.pi)


def _log_sum(values):
    """Returns the log of the sum of exp over the second axis."""
    most = values.max(axis=1)
    return most + np.log(np.exp(values - most[:, np.newaxis]).sum(axis=1))


def gaussian_total_correlation(codes: np.ndarray) -> float:
    """Returns the total correlation of a normal with the covariance of a code [N, D], nats.

    1/2 (sum_d log C_dd - log det C): a lower bound on nothing, and the whole of it for normals.
    Dimensions that do not vary are left out.

    Raises:
        ValueError: for fewer than two dimensions.
    """
    codes = np.asarray(codes, np.float64)
    if codes.ndim != 2 or codes.shape[1] < 2:
        raise ValueError(
            "A total correlation is one of several dimensions. Expected codes of shape (N, D) with "
            f"D >= 2. Received shape {codes.shape}."
        )
    covariance = np.cov(codes[:, codes.std(axis=0) > 0].T)
    if covariance.ndim < 2 or len(covariance) < 2:
        return 0.0
    _, log_det = np.linalg.slogdet(covariance)
    return float(0.5 * (np.log(np.diag(covariance)).sum() - log_det))
