"""What the columns of a table are: a name, a kind of values and, of classes, the levels.

A table of numbers, text and classes with cells that are missing becomes float32 values [N, D] by
`Schema.encode`: numbers as they are, classes as 0 to K - 1, NaN where a cell is missing; and values
become a table again by `Schema.decode`. Frames of pandas and polars go in and come out.
"""

import contextlib
import dataclasses
import datetime
import decimal
import enum
import re
import warnings
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from tfp_vae import extras
from tfp_vae.arguments import check_choice, check_type
from tfp_vae.data import answers, frames, kinds
from tfp_vae.data.column_files import ColumnFile
from tfp_vae.data.kinds import Kind
from tfp_vae.data.streams import Stream
from tfp_vae.data.streams import column as of_column
from tfp_vae.data.table_files import CODE

DROP = "drop"  # what is said of a column in the place of a kind to leave it out
UNKNOWN = ("refuse", "missing")
# A column of integers is of counts up to here, where it varies as counts do.
_MOST_COUNT = 1000
_TIMES = (datetime.date, datetime.time, datetime.timedelta, np.datetime64, np.timedelta64)
# Text of more values than this that are mostly numbers or days is no class that was meant.
_FEW_LEVELS = 20
_QUANTITY = re.compile(
    r"\(?[$\u20ac\u00a3\u00a5]?\s*[+-]?\s*(\d[\d,' \u00a0]*([.,]\d*)?|\.\d+)(e[+-]?\d+)?"
    r"\s*[%\u2030\u00b0$\u20ac\u00a3\u00a5]?\)?",
    re.IGNORECASE,
)
_DAY = re.compile(
    r"\s*(\d{4}[-/.]\d{1,2}[-/.]\d{1,2}(T|\b)|\d{1,2}[-/.]\d{1,2}[-/.]\d{4}\b"
    r"|\d{4}\s*\u5e74\s*\d{1,2}\s*\u6708)"
)
MOST_LEVELS = 100  # of text; more are names or remarks, which nothing is learned from


class ColumnKind(enum.StrEnum):
    """What the values of a column of a table are.

    Attributes:
        REAL: any finite number.
        POSITIVE: numbers above 0 that spread over magnitudes: incomes, durations, concentrations.
        COUNT: 0, 1, 2, ...
        BINARY: one of two levels.
        CATEGORICAL: one of K levels without an order.
        ORDINAL: one of K levels in their order.
    """

    REAL = "real"
    POSITIVE = "positive"
    COUNT = "count"
    BINARY = "binary"
    CATEGORICAL = "categorical"
    ORDINAL = "ordinal"

    @property
    def has_levels(self) -> bool:
        """Whether values are numbers of levels."""
        return self in (ColumnKind.BINARY, ColumnKind.CATEGORICAL, ColumnKind.ORDINAL)


