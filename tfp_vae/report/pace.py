"""What runs had reached after how many seconds of training."""

import csv
import io
import pathlib
from collections.abc import Mapping, Sequence

import numpy as np

from tfp_vae.reading import read_text
from tfp_vae.report.runs import Run, RunTable


def paces(table: RunTable) -> "dict[str, tuple[np.ndarray, np.ndarray]]":
    """Returns {what tells a run from the others: (seconds [E], ELBO [E])} of its E epochs.

    The ELBO is that of the validation examples, nats per example. The epochs of a run are taken to
    be of one length. Runs that are not finished, that have no such ELBO, or that do not say how
    long they trained, are left out.

    Args:
        table: of `tabulate`.

    Raises:
        ValueError: if no run is left.
    """
    found: dict[str, tuple[np.ndarray, np.ndarray]] = {}
    for run in table.runs:
        values, seconds = _elbo(run), run.metrics.get("train_seconds")
        if seconds and len(values):
            ends = seconds * np.arange(1, len(values) + 1) / len(values)
            found[_name(run, table.flags, found)] = (ends, values)
    if not found:
        raise ValueError(
            "There is nothing to draw. Expected a finished run with val_elbo in its history.csv. "
            "Received none."
        )
    return found


def _elbo(run: Run) -> np.ndarray:
    """Returns val_elbo by epoch, empty where there is none."""
    path = pathlib.Path(run.folder) / "history.csv"
    if run.reason or not path.is_file():
        return np.zeros(0)
    try:
        rows = csv.DictReader(io.StringIO(read_text(path)))
        return np.array([float(row["val_elbo"] or "nan") for row in rows])
    except (OSError, ValueError, TypeError, KeyError, csv.Error):
        return np.zeros(0)  # the table says of damaged runs what is wrong with them


def _name(run: Run, flags: Sequence[str], taken: Mapping) -> str:
    said = [f"{name}={run.flags[name]}" for name in flags if name in run.flags]
    name = " ".join(said)
    return name if said and name not in taken else run.folder
