"""What the values of a data set are, which decides what may be a likelihood of them.

Every image is handed to a model as float32. `Kind` says which random variable those numbers are: a
binary one, one of 256 grey levels on the grid {0, 1/255, ..., 1}, a real number in [0, 1], or any
real number. A likelihood names the kinds it is a density (or a mass function) of and refuses the
rest, because a number such as "Bernoulli log-likelihood of grey pixels" compares with nothing.
"""

import enum

import numpy as np

from tfp_vae.data.streams import blocks

GREY_LEVELS = 256


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
    try:
        return Kind(kind)
    except ValueError:
        raise ValueError(
            f"Unknown kind of values. Expected one of {', '.join(Kind)}. Received {kind!r}."
        ) from None


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
    if values.size and values.min() >= 0 and values.max() <= 1:
        return Kind.UNIT_INTERVAL
    return Kind.REAL


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
    """Raises `ValueError` if `values` are no real numbers."""
    # Such as bfloat16, which NumPy does not know by itself, are numbers too.
    if values.dtype.kind not in "biuf" and not np.can_cast(values.dtype, np.float32):
        raise ValueError(
            f"{what} values are not numbers. Expected an array of real numbers. Received dtype "
            f"{values.dtype}."
        )


def check_finite(values: np.ndarray, what: str) -> None:
    """Raises `ValueError` naming the first NaN or infinity in `values`."""
    if not np.issubdtype(values.dtype, np.floating):
        return
    bad = ~np.isfinite(values)
    if bad.any():
        index = tuple(int(i) for i in np.argwhere(bad)[0])
        raise ValueError(
            f"{what} has {int(bad.sum())} values that are not finite. Expected finite numbers. "
            f"Received {values[index]} at index {index}."
        )
