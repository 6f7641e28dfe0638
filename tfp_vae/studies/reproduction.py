"""Runs what a table of results needs, and writes its record.

    reproduce(plan, root, "experiments/results", "runs/reproduce")

Every run of a plan is a program in a process and a folder of its own. What is done is not done
again when the same command is given once more, and a program that saves its training goes on in
the middle of it.
"""

import json
import os
import pathlib
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Mapping

from tfp_vae import extras, processor
from tfp_vae.files import replacing
from tfp_vae.report import records
from tfp_vae.report.folders import read_json, versions
from tfp_vae.report.plans import Plan, Run
from tfp_vae.report.texts import duration

_MEAN = "mean over runs, with its 95 % interval"
# Programs that go on in the folder of a run that was interrupted, with the flags that they need.
_RESUMING = {
    "train_vae": ("--checkpoint_every=120s",),
    "train_bnn": ("--checkpoint_every=120s",),
    "uci": (),
    "compare": (),
}


def reproduce(
    plan: Plan,
    root: "str | pathlib.Path",
    results: "str | pathlib.Path",
    work: "str | pathlib.Path",
    quick: bool = False,
    keep: bool = False,
    more: bool = False,
    data: Mapping[str, str] | None = None,
    say: Callable[[str], None] = print,
) -> pathlib.Path:
    """Runs what of a plan is not done yet and writes its record, by default when all is done.

    Args:
        plan: what is run.
        root: of the checkout, where the programs are found.
        results: the folder of the records.
        work: the folder of the folders of the runs.
        quick: with the few steps of a trial; its record stays among the runs.
        keep: take runs that are done though the code has changed since.
        more: take the runs that the record has, whatever its commit, and write the record anew
            after each one more: what takes hours is measured in several sittings.
        data: {"tfds": folder, "uci": folder} of prepared data, of those that there are.
        say: receives lines about what is done.

    Returns:
        The path of the record.

    Raises:
        ValueError: if a program fails or a figure is not where the plan says.
    """
    root, folder = pathlib.Path(root), pathlib.Path(work) / (plan.name + "-quick" * quick)
    folder.mkdir(parents=True, exist_ok=True)
    path = (folder if quick else pathlib.Path(results)) / f"{plan.name}.json"
    commit, done = commit_of(root), _measured(path, plan) if more and path.exists() else {}
    for number, run in enumerate(plan.runs, 1):
        if run.name in done:
            continue
        state = _state(folder, run)
        before = read_json(state) if state.exists() else {}
        fits = before.get("command") == run.command(quick)
        fits = fits and (keep or before.get("commit") == commit)
        if not fits or "figures" not in before:
            left = "" if quick else f", {_left(plan, done, len(plan.runs) - number + 1)}"
            say(f"{plan.name} {number}/{len(plan.runs)}{left}: {run.command(quick)}")
            going = fits and run.program in _RESUMING
            before = _run(
                run, root, folder, commit, quick, dict(data or {}), before if going else {}
            )
        done[run.name] = before
        if more:
            _write(path, plan, done, commit)
    record = _write(path, plan, done, commit)
    draw_series(plan, record, folder, say)
    for group, name in record["chosen"].items():
        say(f"{group}: {name} is chosen")
    if len({each["commit"] for each in done.values()}) > 1:
        say("the runs are of several commits: each has its own in the record")
    return path


def _measured(path: pathlib.Path, plan: Plan) -> "dict[str, dict]":
    """Returns the runs of a record that are those of the plan, {name: what is known of it}.

    Runs that work in one folder belong together: it may be gone, so that all or none are taken.
    """
    record, runs = records.read_record(path), {run.name: run for run in plan.runs}
    found = {}
    for each in record["runs"]:
        run = runs.get(each["name"])
        if run and each["command"] == run.command():
            figures = [
                figure
                for figure in record["figures"]
                if figure["run"] == run.row and figure["figure"] in run.figures
            ]
            found[run.name] = {"machine": record["machine"]} | each | {"figures": figures}
    halves = {run.row for run in plan.runs if run.name not in found}
    return {name: each for name, each in found.items() if runs[name].row not in halves}


def _write(path: pathlib.Path, plan: Plan, done: "dict[str, dict]", commit: str) -> dict:
    """Writes the record of what is done, in the order of the plan, and returns it."""
    done = {run.name: done[run.name] for run in plan.runs if run.name in done}
    figures = [figure for each in done.values() for figure in each["figures"]]
    here = machine()
    runs = []
    for name, each in done.items():
        entry = {"name": name} | {key: each[key] for key in ("command", "commit", "seconds")}
        elsewhere = each.get("machine", here) != here
        runs.append(entry | ({"machine": each["machine"]} if elsewhere else {}))
    record = {
        "name": plan.name,
        "seed": plan.seed,
        "commit": commit,
        "versions": versions(),
        "machine": here,
        "seconds": round(sum(each["seconds"] for each in done.values()), 1),
        "runs": runs,
        "chosen": records.chosen(plan, figures, done),
        "figures": figures,
    }
    with replacing(path) as temporary:
        temporary.write_text(records.as_text(record), encoding="utf-8")
    return record


