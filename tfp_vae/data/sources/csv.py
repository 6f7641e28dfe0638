"""A .csv file: rows of numbers with one column to predict, in their own units.

A model scales features and targets by its training rows. The file is read in one pass, row by row,
and again where the target is text: nothing but numbers is ever kept of it.
"""

import array
import codecs
import collections
import csv
import math
import pathlib
import re
from collections.abc import Iterator
from typing import Any

import numpy as np

from tfp_vae.cells import unguarded
from tfp_vae.data import kinds
from tfp_vae.data.answers import MISSING_TEXT, in_order
from tfp_vae.data.column_files import open_table
from tfp_vae.data.frames import counted_from_one
from tfp_vae.data.schema import names_of_classes
from tfp_vae.data.source import (
    CLASSIFICATION,
    MOST_CLASSES,
    REGRESSION,
    Raw,
    Source,
    check_task,
)
from tfp_vae.data.sources import SOURCES
from tfp_vae.data.sources.frame import of_mixed_columns
from tfp_vae.data.sources.npz import is_file
from tfp_vae.data.table_files import CODE

DELIMITERS = (",", ";", "\t", "|")
_NAMED = {"tab": "\t", "\\t": "\t", "comma": ",", "semicolon": ";"}
# Digits that no number is written as; among the cells of a row, with NUL between them.
_CODE = re.compile(rf"({CODE})\Z")
_CODES = re.compile(rf"\0({CODE})\0")
_SNIFFED = 20  # rows that say which delimiter it is
_START = 2**12  # bytes that say whether it is text
_BYTES = 2**20  # at a time, of the look at the encoding
# Lead bytes of the common characters of GB2312; two letters with accents of Latin-1, one behind the
# other, are mostly rare ones.
_COMMON = 0xB0, 0xD7
_MARKS = {
    codecs.BOM_UTF8: "utf-8-sig",
    codecs.BOM_UTF16_LE: "utf-16",
    codecs.BOM_UTF16_BE: "utf-16",
}


@SOURCES.register("csv", "a file with a header and rows of numbers, one column to predict")
class Csv(Source):
    """A .csv file: a header, then numbers, which stay as they are."""

    words = "a .csv file"
    arguments = ("target", "task", "delimiter", "encoding", "columns", "in_memory", "unknown")

    def matches(self, source: Any) -> bool:
        """Returns whether it is the path of a file that ends so."""
        return is_file(source, ".csv") or is_file(source, ".tsv")

    def read(
        self,
        source: Any,
        data_dir: "str | pathlib.Path | None",
        *,
        target: "str | None" = None,
        task: "str | None" = None,
        delimiter: "str | None" = None,
        encoding: "str | None" = None,
        columns: Any = None,
        unknown: "str | None" = None,
        in_memory: "bool | None" = None,
    ) -> Raw:
        """Returns the features and the target; `load` says what the arguments are."""
        del data_dir
        task, path = check_task(task), pathlib.Path(source)
        if columns is not None:
            text = names_of_classes(columns)
            given = {"train": open_table(path, delimiter, encoding, in_memory, text)}
            with counted_from_one():
                return of_mixed_columns(given, columns, target, task, unknown)
        if in_memory is not None or unknown is not None:
            raise ValueError(
                "in_memory and unknown go with a table of mixed columns. Expected columns, {} for "
                f"no others than the values say, or None. Received {in_memory!r} and {unknown!r}."
            )
        encoding, notes = find_encoding(path, encoding)
        table = _Table(path, encoding, find_delimiter(path, encoding, delimiter), target)
        features, y, task, names = table.read(task)
        notes += table.notes
        parts = {"train": (features, y)}
        return Raw(
            parts, task, class_names=names, columns=tuple(table.features), notes=tuple(notes)
        )


