"""Numbers that callers give: whether they are what an argument asks for.

What is no number at all (text, None, a list) is told from a number here, once, so that an error can
say what was expected and no comparison fails in its place.
"""

import math
import numbers

MOST = 2**31 - 1  # of anything that is counted: shapes are int32 in many places


def is_number(value, low: float = -math.inf, above: float = -math.inf) -> bool:
    """Returns whether `value` is a finite real number, at least `low` and more than `above`."""
    if isinstance(value, bool) or not isinstance(value, numbers.Real):
        return False
    try:
        number = float(value)  # Python's integers may be larger than any float
    except OverflowError:
        return False
    return math.isfinite(number) and low <= number and number > above


def is_count(value, least: int = 1, most: int = MOST) -> bool:
    """Returns whether `value` is a whole number in [least, most], whatever its type."""
    return is_number(value) and int(value) == value and least <= int(value) <= most
