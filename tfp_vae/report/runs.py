"""A table of run folders: what differs between their flags, what came out, sorted."""

import csv
import dataclasses
import errno
import fnmatch
import io
import json
import math
import os
import pathlib
import re
from collections.abc import Iterable, Mapping, Sequence

from tfp_vae import notebooks
from tfp_vae.arguments import printable
from tfp_vae.cells import guarded, line_end
from tfp_vae.reading import read_text
from tfp_vae.report import sealed
from tfp_vae.report.folders import CHECKPOINTS, REPORT, read_json
from tfp_vae.report.grids import Cell, Column, Grid, Head, Row
from tfp_vae.report.marks import DIRECTIONS
from tfp_vae.report.tables import aligned
from tfp_vae.report.texts import Texts

FINISHED, UNFINISHED, DAMAGED = "finished", "unfinished", "damaged"
FORMATS = ("text", "csv", "html")
# One of these makes a folder that of a run.
_MARKS = ("flags.txt", "metrics.json", "results.json", "history.csv", CHECKPOINTS)
_INSIDE = (CHECKPOINTS, REPORT, "parts", "export", "tensorboard")  # which are not runs
# What everybody looks at first; the others are shown when they are asked for.
_FIRST = ("test_*", "train_seconds")
_BESIDE = ("_se", "_low", "_high")  # shown with the metric that they belong to
# Where a run lies says nothing about what it is; its folder is a column of its own.
_IMMATERIAL = ("run_dir", "overwrite", "flagfile")
_BETTER = DIRECTIONS | {
    **dict.fromkeys(("log_evidence", "reconstruction", "expected_log_likelihood"), 1),
    **dict.fromkeys(("calibration_error", "loss"), -1),
}


@dataclasses.dataclass(frozen=True)
class Reason:
    """Why a run is unfinished or damaged, to be said in any language.

    Attributes:
        key: of the sentence among the texts of the package ("runs", "reasons").
        values: what it fills in.
    """

    key: str
    values: "Mapping[str, str | int]" = dataclasses.field(default_factory=dict)

    def say(self, language: str = "en") -> str:
        """Returns the sentence.

        Args:
            language: one of `sealed.LANGUAGES`.
        """
        return Texts(language).words["runs"]["reasons"][self.key].format(**self.values)


@dataclasses.dataclass(frozen=True)
class Run:
    """What a run folder says.

    Attributes:
        folder: its path.
        state: `FINISHED`, `UNFINISHED` (no metrics yet, or interrupted) or `DAMAGED`.
        cause: what is damaged, or how far it is; None if it is finished.
        program: that wrote it, as it is typed; empty if flags.txt does not say.
        flags: {name: value}, as flags.txt has them.
        metrics: {name: number} of metrics.json and, behind "evaluation/", of evaluation.json;
            numbers of tables inside have "/" between their names.
    """

    folder: str
    state: str
    cause: "Reason | None" = None
    program: str = ""
    flags: "Mapping[str, str]" = dataclasses.field(default_factory=dict)
    metrics: "Mapping[str, float]" = dataclasses.field(default_factory=dict)

    @property
    def reason(self) -> str:
        """`cause` in English; empty if the run is finished."""
        return "" if self.cause is None else self.cause.say()


def find_runs(folders: "Iterable[str | os.PathLike]") -> list[Run]:
    """Returns the runs in some folders and below them, by their paths.

    A folder that cannot be read, or holds damaged files, is a run whose `reason` says so: one bad
    folder hides none of the others.

    Raises:
        FileNotFoundError: if one of the folders is not there.
    """
    found = {}
    for top in map(pathlib.Path, folders):
        if not top.is_dir():
            raise FileNotFoundError(
                f"There is no folder {top}. Expected a folder of runs. Received no folder."
            )
        unreadable: list[OSError] = []
        for path, inside, files in os.walk(top, onerror=unreadable.append):
            is_run = not set(_MARKS).isdisjoint([*inside, *files])
            if is_run:
                found[path] = read_run(path)
            inside[:] = [name for name in inside if not (is_run and name in _INSIDE)]
        for error in unreadable:
            found[error.filename] = Run(error.filename, DAMAGED, _damage(error, error.filename))
    return [found[path] for path in sorted(found, key=_natural)]