@dataclasses.dataclass(frozen=True)
class Column:
    """One column of a table.

    Attributes:
        name: such as "age"; no two columns of a table have the same.
        kind: of the values; a `ColumnKind` or its name.
        levels: of a column of classes, what 0 to K - 1 are called; () for numbers.
        dtype: what the column is made again as: "float64", "int64", "bool", "text" or "category".
        exposure: of counts, the column that their rate is per unit of, such as "days" of
            observation; "" for none.
    """

    name: str
    kind: ColumnKind = ColumnKind.REAL
    levels: tuple[str, ...] = ()
    dtype: str = "float64"
    exposure: str = ""

    def __post_init__(self) -> None:
        check_type("name", self.name, str, "Column")
        kind = ColumnKind(check_choice("kind of column", self.kind, list(ColumnKind)))
        object.__setattr__(self, "kind", kind)
        object.__setattr__(self, "levels", tuple(map(str, self.levels)))
        answers.check_text((self.name,), "name of a column")
        answers.check_text(self.levels, f"level of column {self.name!r}")
        count, least = len(self.levels), 2 if kind.has_levels else 0
        most = {ColumnKind.BINARY: 2}.get(kind, 10**6) if kind.has_levels else 0
        if not least <= count <= most or len(set(self.levels)) < count:
            wanted = "two" if most == 2 else "at least two different" if least else "no"
            raise ValueError(
                f"Column {self.name!r} of kind '{kind}' has other levels. Expected {wanted} "
                f"levels. Received {list(self.levels)}."
            )
        if self.exposure and kind is not ColumnKind.COUNT:
            raise ValueError(
                f"Column {self.name!r} has no rate that an exposure could be of. Expected counts, "
                f"--columns={self.name}:count/{self.exposure}. Received kind '{kind}'."
            )

    @property
    def num_levels(self) -> int:
        """K of a column of classes, 0 of one of numbers."""
        return len(self.levels)

    def check(self, values: np.ndarray, name: str) -> None:
        """Raises `ValueError` unless float values [N] of the split `name` are of this column.

        NaN is a cell that is missing.
        """
        values = values[~np.isnan(values)]
        wrong, expected = self._violation(values)
        if wrong.any():
            raise ValueError(
                f"The {name} values of column {self.name!r} are out of range. Expected {expected} "
                f"for kind '{self.kind}'. Received values from {values.min():g} to "
                f"{values.max():g}."
            )

    def _violation(self, values: np.ndarray) -> "tuple[np.ndarray, str]":
        """Returns which values [N] are none of this kind, and what was expected of them."""
        if self.kind.has_levels:
            return ~np.isin(values, np.arange(self.num_levels)), (
                f"class numbers from 0 to {self.num_levels - 1}"
            )
        if self.kind is ColumnKind.COUNT:
            return (values < 0) | (values != np.floor(values)), "counts 0, 1, 2, ..."
        if self.kind is ColumnKind.POSITIVE:
            return ~((values > 0) & np.isfinite(values)), "finite numbers above 0"
        return ~np.isfinite(values), "finite numbers"

    def encode(self, series: Any, name: str, unknown: str = "refuse") -> np.ndarray:
        """Returns a series as float32 values [N], NaN where a cell is missing.

        Args:
            series: of pandas.
            name: of the table, for errors.
            unknown: "refuse" a level that is none of the column's, or take it for "missing".

        Raises:
            ValueError: naming the first row that does not fit.
        """
        gone = series.isna().to_numpy()
        if self.kind.has_levels:
            place = {level: float(i) for i, level in enumerate(self.levels)}
            values = np.full(len(series), np.nan)
            texts = _texts(series)
            values[~gone] = [place.get(text, -1.0) for text in texts]
            wrong = values == -1.0
            if unknown == "missing":
                values[wrong] = np.nan
            elif wrong.any():
                row = int(np.argmax(wrong))
                raise self._refused(
                    name,
                    f"one of {_some(self.levels)}, or unknown='missing' (--unknown=missing)",
                    series.iloc[row],
                    row,
                )
            return values.astype(np.float32)
        values = np.full(len(series), np.nan)
        values[~gone] = _numbers(series[~gone], self, name, np.flatnonzero(~gone))
        wrong, expected = self._violation(values)
        wrong &= ~gone
        if wrong.any():
            row = int(np.argmax(wrong))
            way = f"; --columns={self.name}:real takes any number" * (
                self.kind is not ColumnKind.REAL and bool(np.isfinite(values[row]))
            )
            raise self._refused(name, expected + way, series.iloc[row], row)
        with np.errstate(over="ignore"):
            small = values.astype(np.float32)
        lost = np.isinf(small) | ((self.kind is ColumnKind.POSITIVE) & (small <= 0))
        span = np.nanmax(values) - np.nanmin(values) if not gone.all() else 0.0
        with np.errstate(invalid="ignore"):
            lost |= (span > 0) & (np.abs(small - values) > 1e-3 * span)
        if lost.any():
            row = int(np.argmax(lost))
            raise self._refused(
                name, "numbers that float32 can tell apart; subtract an offset or scale them",
                series.iloc[row], row,
            )  # fmt: skip
        return small

    def _refused(self, name, expected, received, row):
        return ValueError(
            f"The {name} table does not fit column {self.name!r} of kind '{self.kind}'. Expected "
            f"{expected}. Received {_plain(received)!r} in row {row}."
        )

    def decode(self, values: np.ndarray) -> Any:
        """Returns float values [N] as a series of pandas in the dtype that the column had."""
        import pandas as pd

        gone = np.isnan(values)
        if self.kind.has_levels:
            codes = np.where(gone, -1, values).astype(np.int64)
            if self.dtype == "category":
                kept = pd.Categorical.from_codes(
                    codes, list(self.levels), ordered=self.kind is ColumnKind.ORDINAL
                )
                return pd.Series(kept, name=self.name)
            table: list[Any] = [_level(level, self.dtype) for level in self.levels]
            return pd.Series(
                [None if code < 0 else table[code] for code in codes], name=self.name
            ).infer_objects()
        if self.dtype == "int64":
            whole = np.round(values.astype(np.float64))
            if not gone.any():
                return pd.Series(whole.astype(np.int64), name=self.name)
            return pd.Series(whole, name=self.name).astype("Int64")
        # The shortest number that float32 cannot tell from the value: 0.1 and not 0.10000000149.
        texts = np.asarray(values, np.float32).astype(str)
        return pd.Series(texts.astype(np.float64), name=self.name)


