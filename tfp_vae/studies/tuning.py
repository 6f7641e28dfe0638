"""Searches over the flags of a program: KerasTuner proposes values, each trial is a run folder.

What a trial is judged by is a validation figure of its `history.csv`. KerasTuner keeps what it
knows in the folder after every trial, so a search goes on where it was, and has its own mode for
several processes or machines (KERASTUNER_TUNER_ID, KERASTUNER_ORACLE_IP, KERASTUNER_ORACLE_PORT).
"""

import contextlib
import csv
import dataclasses
import io
import json
import math
import pathlib
import time
import warnings
from collections.abc import Callable, Mapping, Sequence

import keras_tuner
import numpy as np
from keras_tuner.engine import base_tuner
from keras_tuner.errors import FailedTrialError, FatalValueError

from tfp_vae import plots, report
from tfp_vae.reading import read_text
from tfp_vae.studies.search_space import Searched

RESULTS, TRIALS = "tuning.json", "trials"
FINISHED, FAILED = "finished", "failed"
_EPOCHS = "tuner/epochs"  # where Hyperband says how long a trial is


class Failed(Exception):
    """A trial failed; the text says why."""


@dataclasses.dataclass(frozen=True)
class Search:
    """What is searched, and how.

    Attributes:
        program: as it is typed, such as "train-vae".
        space: its flags that are searched over.
        kinds: {flag: "int", "float" or another word of absl for its type}.
        fixed: flags that every trial has.
        method: one of `METHODS`.
        objective: a column of history.csv that starts with "val_".
        direction: "max" or "min" of it.
        epochs: of a whole training, which Hyperband spends last.
        seed: of what is proposed.
    """

    program: str
    space: "tuple[Searched, ...]"
    kinds: "Mapping[str, str]"
    fixed: "tuple[str, ...]"
    method: str
    objective: str
    direction: str
    epochs: int
    seed: int = 0

    def settings(self) -> dict:
        """Returns what makes two searches the same, JSON-ready."""
        values = dataclasses.asdict(self)
        values["space"] = {each.name: dataclasses.asdict(each) for each in self.space}
        return json.loads(json.dumps(values))

    def hyperparameters(self) -> keras_tuner.HyperParameters:
        """Returns the space as KerasTuner has it."""
        space = keras_tuner.HyperParameters()
        for each in self.space:
            each.declare(space, self.kinds[each.name])
        return space


def _random(common: dict, search: Search, trials: int) -> keras_tuner.Oracle:
    return keras_tuner.oracles.RandomSearchOracle(max_trials=trials, **common)


class _Bayesian(keras_tuner.oracles.BayesianOptimizationOracle):
    """KerasTuner's, which learns nothing from failed trials and would propose them for ever."""

    def populate_space(self, trial_id: str) -> dict:
        """Returns what to try next; what its regression says of its own length scales is left."""
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return super().populate_space(trial_id)

    def _vectorize_trials(self) -> "tuple[np.ndarray, np.ndarray]":
        """Returns places in [0, 1] and scores, failed trials as bad as the worst of the others."""
        places, scores = super()._vectorize_trials()
        space = self.hyperparameters.space
        failed = [
            [each.value_to_prob(trial.hyperparameters.values[each.name]) for each in space]
            for trial in self.trials.values()
            if trial.status == "FAILED"
        ]
        if not failed:
            return places, scores
        worst = np.full(len(failed), np.max(scores))  # it minimises, whatever the direction
        return np.concatenate([places, failed]), np.concatenate([scores, worst])


def _bayesian(common: dict, search: Search, trials: int) -> keras_tuner.Oracle:
    return _Bayesian(max_trials=trials, **common)


def _hyperband(common: dict, search: Search, trials: int) -> keras_tuner.Oracle:
    oracle = keras_tuner.oracles.HyperbandOracle(max_epochs=search.epochs, **common)
    oracle.max_trials = trials  # it has a number of its own, and this is where to stop before
    return oracle


def _grid(common: dict, search: Search, trials: int) -> keras_tuner.Oracle:
    return keras_tuner.oracles.GridSearchOracle(max_trials=trials, **common)


METHODS = {"random": _random, "bayesian": _bayesian, "hyperband": _hyperband, "grid": _grid}


