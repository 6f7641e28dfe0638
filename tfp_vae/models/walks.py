"""Ways through a latent space: lines, great circles, and one dimension after the other."""

import math
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np
import tensorflow as tf

from tfp_vae.arguments import check_count
from tfp_vae.data import Split
from tfp_vae.models.memory import in_batches

if TYPE_CHECKING:
    from tfp_vae.models.vae import VAE

PATHS = ("lerp", "slerp")
_PARALLEL = 1e-5  # radians, below which the great circle is the line


def lerp(first: np.ndarray, second: np.ndarray, shares: np.ndarray) -> np.ndarray:
    """Returns points on the lines from [B, D] to [B, D], [shares, B, D]."""
    shares = np.asarray(shares, np.float64)[:, np.newaxis, np.newaxis]
    return first + shares * (np.asarray(second) - first)


def slerp(first: np.ndarray, second: np.ndarray, shares: np.ndarray) -> np.ndarray:
    """Returns points on great circles from [B, D] to [B, D], [shares, B, D] (Shoemake, 1985).

    Between ends of one length all have that length; of other lengths, and of parallel vectors, it
    is what the formula gives: lerp for parallel ones.

    Raises:
        ValueError: for opposite ends, between which there is no one circle, or one that is 0.
    """
    first, second = np.asarray(first, np.float64), np.asarray(second, np.float64)
    lengths = [np.linalg.norm(each, axis=-1) for each in (first, second)]
    if not np.all(np.minimum(*lengths) > 0):
        raise ValueError(
            "A great circle goes around the middle. Expected ends that are not 0, or path='lerp'. "
            "Received one of length 0."
        )
    units = [
        each / length[..., np.newaxis]
        for each, length in zip((first, second), lengths, strict=True)
    ]
    angle = 2 * np.arctan2(
        np.linalg.norm(units[0] - units[1], axis=-1), np.linalg.norm(units[0] + units[1], axis=-1)
    )
    if np.any(angle > np.pi - _PARALLEL):
        raise ValueError(
            "There are many great circles between opposite ends. Expected others, or path='lerp'. "
            "Received ends at an angle of 180 degrees."
        )
    near = (angle < _PARALLEL)[..., np.newaxis]
    angle = np.where(near, 1.0, angle[..., np.newaxis])
    shares = np.asarray(shares, np.float64)[:, np.newaxis, np.newaxis]
    curve = np.sin((1 - shares) * angle) * first + np.sin(shares * angle) * second
    return np.where(near, lerp(first, second, shares.ravel()), curve / np.sin(angle))


def moments(
    vae: "VAE",
    split: Split,
    batch_size: int = 1000,
    progress: "Callable[[int, int], None] | None" = None,
) -> "tuple[np.ndarray, np.ndarray]":
    """Returns centre and standard deviation of q(z|x) of every example, float32 [N, D] each.

    Of what the decoder sees: of the lowest latent, or of all side by side. Latents above are at
    their centres and Bayesian weights at their means. Of a posterior without deviations in closed
    form, such as a flow, they are NaN.
    """
    split = split.frozen()
    given, draw = vae.given_of(split), vae.at_mean()

    def run(_: int, index: Any) -> "tuple[np.ndarray, np.ndarray]":
        condition = None if given is None else tf.constant(given[index])
        x = tf.constant(split.values(index))
        features = draw.features(x, condition)
        centres: list[tf.Tensor] = []
        scales: list[tf.Tensor] = []
        for latent in vae.latents:
            posterior = draw.posterior(x, condition, tuple(centres), features)
            centres.append(latent.encoder.centre(posterior))
            try:
                scales.append(posterior.stddev())
            except (NotImplementedError, AttributeError):
                scales.append(tf.fill(tf.shape(centres[-1]), math.nan))
        return vae.code(centres).numpy(), vae.code(scales).numpy()

    parts = [
        (centre[:size], scale[:size])
        for (centre, scale), size in in_batches(split, batch_size, run, progress)
    ]
    loc, scale = (np.concatenate(each) for each in zip(*parts, strict=True))
    return loc, scale


def kl_to_normal(loc: np.ndarray, scale: np.ndarray) -> np.ndarray:
    """Returns the KL of each dimension to N(0, 1), the mean over examples [N, D] -> [D], nats.

    Where scales are not known it is 1/2 of the mean square, which orders dimensions alike.
    """
    loc, scale = np.asarray(loc, np.float64), np.asarray(scale, np.float64)
    scale = np.where(np.isfinite(scale) & (scale > 0), scale, 1.0)
    return np.mean(0.5 * (loc**2 + scale**2 - 1) - np.log(scale), axis=0)


def traverse(
    vae: "VAE",
    split: Split,
    example: int = 0,
    count: int = 9,
    percentiles: "tuple[float, float]" = (1.0, 99.0),
    most: int = 10,
) -> dict:
    """Returns what moves when one dimension does; see `VAE.traverse`."""
    count, most = check_count("count", count, 2), check_count("most", most)
    example = check_count("example", example, 0, len(split) - 1)
    low, high = percentiles
    if not 0 <= low < high <= 100:
        raise ValueError(
            "Impossible percentiles. Expected 0 <= low < high <= 100. Received "
            f"{tuple(percentiles)}."
        )
    loc, scale = moments(vae, split)
    kl = kl_to_normal(loc, scale)
    order = np.argsort(-kl, kind="stable")[:most]
    ends = np.percentile(loc, [low, high], axis=0)
    z = np.repeat(loc[np.newaxis, [example]], len(order), axis=0).repeat(count, axis=1)
    for row, dimension in enumerate(order):
        z[row, :, dimension] = np.linspace(*ends[:, dimension], count)
    given = vae.given_of(split)
    given = None if given is None else np.repeat(given[[example]], count, axis=0)
    draw = vae.at_mean()
    means = [draw.likelihood(tf.constant(row, tf.float32), given).mean().numpy() for row in z]
    return {"dimensions": order, "kl": kl[order], "z": z, "mean": np.stack(means)}