@dataclasses.dataclass(frozen=True)
class Schema:
    """The columns of a table [N, D], in their order.

    Attributes:
        columns: D of them.
    """

    columns: tuple[Column, ...]

    def __post_init__(self) -> None:
        columns = tuple(self.columns)
        for column in columns:
            check_type("column", column, Column, "Schema")
        names = [column.name for column in columns]
        if not names or len(set(names)) < len(names):
            raise ValueError(
                "A table needs columns that can be told apart. Expected at least one, each with a "
                f"name of its own. Received {names}."
            )
        object.__setattr__(self, "columns", columns)
        for place in self.exposures.values():
            if columns[place].kind is not ColumnKind.POSITIVE:
                raise ValueError(
                    f"Column {columns[place].name!r} is no exposure. Expected numbers above 0, "
                    f"--columns={columns[place].name}:positive. Received kind "
                    f"'{columns[place].kind}'."
                )

    @property
    def exposures(self) -> "dict[int, int]":
        """The columns that have an exposure, by number, and the number of it."""
        return {
            i: self.names.index(check_choice(f"exposure of {c.name!r}", c.exposure, self.names))
            for i, c in enumerate(self.columns)
            if c.exposure
        }

    def check_exposures(self, values: "np.ndarray | Stream", name: str) -> None:
        """Raises `ValueError` for a count without its exposure among float values [N, D]."""
        for count, exposure in self.exposures.items():
            alone = np.isnan(of_column(values, exposure)) & ~np.isnan(of_column(values, count))
            if alone.any():
                raise ValueError(
                    f"The {name} table has a count without its exposure. Expected "
                    f"{self.names[exposure]!r} in every row that has {self.names[count]!r}. "
                    f"Received none in row {int(np.argmax(alone))}."
                )

    def __len__(self) -> int:
        return len(self.columns)

    def __iter__(self) -> Iterator[Column]:
        return iter(self.columns)

    def __getitem__(self, index: int) -> Column:
        return self.columns[index]

    def __str__(self) -> str:
        """Returns the table that is shown before training: name, kind, levels."""
        rows = [
            (
                c.name,
                str(c.kind) + f"/{c.exposure}" * bool(c.exposure),
                _some(c.levels) if c.levels else c.dtype,
            )
            for c in self
        ]
        rows.insert(0, ("column", "kind", "levels or type"))
        widths = [max(len(row[i]) for row in rows) for i in range(2)]
        return "\n".join(f"{a:<{widths[0]}}  {b:<{widths[1]}}  {c}" for a, b, c in rows)

    @property
    def names(self) -> tuple[str, ...]:
        """The names of the columns."""
        return tuple(column.name for column in self.columns)

    @property
    def kind(self) -> Kind:
        """`STATIC` if all columns are binary; else `REAL`, which every number is."""
        binary = all(column.kind is ColumnKind.BINARY for column in self.columns)
        return Kind.STATIC if binary else Kind.REAL

    def check(self, values: np.ndarray, name: str) -> None:
        """Raises `ValueError` unless float values [N, D] of the split `name` fit the columns."""
        if values.shape[1:] != (len(self),):
            raise ValueError(
                f"The {name} values do not fit the schema. Expected shape (N, {len(self)}), a "
                f"value for each of {', '.join(self.names)}. Received shape {values.shape}."
            )
        for column, each in zip(self.columns, values.T, strict=True):
            column.check(each, name)
        self.check_exposures(values, name)

    @classmethod
    def infer(
        cls, frame: Any, columns: "Mapping[str, str | Sequence[str]] | None" = None
    ) -> "Schema":
        """Returns what the columns of a frame are, by their dtypes and values.

        Truths, text and categories are classes; integers from 0 on that vary as counts do are
        counts; numbers above 0 whose logs are less skewed are positive; other numbers are real.

        Args:
            frame: of pandas or polars, or a `ColumnFile`.
            columns: {name: kind} of columns whose kind is another one. The kind "drop" leaves a
                column out; a sequence of levels, ("low", "high"), makes it ordinal in this order;
                "count/days" are counts whose rate is per unit of the column "days".

        Raises:
            ValueError: naming a column that is constant, empty or of mixed types, has more than
                `MOST_LEVELS` levels of text, or a value that its kind does not have.
        """
        frame = frame if isinstance(frame, ColumnFile) else to_pandas(frame, "given")
        said = dict(columns or {})
        exposures = {}
        for name, kind in list(said.items()):
            check_choice("column", name, list(frame.columns))
            if isinstance(kind, str):
                said[name], exposures[name] = _kind_and_exposure(name, kind)
        for name, exposure in exposures.items():
            if exposure:
                check_choice(f"exposure of {name!r}", exposure, list(frame.columns))
                said.setdefault(exposure, str(ColumnKind.POSITIVE))
        found = [_column(frame[name], name, said.get(name)) for name in frame.columns
                 if said.get(name) != DROP]  # fmt: skip
        found = [dataclasses.replace(each, exposure=exposures.get(each.name, "")) for each in found]
        return cls(tuple(found))

    def encode(self, frame: Any, name: str = "given", unknown: str = "refuse") -> np.ndarray:
        """Returns a frame as float32 values [N, D], NaN where a cell is missing.

        Args:
            frame: of pandas or polars, or a `ColumnFile`, of which it may be a `Stream`; its
                columns may be in any order.
            name: of the table, for errors.
            unknown: what a level that no column has is: an error ("refuse") or "missing".

        Raises:
            ValueError: for columns that are missing or unknown, or naming the first cell that does
                not fit its column.
        """
        check_choice("unknown", unknown, UNKNOWN)
        if isinstance(frame, ColumnFile):
            frames.check_columns(frame.columns, self.names, name)
            values = frame.encode(self, name, unknown)
            self.check_exposures(values, name)
            return values
        frame = to_pandas(frame, name)
        frames.check_columns(list(frame.columns), self.names, name)
        found = [column.encode(frame[column.name], name, unknown) for column in self.columns]
        values = np.stack(found, axis=1)
        self.check_exposures(values, name)
        return values

    def row(self, given: "Mapping[str, Any]") -> np.ndarray:
        """Returns {column: value} as float32 values [D], NaN for the columns that are not given.

        Raises:
            ValueError: for an unknown column, or a value that its column does not have.
        """
        import pandas as pd

        row = np.full(len(self), np.nan, np.float32)
        for name, value in given.items():
            place = self.names.index(check_choice("column", name, self.names))
            row[place] = self.columns[place].encode(pd.Series([value]), "given")[0]
        return row

    def decode(self, values: np.ndarray, like: Any = None) -> Any:
        """Returns float values [N, D] as a frame with the dtypes that the columns had.

        Args:
            values: NaN where a cell is missing.
            like: a frame whose library, and index if there are as many rows, the new one has;
                pandas without it.
        """
        extras.need_tables("Tables of mixed columns")
        import pandas as pd

        values = np.asarray(values)
        made = [column.decode(each) for column, each in zip(self, values.T, strict=True)]
        frame = pd.concat(made, axis=1)
        if like is not None and not isinstance(like, pd.DataFrame):
            return as_library_of(frame, like)
        if like is not None and len(like) == len(frame):
            frame.index = like.index
        return frame

    def get_config(self) -> "list[dict]":
        """Returns the columns, as JSON."""
        return [{**dataclasses.asdict(each), "kind": str(each.kind)} for each in self.columns]

    @classmethod
    def from_config(cls, config: "list[dict]") -> "Schema":
        """Returns the schema of `get_config`."""
        return cls(tuple(Column(**{**e, "levels": tuple(e["levels"])}) for e in config))