class _Table:
    """The rows of a file, read again each time that they are asked for."""

    def __init__(
        self, path: pathlib.Path, encoding: str, delimiter: str, target: str | None
    ) -> None:
        self.path, self.encoding, self.delimiter = path, encoding, delimiter
        rows = self._lines()
        self.names = _header(path, [unguarded(name) for name in next(rows, (0, []))[1]])
        if next(rows, None) is None:
            raise ValueError(f"{path} has no rows. Expected some below the header. Received none.")
        if target is not None and target not in self.names:
            raise ValueError(
                f"{path} has no column {target!r}. Expected target to be one of "
                f"{', '.join(self.names)}. Received {target!r}."
            )
        self.chosen = len(self.names) - 1 if target is None else self.names.index(target)
        self.features = [name for i, name in enumerate(self.names) if i != self.chosen]
        self.where = f"{path}, column {self.names[self.chosen]!r},"
        self.notes: list[str] = []

    def _lines(self) -> "Iterator[tuple[int, list[str]]]":
        """Yields (line number, stripped cells) of the lines that are not blank."""
        try:
            with self.path.open(encoding=self.encoding, newline="") as file:
                reader = csv.reader(
                    file, strict=True, skipinitialspace=True, delimiter=self.delimiter
                )
                for cells in reader:
                    cells = [cell.strip() for cell in cells]
                    if cells not in ([], [""]):
                        yield reader.line_num, cells
        except (csv.Error, UnicodeError) as error:
            raise ValueError(
                f"{self.path} could not be read. Expected a table of values separated by "
                f"{self.delimiter!r}, in {self.encoding}; delimiter and encoding say others. "
                f"Received: {error}"
            ) from error

    def _rows(self):
        """Yields (line number, cells) of the rows below the header, each as long as that."""
        lines = self._lines()
        next(lines)
        for line, cells in lines:
            if len(cells) != len(self.names):
                raise ValueError(
                    f"{self.path} has a row of another length. Expected {len(self.names)} cells, "
                    f"as the header has, separated by {self.delimiter!r}. Received {len(cells)} in "
                    f"line {line}."
                )
            yield line, cells

    def read(self, task):
        """Returns features [N, D], y [N], the task and the names of classes or None."""
        # Of lists, a row would be as large as ten of the file.
        values, numbers, text, whole = array.array("d"), array.array("d"), None, True
        coded, code = False, None
        for line, cells in self._rows():
            answer = cells[self.chosen]
            if answer.lower() in MISSING_TEXT:
                self._missing(line, cells)
            coded = coded or bool(_CODE.match(answer))
            number = _number(answer)
            if not math.isfinite(number):
                text = text or (line, answer)
            elif whole and not answer.lstrip("+-").isdigit():
                whole = False
            numbers.append(number)
            del cells[self.chosen]
            try:
                values.extend(map(float, cells))
            except ValueError:
                self._no_number(line, cells)
            joined = "\0".join(["", *cells, ""])
            if "_" in joined:  # a digit may have it behind itself in Python
                self._no_number(line, cells)
            if code is None and (found := _CODES.search(joined)):
                code = self.features[joined[: found.start()].count("\0")], found[1]
        features = np.frombuffer(values).reshape(len(numbers), -1)
        if not np.isfinite(features).all():
            for line, cells in self._rows():
                del cells[self.chosen]
                self._no_number(line, cells)
        if not text:
            self._check_integers(self.names[self.chosen], np.frombuffer(numbers))
        for name, low, high in zip(self.features, features.min(0), features.max(0), strict=True):
            if kinds.is_collapsed(low, high):
                self._check_integers(name, np.array([low, high]))
        if code:
            self._say_code(*code, f"columns='{code[0]}:categorical'")
        return features, *self._target(np.frombuffer(numbers), text, whole, coded, task)

    def _say_code(self, name, cell, way):
        self.notes.append(
            f"{self.path}: {cell} in column {name!r} is read as the number {float(cell):.15g}; "
            f"{way} keeps codes as they are written"
        )

    def _check_integers(self, name, values):
        """Raises `ValueError` if integers of a column are one number and their text is not."""
        if not kinds.is_collapsed(values.min(), values.max()):
            return
        place = self.names.index(name)
        texts = {cells[place]: line for line, cells in self._rows()}
        if len(texts) > 1:
            first, second, *_ = texts
            raise ValueError(
                f"{self.path} has integers that would change on the way to float32. Expected them "
                "up to 16,777,216, or spread apart; number them anew, subtract an offset or leave "
                f"the column out. Received {first} and {second} in column {name!r}."
            )

    def _missing(self, line, cells):
        for name, cell in zip(self.names, cells, strict=True):
            if cell.lower() in MISSING_TEXT:
                raise ValueError(
                    f"{self.path} has a missing value. Expected a value in every cell; fill or "
                    f"remove them. Received {cell!r} in line {line}, column {name!r}."
                )

    def _no_number(self, line, cells):
        """Raises `ValueError` for the first cell of features that is not a finite number."""
        for name, cell in zip(self.features, cells, strict=True):
            if math.isfinite(_number(cell)):
                continue
            if cell.lower() in MISSING_TEXT:
                raise ValueError(
                    f"{self.path} has a missing value. Expected a value in every cell; fill or "
                    f"remove them. Received {cell!r} in line {line}, column {name!r}."
                )
            raise ValueError(
                f"{self.path} has a feature that is not a finite number. Expected numbers in every "
                f"column but the target{_way(cell)}. Received {cell!r} in line {line}, column "
                f"{name!r}."
            )

    def _target(self, numbers, text, whole, coded, task):
        """Returns class numbers or numbers, the task that the values say, and names of classes."""
        is_text = ~np.isfinite(numbers)
        few = whole and len(np.unique(numbers)) <= MOST_CLASSES
        if coded and not text and (task or (CLASSIFICATION if few else REGRESSION)) == REGRESSION:
            cells = (cells[self.chosen] for _, cells in self._rows())
            code = next(filter(_CODE.match, cells))
            self._say_code(self.names[self.chosen], code, "task='classification'")
            coded = False
        if text and (task == REGRESSION or (task is None and not is_text.all())):
            line, cell = text
            how = "" if task else ", or text in every row, or task='classification'"
            raise ValueError(
                f"{self.where} is not numeric. Expected finite numbers{how}{_way(cell)}. "
                f"Received {cell!r} in line {line}."
            )
        if text or coded:  # 007 and 07 are two classes
            number: dict[str, int] = {}
            answers = (unguarded(cells[self.chosen]) for _, cells in self._rows())
            y = [number.setdefault(answer, len(number)) for answer in answers]
            names = in_order(number)
            place = np.empty(len(names), np.int64)
            place[[number[name] for name in names]] = np.arange(len(names))
            return place[np.array(y)], CLASSIFICATION, names
        if task is None:
            task = CLASSIFICATION if few else REGRESSION
        if task == REGRESSION:
            return numbers, task, None
        wrong = (numbers != np.round(numbers)) | (numbers < 0)
        if wrong.any():
            row = int(np.argmax(wrong))
            line, cells = next(each for i, each in enumerate(self._rows()) if i == row)
            raise ValueError(
                f"{self.where} has no class numbers. Expected whole numbers from 0 on or text, or "
                f"task='regression'. Received {cells[self.chosen]} in line {line}."
            )
        return numbers.astype(np.int64), task, None


