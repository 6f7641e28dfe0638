"""What became of a training, epoch by epoch."""

import pathlib

import keras

from tfp_vae.files import replacing


class HistoryFile(keras.callbacks.Callback):
    """Writes the logs of every epoch as a line of a .csv file, also beyond an interruption.

    Unlike Keras' `CSVLogger`, it is part of what `Checkpoints` keep: a training that goes on from a
    checkpoint first cuts the file down to the epochs before that.

    Args:
        path: the file; an earlier one is replaced.
    """

    def __init__(self, path: "str | pathlib.Path"):
        super().__init__()
        self.path = pathlib.Path(path)
        self._lines: list[str] = []
        self._is_whole = False  # whether the file has all lines

    def get_state(self) -> dict:
        """Returns the lines so far, JSON-ready."""
        return {"lines": self._lines}

    def set_state(self, state: dict) -> None:
        """Writes the lines of `get_state`."""
        self._lines = list(state["lines"])
        self._write()

    def on_train_begin(self, logs=None):
        """Starts anew."""
        self.set_state({"lines": []})

    def on_epoch_end(self, epoch, logs=None):
        """Adds the line of the epoch, and before the first the names of the columns."""
        names = sorted(logs or {})
        new = [] if self._lines else [",".join(("epoch", *names)) + "\n"]
        new.append(",".join((str(epoch), *(repr(float(logs[name])) for name in names))) + "\n")
        self._lines += new
        try:
            if self._is_whole:
                self._is_whole = False
                with open(self.path, "a", encoding="utf-8") as file:
                    file.writelines(new)
                self._is_whole = True
            else:
                self._write()
        except OSError as error:  # a full disk may have room again after the next epoch
            print(f"{self.path.name} not written: {error}. Training goes on", flush=True)

    def on_train_end(self, logs=None):
        """Writes what could not be written before."""
        if not self._is_whole:
            self._write()

    def _write(self):
        with replacing(self.path) as temporary:
            temporary.write_text("".join(self._lines), encoding="utf-8")
        self._is_whole = True