def read_run(folder: "str | os.PathLike") -> Run:
    """Returns what a run folder says; what is wrong with it is in the result, never an error."""
    path = pathlib.Path(folder)
    program, flags, metrics, is_interrupted = "", {}, {}, False
    file = path / "flags.txt"
    try:
        if file.is_file():
            program, flags = _flags(read_text(file))
        file = path / "metrics.json"
        if has_metrics := file.is_file():
            known = read_json(file)
            is_interrupted = bool(known.get("interrupted"))
            metrics = _numbers(known)
        file = path / "evaluation.json"
        if file.is_file():
            metrics |= _numbers(read_json(file), "evaluation/")
        file = path / "history.csv"
        if is_interrupted:
            cause = Reason("interrupted", {"epoch": str(known.get("epochs"))})
        elif has_metrics or (path / "results.json").is_file():
            return Run(str(path), FINISHED, None, program, flags, metrics)
        else:
            cause = _progress(file)
    except (OSError, ValueError, RecursionError) as error:
        return Run(str(path), DAMAGED, _damage(error, str(file)), program, flags, metrics)
    return Run(str(path), UNFINISHED, cause, program, flags, metrics)


@dataclasses.dataclass(frozen=True)
class RunTable:
    """Runs in rows; in columns the flags that differ, and metrics.

    Attributes:
        flags, metrics: names of the columns.
        runs: in the order of the rows.
        has_programs: whether programs differ, which is a column then.
    """

    flags: "tuple[str, ...]"
    metrics: "tuple[str, ...]"
    runs: "tuple[Run, ...]"
    has_programs: bool = False

    def header(self) -> list[str]:
        """Returns the titles of the columns."""
        return ["run", "state", *["program"] * self.has_programs, *self.flags, *self.metrics]

    def rows(self) -> "list[list[str]]":
        """Returns the cells below the titles, a row for each run."""
        return [
            [*self._words(run), *(_shown(run.metrics, name) for name in self.metrics)]
            for run in self.runs
        ]

    def _repr_html_(self) -> str:
        return notebooks.table("Runs", self.header(), self.rows())

    def text(self) -> str:
        """Returns the table for a terminal, and below it what is wrong with runs."""
        rows = [self.header(), *self.rows()]
        lines = [aligned(rows, range(len(rows[0]) - len(self.metrics)))]
        notes = [printable(f"{r.folder}: {r.state}: {r.reason}") for r in self.runs if r.reason]
        return "\n".join([*lines, *[""] * bool(notes), *notes]) + "\n"

    def csv(self) -> str:
        """Returns the table as CSV, with all digits, and the errors in columns of their own."""
        names = [
            column
            for name in self.metrics
            for column in (name, *(name + end for end in _BESIDE))
            if column == name or any(column in run.metrics for run in self.runs)
        ]
        words = self.header()[: -len(self.metrics) or None]
        rows = [[*words, *names, "reason"]]
        for run in self.runs:
            numbers = [run.metrics.get(name, "") for name in names]
            rows.append([*self._words(run), *numbers, run.reason])
        file = io.StringIO()
        end = line_end(cell for row in rows for cell in row)
        csv.writer(file, lineterminator=end).writerows(map(guarded, row) for row in rows)
        return file.getvalue()

    def html(self, language: str = "en") -> str:
        """Returns the table as a page of its own, whose columns sort where they are pressed.

        Args:
            language: one of `sealed.LANGUAGES`.
        """
        words = sealed.words_of(__package__, language)
        states, page = words["runs"]["states"], words["page"]
        columns = [Column(words["runs"]["run"])]
        named = [words["runs"]["program"]] * self.has_programs
        columns += [Column(name) for name in [*named, *self.flags]]
        columns += [Column(name, direction(name)) for name in self.metrics]
        rows = []
        for run in self.runs:
            state = states[run.state]
            if run.cause is not None:
                state = words["runs"]["because"].format(state=state, reason=run.cause.say(language))
            heads = [Head(run.folder, "" if run.state == FINISHED else state)]
            heads += [Head(text, value=_as_number(text)) for text in self._words(run)[2:]]
            cells = tuple(_cell(run.metrics, name) for name in self.metrics)
            rows.append(Row(tuple(heads), cells))
        return sealed.render(
            __package__,
            "runs.html",
            ["page.css"],
            ["page.js"],
            language,
            t=page,
            heading=words["runs"]["heading"],
            facts=words["runs"]["facts"].format(
                **{state: sum(r.state == state for r in self.runs) for state in states},
            ),
            grid=Grid(tuple(columns), tuple(rows)),
        )

    def _words(self, run: Run) -> list[str]:
        program = [run.program] * self.has_programs
        return [run.folder, run.state, *program, *(run.flags.get(name, "") for name in self.flags)]