def parse(text: "str | list[str] | None") -> "dict[str, str | tuple[str, ...]]":
    """Returns {name: kind} of "age:real,sex:categorical,mark:low<mid<high", as flags say it.

    Raises:
        ValueError: for what is no such pair.
    """
    found: dict[str, str | tuple[str, ...]] = {}
    pairs = text.split(",") if isinstance(text, str) else text or ()
    if not isinstance(pairs, list | tuple) or not all(isinstance(each, str) for each in pairs):
        raise ValueError(
            f"Unusable columns. Expected name:kind, separated by commas. Received {text!r}."
        )
    for pair in filter(None, pairs):
        name, colon, kind = pair.strip().rpartition(":")
        if not colon or not name:
            raise ValueError(
                "Unusable columns. Expected name:kind, separated by commas, such as "
                f"age:real,sex:categorical. Received {pair!r}."
            )
        levels = tuple(each.strip() for each in kind.split("<"))
        if len(levels) > 1:
            found[name] = levels
        else:
            _kind_and_exposure(name, kind)
            found[name] = kind
    return found


def check_numbered(columns: "Collection[str]") -> None:
    """Raises `ValueError` for columns that drawn tables could not be numbered beside."""
    if "imputation" in columns:
        raise ValueError(
            "The table has a column of the name that numbers the imputations. Expected other "
            "names. Received 'imputation'."
        )


