"""What the values of a data set are, which decides what may be a likelihood of them.

Every image is handed to a model as float32. `Kind` says which random variable those numbers are: a
binary one, one of 256 grey levels on the grid {0, 1/255, ..., 1}, a real number in [0, 1], or any
real number. A likelihood names the kinds it is a density (or a mass function) of and refuses the
rest, because a number such as "Bernoulli log-likelihood of grey pixels" compares with nothing.
"""

import enum
from collections.abc import Sequence
from typing import Any

import numpy as np

from tfp_vae.arguments import check_choice
from tfp_vae.data.streams import blocks

GREY_LEVELS = 256
MOST = 1e19  # of a number: squares of 2e19 are infinite in float32


class Kind(enum.StrEnum):
    """The kind of the values of a data set.

    Attributes:
        STATIC: binary, {0, 1}, binarised once and for all by whoever made the data.
        DYNAMIC: binary, {0, 1}, each pixel drawn with its intensity as probability: again for every
            training batch, once for validation and test (Salakhutdinov & Murray, 2008).
        THRESHOLD: binary, {0, 1}, one where the intensity is at least 1/2.
        UNIT_INTERVAL: real numbers in [0, 1].
        EIGHT_BIT: 256 levels on the grid {0, 1/255, ..., 1}: a discrete variable.
        REAL: any finite real number.
    """

    STATIC = "static"
    DYNAMIC = "dynamic"
    THRESHOLD = "threshold"
    UNIT_INTERVAL = "unit_interval"
    EIGHT_BIT = "eight_bit"
    REAL = "real"

    @property
    def is_binary(self) -> bool:
        """Whether the values are 0 and 1."""
        return self in BINARY

    @property
    def is_discrete(self) -> bool:
        """Whether log p(x) is the log of a probability, so that bits per dimension are defined."""
        return self.is_binary or self is Kind.EIGHT_BIT


def of(kind: "Kind | str") -> Kind:
    """Returns the kind of a name, or raises `ValueError` if there is none."""
    return Kind(check_choice("kind of values", kind, list(Kind)))


BINARY = frozenset({Kind.STATIC, Kind.DYNAMIC, Kind.THRESHOLD})


def infer(values: np.ndarray) -> Kind:
    """Returns the kind that an array has by itself: its dtype first, then its range.

    uint8 is `EIGHT_BIT` (unless only 0 and 1 occur), bool and {0, 1} are `STATIC`, floats in [0, 1]
    are `UNIT_INTERVAL`, everything else is `REAL`.
    """
    if values.dtype == np.bool_ or is_zero_one(values):
        return Kind.STATIC
    if values.dtype == np.uint8:
        return Kind.EIGHT_BIT
    if values.size and all(x.min() >= 0 and x.max() <= 1 for x in blocks(values)):
        return Kind.UNIT_INTERVAL
    return Kind.REAL


def from_integers(*arrays: np.ndarray, candidates: Sequence[Kind] = ()) -> tuple[np.ndarray, ...]:
    """Returns arrays as a `Split` keeps them: the one rule of what integers are.

    Integers of any type in 0..255 are bytes, k/255. They are not where

    - one of them is out of 0..255: then all are numbers;
    - only real numbers are asked for, as by a model of a table: then all are numbers;
    - there are only 0 and 1, and binary values are asked for or nothing is said: then they are 0
      and 1. A model of grey values takes the same integers for two dark levels.

    What is not an array of integers stays as it is.

    Args:
        arrays: [N, ...] each, with one scale for all, such as training and test.
        candidates: the kinds that values may be of, the preferred one first; none if all may be.

    Returns:
        An array for each: uint8 that means k/255, bool, or float32 for numbers.
    """
    integers = [x for x in arrays if x.dtype.kind in "iu" and x.size]
    in_a_byte = all(0 <= x.min() and x.max() <= GREY_LEVELS - 1 for x in integers)
    may_be_binary = not candidates or candidates[0].is_binary
    if not in_a_byte or list(candidates) == [Kind.REAL]:
        dtype = np.float32
    elif may_be_binary and all(is_zero_one(x) for x in integers):
        dtype = np.bool_
    else:
        dtype = np.uint8
    stored = [x.astype(dtype, copy=False) if x.dtype.kind in "iu" else x for x in arrays]
    if dtype == np.float32:
        for x, small in zip(arrays, stored, strict=True):
            if x.dtype.kind in "iu":
                check_float32(x, small, "The values")
    return tuple(stored)


def intensities(values: np.ndarray) -> np.ndarray:
    """Returns what a `Split` keeps as the float32 numbers that it means: of uint8, k/255."""
    if values.dtype == np.uint8:
        return values.astype(np.float32) / (GREY_LEVELS - 1)
    with np.errstate(over="ignore"):  # what float32 cannot hold becomes inf, refused elsewhere
        return values.astype(np.float32, copy=False)