def tabulate(
    runs: Sequence[Run],
    *,
    metrics: "Sequence[str] | None" = None,
    sort: "str | None" = None,
    reverse: bool = False,
) -> RunTable:
    """Returns the table of runs.

    Args:
        runs: of `find_runs`.
        metrics: names or patterns (`test_*`) of the metrics to show, in this order; without it
            those of the test examples and the time, or all where there are none of these.
        sort: name of a flag or metric: the best first, if a side of it is better, else the
            smallest; runs that lack it come last. Without it by path.
        reverse: the other way round; runs that lack it still come last.

    Raises:
        ValueError: if no run has `sort`, or one of `metrics`.
    """
    known = dict.fromkeys(name for run in runs for name in run.metrics)
    plain = [name for name in known if not _is_beside(name, known)]
    names = {key for run in runs for key in run.flags}
    flags = tuple(sorted(name for name in names - {*_IMMATERIAL} if _differs(name, runs)))
    if metrics is None:
        shown = [n for n in plain if any(fnmatch.fnmatchcase(n, each) for each in _FIRST)] or plain
    else:
        shown = []
        for pattern in metrics:
            some = [name for name in known if fnmatch.fnmatchcase(name, pattern)]
            if not some:
                raise ValueError(_unknown("metrics", pattern, plain))
            shown += some
    ordered = list(runs)
    if sort is not None:
        if sort not in known and sort not in names:
            raise ValueError(_unknown("a flag or metric to sort by", sort, [*plain, *names]))
        ordered = _sorted(runs, sort, reverse)
        if sort in known and sort not in flags:
            shown = [sort, *shown]
    elif reverse:
        ordered.reverse()
    programs = {run.program for run in runs if run.program}
    return RunTable(flags, tuple(dict.fromkeys(shown)), tuple(ordered), len(programs) > 1)


def _unknown(what: str, name: str, known: "Sequence[str]") -> str:
    some = ", ".join(sorted(known)) or "none: no run has any"
    return f"No run has this. Expected {what}, of {some}. Received {name!r}."


def _differs(name: str, runs: Sequence[Run]) -> bool:
    """Whether runs of one program differ in a flag, or runs that have it across programs.

    A flag that has no value is not in flags.txt; a program without the flag has no value for it.
    """
    values = {run.flags[name] for run in runs if name in run.flags}
    if len(values) > 1:
        return True
    having = {run.program for run in runs if name in run.flags}
    return any(name not in r.flags and r.program in having for r in runs if r.flags)


def _sorted(runs: Sequence[Run], name: str, reverse: bool) -> list[Run]:
    values = {
        run.folder: run.metrics[name] if name in run.metrics else run.flags.get(name)
        for run in runs
    }
    numbers = {folder: _as_number(value) for folder, value in values.items()}
    if any(value is not None and numbers[folder] is None for folder, value in values.items()):
        keys = {f: None if v is None else _natural(str(v)) for f, v in values.items()}
    else:
        keys = numbers
    having = [run for run in runs if keys[run.folder] is not None]
    having.sort(key=lambda run: keys[run.folder], reverse=reverse != (direction(name) > 0))
    return having + [run for run in runs if keys[run.folder] is None]


