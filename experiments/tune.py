"""Searches over the flags of a training for the best validation figure.

    python -m experiments.tune --program=train_vae --fixed="--dataset=digits --epochs=30" \
        --search="learning_rate=log:1e-4:1e-2,latent_dim=2|8|32,hidden=200|400,400" \
        --trials=20 --run_dir=runs/tuning

Values of a flag stand with | between, linear:LOW:HIGH and log:LOW:HIGH are ranges of numbers. Each
trial is a run folder below RUN_DIR/trials, for `runs`, and a line of the table; tuning.json has all
of it, tuning.png draws it. The same command goes on where a search was, or adds --trials to it;
a trial that fails is named, and the others go on. With KERASTUNER_TUNER_ID, KERASTUNER_ORACLE_IP
and KERASTUNER_ORACLE_PORT in the environment several machines share a search, as KerasTuner says.
"""

import pathlib
import shlex
import subprocess
import sys

from absl import flags

import tfp_vae as tv
from tfp_vae import extras, peek
from tfp_vae.studies import search_space

from . import cli, folder_flags, helping, start, trial_flags

_PROGRAM = flags.DEFINE_enum("program", "train_vae", ["train_vae", "train_bnn"], "What trains.")
_SEARCH = flags.DEFINE_string("search", None, f"What is tried: {search_space.FORM}.")
_FIXED = flags.DEFINE_string("fixed", "", "Flags that every trial has, as one text.")
_TRIALS = flags.DEFINE_integer("trials", 20, "At most, those of before counted.", lower_bound=1)
_METHOD = flags.DEFINE_enum(
    "method", "random", peek.names("studies.tuning.METHODS"), "Who proposes values."
)
_OBJECTIVE = flags.DEFINE_string(
    "objective", "val_elbo", "Column of history.csv by which trials are judged."
)
_DIRECTION = flags.DEFINE_enum(
    "direction", None, ["max", "min"], "Which side of it is better; without it, its name says."
)
_SEED = flags.DEFINE_integer("seed", 0, "Fixes what is proposed at random.", 0, 2**31 - 1)


def main():
    """Checks everything, tries, writes."""
    direction = _direction()
    space = search_space.parse(_SEARCH.value or "")
    fixed = _words()
    kinds, epochs = trial_flags.check(_PROGRAM.value, fixed, space)
    if _METHOD.value == "hyperband" and "epochs" in kinds:
        raise ValueError(
            "Hyperband says how long a trial is. Expected --epochs in --fixed, the longest. "
            "Received it in --search."
        )
    extras.need("tune", "Searches")
    extras.need("report", "Pictures")
    path = pathlib.Path(folder_flags.RUN_DIR.value)
    is_worker = trial_flags.is_worker()
    if not is_worker:
        run = tv.report.RunFolder(path, overwrite=(path / "tuning.json").exists())
    start()
    from tfp_vae.studies import tuning

    search = tuning.Search(
        helping.typed(_PROGRAM.value), space, kinds, tuple(fixed), _METHOD.value,
        _OBJECTIVE.value, direction, epochs, _SEED.value,
    )  # fmt: skip
    tuning.check_settings(path, search)
    tuner = tuning.Tuner(search, path, _train, _TRIALS.value)
    if is_worker:
        tuner.search()
        return
    run.lock()
    run.write_text("tune.flags", cli.flag_lines())
    tuner.write()
    tuner.search()
    trials = tuner.write()
    text = tuning.table(trials, search)
    run.write_text("tuning.txt", f"{text}\n")
    print(text)
    if not any(each.state == tuning.FINISHED for each in trials):
        raise ValueError(
            f"Every trial failed. Expected one that trains. Received: {trials[0].reason}"
        )
    run.write_figure("tuning.png", tuning.figure(trials, search))
    print(f"best:    {shlex.join(_command(trials[0].values))} --run_dir=NEW")
    print(f"results: {run.path.resolve()}")


def _direction() -> str:
    """Returns which side of the objective is better, after a look at whether it may be one."""
    name = _OBJECTIVE.value
    if not name.startswith("val_"):
        raise ValueError(
            "--objective is no validation figure, and only those choose. Expected a column of "
            f"history.csv that starts with val_, such as val_elbo. Received {name!r}."
        )
    known = tv.report.direction(name)
    if not known and _DIRECTION.value is None:
        raise ValueError(
            f"Nobody knows which side of --objective is better. Expected --direction=max or min. "
            f"Received {name!r} alone."
        )
    return _DIRECTION.value or ("max" if known > 0 else "min")


def _words() -> "list[str]":
    try:
        return shlex.split(_FIXED.value)
    except ValueError as error:
        raise ValueError(
            f"--fixed does not fit. Expected flags as a shell takes them. Received {error}."
        ) from None


def _command(values: "dict[str, str]") -> "list[str]":
    """Returns the command of a trial, without its folder."""
    own = [f"--{name}={text}" for name, text in values.items()]
    return [sys.executable, "-m", f"{__package__}.{_PROGRAM.value}", *_words(), *own]


def _train(folder: pathlib.Path, values: "dict[str, str]") -> None:
    """Trains in a process of its own, whose end takes no other trial with it."""
    from tfp_vae.studies import tuning

    command = [*_command(values), f"--run_dir={folder}", "--overwrite"]
    log = folder.with_name(f"{folder.name}.log")
    with log.open("w", encoding="utf-8") as file:
        done = subprocess.run(command, stdout=file, stderr=subprocess.STDOUT, check=False)
    if done.returncode:
        lines = log.read_text(encoding="utf-8", errors="replace").strip().splitlines()
        last = lines[-1] if lines else "it said nothing"
        raise tuning.Failed(f"{last.removeprefix('error: ')} (status {done.returncode}, {log})")


if __name__ == "__main__":
    cli.run(main)