def find_encoding(path: pathlib.Path, encoding: str | None) -> "tuple[str, list[str]]":
    """Returns the encoding of a file and what is to be said of it."""
    with path.open("rb") as file:
        start = file.read(_START)
    marked = next((name for mark, name in _MARKS.items() if start.startswith(mark)), None)
    if encoding is not None:
        try:
            name = codecs.lookup(encoding).name
            "".encode(name)
        except (LookupError, TypeError, ValueError) as error:  # no text, or with a NUL in it
            raise ValueError(
                f"Unknown encoding. Expected one that Python knows, such as 'utf-8', 'gbk' or "
                f"'latin-1'. Received {encoding!r}."
            ) from error
        return "utf-8-sig" if name == "utf-8" else name, []
    if marked:
        return marked, []
    if b"\0" in start:
        raise ValueError(
            f"{path} could not be read. Expected text in UTF-8, or encoding, such as 'utf-16-le'. "
            "Received NUL bytes."
        )
    if _decoded(path, "utf-8") is not None:
        return "utf-8-sig", []
    common = _decoded(path, "gb2312")
    if common is not None and 2 * sum(_COMMON[0] <= each <= _COMMON[1] for each in common) > len(
        common
    ):
        return "gbk", [f"{path} is not UTF-8 and is read as GBK; encoding says another one"]
    raise ValueError(
        f"{path} could not be read. Expected text in UTF-8, or encoding, such as 'gbk' or "
        "'latin-1'. Received bytes that are none."
    )


