"""Tables in files that are larger than memory, of which one column at a time is looked at.

What a column is, is a question about all its cells: whether text is among numbers, how far they
spread, which levels there are. So a large file is no stream of rows while it is loaded, but one of
columns, and each goes through the same functions as that of a small file: kinds, levels, errors and
values are the same to the last bit. Parquet is stored by columns; the cells of a .csv file go in
one pass, a few thousand rows at a time, into a temporary file that is. What comes out, float32
values, stays in memory or, where that is much, in a temporary file of rows that a `Stream` reads.
"""

import contextlib
import mmap
import pathlib
import shutil
import sys
import tempfile
import time
import weakref
from collections.abc import Collection, Iterator
from typing import TYPE_CHECKING, Any

import numpy as np

from tfp_vae import extras
from tfp_vae.cells import unguarded
from tfp_vae.data import streams, table_files

if TYPE_CHECKING:
    from tfp_vae.data.schema import Schema

# Bytes of a file from which it is read by columns; pandas takes many times as much for all of it.
MOST_WHOLE = 2**25
# Bytes of float32 values that are kept in memory; a training copies them a few times.
MOST_BYTES = 2**28
_CELLS = 2**20  # of a .csv file at a time
_BLOCK = 2**24  # bytes of values at a time, on their way from columns to rows
ROWS = 2**14  # of a table that is answered for part by part
_QUIET = 10.0  # seconds of reading until and between words about it


def open_table(
    path: "str | pathlib.Path",
    delimiter: "str | None" = None,
    encoding: "str | None" = None,
    in_memory: "bool | None" = None,
    text: "Collection[str]" = (),
) -> Any:
    """Returns the table of a file: a DataFrame of pandas, or a `ColumnFile` of a large one.

    Args:
        path: see `read_frame`.
        delimiter: see `data.load`.
        encoding: see `data.load`.
        in_memory: whether it is a DataFrame (True) or a `ColumnFile` (False). None means that up
            to `MOST_WHOLE` (32 MiB) of a file are. An .xlsx file is a DataFrame in any case.
        text: see `read_frame`.

    Raises:
        ValueError: see `read_frame`.
        FileNotFoundError: if there is no such file.
    """
    path = pathlib.Path(path)
    kind = _KINDS.get(path.suffix.lower())
    if kind is None or not path.is_file() or in_memory:
        return table_files.read_frame(path, delimiter, encoding, text)
    if in_memory is None and path.stat().st_size <= MOST_WHOLE:
        return table_files.read_frame(path, delimiter, encoding, text)
    extras.need_tables("Tables of mixed columns", path)
    return kind(path, delimiter, encoding, in_memory, text)


