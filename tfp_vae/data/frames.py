"""Tables and columns of pandas, polars and their like, taken as the arrays that they hold.

None of these libraries is imported: a frame is what has `columns` and `to_numpy`, a series what has
`to_numpy` and no columns.
"""

import contextlib
import re
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from tfp_vae.arguments import hint
from tfp_vae.data import kinds

IN_ROW = re.compile(r" in row (\d+)")  # how errors of frames say it


@contextlib.contextmanager
def counted_from_one() -> Iterator[None]:
    """Has errors of frames count rows as those of files are: the one below a header is row 1."""
    try:
        yield
    except ValueError as error:
        said = IN_ROW.sub(lambda found: f" in row {int(found[1]) + 1}", str(error))
        raise ValueError(said) from error


def is_frame(values: Any) -> bool:
    """Returns whether `values` is a table with named columns, such as a DataFrame of pandas."""
    return hasattr(values, "columns") and hasattr(values, "to_numpy")


def is_series(values: Any) -> bool:
    """Returns whether `values` is one column of a table, such as a Series of pandas."""
    return hasattr(values, "to_numpy") and not hasattr(values, "columns")


def column_names(frame: Any) -> "tuple[str, ...]":
    """Returns the names of the columns of a frame, as text."""
    return tuple(map(str, frame.columns))


def table(
    frame: Any, name: str, order: "Sequence[str] | None" = None
) -> "tuple[np.ndarray, tuple[str, ...]]":
    """Returns a frame as an array [N, D] and the names [D] of its columns.

    Integers stay integers where all columns are, so that a frame of uint8 may be bytes; otherwise
    all are floats.

    Args:
        frame: see `is_frame`.
        name: of the split, for errors.
        order: the names in the order that is wanted; None for that of the frame.

    Raises:
        ValueError: if a column is not of numbers or has missing values, if two have the same name,
            or if there are others than those of `order`.
    """
    names = column_names(frame)
    repeated = sorted({each for each in names if names.count(each) > 1})
    if repeated:
        raise ValueError(
            f"The {name} table has columns of the same name. Expected different names. Received "
            f"{repeated[0]!r} {names.count(repeated[0])} times."
        )
    order = names if order is None else tuple(order)
    check_columns(names, order, name)
    found = [_column(frame, frame.columns[names.index(each)], each, name) for each in order]
    if not found:
        return np.empty((len(frame), 0), np.float32), order
    return np.stack(found, axis=1), order


def check_columns(names: "Sequence[str]", order: "Sequence[str]", name: str) -> None:
    """Raises `ValueError` naming the columns that are missing or unknown."""
    missing = [each for each in order if each not in names]
    unknown = [each for each in names if each not in order]
    if missing or unknown:
        others = unknown if missing else list(order)
        said = [f"{_some(missing)} missing"] * bool(missing)
        said += [f"{_some(unknown)} unknown"] * bool(unknown)
        raise ValueError(
            f"The {name} table has other columns. Expected {_some(order, 20)}. Received columns "
            f"with {' and '.join(said)}.{hint((missing or unknown)[0], others)}"
        )


def _some(names: "Sequence[str]", most: int = 5) -> str:
    some = ", ".join(map(repr, names[:most]))
    return some if len(names) <= most else f"{some} and {len(names) - most} more"


def _column(frame: Any, key: Any, label: str, name: str) -> np.ndarray:
    series = frame[key]
    values = np.asarray(series.to_numpy())
    if values.dtype == object:  # such as integers of pandas with a mark for what is missing
        values = numbers(values, f"values of column {label!r} of the {name} table")
    if values.dtype.kind not in "biuf":
        raise ValueError(
            f"The {name} table has a column that holds no numbers. Expected numbers in every "
            "column; leave it out, or encode it (one column of 0 and 1 for each of its values). "
            f"Received {series.dtype} in column {label!r}."
        )
    bad = ~np.isfinite(values) if values.dtype.kind == "f" else np.zeros(len(values), bool)
    if bad.any():
        row = int(np.argmax(bad))
        raise ValueError(
            f"The {name} table has values that are missing or not finite. Expected a finite number "
            f"in every cell; fill or remove them. Received {values[row]} in row {row}, column "
            f"{label!r}."
        )
    kinds.check_float64(values, f"The values of column {label!r} of the {name} table")
    return values


def is_missing(value: Any) -> bool:
    """Returns whether `value` marks that there is none: None, NaN, NaT, pandas' NA, a mask."""
    if value is None or value is np.ma.masked or type(value).__name__ in ("NAType", "NaTType"):
        return True
    return isinstance(value, float | np.floating | np.datetime64) and bool(value != value)


def only_column(frame: Any, name: str) -> Any:
    """Returns the one column of a frame as a series; raises `ValueError` if there are others."""
    if len(frame.columns) != 1:
        raise ValueError(
            f"The {name} are a table. Expected one column. Received columns "
            f"{_some(column_names(frame))}."
        )
    return frame[frame.columns[0]]


def has_gaps(values: Any) -> bool:
    """Returns whether values are sparse or ragged, of any library, without importing it."""
    return hasattr(values, "tocsr") or type(values).__name__ in ("SparseTensor", "RaggedTensor")


def as_array(values: Any, what: str) -> np.ndarray:
    """Returns values of any library as an array, masks as they are.

    Args:
        values: see above.
        what: "The train values", for errors.

    Raises:
        ValueError: for what is no array, such as sparse or ragged values or a tensor on a GPU.
    """
    if has_gaps(values):
        raise ValueError(
            f"{what} are no array. Expected numbers in every place (toarray(), "
            f"tf.sparse.to_dense, to_tensor()). Received {type(values).__name__}."
        )
    try:
        return values if isinstance(values, np.ma.MaskedArray) else np.asarray(values)
    except Exception as error:  # every library has one of its own
        raise ValueError(
            f"{what} are no array. Expected numbers of one shape for every example; of a tensor of "
            "another library its NumPy array, such as x.detach().cpu().numpy(). Received "
            f"{type(values).__name__}: {' '.join(str(error).split())[:200]}."
        ) from error


def numbers(values: np.ndarray, name: str) -> np.ndarray:
    """Returns an array of objects as float64 if all are numbers, else as it is.

    Raises:
        ValueError: if one is a mark of what is missing, with its index.
    """
    gaps = np.array([is_missing(each) for each in values.ravel()], bool).reshape(values.shape)
    if gaps.any():
        index = tuple(int(i) for i in np.argwhere(gaps)[0])
        raise ValueError(
            f"The {name} have missing values. Expected a number for each; fill or remove them. "
            f"Received {values[index]} at index {index}."
        )
    if all(isinstance(each, bool | int | float | np.number | np.bool_) for each in values.ravel()):
        return values.astype(np.float64)
    return values


def categories(series: Any) -> "tuple[str, ...] | None":
    """Returns the names of the categories of a series in their order, or None if it has none."""
    found = getattr(getattr(series, "dtype", None), "categories", None)
    return tuple(map(str, found.to_list())) if hasattr(found, "to_list") else None