# How far rounding to float32 may move a value, as a share of what its column spans.
_ROUNDING = 1e-3


def check_float32(values: np.ndarray, small: np.ndarray, what: str) -> None:
    """Raises `ValueError` if numbers are others after they were made float32.

    Integers have to be the same. Other numbers may be rounded by no more than a thousandth of what
    their column (of a table or of targets), or the whole array of anything else, spans: a time in
    seconds since 1970 becomes a multiple of 128, which is nothing beside years and all of an hour.

    Args:
        values: [N, ...], finite.
        small: the same in float32.
        what: "The train values", for the error.
    """
    if values.dtype.kind not in "iuf" or values.dtype.itemsize < 4 or values.dtype == np.float32:
        return
    if not values.size:
        return
    axis = 0 if values.ndim <= 2 else None
    if values.dtype.kind == "f":
        moved = np.abs(values - small.astype(np.float64)).max(axis=axis)
        spans = np.ptp(values, axis=axis)
        wrong = (spans > 0) & (moved > _ROUNDING * spans)
        how = (
            "numbers spread apart by more than float32 rounds off; subtract an offset or scale them"
        )
    else:
        with np.errstate(invalid="ignore"):  # the largest one of all, one too large for its type
            wrong = (small.astype(np.float64).astype(values.dtype) != values).any(axis=axis)
        how = "integers up to 16,777,216, which float32 can hold, or floats; scale them"
    if np.any(wrong):
        column = int(np.argmax(np.atleast_1d(wrong)))
        near = values[..., column] if values.ndim == 2 else values
        where = f" in column {column}" if values.ndim == 2 else ""
        raise ValueError(
            f"{what} would change in float32. Expected {how}. Received "
            f"{near.min():.17g} to {near.max():.17g}{where}."
        )


def check_float64(values: np.ndarray, what: str) -> None:
    """Raises `ValueError` if integers [N] that differ are one number as float64, as ids may be."""
    if values.dtype.kind not in "iu" or values.dtype.itemsize < 8 or not values.size:
        return
    low, high = values.min(), values.max()
    if low != high and is_collapsed(float(low), float(high)):
        raise ValueError(
            f"{what} would change on the way to float32. Expected integers up to 16,777,216, or "
            "spread apart; number them anew, subtract an offset or leave them out. Received "
            f"{low} to {high}."
        )


def is_collapsed(low: "float | np.ndarray", high: "float | np.ndarray") -> Any:
    """Returns whether integers between two floats may be others by a thousandth of the span."""
    largest = np.maximum(np.abs(low), np.abs(high))
    return (largest >= 2.0**53) & (np.subtract(high, low) * _ROUNDING <= np.spacing(largest))


def is_zero_one(values: np.ndarray) -> bool:
    """Returns whether every value is 0 or 1."""
    return all(np.all((block == 0) | (block == 1)) for block in blocks(values))


def violation(values: np.ndarray, kind: Kind) -> str | None:
    """Returns what `kind` would have asked of `values`, float intensities, or None if they fit.

    The intensities of a `DYNAMIC` or `THRESHOLD` split are those before binarisation.
    """
    if kind is Kind.REAL:
        return None
    if kind is Kind.STATIC:
        return None if is_zero_one(values) else "only 0 and 1"
    if not (values.min() >= 0 and values.max() <= 1):
        return "values in [0, 1]"
    if kind is Kind.EIGHT_BIT:
        levels = values * (GREY_LEVELS - 1)
        if np.abs(levels - np.round(levels)).max() > 1e-3:
            return "multiples of 1/255"
    return None


def check_numbers(values: np.ndarray, what: str) -> None:
    """Raises `ValueError` if `values` are not real numbers."""
    # Such as bfloat16, which NumPy does not know by itself, are numbers too.
    if values.dtype.kind not in "biuf" and not np.can_cast(values.dtype, np.float32):
        raise ValueError(
            f"{what} values are not numbers. Expected an array of real numbers. Received dtype "
            f"{values.dtype}."
        )


def check_finite(values: np.ndarray, what: str) -> None:
    """Raises `ValueError` naming the first NaN or infinity in `values`.

    And of numbers whose squares are infinite in float32, of which every density is.
    """
    if not np.issubdtype(values.dtype, np.floating):
        return
    bad = ~np.isfinite(values)
    if bad.any():
        index = tuple(int(i) for i in np.argwhere(bad)[0])
        raise ValueError(
            f"{what} has {int(bad.sum())} values that are not finite. Expected finite numbers. "
            f"Received {values[index]} at index {index}."
        )
    if values.size and max(-float(values.min()), float(values.max())) > MOST:
        place = np.unravel_index(np.argmax(np.abs(values)), values.shape)
        raise ValueError(
            f"{what} has numbers that are too large: their squares, which densities have, are not "
            f"finite in float32. Expected at most {MOST:g}, in other units if need be. Received "
            f"{values[place]:g} at index {tuple(map(int, place))}."
        )