def direction(name: str) -> int:
    """Returns 1 if more is better, -1 if less is, 0 if neither, by the end of a metric's name."""
    base = re.sub(r"^(evaluation/)?((test|val|validation|train)_)?", "", name)
    return _BETTER.get(base, 0)


def _as_number(value) -> "float | None":
    try:
        number = float(value)
    except (TypeError, ValueError, OverflowError):
        return None
    return number if math.isfinite(number) else None


def _natural(text: str) -> list:
    """Returns what sorts run2 before run10."""
    parts = re.split(r"([0-9]+)", text)
    # A longer number is a larger one, also where Python makes none of its digits.
    numbers = [part.lstrip("0") if i % 2 else part for i, part in enumerate(parts)]
    return [(len(p), p) if i % 2 else (-1, p) for i, p in enumerate(numbers)]


def _flags(text: str) -> "tuple[str, dict[str, str]]":
    """Returns the program and {name: value} of a file of flags."""
    program, found = "", {}
    for line in map(str.strip, text.splitlines()):
        if line.startswith("# tfp-vae "):
            program = line.removeprefix("# tfp-vae ")
        flag = re.fullmatch(r"--?(\w+)(?:=(.*))?", line)
        if flag and flag[2] is not None:
            found[flag[1]] = flag[2]
        elif flag:  # a switch: --jit or --nojit
            is_off = flag[1].startswith("no")
            found[flag[1].removeprefix("no")] = "false" if is_off else "true"
    return program, found


def _numbers(values: Mapping, prefix: str = "") -> dict[str, float]:
    found = {}
    for key, value in values.items():
        if isinstance(value, Mapping):
            found |= _numbers(value, f"{prefix}{key}/")
        elif not isinstance(value, bool | str) and (number := _as_number(value)) is not None:
            found[f"{prefix}{key}"] = number
    return found


def _progress(history: pathlib.Path) -> Reason:
    """Returns how far an unfinished run is."""
    if not history.is_file():
        return Reason("no_metrics")
    epochs = max(len(read_text(history).splitlines()) - 1, 0)
    return Reason("one_epoch" if epochs == 1 else "epochs", {"epochs": epochs})


def _damage(error: Exception, file: str) -> Reason:
    """Returns what is wrong with a file whose reading failed."""
    root = error.__cause__ or error  # the reader's own error has that of Python as its cause
    if isinstance(root, json.JSONDecodeError):
        place = {"line": root.lineno, "column": root.colno}
        return Reason("not_json", {"file": file, **place})
    if isinstance(root, OSError):
        if isinstance(root, PermissionError):
            return Reason("denied", {"file": file})
        code = errno.errorcode.get(root.errno or 0, "?")
        return Reason("unreadable", {"file": file, "code": code})
    known = {UnicodeDecodeError: "not_text", RecursionError: "too_deep"}
    return Reason(known.get(type(root), "foreign"), {"file": file})


def _is_beside(name: str, known: Iterable[str]) -> bool:
    return any(name.endswith(end) and name.removesuffix(end) in known for end in _BESIDE)


def _shown(metrics: "Mapping[str, float]", name: str) -> str:
    """Returns a number with the digits that its error leaves, and its error or interval."""
    if name not in metrics:
        return ""
    value, error = metrics[name], metrics.get(f"{name}_se")
    low, high = metrics.get(f"{name}_low"), metrics.get(f"{name}_high")
    size = error or (abs(high - low) / 4 if None not in (low, high) else 0)
    digits = min(max(1 - math.floor(math.log10(size)), 0), 8) if size else None
    if digits is None:
        return f"{value:,.0f}" if value.is_integer() and abs(value) < 1e15 else f"{value:.4g}"
    text = f"{value:,.{digits}f}"
    if error:
        return f"{text} +- {error:,.{digits}f}"
    return f"{text} ({low:,.{digits}f} to {high:,.{digits}f})"


def _cell(metrics: "Mapping[str, float]", name: str) -> Cell:
    mean, _, beside = _shown(metrics, name).partition(" ")
    value = metrics.get(name, "")
    return Cell(mean, beside.replace("+-", "±"), value)
