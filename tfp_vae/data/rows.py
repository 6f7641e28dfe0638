"""Rows of a file that a model is asked about: all of them in order, and which cannot be read."""

import pathlib
import warnings
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

from tfp_vae.data import frames
from tfp_vae.data.column_files import ColumnFile, open_table
from tfp_vae.data.loading import find
from tfp_vae.data.schema import names_of_classes
from tfp_vae.data.streams import Stream
from tfp_vae.data.table_files import ENDINGS

_ROWS = 2**16  # of a large table at a time, where one that cannot be read is looked for


class Rows(NamedTuple):
    """What was read.

    Attributes:
        values: [n, ...], as a model takes them; of a large table maybe a `Stream`.
        numbers: of the rows in the file, int64 [n]; the first one below a header is 1.
        refused: {number: why} of the rows that could not be read.
    """

    values: "np.ndarray | Stream"
    numbers: np.ndarray
    refused: "dict[int, str]"


def read(
    path: "str | pathlib.Path",
    model: Any,
    *,
    delimiter: "str | None" = None,
    encoding: "str | None" = None,
    keep_going: bool = False,
    unknown: str = "refuse",
) -> Rows:
    """Returns the rows of a file for a trained model.

    Columns of a table may be in any order; of those that the model does not know a warning tells.

    Args:
        path: a .csv, .tsv, .parquet or .xlsx file, or what else `data.load` reads, whose splits are
            then one after the other.
        model: has `intake`, with the schema or the names of the columns of its training.
        delimiter: see `data.load`.
        encoding: see `data.load`.
        keep_going: whether rows that cannot be read are left out, and said, in the place of an
            error.
        unknown: what a level is that the training never saw: an error ("refuse"), or a cell that
            is "missing".

    Raises:
        ValueError: naming the row, counted from 1, the column and the way out.
        FileNotFoundError: if there is no such file.
    """
    path = pathlib.Path(path)
    if path.suffix.lower() not in ENDINGS:
        raw = find(str(path)).read(str(path), None)
        values = np.concatenate([np.asarray(x[:]) for x, _ in raw.splits.values()])
        return Rows(values, np.arange(1, len(values) + 1), {})
    intake = model.intake
    schema = getattr(intake, "schema", None)
    text = () if schema is None else names_of_classes(schema)
    frame = open_table(path, delimiter, encoding, text=text)
    if not isinstance(frame, ColumnFile):
        frame.columns = [str(name) for name in frame.columns]
    wanted = intake.columns or (None if schema is None else schema.names)
    if wanted is None:
        wanted = tuple(frame.columns)
    frame = _chosen(frame, wanted, path)

    def encode(part):
        if schema is None:
            return numbers_of(part, wanted)
        return schema.encode(part, path.name, unknown)

    if not keep_going:
        with frames.counted_from_one():
            return Rows(encode(frame), np.arange(1, len(frame) + 1), {})
    found: list[np.ndarray] = []
    good: list[np.ndarray] = []
    refused: dict[int, str] = {}
    for part in frame.frames(_ROWS) if isinstance(frame, ColumnFile) else (frame,):
        start = int(part.index[0]) if isinstance(frame, ColumnFile) else 0
        _isolate(encode, part, start, found, good, refused)
    if not good:
        raise ValueError(
            f"No row of {path} can be read. Expected one. Received {len(frame)}; the first: "
            f"{next(iter(refused.values()))}"
        )
    return Rows(np.concatenate(found), np.concatenate(good), refused)


def numbers_of(frame: Any, columns: Sequence[str]) -> np.ndarray:
    """Returns columns of a frame as float32 [N, D]; raises naming a cell that is no number."""
    found = np.empty((len(frame), len(columns)), np.float64)
    for place, name in enumerate(columns):
        cells = frame[name].to_numpy()
        try:
            found[:, place] = cells.astype(np.float64)
        except (TypeError, ValueError):
            for row, cell in enumerate(cells):
                try:
                    found[row, place] = float(cell)
                except (TypeError, ValueError):
                    _no_number(cell, row, name)
        with np.errstate(over="ignore"):
            bad = ~np.isfinite(found[:, place].astype(np.float32))
        if bad.any():
            row = int(np.argmax(bad))
            _no_number(cells[row], row, name)
    return found.astype(np.float32)


def _no_number(cell, row, name):
    is_gone = frames.is_missing(cell)
    what = "is missing a cell" if is_gone else "has a cell that is no finite number"
    raise ValueError(
        f"Column {name!r} {what} in row {row}. Expected a finite number. Received "
        f"{'nothing' if is_gone else repr(cell)}."
    )


def _chosen(frame: Any, wanted: Sequence[str], path: pathlib.Path) -> Any:
    missing = [name for name in wanted if name not in frame.columns]
    if missing:
        frames.check_columns(list(frame.columns), wanted, path.name)
    others = [name for name in frame.columns if name not in wanted]
    if others:
        warnings.warn(
            f"{path} has columns that the model does not know and that are not read: "
            f"{', '.join(others[:5])}{' ...' * (len(others) > 5)}",
            stacklevel=3,
        )
    if isinstance(frame, ColumnFile):
        return frame.drop(others)
    return frame[list(wanted)]


def _isolate(
    encode: "Callable[[Any], np.ndarray]",
    frame: Any,
    start: int,
    found: "list[np.ndarray]",
    good: "list[np.ndarray]",
    refused: "dict[int, str]",
) -> None:
    """Encodes as many rows at a time as can be, by halving; a row that cannot be is refused."""
    try:
        values = encode(frame)
    except ValueError as error:
        if len(frame) == 1:
            refused[start + 1] = frames.IN_ROW.sub("", " ".join(str(error).split()))
            return
        half = len(frame) // 2
        for part, place in ((frame.iloc[:half], start), (frame.iloc[half:], start + half)):
            _isolate(encode, part, place, found, good, refused)
        return
    found.append(values)
    good.append(np.arange(start + 1, start + 1 + len(frame)))
