"""Missing pixels: which are observed, whatever the values (missing completely at random)."""

import math

import numpy as np

from tfp_vae.arguments import check_choice, check_count, check_seed, is_number

PATTERNS = ("random", "block")


def observed_pixels(
    count: int, shape: tuple[int, ...], pattern: str, missing: float, seed: int = 0
) -> np.ndarray:
    """Returns which values are observed, bool [count, *shape].

    The first examples of many are those of few. The channels of a pixel are missing together.

    Args:
        count: examples.
        shape: of one example: (H, W, C), or (D,) for the pattern "random".
        pattern: "random": exactly round(missing P) of the P pixels, each set as likely as any
            other. "block": a rectangle with sides of sqrt(missing) of height and width, rounded,
            at a place as likely as any other.
        missing: share of the pixels that are not seen, in [0, 1].
        seed: fixes which ones.

    Raises:
        ValueError: for an unknown pattern or an impossible count, shape or share.
    """
    check_choice("pattern", pattern, PATTERNS)
    shape = tuple(shape)
    lengths = (3,) if pattern == "block" else (1, 3)
    count, seed = check_count("count", count), check_seed(seed)
    if len(shape) not in lengths or min(shape) < 1:
        raise ValueError(
            "Such examples have no pixels that could be missing. Expected shape (H, W, C)"
            f"{' or (D,)' * (pattern == 'random')}. Received shape {shape}."
        )
    if not (is_number(missing, 0) and missing <= 1):
        raise ValueError(f"Impossible missing. Expected a share from 0 to 1. Received {missing!r}.")
    rng = np.random.default_rng([seed, PATTERNS.index(pattern)])
    places = shape if len(shape) == 1 else shape[:2]
    if pattern == "random":
        # The pixels with the lowest of P random numbers.
        drawn = rng.random((count, math.prod(places)))
        ranks = drawn.argsort(axis=1).argsort(axis=1)
        seen = (ranks >= round(missing * math.prod(places))).reshape(count, *places)
    else:
        inside = True
        corners = rng.random((count, 2))
        for axis, size in enumerate(places):
            side = round(math.sqrt(missing) * size)
            first = np.floor(corners[:, axis] * (size - side + 1))[:, np.newaxis]
            here = (np.arange(size) >= first) & (np.arange(size) < first + side)
            inside = inside & np.expand_dims(here, 2 - axis)
        seen = ~inside
    return seen if len(shape) == 1 else np.repeat(seen[..., np.newaxis], shape[-1], axis=-1)
