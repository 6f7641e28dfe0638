"""The flags of how a training runs: how it is saved as it goes on, and on which devices."""

import contextlib
import os
import pathlib
import re
import sys
import tempfile

from absl import flags

import tfp_vae as tv
from tfp_vae import peek

from . import cli, folder_flags, helping, start

GROUP = "Saving and devices"
CHECKPOINT_EVERY = flags.DEFINE_string(
    "checkpoint_every",
    None,
    "Save the training every so many steps (500) or seconds (30s); the same command continues it.",
)
_STRATEGY = flags.DEFINE_enum(
    "strategy",
    "none",
    peek.names("training.STRATEGIES"),
    "Who shares the batches: no one, devices, workers.",
)
_entered = contextlib.ExitStack()  # what the end of the program ends
_MOST_STEPS = 100  # that one call from Python runs
# Where a training lies and how it is saved is not what it is; the data are told by their digests.
_IMMATERIAL = ("run_dir", "overwrite", "checkpoint_every", "data_dir", "tensorboard")


def is_shared() -> bool:
    """Returns whether several devices share the batches."""
    return _STRATEGY.value != "none"


def enter_strategy() -> None:
    """Makes everything from here on be made and trained on the devices of --strategy.

    Of many workers only the first one speaks and writes: the others work in a folder of their own,
    which goes when they do.
    """
    strategy = tv.training.strategy(_STRATEGY.value)
    if strategy is not None:
        _entered.enter_context(strategy.scope())
    if not tv.training.is_chief():
        sys.stdout = open(os.devnull, "w")


def leave_strategy() -> None:
    """Undoes `enter_strategy`, for who runs several programs in one process."""
    _entered.close()


def run_folder(overwrite: bool) -> "tv.report.RunFolder":
    """Returns the folder of the run, checked but not made, and starts TensorFlow after the look."""
    folder = None
    if _STRATEGY.value != "multiworker":
        folder = tv.report.RunFolder(
            folder_flags.RUN_DIR.value, overwrite, resumes=any(_distance())
        )
    start()
    enter_strategy()
    if folder is not None:
        return folder
    if not tv.training.is_chief():
        return tv.report.RunFolder(_entered.enter_context(tempfile.TemporaryDirectory()))
    return tv.report.RunFolder(folder_flags.RUN_DIR.value, overwrite, resumes=any(_distance()))


def parse_every(text: str) -> "tuple[int | None, float | None]":
    """Returns (steps, seconds), one of them None, of "500", "500 steps", "30s", "30 seconds".

    Raises:
        ValueError: for anything else.
    """
    found = re.fullmatch(r"(\d+(?:\.\d+)?) *(s|sec|seconds?|steps?)?", text.strip())
    number = float(found[1]) if found else 0.0
    in_seconds = bool(found and found[2] and not found[2].startswith("st"))
    if number <= 0 or (not in_seconds and number != int(number)):
        raise ValueError(
            "Unusable distance between checkpoints. Expected steps (500, '500 steps') or seconds "
            f"(30s, '30 seconds'). Received {text!r}."
        )
    return (None, number) if in_seconds else (int(number), None)


def _distance() -> "tuple[int | None, float | None]":
    """Returns the steps and the seconds between checkpoints: one of them, or none."""
    text = cli.value_of(CHECKPOINT_EVERY)
    return (None, None) if text is None else parse_every(text)


def steps_at_once() -> int:
    """Returns how many steps one call may run at most, so that checkpoints lie where they should.

    They lie between calls.
    """
    steps, _ = _distance()
    return min(_MOST_STEPS, steps or _MOST_STEPS)


def checkpoints(
    run: "tv.report.RunFolder", data: "tv.data.Data"
) -> "tv.training.Checkpoints | None":
    """Returns what saves the training, after a look at what is there to go on with."""
    steps, seconds = _distance()
    if not steps and not seconds:
        return None
    configuration = {
        f"--{name}": flag.value
        for name, flag in sorted(helping.own_flags().items())
        if name not in _IMMATERIAL
    }
    configuration |= {f"digest of {split}": digest for split, digest in data.digests.items()}
    folder = (
        pathlib.Path(folder_flags.RUN_DIR.value) / tv.report.CHECKPOINTS
    )  # all workers read there
    saved = tv.training.Checkpoints(folder, steps, seconds, configuration=configuration)
    if not run.overwrite:
        saved.newest()  # of another training: an error now
    return saved