def names_of_classes(columns: "Schema | Mapping[str, str | Sequence[str]]") -> "set[str]":
    """Returns the names of the columns that are said to have levels, which are text as written.

    Args:
        columns: of `parse`, or a schema.
    """
    if isinstance(columns, Schema):
        return {each.name for each in columns if each.levels and each.dtype == "text"}
    numbers = {DROP, *(str(each) for each in ColumnKind if not each.has_levels)}
    return {
        name
        for name, kind in columns.items()
        if not isinstance(kind, str) or kind.partition("/")[0] not in numbers
    }


def _kind_and_exposure(name: str, text: str) -> "tuple[str, str]":
    """Returns kind and exposure of "count/days", of a column `name`; "" where there is none."""
    kind, _, exposure = str(text).partition("/")
    return check_choice(f"kind of column {name!r}", kind, [*map(str, ColumnKind), DROP]), exposure


def to_pandas(frame: Any, name: str) -> Any:
    """Returns a frame as one of pandas whose columns have different names, as text."""
    extras.need_tables("Tables of mixed columns")
    import pandas as pd

    if not isinstance(frame, pd.DataFrame):
        if not frames.is_frame(frame):
            raise ValueError(
                f"The {name} data are no table. Expected a DataFrame. Received "
                f"{type(frame).__name__}."
            )
        frame = pd.DataFrame({str(each): _held(frame[each]) for each in frame.columns})
    names = [str(each).strip() for each in frame.columns]
    repeated = sorted({each for each in names if names.count(each) > 1})
    if repeated:
        raise ValueError(
            f"The {name} table has columns of the same name. Expected different names. Received "
            f"{repeated[0]!r} {names.count(repeated[0])} times."
        )
    if not names or not len(frame):
        raise ValueError(
            f"The {name} table is empty. Expected at least one column and one row. Received shape "
            f"{frame.shape}."
        )
    return frame.set_axis(names, axis=1)


