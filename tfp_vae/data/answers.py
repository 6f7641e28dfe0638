"""What stands beside the examples of a split, checked: labels, targets, factors, masks."""

import numbers
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from tfp_vae.arguments import check_choice
from tfp_vae.data import frames, kinds

UNLABELLED = -1  # the label of an example whose class is not known, as in scikit-learn
# Classes that few examples may have: models, plots and tables have a place for each number up to
# the highest, so a stray one would cost gigabytes.
_ALWAYS_CLASSES = 2**16


# Text that stands for "there is none" in tables, in lower case.
MISSING_TEXT = frozenset(
    "? - -- --- . .. ... na <na> n/a #n/a #na nan -nan nat null none <none> (null) nil"
    " -1.#ind 1.#ind -1.#qnan 1.#qnan".split()
) | {"", "#n/a n/a"}


def classes(
    labels: Any, name: str, known: "Sequence[str] | None" = None
) -> "tuple[np.ndarray, tuple[str, ...] | None]":
    """Returns labels as int64 class numbers [N] and the names of the classes, None without names.

    Args:
        labels: whole numbers [N] or [N, 1] of any type, or one-hot [N, K]; or text [N], or a series
            of categories; or a frame of one column, or of one-hot columns, whose names are those of
            the classes. None, NaN, NaT, a mask and -1 are `UNLABELLED`.
        name: of the split, for errors.
        known: the names of the classes in their order; None means those of the categories, or the
            different texts: whole numbers by their size, others by the alphabet.

    Raises:
        ValueError: for what is not a class.
    """
    if frames.is_frame(labels):
        if len(labels.columns) > 1:  # one-hot, as of get_dummies
            hot, columns = frames.table(labels, f"{name} labels")
            found = _one_hot(hot, np.zeros(hot.shape, bool), name)
            gone = found == UNLABELLED
            return _text_classes(np.array(columns, object)[found], gone, name, known or columns)
        labels = frames.only_column(labels, f"{name} labels")
    levels = frames.categories(labels)
    values = frames.as_array(labels, f"The {name} labels")
    gone = np.array(np.ma.getmaskarray(values)) if np.ma.isMaskedArray(values) else None
    values = np.asarray(np.ma.getdata(values))
    if values.ndim > 2:
        raise ValueError(
            f"The {name} labels have more than a class for each example. Expected one class per "
            "example, shape (N,); for classes of pixels, cut a patch around each pixel, an example "
            f"with one class. Received labels of shape {values.shape}."
        )
    if values.ndim == 2 and values.shape[1] == 1:
        values, gone = values[:, 0], gone if gone is None else gone[:, 0]
    none = None
    if values.dtype == object:
        none = np.array([frames.is_missing(each) for each in values.ravel()], bool)
    elif values.dtype.kind == "f":
        none = np.isnan(values)
    if none is not None:
        none = none.reshape(values.shape)
        gone = none if gone is None else gone | none
    gone = np.zeros(values.shape, bool) if gone is None else gone
    if levels is not None and values.ndim == 1:  # whatever they are: numbers, intervals, dates
        codes = getattr(getattr(labels, "cat", labels), "codes", None)
        held = values if codes is None else [levels[code] for code in np.asarray(codes)]
        return _text_classes(held, gone, name, known or levels)
    if values.dtype.kind in "OUST":
        if values.ndim == 1 and all(isinstance(v, str | bytes | np.bytes_) for v in values[~gone]):
            return _text_classes(values, gone, name, known)
        values = _plain_numbers(values, gone, name)
    found = _whole_numbers(values, gone, name)
    if found.ndim == 2:
        found = _one_hot(found, gone, name)
    if known is not None and found.size and found.max() >= len(known):
        raise ValueError(
            f"The {name} labels are outside the classes. Expected numbers from 0 to "
            f"{len(known) - 1}, for {', '.join(map(str, known[:20]))}. Received {found.max()}."
        )
    return found, None if known is None else tuple(map(str, known))


def numbers_of_a_part(
    labels: Any, name: str, known: "Sequence[str] | None"
) -> "tuple[np.ndarray, tuple[str, ...] | None]":
    """Returns what `classes` does of labels of which there may be others: their text needs names.

    Raises:
        ValueError: for what is not a class, and for text where no names of classes are known.
    """
    found, names = classes(labels, name, known)
    if known is None and names is not None:
        check_complete(labels, name, names)
    return found, names


def check_complete(labels: Any, name: str, names: "Sequence[str]") -> None:
    """Raises `ValueError` for text labels that nobody numbered: a part may not have all of them."""
    if frames.is_frame(labels) or frames.categories(labels) is not None:
        return
    raise ValueError(
        f"The {name} labels are text, and the model has no names of classes to number them by. "
        "Expected class numbers, training on text, or class_names=('a', 'b', ...) given to the "
        f"model. Received {', '.join(names[:10])}."
    )