class ColumnFile:
    """A table in a file, one column of which is in memory at a time.

    It is to `Schema` what a DataFrame is: `columns`, a column by its name, `drop`, a length.

    Args:
        path: of the file.
        delimiter: see `data.load`.
        encoding: see `data.load`.
        in_memory: whether values are kept in memory; None for up to `MOST_BYTES` (256 MiB).
        text: see `read_frame`.

    Attributes:
        columns: their names.
    """

    def __init__(
        self,
        path: pathlib.Path,
        delimiter: "str | None" = None,
        encoding: "str | None" = None,
        in_memory: "bool | None" = None,
        text: "Collection[str]" = (),
    ):
        self.path, self._in_memory, self._count = path, in_memory, 0
        self._text = text
        self.columns: list[str] = []
        names = self._open(delimiter, encoding)
        self._places: dict[str, Any] = {}
        repeated = sorted({name for name in names if name and names.count(name) > 1})
        if repeated:
            raise ValueError(
                f"{path} has columns of the same name. Expected different names. Received "
                f"{repeated[0]!r} {names.count(repeated[0])} times."
            )
        for place, name in enumerate(names):
            if name:
                self._places[name] = place
            elif self._series(place).notna().any():
                raise ValueError(
                    f"{path} has a column without a name. Expected names of all columns in the "
                    "first line; pandas writes no row numbers with index=False. Received none for "
                    f"column {place + 1} of {len(names)}."
                )
        self.columns = list(self._places)
        if not self.columns or not len(self):
            raise ValueError(
                f"{path} is empty. Expected at least one column and one row. Received "
                f"{len(self.columns)} columns and {len(self)} rows."
            )

    def _open(self, delimiter: "str | None", encoding: "str | None") -> "list[str]":
        """Sets the number of rows; returns the names of the columns, "" for none."""
        raise NotImplementedError

    def _series(self, place: int) -> Any:
        """Returns a column as a series of pandas."""
        raise NotImplementedError

    def __len__(self) -> int:
        return self._count

    def __getitem__(self, name: str) -> Any:
        return self._series(self._places[name]).rename(name)

    def frames(self, rows: int) -> "Iterator[Any]":
        """Yields the table in DataFrames of so many rows, whose columns have the same dtypes."""
        for start in range(0, len(self), rows):
            yield self._frame(start, min(rows, len(self) - start))

    def _frame(self, start: int, count: int) -> Any:
        """Returns some rows as a DataFrame of pandas."""
        raise NotImplementedError

    def drop(self, columns: "Collection[str]", errors: str = "raise") -> "ColumnFile":
        """Returns the table without some columns; `errors` is taken as pandas does, and ignored."""
        del errors
        other = object.__new__(type(self))
        other.__dict__.update(self.__dict__)
        other.columns = [name for name in self.columns if name not in columns]
        return other

    def encode(
        self, schema: "Schema", name: str, unknown: str = "refuse"
    ) -> "np.ndarray | streams.Stream":
        """Returns the values [N, D] of `Schema.encode`, or a stream of them.

        Args:
            schema: of these columns.
            name: of the table, for errors.
            unknown: see `Schema.encode`.

        Raises:
            ValueError: naming the first cell that does not fit its column.
            OSError: if the disk has no room for them.
        """
        count, size = len(self), 4 * len(self) * len(schema)
        if self._in_memory or (self._in_memory is None and size <= MOST_BYTES):
            values = np.empty((count, len(schema)), np.float32)
            for place, column in enumerate(schema):
                values[:, place] = column.encode(self[column.name], name, unknown)
            return values
        _check_room(2 * size)
        columns = _Temporary()
        for column in schema:
            columns.file.write(column.encode(self[column.name], name, unknown).tobytes())
        return Stored(columns, count, schema)


class _Parquet(ColumnFile):
    """A table in a .parquet file, which is stored by columns."""

    def _open(self, delimiter, encoding):
        from pyarrow import parquet

        del delimiter, encoding
        try:
            table_files.check_parquet(self.path)
            with parquet.ParquetFile(self.path) as file:
                self._count = file.metadata.num_rows
                empty = file.schema_arrow.empty_table().to_pandas()  # without an index
        except Exception as error:  # what readers raise of a damaged file is anything
            raise self._unread(error) from error
        self._names = list(empty.columns)
        return [str(name).strip() for name in self._names]

    def _unread(self, error):
        return ValueError(
            f"{self.path} could not be read. Expected a .parquet file. Received: "
            f"{str(error).splitlines()[0] if str(error) else type(error).__name__}."
        )

    def _series(self, place):
        import pandas as pd

        try:
            frame = pd.read_parquet(self.path, columns=[self._names[place]])
        except Exception as error:
            raise self._unread(error) from error
        return frame.iloc[:, 0].reset_index(drop=True)

    def frames(self, rows: int) -> "Iterator[Any]":
        """Yields the table in DataFrames of so many rows, whose columns have the same dtypes."""
        from pyarrow import parquet

        dtypes = {name: self[name].dtype for name in self.columns}
        chosen = [self._names[self._places[name]] for name in self.columns]
        start = 0
        with parquet.ParquetFile(self.path) as file:
            for batch in file.iter_batches(rows, columns=chosen):
                frame = batch.to_pandas().set_axis(self.columns, axis=1).astype(dtypes)
                frame.index = range(start, start + len(frame))
                start += len(frame)
                yield frame