def _decoded(path: pathlib.Path, encoding: str) -> "bytes | None":
    """Returns the lead bytes of what is not ASCII in a file; None if it has another encoding."""
    decoder = codecs.getincrementaldecoder(encoding)()
    found = []
    try:
        with path.open("rb") as file:
            while block := file.read(_BYTES):
                text = decoder.decode(block)
                if encoding != "utf-8":
                    found.append("".join(c for c in text if not c.isascii()).encode(encoding)[::2])
        decoder.decode(b"", final=True)
    except UnicodeError:
        return None
    return b"".join(found)


def find_delimiter(path: pathlib.Path, encoding: str, delimiter: str | None) -> str:
    """Returns what separates the cells: what is given, or what the first rows agree about."""
    if delimiter is not None:
        found = _NAMED.get(delimiter, delimiter) if isinstance(delimiter, str) else ""
        if len(found) != 1 or found in '\r\n"' or found.isalnum():
            raise ValueError(
                f"Impossible delimiter. Expected one character, such as ',', ';' or 'tab'. "
                f"Received {delimiter!r}."
            )
        return found
    widths = {}
    for each in DELIMITERS:
        try:
            with path.open(encoding=encoding, newline="") as file:
                reader = csv.reader(file, strict=True, skipinitialspace=True, delimiter=each)
                rows = [row for row, _ in zip(reader, range(_SNIFFED), strict=False) if row]
        except (csv.Error, UnicodeError):
            continue
        if rows and len({len(row) for row in rows}) == 1 and len(rows[0]) > 1:
            widths[each] = len(rows[0])
    return max(widths, key=widths.get) if "," not in widths and widths else ","


def _way(cell: str) -> str:
    """Returns what to do about a number that is written in another way, or nothing."""
    if re.fullmatch(r"[+-]?[1-9]\d?\d?([,' ]\d{3})+(\.\d+)?", cell):
        return ", without separators of thousands, and with a decimal point"
    if re.fullmatch(r"[+-]?\d+,\d+(e[+-]?\d+)?", cell, re.IGNORECASE):
        return ", with a decimal point"
    return ""


def _header(path: pathlib.Path, names: "list[str]") -> "list[str]":
    """Returns the names of the columns; raises `ValueError` if they are none."""
    if not names:
        raise ValueError(
            f"{path} is empty. Expected a header and rows of numbers. Received no lines."
        )
    numbers = [name for name in names if math.isfinite(_number(name))]
    if numbers:
        raise ValueError(
            f"{path} has no header. Expected names of columns in the first line. Received the "
            f"number {numbers[0]}."
        )
    if len(names) < 2:
        raise ValueError(
            f"{path} has one column only. Expected features and a target, separated by commas, or "
            f"delimiter. Received the header {names[0]!r}."
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
    return names


def _number(cell: str) -> float:
    """Returns the number in a cell, NaN if there is none."""
    try:
        return math.nan if "_" in cell else float(cell)
    except ValueError:
        return math.nan
