"""Which pixels are seen: masks that do not depend on the values (missing completely at random)."""

import math

import numpy as np

from tfp_vae.arguments import is_number

PATTERNS = ("random", "block")


def observed_pixels(
    count: int, shape: tuple[int, ...], pattern: str, missing: float, seed: int = 0
) -> np.ndarray:
    """Returns masks, bool [count, *shape], True where a value is observed.

    The first masks of many are those of few. The channels of a pixel are missing together.

    Args:
        count: examples.
        shape: of one example: (H, W, C), or (D,) for the pattern "random".
        pattern: "random": exactly round(missing P) of the P pixels, each set as likely as any
            other. "block": a rectangle with sides of sqrt(missing) of height and width, rounded,
            at a place as likely as any other.
        missing: share of the pixels that are not seen, in [0, 1].
        seed: fixes the masks.

    Raises:
        ValueError: for an unknown pattern or an impossible count, shape or share.
    """
    if pattern not in PATTERNS:
        raise ValueError(
            f"Unknown pattern. Expected one of {', '.join(PATTERNS)}. Received {pattern!r}."
        )
    shape = tuple(shape)
    lengths = (3,) if pattern == "block" else (1, 3)
    if count < 1 or len(shape) not in lengths or min(shape) < 1:
        raise ValueError(
            "No masks can be made. Expected count >= 1 and shape (H, W, C)"
            f"{' or (D,)' * (pattern == 'random')}. Received count {count}, shape {shape}."
        )
    if not (is_number(missing, 0) and missing <= 1):
        raise ValueError(f"missing must be a share. Expected 0 to 1. Received {missing}.")
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