def draw_series(
    plan: Plan, record: Mapping, folder: pathlib.Path, say: Callable[[str], None]
) -> None:
    """Draws the tables by series, whose intervals a picture shows at a glance, among the runs."""
    for table in plan.tables:
        if table["rows"] != "series":
            continue
        missing = extras.hint("report", "The picture of a table is")
        if missing:
            say(missing)
            return
        from tfp_vae import plots

        found = records.intervals(plan, record, table, "en")
        shown = {
            column: {name: {_MEAN: m, f"{_MEAN}_se": half} for name, (m, half) in each.items()}
            for column, each in found.items()
        }
        path = folder / f"{table.get('name', plan.name)}.png"
        with replacing(path) as temporary:
            plots.method_comparison(shown, _MEAN).savefig(temporary, format="png", dpi=110)
        say(f"picture: {path}")


def _state(folder: pathlib.Path, run: Run) -> pathlib.Path:
    return folder / f"{run.name}.run.json"  # beside the folder of the run, which has to be empty


def _run(
    run: Run,
    root: pathlib.Path,
    folder: pathlib.Path,
    commit: str,
    quick: bool,
    data: "dict[str, str]",
    before: dict,
) -> dict:
    """Runs one program, and returns what is known of it."""
    where = (folder / run.row).absolute()
    if not run.folder and not before:
        shutil.rmtree(where, ignore_errors=True)
    flags = [*run.flags, *(run.quick if quick else ()), *_RESUMING.get(run.program, ())]
    if run.data and run.data in data:
        flags.append(
            f"--{'uci_dir' if run.data == 'uci' and run.script else 'data_dir'}={data[run.data]}"
        )
    start = [str(root / run.script)] if run.script else [sys.executable, "-m"]
    start += [] if run.script else [f"experiments.{run.program}"]
    known = {"command": run.command(quick), "commit": commit, "seconds": before.get("seconds", 0)}
    started = time.monotonic()

    def remember(**more):
        seconds = round(known["seconds"] + time.monotonic() - started, 1)
        with replacing(_state(folder, run)) as temporary:
            temporary.write_text(json.dumps(known | {"seconds": seconds} | more), encoding="utf-8")

    remember()  # which command the folder is of, should this process die
    try:
        done = subprocess.run([*start, *flags, f"--run_dir={where}"], cwd=root, check=False)
    finally:
        remember()
    # A training that was told to stop saves and says that all is well, without what we came for.
    if done.returncode or not (where / run.file).is_file():
        raise ValueError(
            f"{run.name} has not come to its end. Expected exit status 0 and {run.file}. Received "
            f"status {done.returncode}; the same command goes on."
        )
    values = read_json(where / run.file)
    figures = [
        {"run": run.row, "figure": name, **entry}
        for name, place in run.figures.items()
        for entry in records.found(values, place)
    ]
    remember(figures=figures)
    return read_json(_state(folder, run))


def _left(plan: Plan, done: "dict[str, dict]", count: int) -> str:
    """Returns how long it may take, by the plan and by what is done."""
    expected = 60 * plan.minutes
    if done:
        expected = count * sum(each["seconds"] for each in done.values()) / len(done)
    return f"about {duration(expected)} left"


def commit_of(root: "str | pathlib.Path") -> str:
    """Returns the commit of a checkout, with a + behind it if the code differs from it."""

    def git(*arguments):
        done = subprocess.run(
            ["git", "-C", str(root), *arguments], capture_output=True, text=True, check=False
        )
        return done.stdout.strip() if done.returncode == 0 else None

    commit = git("rev-parse", "HEAD")
    if commit is None:
        return "unknown"
    # Documents and records change without any effect on figures.
    code = ("tfp_vae", "experiments/*.py", "experiments/flags", "scripts")
    return commit + "+" * bool(git("status", "--porcelain", "--", *code))


def machine() -> str:
    """Returns what this machine computes with, in words, without asking TensorFlow."""
    gpus = []
    if shutil.which("nvidia-smi"):
        asked = ["nvidia-smi", "--query-gpu=name", "--format=csv,noheader"]
        done = subprocess.run(asked, capture_output=True, text=True, check=False)
        gpus = done.stdout.split("\n")[:-1] if done.returncode == 0 else []
    return f"{os.cpu_count()} cores of {processor.name()}" + "".join(f", {gpu}" for gpu in gpus)