def _text_classes(values, gone, name, known):
    """Returns text as numbers and the names they stand for."""
    text = [
        each.decode(errors="surrogateescape") if isinstance(each, bytes) else str(each)
        for each in values
    ]
    for index, each in enumerate(text):
        if not gone[index] and each.strip().lower() in MISSING_TEXT and each not in (known or ()):
            raise ValueError(
                f"The {name} labels have a mark of a missing one. Expected names of classes, or "
                f"None or {UNLABELLED} for an example without. Received {each!r} at index {index}."
            )
    found = {each for index, each in enumerate(text) if not gone[index]}
    names = in_order(found) if known is None else tuple(map(str, known))
    unknown = sorted(found.difference(names))
    if unknown:
        raise ValueError(
            f"The {name} labels have unknown classes. Expected some of {', '.join(names[:20])}. "
            f"Received {unknown[0]!r} at index {text.index(unknown[0])}."
        )
    number = {each: place for place, each in enumerate(names)}
    found = [UNLABELLED if gone[i] else number[each] for i, each in enumerate(text)]
    return np.array(found, np.int64), names


def in_order(names: "Iterable[str]") -> "tuple[str, ...]":
    """Returns names of classes in order: whole numbers by their size, others by the alphabet."""
    names = set(names)
    check_text(names, "name of a class")
    are_numbers = all(each.isascii() and each.isdigit() for each in names)
    return tuple(sorted(names, key=(lambda each: (int(each), each)) if are_numbers else None))


def check_text(names: "Iterable[str]", what: str) -> None:
    """Raises `ValueError` for a name that no file in UTF-8 can hold.

    Names of files may have any bytes, which Python makes halves of characters of.
    """
    for each in names:
        if any("\ud800" <= letter <= "\udfff" for letter in each):
            raise ValueError(
                f"A {what} is no text. Expected one in UTF-8; rename it. Received {each!a}."
            )


def _plain_numbers(values, gone, name):
    """Returns objects that are numbers as an array of them."""
    for index in map(tuple, np.argwhere(~gone)):
        if not isinstance(values[index], numbers.Real):
            raise ValueError(
                f"The {name} labels are of different types. Expected integers, or text, in all. "
                f"Received {values[index]!r} of type {type(values[index]).__name__} at index "
                f"{tuple(map(int, index))}."
            )
    return np.where(gone, UNLABELLED, values).astype(np.float64)


def _whole_numbers(values, gone, name):
    """Returns numbers as int64, `UNLABELLED` where there is none."""
    if values.dtype.kind not in "biuf":
        raise ValueError(
            f"The {name} labels are not class numbers. Expected integers, or text; "
            "np.unique(labels, return_inverse=True) numbers what else there may be. Received dtype "
            f"{values.dtype}."
        )
    # Half precision could not hold the largest number that is looked for.
    wide = {"b": np.int64, "f": np.float64}.get(values.dtype.kind, values.dtype)
    values = np.where(gone, UNLABELLED, values.astype(wide))
    most = max(_ALWAYS_CLASSES, values.size) - 1
    wrong = (values < UNLABELLED) | (values > most) | (values != np.floor(values))
    if wrong.any():
        index = tuple(int(i) for i in np.argwhere(wrong)[0])
        raise ValueError(
            f"The {name} labels are not class numbers. Expected integers from 0 to {most}, "
            f"or {UNLABELLED} for none; np.unique(labels, return_inverse=True) numbers any others, "
            "and numbers to predict are targets. "
            f"Received {values[index]} at index {index}."
        )
    return values.astype(np.int64)


def _one_hot(rows, gone, name):
    """Returns the classes [N] of one-hot rows [N, K]."""
    is_one_hot = np.isin(rows, (0, 1)).all(1) & (rows.sum(1) == 1)
    none = gone.all(1) | (rows == UNLABELLED).all(1)
    wrong = ~(is_one_hot | none)
    if wrong.any():
        index = int(np.argmax(wrong))
        raise ValueError(
            f"The {name} labels are not one class for each example. Expected shape (N,), or "
            f"one-hot rows (N, K), whose class is argmax(axis=1). Received shape {rows.shape} with "
            f"{rows[index][:8].tolist()} at index {index}."
        )
    return np.where(none, UNLABELLED, rows.argmax(1))


def are_one_hot(ys: "Iterable[np.ndarray | None]") -> bool:
    """Returns whether all arrays that there are have rows of zeros with one 1, of two or more."""
    found = [y for y in ys if y is not None]
    return bool(found) and all(
        y.ndim == 2
        and y.shape[1] > 1
        and y.dtype.kind in "biuf"
        and kinds.is_zero_one(y)
        and bool((y.sum(1) == 1).all())
        for y in found
    )