@dataclasses.dataclass(frozen=True)
class Trial:
    """What is known of a trial.

    Attributes:
        name: its number, with zeros before.
        state: `FINISHED` or `FAILED`.
        values: {flag: value as it is typed}, with the epochs of Hyperband.
        value: of the objective; None if it failed.
        seconds: that it took; None if another machine has not said so.
        reason: why it failed.
    """

    name: str
    state: str
    values: "Mapping[str, str]"
    value: "float | None" = None
    seconds: "float | None" = None
    reason: str = ""


class Tuner(base_tuner.BaseTuner):
    """Runs the trials that KerasTuner proposes.

    Args:
        search: what is searched.
        folder: of the search; the run folders of trials are below `TRIALS` in it.
        train: makes the run folder of a trial from (folder, {flag: value}), or raises `Failed`.
        trials: how many at most, those of before counted.
        show: gets a line when a trial begins and ends.
    """

    def __init__(
        self,
        search: Search,
        folder: pathlib.Path,
        train: "Callable[[pathlib.Path, dict[str, str]], None]",
        trials: int,
        show: "Callable[[str], None]" = print,
    ):
        self.search_of, self.folder, self.train, self.show = search, folder, train, show
        common = {
            "objective": keras_tuner.Objective(search.objective, search.direction),
            "hyperparameters": search.hyperparameters(),
            "allow_new_entries": False,
            "seed": search.seed + 1,  # 0 is any seed to KerasTuner
            "max_consecutive_failed_trials": trials + 1,  # the others go on
        }
        oracle = METHODS[search.method](common, search, trials)
        oracle.verbose = 0
        self._whole = oracle  # of a worker, `self.oracle` becomes what asks another process
        with contextlib.redirect_stdout(io.StringIO()):  # it says that it found its own files
            super().__init__(oracle, directory=str(folder), project_name="kerastuner")

    def on_trial_end(self, trial: keras_tuner.engine.trial.Trial) -> None:
        """Keeps what is known of all trials, so that none is lost."""
        super().on_trial_end(trial)
        if self.oracle is self._whole:  # and no worker's way to that of another process
            self.write()

    def _try_run_and_update_trial(self, *arguments, **options) -> None:
        """Runs a trial; KerasTuner prints the traceback of one that failed, which says its line."""
        with contextlib.redirect_stderr(io.StringIO()):
            super()._try_run_and_update_trial(*arguments, **options)

    def run_trial(self, trial: keras_tuner.engine.trial.Trial, *_, **__) -> float:
        """Trains, and returns the value of the objective."""
        name, values = _name(trial.trial_id), self._values(trial.hyperparameters.values)
        folder = self.folder / TRIALS / name
        folder.parent.mkdir(parents=True, exist_ok=True)
        try:
            report.RunFolder(folder, overwrite=True)
        except OSError as error:  # in use, or not to be written: no fault of these values
            raise FatalValueError(str(error)) from error
        self.show(f"trial {name}: " + " ".join(f"{key}={text}" for key, text in values.items()))
        started, found, reason = time.monotonic(), None, ""
        try:
            self.train(folder, values)
            found = judged(folder, self.search_of.objective)
        except Failed as error:
            reason = str(error)
        seconds = time.monotonic() - started
        state = FAILED if reason else FINISHED
        known = Trial(name, state, values, found, seconds, reason)
        report.RunFolder(folder.parent, overwrite=True).write_json(
            f"{name}.json", dataclasses.asdict(known)
        )
        if reason:
            self.show(f"trial {name}: failed: {reason}")
            raise FailedTrialError(reason)
        self.show(f"trial {name}: {self.search_of.objective} {found:.6g} ({seconds:.0f} s)")
        return {self.search_of.objective: found}

    def known(self) -> list[Trial]:
        """Returns the trials that have ended, the best first and the failed ones last."""
        found = []
        for key, trial in self._whole.trials.items():
            if trial.status in ("COMPLETED", "FAILED", "INVALID"):
                file = self.folder / TRIALS / f"{_name(key)}.json"
                values = self._values(trial.hyperparameters.values)
                state = FINISHED if trial.status == "COMPLETED" else FAILED
                # Of a machine with a disk of its own there is what KerasTuner was told.
                beside = report.read_json(file) if file.is_file() else {}
                score = trial.score if state == FINISHED else None
                found.append(
                    Trial(
                        *(_name(key), state, values, score, beside.get("seconds")),
                        beside.get("reason") or _last_line(trial.message) * (state == FAILED),
                    )
                )
        sign = -1 if self.search_of.direction == "max" else 1
        return sorted(found, key=lambda each: math.inf if each.value is None else sign * each.value)

    def write(self) -> list[Trial]:
        """Writes `RESULTS` into the folder, and returns the trials."""
        trials = self.known()
        best = next((each.name for each in trials if each.state == FINISHED), None)
        values = {
            "settings": self.search_of.settings(),
            "best": best,
            "trials": [dataclasses.asdict(each) for each in trials],
            "versions": report.versions(),
        }
        report.RunFolder(self.folder, overwrite=True).write_json(RESULTS, values)
        return trials

    def _values(self, values: "Mapping[str, object]") -> "dict[str, str]":
        texts = {each.name: str(values[each.name]) for each in self.search_of.space}
        epochs = {"epochs": str(values[_EPOCHS])} if _EPOCHS in values else {}
        return texts | epochs


