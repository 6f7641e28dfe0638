"""What runs had reached after how many seconds of training."""

import csv
import io
import pathlib
from collections.abc import Mapping, Sequence

import numpy as np

from tfp_vae.reading import read_text
from tfp_vae.report.runs import Run, RunTable


def paces(table: RunTable, column: str) -> "dict[str, tuple[np.ndarray, np.ndarray]]":
    """Returns {what tells a run from the others: (seconds [E], metric [E])} of its E epochs.

    The epochs of a run are taken to be of one length. Runs that are not finished, that have not
    this column, or that do not say how long they trained, are left out.

    Args:
        table: of `tabulate`.
        column: of history.csv, as val_elbo.

    Raises:
        ValueError: if no run has it; the message says what they have.
    """
    found, known = {}, set()
    for run in table.runs:
        history = _history(run)
        known |= set(history)
        seconds = run.metrics.get("train_seconds")
        if seconds and column in history:
            values = history[column]
            ends = seconds * np.arange(1, len(values) + 1) / len(values)
            found[_name(run, table.flags, found)] = (ends, values)
    if not found:
        some = ", ".join(sorted(known)) or "none: no finished run has a history"
        raise ValueError(
            f"No run has this. Expected a metric by epoch, of {some}. Received {column!r}."
        )
    return found


def _history(run: Run) -> "dict[str, np.ndarray]":
    """Returns {column: numbers} of a finished run, {} where there are none."""
    path = pathlib.Path(run.folder) / "history.csv"
    if run.reason or not path.is_file():
        return {}
    try:
        rows = [*csv.DictReader(io.StringIO(read_text(path)))]
        return {
            name: np.array([float(row[name] or "nan") for row in rows])
            for name in (rows[0] if rows else ())
            if name and name != "epoch"
        }
    except (OSError, ValueError, TypeError, csv.Error):
        return {}  # the table says of damaged runs what is wrong with them


def _name(run: Run, flags: Sequence[str], taken: Mapping) -> str:
    said = [f"{name}={run.flags[name]}" for name in flags if name in run.flags]
    name = " ".join(said)
    return name if said and name not in taken else run.folder
