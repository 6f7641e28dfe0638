"""How far two predictive distributions are apart."""

import numpy as np
import tensorflow as tf

from tfp_vae.models import Predictive


def total_variation(first: Predictive, second: Predictive, points: int = 801) -> np.ndarray:
    """Returns the total-variation distance of two predictive distributions, [B], in [0, 1].

    1/2 sum |p - q| over classes; for real targets 1/2 integral |p - q| by the trapezoidal rule over
    `points` that cover eight standard deviations of both.

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
    ends = []
    for sign, extreme in ((-1, np.minimum), (1, np.maximum)):
        a, b = (p.mean() + sign * 8 * p.stddev() for p in (first, second))
        ends.append(extreme(a, b))
    grid = tf.linspace(*ends, points)  # [points, B]
    grid = np.asarray(grid)
    difference = [  # in slices: a mixture of S components holds S times as many numbers
        np.abs(first.prob(part) - second.prob(part)) for part in np.array_split(grid, 40)
    ]
    return 0.5 * np.trapezoid(np.concatenate(difference), grid, axis=0)
