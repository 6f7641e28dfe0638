"""A detector from data: a VAE is trained on most of the rows, and the others are ranked."""

import numpy as np

from tfp_vae.conformal import rows_needed
from tfp_vae.data import Data, Split


def check(data: Data, false_positive_rate: float) -> None:
    """Raises `ValueError` if the rate takes more held-out rows; says how many there must be."""
    needed = rows_needed(false_positive_rate)
    held_out = len(data.validation) + len(data.test)
    count = held_out + len(data.train)
    if held_out < needed:
        raise ValueError(
            f"The false-positive rate {false_positive_rate:g} takes more rows. Expected at least "
            f"{int(np.ceil(needed * count / held_out))}, of which {needed} are held out, or a rate "
            f"of at least {1 / (held_out + 1):.3g}. Received {count} rows."
        )


def held_out(data: Data) -> Split:
    """Returns the rows that nobody trains on: those of validation and test together."""
    first, second = data.validation, data.test
    values = np.concatenate([first.values(), second.values()])
    return Split(values, first.kind, name="held-out", schema=first.schema, columns=first.columns)
