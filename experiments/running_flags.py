"""The flags of how a training runs: how it is saved as it goes on."""

from absl import flags

import tfp_vae as tv
from experiments import cli
from tfp_vae import report, training

flags.adopt_module_key_flags(cli)
_CHECKPOINT_EVERY = flags.DEFINE_string(
    "checkpoint_every",
    None,
    "Save the training every so many steps (500) or seconds (30s); the same command continues it.",
)
_MOST_STEPS = 100  # that one call from Python runs
# Where a training lies and how it is saved is not what it is; the data are told by their digests.
_IMMATERIAL = ("run_dir", "overwrite", "checkpoint_every", "data_dir", "tensorboard")


def saves() -> bool:
    """Returns whether the training is saved as it goes on."""
    if _CHECKPOINT_EVERY.value is not None:
        training.parse_every(_CHECKPOINT_EVERY.value)
    return _CHECKPOINT_EVERY.value is not None


def steps_at_once() -> int:
    """Returns how many steps one call may run at most, so that checkpoints lie where they should.

    They lie between calls.
    """
    steps = training.parse_every(_CHECKPOINT_EVERY.value)[0] if saves() else None
    return min(_MOST_STEPS, steps or _MOST_STEPS)


def checkpoints(run: report.RunFolder, data: tv.data.Data) -> "training.Checkpoints | None":
    """Returns what saves the training, after a look at what is there to go on with."""
    if not saves():
        return None
    steps, seconds = training.parse_every(_CHECKPOINT_EVERY.value)
    configuration = {f"--{k}": v for k, v in cli.flag_values().items() if k not in _IMMATERIAL}
    configuration |= {f"digest of {split}": digest for split, digest in data.digests.items()}
    folder = run / report.CHECKPOINTS
    saved = training.Checkpoints(folder, steps, seconds, configuration=configuration)
    if not run.overwrite:
        saved.newest()  # of another training: an error now
    return saved