class _Csv(ColumnFile):
    """A table in a .csv file, whose cells lie by columns in a temporary one.

    Numbers are there in eight bytes, of anything else the numbers of the different values.
    """

    def _open(self, delimiter, encoding):
        self._form = table_files.Cells(self.path, delimiter, encoding)
        names = self._form.names
        if len(set(names)) == len(names):
            _check_room(8 * len(names) * _rows_at_most(self.path, len(names)))
        self._spill = _Temporary()
        # Of each column: what kind of cells each part has, where they begin, how many there are.
        self._parts: list[list[tuple[str, int, int]]] = [[] for _ in names]
        self._levels: list[dict] = [{} for _ in names]
        told = _Told(self.path)
        for frame, done in self._frames(max(1, _CELLS // len(names))):
            self._form.check(frame)
            for place in range(len(names)):
                self._keep(place, frame.iloc[:, place])
            self._count += len(frame)
            told.at(done)
        places = range(len(names))
        kinds = {place: self._stored_kind(place) for place in places}
        numbers = {p: "f" if kind == "f" else "i" for p, kind in kinds.items() if kind in [*"iuf"]}
        self._form.warn_of_cut()
        self._codes = self._form.codes(numbers, self._text)
        mixed = [place for place in places if self._is_mixed(place) or place in self._codes]
        if mixed:
            # Where a later cell says that all of the column is text, numbers are text as written,
            # and so are codes.
            for place in mixed:
                self._parts[place], self._levels[place] = [], {}
            rows = max(1, _CELLS // len(mixed))
            for frame, _ in self._frames(rows, usecols=mixed, dtype=str):
                for column, place in enumerate(mixed):
                    self._keep(place, frame.iloc[:, column])
        return [unguarded(name) for name in names]

    def _frames(self, rows: int, **more: Any) -> "Iterator[tuple[Any, int]]":
        """Yields frames of so many rows, and how many bytes of the file are read."""
        import pandas as pd

        with self._form.errors(), self.path.open("rb") as file:
            with pd.read_csv(file, chunksize=rows, **self._form.options, **more) as reader:
                for frame in reader:
                    yield frame, file.tell()

    def _keep(self, place, series):
        import pandas as pd

        kind, missing = series.dtype.kind, series.isna()
        if kind in "iuf":
            values = series.to_numpy()
            kind = "" if missing.all() else kind
        else:
            codes, uniques = pd.factorize(series)
            levels = self._levels[place]
            keys = [(type(value), value) for value in uniques]  # True is 1 otherwise
            numbers = [levels.setdefault(key, len(levels)) for key in keys]
            values = np.where(codes < 0, -1, np.array([*numbers, -1], np.int64)[codes])
            kind = "O"
        parts, file = self._parts[place], self._spill.file
        parts.append((kind, file.tell(), len(values)))
        file.write(values.astype(_STORED[kind]).tobytes())

    def _stored_kind(self, place):
        """Returns what a column is stored as, a key of `_STORED`."""
        kinds = {kind for kind, *_ in self._parts[place]}
        if "O" in kinds or kinds == {""}:
            return "O" if "O" in kinds else ""
        return "f" if len(kinds) > 1 else kinds.pop()

    def _is_mixed(self, place):
        kinds = {kind for kind, *_ in self._parts[place]} - {""}
        types = {type_ for type_, _ in self._levels[place]}
        return len(types) > 1 or ("O" in kinds and len(kinds) > 1)

    def _frame(self, start, count):
        import pandas as pd

        found = {name: self._series(self._places[name], start, count) for name in self.columns}
        return pd.DataFrame(found).set_axis(range(start, start + count))

    def _series(self, place, first=0, count=None):
        import pandas as pd

        parts = self._parts[place]
        kinds = {kind for kind, *_ in parts} - {""}
        parts = list(_within(parts, first, first + (self._count if count is None else count)))
        found = [self._read(start, count, _STORED[kind]) for kind, start, count in parts]
        if "O" not in kinds:
            # Of all, whatever some rows are of; integers have no mark of a missing cell.
            kind = self._stored_kind(place)
            return pd.Series(np.concatenate(found).astype(_STORED[kind]))
        codes = np.concatenate(
            [
                np.full(len(each), -1) if kind == "" else each
                for each, (kind, *_) in zip(found, parts, strict=True)
            ]
        )
        levels = [value for _, value in self._levels[place]]
        if not all(isinstance(each, str) for each in levels):  # truths
            held = np.array([*levels, np.nan], object)[codes]
            return pd.Series(held).infer_objects()
        # Of a level each the text is changed, and looked at, once.
        levels = [unguarded(each) for each in levels]
        texts = pd.Series(np.array([*levels, None], object)[codes], dtype="str")
        numbers = table_files.as_numbers(pd.Series(levels, dtype="str"), self._form.delimiter)
        if numbers.dtype.kind == "f" and place not in self._codes:
            return pd.Series(np.append(numbers.to_numpy(), np.nan)[codes])
        return texts

    def _read(self, start, count, dtype):
        self._spill.file.seek(start)
        return np.frombuffer(self._spill.file.read(8 * count), dtype)


def _within(parts, first, stop):
    """Yields what of the parts of a column is of some rows, of eight bytes each."""
    row = 0
    for kind, start, count in parts:
        low, high = max(first - row, 0), min(stop - row, count)
        if low < high:
            yield kind, start + 8 * low, high - low
        row += count


_KINDS = {".csv": _Csv, ".tsv": _Csv, ".parquet": _Parquet}
_STORED = {"i": np.int64, "u": np.uint64, "f": np.float64, "": np.float64, "O": np.int64}


class Stored(streams.Stream):
    """Values of a table, float32 [N, D], in a temporary file that nobody else knows.

    An order that is random reads them at random, a row at a time: what a disk without moving parts
    is good at. No page of the file counts as memory of the process between two reads.

    Args:
        columns: a file of them by columns, [D, N].
        count: N.
        schema: that they are known to fit.
    """

    dtype = np.dtype(np.float32)

    def __init__(self, columns: "_Temporary", count: int, schema: "Schema"):
        super().__init__((count, len(schema)), 1)
        self._columns, self._rows, self.schema = columns, _Temporary(), schema
        columns.file.flush()
        step = max(1, _BLOCK // (4 * len(schema)))
        with _mapped(columns, self.shape[::-1]) as values:
            for start in range(0, count, step):
                self._rows.file.write(values[:, start : start + step].T.tobytes())
        self._rows.file.flush()

    def read(self, numbers: np.ndarray) -> np.ndarray:
        """Returns rows [n, D]."""
        with _mapped(self._rows, self.shape) as values:
            return values[numbers]

    def column(self, number: int) -> np.ndarray:
        """Returns column `number`, [N]."""
        with _mapped(self._columns, self.shape[::-1]) as values:
            return values[number].copy()


class _Temporary:
    """A file that is gone with the last one who holds this."""

    def __init__(self) -> None:
        self.file = tempfile.TemporaryFile()
        weakref.finalize(self, self.file.close)


@contextlib.contextmanager
def _mapped(temporary: _Temporary, shape: "tuple[int, ...]") -> Iterator[np.ndarray]:
    """Yields a file as a read-only array [*shape] for a while; threads share no position."""
    size = 4 * int(np.prod(shape, dtype=np.int64))
    held = mmap.mmap(temporary.file.fileno(), size, access=mmap.ACCESS_READ)
    yield np.frombuffer(held, np.float32).reshape(shape)  # closed with the last view of it


def _check_room(size: int) -> None:
    """Raises `OSError` if the folder of temporary files has no room for so many bytes."""
    folder = tempfile.gettempdir()
    free = shutil.disk_usage(folder).free
    if free < size:
        raise OSError(
            f"The table does not fit into the folder of temporary files. Expected {size:,} free "
            f"bytes in {folder}; the variable TMPDIR of the environment names another folder. "
            f"Received {free:,}."
        )


def _rows_at_most(path, num_columns):
    """Returns a number of rows that a .csv file is not far beyond: a cell takes two bytes or so."""
    with path.open("rb") as file:
        start = file.read(2**16)
    lines = max(1, start.count(b"\n"))
    return path.stat().st_size * lines // max(1, len(start))


class _Told:
    """Says how far the reading of a file is, and the time left, if it takes long."""

    def __init__(self, path: pathlib.Path) -> None:
        self._path, self._size = path, max(1, path.stat().st_size)
        self._started = self._last = time.monotonic()

    def at(self, done: int) -> None:
        """Says it at so many bytes, now and then."""
        now = time.monotonic()
        if now - self._last >= _QUIET and 0 < done < self._size:
            left = (now - self._started) * (self._size - done) / done
            print(
                f"{self._path.name}: {100 * done // self._size} % read, {left:.0f} s left",
                file=sys.stderr,
                flush=True,
            )
            self._last = now
