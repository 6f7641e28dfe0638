"""What a training is set up with: its rate, its steps per call, its stock callbacks."""

import keras

from tfp_vae import extras
from tfp_vae.arguments import check_choice, check_number
from tfp_vae.data import Split

SCHEDULES = ("constant", "cosine", "step")


def steps_per_execution(split: Split, batch_size: int, most: int = 100) -> int:
    """Returns how many steps one call from Python should run: an epoch, at most `most` steps."""
    return min(most, split.num_batches(batch_size))


def learning_rate(schedule: str, initial: float, steps: int):
    """Returns a learning rate for `steps` steps: a number or a Keras schedule.

    Args:
        schedule: "constant"; "cosine", to 0 along half a cosine (Loshchilov & Hutter, 2017); or
            "step", the eight stages initial 10^(-i/7), i = 0..7, of length proportional to 3^i of
            Burda et al. (2016).
        initial: the rate at step 0.
        steps: steps of the whole training.

    Raises:
        ValueError: for an unknown schedule or an impossible rate.
    """
    check_choice("schedule", schedule, SCHEDULES)
    check_number("learning rate", initial, above=0)
    if schedule == "constant":
        return initial
    if schedule == "cosine":
        return keras.optimizers.schedules.CosineDecay(initial, steps)
    passes = [3**i for i in range(8)]
    ends = [round(steps * sum(passes[: i + 1]) / sum(passes)) for i in range(7)]
    rates = [initial * 10 ** (-i / 7) for i in range(8)]
    return keras.optimizers.schedules.PiecewiseConstantDecay(ends, rates)


def early_stopping(patience: int) -> keras.callbacks.Callback:
    """Returns a callback that stops at the best validation ELBO and restores its weights.

    It watches `val_elbo`, which no KL weight moves, never the loss (whose weight warms up).
    """
    return keras.callbacks.EarlyStopping(
        monitor="val_elbo", mode="max", patience=patience, restore_best_weights=True
    )


def tensorboard(folder) -> keras.callbacks.Callback:
    """Returns the TensorBoard callback of Keras.

    Raises:
        ImportError: if the package is missing; the message has the command that installs it.
    """
    extras.need("tensorboard", "TensorBoard logs")
    return keras.callbacks.TensorBoard(folder)
