"""Trainings that are interrupted and go on to the last bit.

Data order, binarisation and noise are functions of (seed, epoch, step), so the state of a training
is what its variables hold, where it is, and what its callbacks have seen: nothing else is kept.
"""

import contextlib
import json
import pathlib
import signal
import sys
import time

import keras
import numpy as np
import tensorflow as tf

from tfp_vae import keras_private
from tfp_vae.files import remove_leftovers, replacing
from tfp_vae.training.devices import any_worker, is_chief
from tfp_vae.training.states import (
    DAMAGE,
    has_state,
    pack,
    read,
    seen,
    set_seen,
    to_bytes,
    unpacked,
)

_PATTERN = "checkpoint-*.npz"


class Stopped(Exception):
    """A training was asked to stop, and saved where it is."""


class Checkpoints(keras.callbacks.Callback):
    """Saves a training as it goes on; in the next `fit`, continues one that was interrupted.

    For the models of this package. The last one in the list of callbacks, so that it sees what the
    others have done. After `fit` with the same model, data and callbacks, the weights, the metrics
    and the history are those of a training that nothing interrupted, to the last bit.

    Args:
        folder: receives the checkpoints; made when training begins.
        steps: between checkpoints; they lie between calls of `steps_per_execution` steps.
        seconds: between checkpoints, instead of `steps`.
        keep: how many of the newest are kept.
        configuration: JSON-ready, what the training is. One with another is not gone on with.
        stream: where to report, standard output by default.

    Attributes:
        seconds_trained: of this training, those before interruptions included.
        saves: how often this process has saved.
        seconds_saving: that it took.

    Raises:
        ValueError: from `fit`, for data whose batches are not functions of their number (datasets,
            generators, sample weights), or a checkpoint of another training.
    """

    def __init__(
        self,
        folder: "str | pathlib.Path",
        steps: int | None = None,
        seconds: float | None = None,
        keep: int = 3,
        configuration: dict | None = None,
        stream=None,
    ):
        super().__init__()
        plan = seconds if steps is None else steps
        if (steps is None) == (seconds is None) or plan <= 0 or keep < 1:
            raise ValueError(
                "Unusable plan of checkpoints. Expected steps > 0 or seconds > 0, and keep >= 1. "
                f"Received steps={steps}, seconds={seconds}, keep={keep}."
            )
        self.folder = pathlib.Path(folder)
        self.steps, self.seconds, self.keep = steps, seconds, keep
        self.configuration = json.loads(json.dumps(configuration or {}))
        self.stream = sys.stdout if stream is None else stream
        self.seconds_trained = self.seconds_saving = 0.0
        self.saves = 0
        self._signal = None
        self._callbacks: list = []
        self._metrics = None

    # Which there are.

    def files(self) -> "list[pathlib.Path]":
        """Returns the checkpoints there are, the newest first."""
        return sorted(self.folder.glob(_PATTERN), reverse=True)

    def newest(self) -> "tuple[dict, dict] | None":
        """Returns (state, arrays) of the newest checkpoint that can be read, or None.

        Raises:
            ValueError: if it is one of another configuration.
        """
        for file in self.files():
            try:
                state, arrays = read(file)
            except DAMAGE as error:
                self._say(f"{file.name} is damaged ({error}): going back to the one before")
                continue
            self._check_configuration(file, state["configuration"])
            return state, arrays
        if self.files():
            self._say(f"no checkpoint in {self.folder} can be read: beginning anew")
        return None

    def _check_configuration(self, file, known):
        wanted = self.configuration
        names = sorted({*known, *wanted})
        differing = [name for name in names if known.get(name) != wanted.get(name)]
        if differing:
            there, here = (
                ", ".join(f"{name}={values.get(name)}" for name in differing)
                for values in (known, wanted)
            )
            raise ValueError(
                f"{file} is of another training. Expected {there}, as when it began (or "
                f"--overwrite, or another folder). Received {here}."
            )

    # What Keras calls.

    def on_train_begin(self, logs=None):
        """Goes on from the newest checkpoint, if there is one."""
        model = self.model
        if not model.current.replayable:
            raise ValueError(
                "Checkpoints would not continue this training exactly. Expected a Split or arrays "
                "without weights or validation_split, whose batches are functions of their number, "
                "and epochs that are passes over what tf.data reads. Received something else."
            )
        if not model.optimizer.built:
            with model.distribute_strategy.scope():
                model.optimizer.build(model.trainable_variables)
        self._callbacks = [x for x in model.current.callbacks if x is not self and has_state(x)]
        if is_chief():
            self.folder.mkdir(parents=True, exist_ok=True)
            remove_leftovers(self.folder, _PATTERN)
        self._rows, self._earlier, self._saved_at = [], [], (time.monotonic(), 0)
        self._epoch, self._done, self._metrics = 0, 0, None
        self._step = self._first_step = int(tf.convert_to_tensor(model.training_step))
        found = self.newest()
        if found is not None:
            with model.distribute_strategy.scope():
                self._restore(*found)
        self._started = time.monotonic() - self.seconds_trained

    def _plan(self) -> dict:
        """Returns what has to be the same for the batches to be the same."""
        return {
            "batches per epoch": self.params["steps"],
            "steps_per_execution": self.model.steps_per_execution,
            "seed": self.model.seed,
            "replicas": self.model.distribute_strategy.num_replicas_in_sync,
        }

    def _restore(self, state, arrays):
        model = self.model
        if state["plan"] != self._plan():
            raise ValueError(
                f"The checkpoint is of another training. Expected {state['plan']}. Received "
                f"{self._plan()}."
            )
        groups = {"weights": model.variables, "optimizer": model.optimizer.variables}
        for name, variables in groups.items():
            known, here = state[name], [list(v.shape) for v in variables]
            if known != here:
                raise ValueError(
                    f"The checkpoint is of another model. Expected {name} of shapes {here}. "
                    f"Received {known}."
                )
        for name, variables in groups.items():
            for index, variable in enumerate(variables):
                variable.assign(arrays[f"{name}/{index}"])
        if len(state["callbacks"]) != len(self._callbacks):
            raise ValueError(
                "The checkpoint is of another training. Expected as many callbacks with a state as "
                f"then, {len(state['callbacks'])}. Received {len(self._callbacks)}."
            )
        for callback, packed in zip(self._callbacks, state["callbacks"], strict=True):
            set_seen(callback, unpacked(packed, arrays))
        self._rows = self._earlier = [tuple(row) for row in state["history"]]
        self.seconds_trained = state["seconds"]
        self._epoch, self._done = state["epoch"], state["batch"]
        self._step = self._first_step = state["step"]
        self._saved_at = time.monotonic(), self._step
        if state["finished"]:
            keras_private.start_at_epoch(model, self.params["epochs"])
            self._say(f"the training was finished before, after step {self._step:,}")
            return
        keras_private.start_at_epoch(model, self._epoch)
        model.current.skip = self._done
        self._metrics = [arrays[f"metrics/{i}"] for i in range(state["metrics"])]
        self._say(
            f"going on after step {self._step:,} (epoch {self._epoch + 1}, batch {self._done})"
        )

    def on_epoch_begin(self, epoch, logs=None):
        """Restores the metrics of an epoch that is begun in its middle."""
        self._fill_history()
        self._first_step = self._step - self._done
        self._epoch = epoch
        if self._metrics and self._done:
            with self.model.distribute_strategy.scope():
                for variable, value in zip(
                    _metric_variables(self.model), self._metrics, strict=True
                ):
                    variable.assign(value)
        self._metrics = None

    def _fill_history(self):
        """Gives Keras' history the epochs before the interruption, after it has begun its own."""
        for epoch, row in self._earlier:
            self.model.history.epoch.append(epoch)
            for name, value in row.items():
                self.model.history.history.setdefault(name, []).append(value)
        self._rows, self._earlier = list(self._rows), []

    def on_train_batch_end(self, batch, logs=None):
        """Saves, if it is time to or the process was asked to stop."""
        batches = self.params["steps"]
        done = min(batch + 1, batches)
        if done <= self._done:
            return  # a batch that was passed by
        self._done, self._step = done, self._first_step + done
        if done < batches:  # else the end of the epoch does
            self._save_if_due()

    def on_epoch_end(self, epoch, logs=None):
        """Saves, if it is time to or the process was asked to stop."""
        row = {name: float(value) for name, value in (logs or {}).items()}
        self._rows.append((epoch, row))
        self._epoch, self._done = epoch + 1, 0
        if epoch + 1 < self.params["epochs"] and not self.model.stop_training:
            # else the end of the training does
            self._save_if_due()

    def on_train_end(self, logs=None):
        """Saves the finished training."""
        self._fill_history()
        self._save(finished=True)

    # Saving.

    @contextlib.contextmanager
    def catching_signals(self):
        """A context in which SIGTERM and SIGINT save before they stop the training.

        Raises:
            Stopped: if the process was asked to stop, after everything was saved.
            OSError: if it was and could not be.
        """
        before = {
            number: signal.signal(number, self._asked) for number in (signal.SIGTERM, signal.SIGINT)
        }
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)
        if self._signal is not None:
            raise Stopped(self._stopped())

    def _asked(self, number, frame):
        if self._signal is not None:  # asked twice: now
            raise KeyboardInterrupt
        self._signal = signal.Signals(number)
        self._say(f"{self._signal.name}: saving after the steps that run now")

    def _stopped(self):
        return (
            f"stopped by {self._signal.name} after step {self._step:,}; everything is saved, and "
            "the same command goes on from here."
        )

    def _save_if_due(self):
        strategy = self.model.distribute_strategy
        then, step = self._saved_at
        asked = any_worker(strategy, self._signal is not None)
        if self.steps:
            due = self._step - step >= self.steps
        else:
            due = any_worker(strategy, time.monotonic() - then >= self.seconds)
        if asked or due:
            self._save(must=asked)
        if asked:
            self._signal = self._signal or signal.SIGTERM
            raise Stopped(self._stopped())

    def _save(self, finished: bool = False, must: bool = False):
        begun = time.monotonic()
        content = self._packed(finished)  # of all workers: metrics are sums over them
        self._saved_at = time.monotonic(), self._step
        if not is_chief():
            return
        path = self.folder / f"checkpoint-{self._step:010d}.npz"
        try:
            with replacing(path) as temporary:
                temporary.write_bytes(content)
        except OSError as error:
            if must:
                raise
            # A full disk may have room again later; what was saved before is still there.
            self._say(f"checkpoint of step {self._step:,} not written: {error}. Training goes on")
            return
        for old in self.files()[self.keep :]:
            old.unlink(missing_ok=True)
        self.saves += 1
        self.seconds_saving += time.monotonic() - begun

    def _packed(self, finished: bool) -> bytes:
        model = self.model
        groups = {"weights": model.variables, "optimizer": model.optimizer.variables}
        metrics = _metric_variables(model) if self._done else []
        arrays = {
            f"{name}/{index}": _value(variable)
            for name, variables in (*groups.items(), ("metrics", metrics))
            for index, variable in enumerate(variables)
        }
        callbacks = [pack(seen(x), arrays, f"callback/{i}") for i, x in enumerate(self._callbacks)]
        state = {
            "configuration": self.configuration,
            "plan": self._plan(),
            "finished": finished,
            "epoch": self._epoch,
            "batch": self._done,
            "step": self._step,
            "seconds": time.monotonic() - self._started,
            "history": self._rows,
            "callbacks": callbacks,
            "metrics": len(metrics),
            **{name: [list(v.shape) for v in variables] for name, variables in groups.items()},
        }
        self.seconds_trained = state["seconds"]
        return to_bytes(state, arrays)

    def _say(self, text: str) -> None:
        if is_chief():
            print(text, file=self.stream, flush=True)


def _metric_variables(model) -> list:
    return [variable for metric in model.metrics for variable in metric.variables]


def _value(variable) -> np.ndarray:
    return tf.convert_to_tensor(variable.value).numpy()
