"""Pictures of discrete latents: codes as mosaics."""

import math

import numpy as np

from tfp_vae.data import Split
from tfp_vae.evaluation import code_indices
from tfp_vae.models import VAE
from tfp_vae.plots.figure import Figure
from tfp_vae.plots.vae import images


def mosaics(index: np.ndarray, count: int) -> np.ndarray:
    """Returns codes as grey squares, a row where their number is no square.

    Args:
        index: codes, int [N, T].
        count: K.

    Returns:
        [N, H, W, 1] with H W = T, from 0 for the first code to 1 for the last.
    """
    places = index.shape[1]
    side = math.isqrt(places)
    shape = (side, side) if side**2 == places else (1, places)
    return (index / max(1, count - 1)).reshape(len(index), *shape, 1).astype(np.float32)


def code_mosaics(model: VAE, split: Split, count: int = 20) -> Figure:
    """Returns images, their codes as mosaics, and what is rebuilt from these.

    Raises:
        ValueError: if the latents of the model are no codes.
    """
    split = split.take(count)
    index, values = code_indices(model, split), split.values()
    squares = mosaics(index, model.encoder.book.count)
    # As large as the images beside them.
    times = [max(1, round(a / b)) for a, b in zip(split.shape[:2], squares.shape[1:3], strict=True)]
    squares = np.kron(squares, np.ones((1, *times, 1), np.float32))
    rebuilt = model.reconstruct(values, model.given_of(split)).numpy()
    of = f"their codes, {index.shape[1]} of {model.encoder.book.count}"
    rows = [("test images", values), (of, squares), ("rebuilt from the codes", rebuilt)]
    return images(rows, columns=10)
