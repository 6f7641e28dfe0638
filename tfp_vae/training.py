"""Training: what goes around Keras' `fit`."""

import math
import sys
import time

import keras

from tfp_vae.arguments import is_number
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
    if not is_number(initial, above=0):
        raise ValueError(f"Impossible learning rate. Expected a number > 0. Received {initial!r}.")
    if schedule == "constant":
        return initial
    if schedule == "cosine":
        return keras.optimizers.schedules.CosineDecay(initial, steps)
    if schedule == "step":
        passes = [3**i for i in range(8)]
        ends = [round(steps * sum(passes[: i + 1]) / sum(passes)) for i in range(7)]
        rates = [initial * 10 ** (-i / 7) for i in range(8)]
        return keras.optimizers.schedules.PiecewiseConstantDecay(ends, rates)
    raise ValueError(
        f"Unknown schedule. Expected one of {', '.join(SCHEDULES)}. Received {schedule!r}."
    )


class Progress:
    """Says how far a long piece of work is and how long it will still take.

    On a terminal one line is rewritten in place; in a log a line appears for the first and the last
    step and at most every `seconds` seconds between.

    Args:
        what: what is being counted, such as "epoch".
        seconds: between lines of a log.
        stream: where to write, standard output by default.
    """

    def __init__(self, what: str, seconds: float = 10.0, stream=None):
        self.what, self.seconds = what, seconds
        self.stream = sys.stdout if stream is None else stream
        self._first: tuple[float, int] | None = None

    def __call__(self, done: int, total: int, note: str = "") -> None:
        """Reports that `done` of `total` are done."""
        now = time.monotonic()
        terminal, is_first = self.stream.isatty(), self._first is None
        if not (terminal or is_first or done == total or now - self._shown >= self.seconds):
            return
        self._shown = now
        if is_first:  # compiling is part of it: no measure of the rest
            self._first = now, done
            left = ""
        else:
            start, before = self._first
            left = f"{duration((now - start) / (done - before) * (total - done))} left"
        line = f"{self.what} {done:,}/{total:,}  {note}{left}".rstrip()
        if terminal:
            self.stream.write(f"\r\x1b[K{line}" + ("\n" if done == total else ""))
        else:
            self.stream.write(f"{line}\n")
        self.stream.flush()


class ShowProgress(keras.callbacks.Callback):
    """Shows the bound, the KL and the time left for the whole training, after every epoch."""

    def on_train_begin(self, logs=None):
        """Starts anew."""
        self._progress = Progress("epoch")

    def on_epoch_end(self, epoch, logs=None):
        """Reports the epoch."""
        shown = (f"{k} {logs[k]:.2f}  " for k in ("elbo", "val_elbo", "kl") if k in (logs or {}))
        self._progress(epoch + 1, self.params["epochs"], "".join(shown))


def duration(seconds: float) -> str:
    """Returns seconds as words: "42 s", "3 min 20 s", "2 h 05 min"."""
    seconds = round(seconds)
    if seconds < 60:
        return f"{seconds} s"
    if seconds < 3600:
        return f"{seconds // 60} min {seconds % 60:02d} s"
    return f"{seconds // 3600} h {seconds % 3600 // 60:02d} min"


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
    try:
        import tensorboard as _  # noqa: F401
    except ImportError as error:
        raise ImportError(
            "TensorBoard logs need the package tensorboard. Expected it installed "
            "(pip install 'tfp_vae[tensorboard]'). Received no such package."
        ) from error
    return keras.callbacks.TensorBoard(folder)


def check_finished(history: keras.callbacks.History) -> None:
    """Raises `FloatingPointError` if a training ended in NaN or infinity."""
    for name, values in history.history.items():
        if not math.isfinite(values[-1]):
            raise FloatingPointError(
                f"The training broke down in epoch {history.epoch[-1] + 1}. Expected a finite "
                f"{name}. Received {values[-1]}; a lower learning rate is the likely cure."
            )
