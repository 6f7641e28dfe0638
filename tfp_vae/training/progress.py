"""How far a long piece of work is, for people who wait for it."""

import sys
import time

import keras


class Progress:
    """Says how far a long piece of work is and how long it will still take.

    On a terminal and in a notebook one line is rewritten in place; in a log a line appears for the
    first and the last step and at most every `seconds` seconds between.

    Args:
        what: what is being counted, such as "epoch".
        seconds: between lines of a log.
        stream: where to write, standard output by default.
    """

    def __init__(self, what: str, seconds: float = 10.0, stream=None):
        self.what, self.seconds = what, seconds
        self.stream = sys.stdout if stream is None else stream
        self._first: tuple[float, int] | None = None
        self._width = 0

    def __call__(self, done: int, total: int, note: str = "") -> None:
        """Reports that `done` of `total` are done."""
        now = time.monotonic()
        if self._first is not None and done <= self._first[1]:
            self._first = None  # begun again
        terminal, is_first = self.stream.isatty(), self._first is None
        # The output of a cell of Jupyter or Colab goes back, and knows no sign that erases a line.
        notebook = type(self.stream).__module__.startswith("ipykernel")
        wait = 0.0 if terminal else 0.5 if notebook else self.seconds
        if not (is_first or done == total or now - self._shown >= wait):
            return
        self._shown = now
        if is_first:  # compiling is part of it: no measure of the rest
            self._first = now, done
            left = ""
        else:
            start, before = self._first
            left = f"{duration((now - start) / (done - before) * (total - done))} left"
        line = f"{self.what} {done:,}/{total:,}  {note}{left}".rstrip()
        if terminal or notebook:
            back = "\r\x1b[K" if terminal else "\r"
            end = "\n" if done == total else ""
            self.stream.write(f"{back}{line:<{0 if terminal else self._width}}{end}")
            self._width = len(line)
        else:
            self.stream.write(f"{line}\n")
        self.stream.flush()


class ShowProgress(keras.callbacks.Callback):
    """Shows the bounds, the KL and the time left for the whole training, after every epoch."""

    def on_train_begin(self, logs=None):
        """Starts anew."""
        self._progress = Progress("epoch")

    def on_epoch_end(self, epoch, logs=None):
        """Reports the epoch."""
        # The bound that is trained beside the ELBO; of a training that is on no bound its loss.
        bounds = [bound.name for bound, _ in getattr(self.model, "bound_trackers", ())]
        bounds = [each for name in bounds for each in (name, f"val_{name}")]
        rest = () if "elbo" in (logs or {}) else ("loss", "val_loss")
        names = ("elbo", "val_elbo", *bounds, "kl", *rest)
        shown = (f"{k} {logs[k]:.2f}  " for k in names if k in (logs or {}))
        self._progress(epoch + 1, self.params["epochs"], "".join(shown))


def duration(seconds: float) -> str:
    """Returns seconds as words: "42 s", "3 min 20 s", "2 h 05 min"."""
    seconds = round(seconds)
    if seconds < 60:
        return f"{seconds} s"
    if seconds < 3600:
        return f"{seconds // 60} min {seconds % 60:02d} s"
    return f"{seconds // 3600} h {seconds % 3600 // 60:02d} min"