def as_library_of(frame: Any, like: Any) -> Any:
    """Returns a frame of pandas as one of the library of another frame, and of its dtypes.

    Args:
        frame: of pandas.
        like: with columns of the same names where dtypes are to be kept.
    """
    cells = {
        str(name): [None if frames.is_missing(each) else each for each in frame[name].tolist()]
        for name in frame.columns
    }
    made = type(like)(cells)
    known = getattr(like, "schema", None)  # of polars: {name: dtype}
    if known is None or not hasattr(made, "cast"):
        return made
    return made.cast({name: known[name] for name in cells if name in known})


def _held(series: Any) -> Any:
    """Returns what a series of any library holds; text of categories of polars."""
    levels = frames.categories(series)
    if levels is not None:
        import pandas as pd

        return pd.Categorical(series.to_list(), list(levels))
    values = np.asarray(series.to_numpy())
    return values if values.dtype.kind in "biuf" else values.tolist()


def _texts(series: Any) -> "list[str]":
    """Returns the cells of a series that are not missing as text; whole floats as integers."""
    values = series.dropna().to_list()
    return [str(int(v)) if isinstance(v, float) and v.is_integer() else str(v) for v in values]


def _level(text: str, dtype: str) -> Any:
    if dtype == "bool":
        return text == "True"
    if dtype in ("int64", "float64"):
        return int(text) if dtype == "int64" else float(text)
    return text


def _numbers(series: Any, column: Column, name: str, rows: np.ndarray) -> np.ndarray:
    """Returns the cells of a series without gaps as float64; raises naming one that is none."""
    values = series.to_numpy()
    kinds.check_float64(values, f"The values of column {column.name!r} of the {name} table")
    try:
        return values.astype(np.float64)
    except (ValueError, TypeError):
        for row, value in zip(rows, values, strict=True):
            try:
                float(value)
            except (ValueError, TypeError):
                raise column._refused(name, "numbers", value, row) from None
        raise


