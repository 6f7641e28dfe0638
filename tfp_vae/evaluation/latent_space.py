"""What directions of a latent space mean: attributes, neighbours, maps, and noise taken away."""

from collections.abc import Iterator

import numpy as np

from tfp_vae.arguments import check_count, check_number, check_seed
from tfp_vae.data import Split
from tfp_vae.models import VAE, walks

_BLOCK = 2**23  # distances at a time


def embeddings(
    vae: VAE, split: Split, batch_size: int = 1000
) -> "Iterator[tuple[np.ndarray, np.ndarray, np.ndarray]]":
    """Yields (row ids [n], centres [n, D], deviations [n, D]) of q(z|x), a batch at a time.

    So a million of them go to a file without lying in memory.
    """
    size = check_count("batch_size", batch_size)
    for start in range(0, len(split), size):
        index = np.arange(start, min(start + size, len(split)))
        yield index, *walks.moments(vae, split.select(index, split.name), size)


def attribute_vector(codes: np.ndarray, has: np.ndarray) -> np.ndarray:
    """Returns the mean code of those that have an attribute minus that of the others, [D].

    Larsen et al., 2016, section 4.2.

    Args:
        codes: [N, D].
        has: bool [N].

    Raises:
        ValueError: if all have it or none.
    """
    codes, has = np.asarray(codes), np.asarray(has, bool)
    if has.shape != codes.shape[:1] or not has.any() or has.all():
        raise ValueError(
            "An attribute is the difference between those that have it and the others. Expected "
            f"bool [{len(codes)}] with some of both. Received shape {has.shape} with "
            f"{int(has.sum())} that have it."
        )
    return codes[has].mean(axis=0) - codes[~has].mean(axis=0)


def nearest(codes: np.ndarray, others: np.ndarray, count: int = 5) -> np.ndarray:
    """Returns the places of the nearest `others` [M, D] of each code [N, D], int [N, count]."""
    codes, others = np.asarray(codes, np.float64), np.asarray(others, np.float64)
    count = check_count("count", count, most=len(others))
    squares, rows = (others**2).sum(axis=1), max(1, _BLOCK // len(others))
    found = []
    for start in range(0, len(codes), rows):
        distances = squares - 2 * codes[start : start + rows] @ others.T
        found.append(np.argsort(distances, axis=1, kind="stable")[:, :count])
    return np.concatenate(found)


def plane(codes: np.ndarray, seed: int = 0) -> "dict[str, np.ndarray]":
    """Returns maps of codes [N, D] in the plane, by name, [N, 2] each.

    "pca", and "umap" where the extra `maps` is installed (`extras.hint` says if it is not).
    """
    from sklearn.decomposition import PCA

    codes = np.asarray(codes, np.float64)
    if codes.shape[1] == 1:
        return {"pca": np.hstack([codes, np.zeros_like(codes)])}
    found = {"pca": PCA(2).fit_transform(codes)}
    try:
        from umap import UMAP
    except ImportError:
        return found
    # Of one process, as a seed wants it, and of as many neighbours as there are: no warnings.
    neighbours = max(2, min(15, len(codes) - 1))
    mapper = UMAP(n_neighbors=neighbours, n_jobs=1, random_state=check_seed(seed))
    return {**found, "umap": mapper.fit_transform(codes)}


def noisy(values: np.ndarray, noise: float, seed: int = 0) -> np.ndarray:
    """Returns values with normal noise of a deviation in (0, 1], cut to [0, 1]."""
    if check_number("noise", noise, above=0) > 1:
        raise ValueError(f"Impossible noise. Expected a deviation in (0, 1]. Received {noise!r}.")
    rng = np.random.default_rng(check_seed(seed))
    moved = values + noise * rng.standard_normal(values.shape)
    return np.clip(moved, 0, 1).astype(np.float32)


def psnr(found: np.ndarray, known: np.ndarray) -> np.ndarray:
    """Returns the peak signal to noise ratio of each example in [0, 1], [N], dB."""
    axes = tuple(range(1, np.ndim(known)))
    error = np.mean((np.asarray(found, np.float64) - known) ** 2, axis=axes)
    return -10 * np.log10(np.maximum(error, 1e-12))
