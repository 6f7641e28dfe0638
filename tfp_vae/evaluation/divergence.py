"""How far two predictive distributions are apart."""

import numpy as np

from tfp_vae.models import Predictive


def total_variation(first: Predictive, second: Predictive, points: int = 801) -> np.ndarray:
    """Returns the total-variation distance of two predictive distributions, [B], in [0, 1].

    1/2 sum |p - q| over classes; for real targets 1/2 integral |p - q| by the trapezoidal rule over
    `points` that cover eight standard deviations of each: a narrow one beside a wide one is not
    missed between two points.

    Raises:
        ValueError: if one is over classes and the other over numbers.
    """
    if first.is_categorical != second.is_categorical:
        raise ValueError(
            "These distributions are of different things. Expected two over classes or two over "
            "numbers. Received one of each."
        )
    if first.is_categorical:
        return 0.5 * np.abs(first.probs - second.probs).sum(axis=-1)
    grids = [
        np.linspace(p.mean() - 8 * p.stddev(), p.mean() + 8 * p.stddev(), points, dtype=np.float32)
        for p in (first, second)
    ]
    grid = np.sort(np.concatenate(grids), axis=0)  # [2 points, B]
    difference = [  # in slices: a mixture of S components holds S times as many numbers
        np.abs(first.prob(part) - second.prob(part)) for part in np.array_split(grid, 40)
    ]
    return np.minimum(0.5 * np.trapezoid(np.concatenate(difference), grid, axis=0), 1.0)