def _column(series: Any, name: str, kind: "str | Sequence[str] | None") -> Column:
    """Returns what a column of pandas is, of a given kind or of that which its values say."""
    import pandas as pd

    ordered_levels = () if kind is None or isinstance(kind, str) else tuple(map(str, kind))
    kind = kind if isinstance(kind, str) else str(ColumnKind.ORDINAL) if ordered_levels else None
    way = f"leave it out, by --columns={name}:{DROP}"
    known = series.dropna()
    if not len(known):
        raise ValueError(
            f"Column {name!r} is empty. Expected at least two values; {way}. Received "
            f"{len(series)} missing ones."
        )
    dtype = series.dtype
    categories = frames.categories(series) if isinstance(dtype, pd.CategoricalDtype) else None
    is_bool = pd.api.types.is_bool_dtype(dtype) and categories is None
    is_number = pd.api.types.is_numeric_dtype(dtype) and not is_bool and dtype.kind != "c"
    is_mixed = pd.api.types.is_object_dtype(dtype)
    types = {_type_of(value) for value in known} if is_mixed else set()
    is_text = types == {"text"} or isinstance(dtype, pd.StringDtype)
    if types == {"a truth"}:
        is_bool = True
    elif types == {"a number"}:
        is_number, known = True, known.astype(np.float64)
    elif is_text and kind is not None and not ColumnKind(kind).has_levels:
        with contextlib.suppress(ValueError):  # codes, or what else was kept as it was written
            is_number, known = True, known.astype(np.float64)
    elif len(types) > 1:
        odd = next(i for i, v in enumerate(series) if not pd.isna(v) and
                   _type_of(v) != _type_of(known.iloc[0]))  # fmt: skip
        raise ValueError(
            f"Column {name!r} has values of different types. Expected numbers or text in all rows; "
            f"{way}. Received {series.iloc[odd]!r} in row {odd} below {known.iloc[0]!r}."
        )
    if not (is_bool or is_number or categories or isinstance(known.iloc[0], str)):
        if isinstance(known.iloc[0], _TIMES):
            raise ValueError(
                f"Column {name!r} holds times. Expected numbers or classes, such as the days since "
                f"a date; or {way}. Received {dtype}."
            )
        raise ValueError(
            f"Column {name!r} holds what is neither number nor class. Expected numbers or text; "
            f"{way}. Received a {type(known.iloc[0]).__name__} in row {known.index[0]}."
        )
    if known.nunique() < 2 and (categories is None or len(categories) < 2):
        raise ValueError(
            f"Column {name!r} is constant. Expected at least two different values; {way}. Received "
            f"{_plain(known.iloc[0])!r} in all rows."
        )
    if is_number and not np.isfinite(known.to_numpy(np.float64)).all():
        bad = ~np.isfinite(series.to_numpy(np.float64, na_value=0.0))
        row = int(np.argmax(bad))
        raise ValueError(
            f"Column {name!r} has a value that is not finite. Expected finite numbers, and an "
            f"empty cell for one that is missing. Received {series.iloc[row]} in row {row}."
        )
    chosen = ColumnKind(kind) if kind is not None else None
    if chosen is None:
        chosen = _numeric_kind(known.to_numpy(np.float64)) if is_number else None
        if is_number and _are_days(known.to_numpy(np.float64)):
            warnings.warn(
                f"Column {name!r} looks like days that are written as numbers, between which there "
                f"are gaps at the ends of months. Days since a date are none; {way}. It has "
                f"{int(known.iloc[0])}",
                UserWarning,
                stacklevel=3,
            )
    if chosen is not None and not chosen.has_levels:
        whole = is_number and _is_whole(known.to_numpy(np.float64))
        is_int = pd.api.types.is_integer_dtype(dtype) or (
            whole and (is_text or len(known) < len(series))
        )
        column = Column(name, chosen, dtype="int64" if is_int else "float64")
        column.encode(series, "given")
        return column
    texts = _texts(known)
    levels = categories if categories is not None else answers.in_order(texts)
    if is_number:
        levels = tuple(sorted(levels, key=float))
    if kind is None and not (is_number or is_bool or categories):
        if len(levels) > _FEW_LEVELS:
            _check_no_quantity(texts, name, way)
        else:
            _warn_of_numbers(texts, name)
    if len(levels) > MOST_LEVELS and kind is None:
        raise ValueError(
            f"Column {name!r} has too many levels. Expected at most {MOST_LEVELS}, of a class and "
            f"not a name or a remark; {way}, or --columns={name}:categorical. Received "
            f"{len(levels)} in {len(known)} rows, such as {texts[0]!r}."
        )
    if chosen is None:
        ordered = categories is not None and bool(getattr(dtype, "ordered", False))
        chosen = ColumnKind.CATEGORICAL if len(levels) > 2 else ColumnKind.BINARY
        chosen = ColumnKind.ORDINAL if ordered and len(levels) > 2 else chosen
    if is_number:
        kept = "int64" if all(each.lstrip("-").isdigit() for each in levels) else "float64"
    else:
        kept = "bool" if is_bool else "category" if categories is not None else "text"
    column = Column(name, chosen, ordered_levels or levels, kept)
    if ordered_levels:
        column.encode(series, "given")
    return column