def check_settings(folder: pathlib.Path, search: Search) -> None:
    """Raises `ValueError` if the folder holds another search."""
    if not (folder / RESULTS).is_file():
        return
    before, wanted = report.read_json(folder / RESULTS).get("settings"), search.settings()
    if before != wanted:
        known = before or {}
        differing = [key for key in wanted if known.get(key) != wanted[key]]
        here, there = ({key: each.get(key) for key in differing} for each in (wanted, known))
        raise ValueError(
            f"{folder} holds another search. Expected another run_dir, or {there}. Received {here}."
        )


def judged(folder: pathlib.Path, objective: str) -> float:
    """Returns the value of the objective for the model that a run folder holds.

    That is the value of the last epoch; with --patience that of the epoch with the best validation
    ELBO, whose weights the model has.

    Raises:
        Failed: if there is no finite value.
        FatalValueError: if the run has no such figure: nor will others.
    """
    file = folder / "history.csv"
    rows = list(csv.DictReader(read_text(file).splitlines())) if file.is_file() else []
    if not rows:
        raise Failed("it has no epoch in history.csv")
    known = [name for name in rows[0] if name.startswith("val_")]
    if objective not in known:
        raise FatalValueError(
            f"This program has no {objective}. Expected an --objective of {', '.join(known)}. "
            f"Received {objective!r}."
        )
    row = rows[-1]
    if int(report.read_run(folder).flags.get("patience", "0")):
        row = max(rows, key=lambda each: float(each["val_elbo"]))
    value = float(row[objective])
    if not math.isfinite(value):
        raise Failed(f"its {objective} is {value}")
    return value


def table(trials: Sequence[Trial], search: Search) -> str:
    """Returns the trials in rows for a terminal, and below them why some failed."""
    names = list(dict.fromkeys(key for each in trials for key in each.values))
    rows = [["trial", *names, search.objective, "seconds"]]
    for each in trials:
        value = each.state if each.value is None else f"{each.value:.6g}"
        seconds = "" if each.seconds is None else f"{each.seconds:.0f}"
        rows.append([each.name, *(_short(each.values.get(key, "")) for key in names)])
        rows[-1] += [value, seconds]
    lines = [report.aligned(rows)]
    lines += [f"trial {each.name} failed: {each.reason}" for each in trials if each.reason]
    return "\n".join(lines)


def figure(trials: Sequence[Trial], search: Search):
    """Returns the picture of `plots.search_results`."""
    finished = [each for each in trials if each.value is not None]
    return plots.search_results(
        {each.name: [trial.values[each.name] for trial in finished] for each in search.space},
        [trial.value for trial in finished],
        axes={each.name: each.axis for each in search.space if each.axis},
        label=search.objective,
        direction=search.direction,
    )


def _name(trial_id: str) -> str:
    return f"{int(trial_id):04d}"


def _short(text: str) -> str:
    try:
        return f"{float(text):.4g}"
    except ValueError:
        return text


def _last_line(text: "str | None") -> str:
    return (text or "").strip().rpartition("\n")[2]
