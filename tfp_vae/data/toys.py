"""Small data sets whose right answer can be looked at."""

import numpy as np

from tfp_vae.arguments import check_count, check_seed
from tfp_vae.data.kinds import Kind
from tfp_vae.data.splits import Split


def gap(count: int = 60, seed: int = 0) -> Split:
    """Returns a noisy sine with a gap in its inputs: y = sin(2 x) + x / 3 + 0.15 noise, x [N, 1].

    Nothing is known between -0.7 and 0.7 and beyond 2; a posterior has to say so.
    """
    rng = np.random.default_rng(check_seed(seed))
    half = check_count("count", count, 2) // 2
    x = np.concatenate([rng.uniform(-2, -0.7, half), rng.uniform(0.7, 2, count - half)])
    y = np.sin(2 * x) + x / 3 + 0.15 * rng.normal(size=count)
    return Split(x[:, np.newaxis], Kind.REAL, name="train", targets=y)


def two_moons(count: int = 100, seed: int = 0) -> Split:
    """Returns two interleaved half circles with noise 0.15, x [N, 2], two classes."""
    from sklearn import datasets

    x, labels = datasets.make_moons(
        check_count("count", count, 2), noise=0.15, random_state=check_seed(seed)
    )
    return Split(x, Kind.REAL, labels, name="train")