def _check_no_quantity(texts: "list[str]", name: str, way: str) -> None:
    """Raises `ValueError` for text of many values of which half or more are numbers or days."""
    days = sum(bool(_DAY.match(text)) for text in texts)
    numbers = [bool(_QUANTITY.fullmatch(text.strip())) for text in texts]
    if 2 * days >= len(texts):
        raise ValueError(
            f"Column {name!r} holds times. Expected numbers or classes, such as the days since a "
            f"date; or {way}. Received {texts[0]!r}."
        )
    codes = [text for text in texts if re.fullmatch(CODE, text.strip())]
    if codes and 2 * sum(numbers) >= len(texts):
        raise ValueError(
            f"Column {name!r} has codes of many values, whose zeros a number would lose. "
            f"Expected --columns={name}:categorical if they are classes, {name}:real if they are "
            f"numbers all the same; or {way}. Received {codes[0]!r}."
        )
    if 2 * sum(numbers) >= len(texts):
        odd = next((i for i, text in enumerate(texts) if not _is_float(text)), 0)
        raise ValueError(
            f"Column {name!r} has numbers that are written as text, or text among numbers. "
            "Expected plain numbers in all rows, and an empty cell for one that is missing; or "
            f"--columns={name}:categorical if they are classes; or {way}. Received {texts[odd]!r}."
        )


def _warn_of_numbers(texts: "list[str]", name: str) -> None:
    """Warns of few levels, which are classes, if most cells are numbers: one may be a mistake."""
    numbers = [_is_float(text) for text in texts]
    codes = any(re.fullmatch(CODE, text) for text in texts)
    if all(numbers) or codes or 2 * sum(numbers) < len(texts):
        return
    warnings.warn(
        f"Column {name!r} is taken for classes, though most of its cells are numbers. If these are "
        "no classes, what is no number has to be mended or left empty; "
        f"--columns={name}:categorical says that it is not. It has {texts[numbers.index(False)]!r}",
        UserWarning,
        stacklevel=4,
    )


def _plain(value: Any) -> Any:
    """Returns a value without the type of NumPy, whose text nobody wrote."""
    return value.item() if isinstance(value, np.generic) else value


def _are_days(values: np.ndarray) -> bool:
    """Returns whether finite numbers [N] are all days as 20200131, and not a few of them."""
    if len(np.unique(values)) <= _FEW_LEVELS or not _is_whole(values):
        return False
    years, rest = np.divmod(values, 10_000)
    months, days = np.divmod(rest, 100)
    parts = ((years, 1800, 2200), (months, 1, 12), (days, 1, 31))
    return all(bool(((low <= part) & (part <= high)).all()) for part, low, high in parts)


def _is_float(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def _type_of(value: Any) -> str:
    if isinstance(value, bool | np.bool_):
        return "a truth"
    if isinstance(value, int | float | np.integer | np.floating | decimal.Decimal):
        return "a number"
    return "text" if isinstance(value, str) else type(value).__name__


def _is_whole(values: np.ndarray) -> bool:
    return bool((values == np.floor(values)).all())


def _numeric_kind(values: np.ndarray) -> ColumnKind:
    """Returns the kind of finite numbers [N] without gaps."""
    low, high, whole = values.min(), values.max(), _is_whole(values)
    if whole and low == 0 and high == 1:
        return ColumnKind.BINARY
    if whole and low >= 0 and high <= _MOST_COUNT and values.var() >= 0.5 * values.mean():
        return ColumnKind.COUNT
    if low > 0 and _skew(values) > 1 and abs(_skew(np.log(values))) < _skew(values):
        return ColumnKind.POSITIVE
    return ColumnKind.REAL


def _skew(values: np.ndarray) -> float:
    values = values / np.abs(values).max()  # whose cubes have a number
    centred = values - values.mean()
    scale = centred.std()
    return float((centred**3).mean() / scale**3) if scale > 0 else 0.0


def _some(levels: "tuple[str, ...]", most: int = 8) -> str:
    some = ", ".join(levels[:most])
    return some if len(levels) <= most else f"{some} and {len(levels) - most} more"
