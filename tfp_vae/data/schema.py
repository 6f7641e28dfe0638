"""What the columns of a table are: a name, a kind of values and, of classes, the levels."""

import dataclasses
from collections.abc import Iterator

import numpy as np

from tfp_vae.arguments import check_type
from tfp_vae.data import kinds
from tfp_vae.data.kinds import Kind


@dataclasses.dataclass(frozen=True)
class Column:
    """One column of a table.

    Attributes:
        name: such as "age"; no two columns of a table have the same.
        kind: of the values; a `Kind` or its name. `DYNAMIC` and `THRESHOLD` are of images alone.
        levels: of a column of class numbers 0 to K - 1, what each is called; () for numbers.
    """

    name: str
    kind: Kind = Kind.REAL
    levels: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        check_type("name", self.name, str, "Column")
        kind = kinds.of(self.kind)
        if kind in (Kind.DYNAMIC, Kind.THRESHOLD):
            raise ValueError(
                f"Column {self.name!r} cannot be binarised. Expected a kind of values as they are, "
                f"such as 'static' or 'real'. Received '{kind}'."
            )
        object.__setattr__(self, "kind", kind)
        object.__setattr__(self, "levels", tuple(self.levels))

    def check(self, values: np.ndarray, name: str) -> None:
        """Raises `ValueError` unless float values [N] of the split `name` are of this column."""
        expected = kinds.violation(values, self.kind)
        levels = len(self.levels)
        if levels and not (np.isin(values, np.arange(levels))).all():
            expected = f"class numbers from 0 to {levels - 1}"
        if expected:
            raise ValueError(
                f"The {name} values of column {self.name!r} are out of range. Expected {expected} "
                f"for kind '{self.kind}'. Received values from {values.min():g} to "
                f"{values.max():g}."
            )


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

    def __len__(self) -> int:
        return len(self.columns)

    def __iter__(self) -> Iterator[Column]:
        return iter(self.columns)

    def __getitem__(self, index: int) -> Column:
        return self.columns[index]

    @property
    def names(self) -> tuple[str, ...]:
        """The names of the columns."""
        return tuple(column.name for column in self.columns)

    @property
    def kind(self) -> Kind:
        """The kind of all columns; `REAL`, which every number is, where they differ."""
        found = {column.kind for column in self.columns}
        return found.pop() if len(found) == 1 else Kind.REAL

    def check(self, values: np.ndarray, name: str) -> None:
        """Raises `ValueError` unless float values [N, D] of the split `name` fit the columns."""
        if values.shape[1:] != (len(self),):
            raise ValueError(
                f"The {name} values do not fit the schema. Expected shape (N, {len(self)}), a "
                f"value for each of {', '.join(self.names)}. Received shape {values.shape}."
            )
        for column, each in zip(self.columns, values.T, strict=True):
            column.check(each, name)
