"""A detector from data: a VAE is trained on most of the rows, and the others are ranked."""

from collections.abc import Iterable

import keras
import numpy as np

from tfp_vae.conformal import rows_needed
from tfp_vae.data import Data, Split
from tfp_vae.evaluation import Detector
from tfp_vae.methods import VAERecipe


def train(
    data: Data,
    recipe: VAERecipe,
    false_positive_rate: float,
    *,
    score: str = "negative_log_evidence",
    epochs: int = 200,
    batch_size: int = 128,
    learning_rate: float = 1e-3,
    seed: int = 0,
    callbacks: "Iterable[keras.callbacks.Callback]" = (),
) -> Detector:
    """Returns a fitted detector, whose held-out rows are those of validation and test.

    Args:
        data: whose labels or targets are not looked at.
        recipe: of the VAE.
        false_positive_rate: see `Detector.fit`.
        score: see `Detector`.
        epochs: passes over the training rows.
        batch_size: rows per step.
        learning_rate: of Adam, which falls to 0 by a cosine.
        seed: of weights, order and noise.
        callbacks: of Keras.

    Raises:
        ValueError: before training, if the rate takes more held-out rows; says how many.
    """
    check(data, false_positive_rate)
    keras.utils.set_random_seed(seed)
    vae = recipe.build(data, seed=seed)
    steps = vae.batches_per_epoch(data.train, min(batch_size, len(data.train))) * epochs
    rate = keras.optimizers.schedules.CosineDecay(learning_rate, steps)
    vae.compile(optimizer=keras.optimizers.Adam(rate), jit_compile=False)
    vae.fit(
        data.train,
        epochs=epochs,
        batch_size=min(batch_size, len(data.train)),
        callbacks=list(callbacks),
        verbose=0,
    )
    return Detector(vae, score).fit(_together(data.validation, data.test), false_positive_rate)


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


def _together(first: Split, second: Split) -> Split:
    values = np.concatenate([first.values(), second.values()])
    return Split(values, first.kind, name="held-out", schema=first.schema, columns=first.columns)
