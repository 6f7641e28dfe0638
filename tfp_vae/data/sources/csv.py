"""A .csv file: rows of numbers with one column to predict, in their own units.

A model scales features and targets by its training rows.
"""

import collections
import csv
import math
import pathlib
from typing import Any

import numpy as np

from tfp_vae.data.source import CLASSIFICATION, REGRESSION, Parts, Raw, Source, check_task
from tfp_vae.data.sources import SOURCES
from tfp_vae.data.sources.npz import is_file

# A column of integers with more different values than this is a quantity, not a class.
_MOST_CLASSES = 20
_MISSING = frozenset({"", "?", "na", "n/a", "nan", "null"})


@SOURCES.register("csv", "a file with a header and rows of numbers, one column to predict")
class Csv(Source):
    """A .csv file: a header, then numbers, which stay as they are."""

    words = "a .csv file"
    arguments = ("target", "task")

    def matches(self, source: Any) -> bool:
        """Returns whether it is the path of a file that ends so."""
        return is_file(source, ".csv")

    def read(
        self,
        source: Any,
        data_dir: "str | pathlib.Path | None",
        *,
        target: "str | None" = None,
        task: "str | None" = None,
    ) -> Raw:
        """Returns the features and the target; `load` says what `target` and `task` are."""
        del data_dir
        return Raw(*_read(pathlib.Path(source), target, check_task(task)))


def _read(path: pathlib.Path, target: str | None, task: str | None) -> tuple[Parts, str]:
    lines = _lines(path)
    names = _header(path, lines)
    if target is not None and target not in names:
        raise ValueError(
            f"{path} has no column {target!r}. Expected target to be one of {', '.join(names)}. "
            f"Received {target!r}."
        )
    chosen = len(names) - 1 if target is None else names.index(target)
    for line, cells in lines[1:]:
        if len(cells) != len(names):
            raise ValueError(
                f"{path} has a row of another length. Expected {len(names)} cells, as the header "
                f"has. Received {len(cells)} in line {line}."
            )
        for name, cell in zip(names, cells, strict=True):
            if cell.lower() in _MISSING:
                raise ValueError(
                    f"{path} has a missing value. Expected a value in every cell; fill or remove "
                    f"them. Received {cell!r} in line {line}, column {name!r}."
                )
    features = [
        [_feature(path, names[i], line, cell) for i, cell in enumerate(cells) if i != chosen]
        for line, cells in lines[1:]
    ]
    column = [(line, cells[chosen]) for line, cells in lines[1:]]
    y, task = _target(f"{path}, column {names[chosen]!r},", column, task)
    return {"train": (np.array(features, np.float64), y)}, task


def _lines(path: pathlib.Path) -> list[tuple[int, list[str]]]:
    """Returns (line number, stripped cells) of the lines that are not blank."""
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.reader(file, strict=True, skipinitialspace=True)
            lines = [(reader.line_num, [cell.strip() for cell in cells]) for cells in reader]
            return [(line, cells) for line, cells in lines if cells not in ([], [""])]
    except (csv.Error, UnicodeDecodeError) as error:
        raise ValueError(
            f"{path} could not be read. Expected a table of values separated by commas, in UTF-8. "
            f"Received: {error}"
        ) from error


def _header(path: pathlib.Path, lines: list[tuple[int, list[str]]]) -> list[str]:
    if not lines:
        raise ValueError(
            f"{path} is empty. Expected a header and rows of numbers. Received no lines."
        )
    names = lines[0][1]
    numbers = [name for name in names if math.isfinite(_number(name))]
    if numbers:
        raise ValueError(
            f"{path} has no header. Expected names of columns in the first line. Received the "
            f"number {numbers[0]}."
        )
    if len(names) < 2:
        raise ValueError(
            f"{path} has one column only. Expected features and a target, separated by commas. "
            f"Received the header {names[0]!r}."
        )
    if "" in names:
        raise ValueError(
            f"{path} has a column without a name. Expected a name for each. Received none for "
            f"column {names.index('') + 1} of {len(names)}."
        )
    repeated = [name for name, count in collections.Counter(names).items() if count > 1]
    if repeated:
        raise ValueError(
            f"{path} has columns of the same name. Expected different names. Received "
            f"{repeated[0]!r} {names.count(repeated[0])} times."
        )
    if len(lines) == 1:
        raise ValueError(f"{path} has no rows. Expected some below the header. Received none.")
    return names


def _number(cell: str) -> float:
    """Returns the number in a cell, NaN if there is none."""
    try:
        return math.nan if "_" in cell else float(cell)
    except ValueError:
        return math.nan


def _feature(path: pathlib.Path, name: str, line: int, cell: str) -> float:
    number = _number(cell)
    if not math.isfinite(number):
        raise ValueError(
            f"{path} has a feature that is no finite number. Expected numbers in every column but "
            f"the target. Received {cell!r} in line {line}, column {name!r}."
        )
    return number


def _target(where: str, column: list[tuple[int, str]], task: str | None) -> tuple[np.ndarray, str]:
    """Returns class numbers or numbers, and the task, which the values say if `task` is None."""
    numbers = np.array([_number(cell) for _, cell in column])
    is_text = ~np.isfinite(numbers)
    if is_text.any() and (task == REGRESSION or (task is None and not is_text.all())):
        line, cell = column[np.argmax(is_text)]
        how = "" if task else ", or text in every row, or task='classification'"
        raise ValueError(
            f"{where} is no column of numbers. Expected finite numbers{how}. Received {cell!r} in "
            f"line {line}."
        )
    if is_text.any():
        cells = [cell for _, cell in column]
        return np.searchsorted(sorted(set(cells)), cells), CLASSIFICATION
    if task is None:
        is_whole = all(cell.lstrip("+-").isdigit() for _, cell in column)
        few = len(np.unique(numbers)) <= _MOST_CLASSES
        task = CLASSIFICATION if is_whole and few else REGRESSION
    if task == REGRESSION:
        return numbers, task
    wrong = (numbers != np.round(numbers)) | (numbers < 0)
    if wrong.any():
        line, cell = column[np.argmax(wrong)]
        raise ValueError(
            f"{where} has no class numbers. Expected whole numbers from 0 on or text, or "
            f"task='regression'. Received {cell} in line {line}."
        )
    return numbers.astype(np.int64), task
