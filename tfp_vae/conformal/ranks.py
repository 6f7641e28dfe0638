"""Ranks among held-out scores: p-values and limits that are exact under exchangeability.

n held-out scores and a new one of the same kind are in any order with the same probability, so the
rank of the new one is uniform on 1, ..., n + 1, whatever the scores are.
"""

import math

import numpy as np

from tfp_vae.arguments import check_number


def p_values(held_out: np.ndarray, scores: np.ndarray) -> np.ndarray:
    """Returns (1 + number of held-out scores that are as high) / (n + 1), [M] in (0, 1].

    The probability that a score of the same kind is so high or higher: P(p <= a) <= a, with
    equality where a (n + 1) is whole and no two scores are equal.

    Args:
        held_out: [n], scores of examples that the model was not trained on.
        scores: [M], of others.
    """
    ordered = np.sort(_numbers("held-out scores", held_out))
    scores = np.asarray(scores, np.float64)
    if np.isnan(scores).any():
        index = int(np.argmax(np.isnan(scores).ravel()))
        raise ValueError(f"A score is not a number. Expected numbers. Received NaN at {index}.")
    below = np.searchsorted(ordered, scores, side="left")
    return (1 + len(ordered) - below) / (len(ordered) + 1)


def limit(held_out: np.ndarray, level: float, what: str = "level") -> float:
    """Returns the least held-out score that at least `level` of new ones are at most, see above.

    Args:
        held_out: [n], scores of examples that the model was not trained on.
        level: in (0, 1).
        what: is asked for, for errors.

    Raises:
        ValueError: if n < level / (1 - level): then no finite score is high enough.
    """
    level = check_number(what, level, above=0, below=1)
    ordered = np.sort(_numbers("held-out scores", held_out))
    if len(ordered) < rows_needed(1 - level):
        raise ValueError(
            f"There are too few held-out rows for {what} {level:g}. Expected at least "
            f"{rows_needed(1 - level)}. Received {len(ordered)}."
        )
    # The product may be a rounding error above a whole number.
    rank = math.ceil((len(ordered) + 1) * level - 1e-9)
    return float(ordered[rank - 1])


def rows_needed(rate: float) -> int:
    """Returns how many held-out rows it takes for p-values of `rate` or less: 1 / rate - 1."""
    rate = check_number("rate", rate, above=0, below=1)
    return max(1, math.ceil(1 / rate - 1 - 1e-9))


def _numbers(name, values):
    values = np.asarray(values, np.float64)
    if values.ndim != 1 or not len(values) or np.isnan(values).any():
        raise ValueError(
            f"The {name} cannot be ranked. Expected numbers, shape (n,), at least one. Received "
            f"shape {values.shape} with {int(np.isnan(values).sum())} NaN."
        )
    return values