def real_numbers(targets: Any, name: str, what: str = "target") -> np.ndarray:
    """Returns targets as float32; raises `ValueError` for what is not a finite number there.

    Targets of a frame or a series are its values; masked ones are refused.
    """
    if frames.is_frame(targets):
        targets = frames.table(targets, f"{name} {what}")[0]
    if np.ma.is_masked(targets):
        index = tuple(int(i) for i in np.argwhere(np.ma.getmaskarray(targets))[0])
        raise ValueError(
            f"The {name} {what}s have missing values. Expected a finite number for each example. "
            f"Received a masked one at index {index}."
        )
    targets = np.asarray(frames.as_array(targets, f"The {name} {what}s"))
    if targets.dtype == object:
        targets = frames.numbers(targets, f"{name} {what}s")
    kinds.check_numbers(targets, f"The {name} {what}")
    kinds.check_finite(targets, f"The {name} {what} array")
    small = targets.astype(np.float32) if targets.dtype == np.uint8 else kinds.intensities(targets)
    if not np.isfinite(small).all():
        index = tuple(int(i) for i in np.argwhere(~np.isfinite(small))[0])
        raise ValueError(
            f"The {name} {what}s are too large. Expected numbers that float32 can hold; scale "
            f"them. Received {targets[index]} at index {index}."
        )
    kinds.check_float32(targets, small, f"The {name} {what}s")
    return small


def masks(observed: Any, name: str) -> np.ndarray:
    """Returns which values are observed as bool; raises `ValueError` for what is not a mask."""
    observed = np.asarray(observed)
    if observed.dtype != np.bool_:
        raise ValueError(
            f"The {name} split is not told which values are observed. Expected an array of bool, "
            f"True where a value is. Received dtype {observed.dtype}."
        )
    return observed


def texts(files: Any, name: str) -> np.ndarray:
    """Returns names of files as an object array; raises `ValueError` for what is no text."""
    found = np.empty(np.shape(files), object)
    found[...] = np.asarray(files, object)
    odd = next((each for each in found.flat if not isinstance(each, str)), None)
    if odd is not None:
        raise ValueError(
            f"The {name} split has names of files that are no text. Expected str. Received {odd!r}."
        )
    return found


_CHECKED: "dict[str, Callable[[Any, str], Any]]" = {
    "labels": lambda labels, name: classes(labels, name)[0],
    "targets": real_numbers,
    "factors": lambda factors, name: real_numbers(factors, name, "factor"),
    "observed": masks,
    "files": texts,
}


def beside(
    given: Mapping[str, Any],
    shape: tuple[int, ...],
    name: str,
    class_names: "Sequence[str] | None" = None,
) -> "tuple[dict[str, np.ndarray], tuple[str, ...] | None]":
    """Returns what stands beside examples of `shape` [N, ...], and the names of the classes.

    What is None is left out.

    Args:
        given: some of "labels" [N], "targets" [N] or [N, T], "factors" [N, F], "observed", bool
            of `shape`, and "files" [N], where each is from.
        shape: of the examples.
        name: of the split, for errors.
        class_names: see `classes`.

    Raises:
        ValueError: if one is unknown or does not fit the examples, or for labels and targets both.
    """
    given = {check_choice("array beside examples", k, _CHECKED): v for k, v in given.items()}
    given = {key: value for key, value in given.items() if value is not None}
    if "labels" in given and "targets" in given:
        raise ValueError(
            f"The {name} split has both labels and targets. Expected labels for classes or "
            f"targets for regression. Received labels of shape {np.shape(given['labels'])} and "
            f"targets of shape {np.shape(given['targets'])}."
        )
    names, found = None, {}
    for key, value in given.items():
        if key == "labels":
            found[key], names = classes(value, name, class_names)
        else:
            found[key] = _CHECKED[key](value, name)
    count = shape[0]
    for key, value in found.items():
        fits, expected = {
            "labels": (value.shape == (count,), f"({count},)"),
            "targets": (value.ndim in (1, 2), f"({count},) or ({count}, T)"),
            "factors": (value.ndim == 2, f"({count}, F)"),
            "observed": (value.shape == shape, f"{shape}"),
            "files": (value.shape == (count,), f"({count},)"),
        }[key]
        if not fits or len(value) != count or not value.size:
            what = {"observed": "masks of observed values"}.get(key, key)
            raise ValueError(
                f"The {name} {what} do not fit the examples. Expected shape {expected}. Received "
                f"shape {value.shape}."
            )
    return found, names
