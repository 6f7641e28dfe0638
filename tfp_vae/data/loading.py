"""`load`: whatever form data come in, a `Data` of one kind in three splits.

Every source yields raw intensities and labels or targets per split. Splits are cut with a fixed
seed. A source that brings its own test split keeps it.
"""

import pathlib
from typing import Any

import numpy as np

from tfp_vae.arguments import hint
from tfp_vae.data import kinds, streams
from tfp_vae.data.kinds import Kind
from tfp_vae.data.named import NAMES
from tfp_vae.data.source import REGRESSION, SPLIT_NAMES, Named, Source
from tfp_vae.data.sources import SOURCES
from tfp_vae.data.splits import Data, Split

_SPLIT_SEED = 0
# What splits are together: as wide as the widest of them.
_WIDTHS = (Kind.STATIC, Kind.UNIT_INTERVAL, Kind.EIGHT_BIT, Kind.REAL)


def load(
    source: "str | pathlib.Path | np.ndarray" = "digits",
    *,
    data_dir: "str | pathlib.Path | None" = None,
    kind: "Kind | str | None" = None,
    labels: np.ndarray | None = None,
    targets: np.ndarray | None = None,
    target: str | None = None,
    task: str | None = None,
    split: int | None = None,
    in_memory: bool | None = None,
) -> Data:
    """Loads a data set.

    Args:
        source: one of `NAMES`: "digits" (1,797 8x8 digits inside scikit-learn, no download),
            "diabetes", "wine" and "breast_cancer" (tables inside scikit-learn), "mnist",
            "fashion_mnist", "binarized_mnist", or one of `UCI_NAMES` (see `uci`);
            `NAMES.meanings` says what each is. Or a folder of images (optionally with `train`,
            `validation` and `test` folders, optionally with one folder per class) or of TFRecords
            (see `data.sources.records`), an `.npz` file (`x_train`, `y_train`, `x_test`, ... or `x`
            and `y`), a `.csv` file (a header, then numbers, which stay as they are), or an array
            [N, ...]. Integers in 0..255 in images, `.npz` files and arrays mean k/255
            (`kinds.from_integers`).
        data_dir: folder of prepared tensorflow-datasets, or of the `.npz` files of UCI sets, which
            is only read. None means the TFDS default (`TFDS_DATA_DIR` in the environment moves it),
            or the cache of Keras for UCI sets; what is missing there is downloaded.
        kind: the kind of values to model (see `Kind`). None means `DYNAMIC` for the named grey
            digits and clothes, `REAL` for the named tables, and for everything else the kind that
            the values have by themselves.
        labels: [N] integers from 0 on, only for an array.
        targets: [N] or [N, T] finite numbers to predict, only for an array.
        target: the column of a `.csv` file to predict. None means the last one.
        task: "classification" or "regression", for a `.csv` or `.npz` file. None means that the
            values say: in a `.csv` file, text and integers with at most 20 different values are
            classes; in an `.npz` file, integers are. Classes in text are numbered in sorted order.
        split: which of the standard splits of a UCI set. None means 0.
        in_memory: whether the images of a folder are read now and kept, or each time that they are
            asked for. None means to keep up to `MOST_BYTES` (2 GiB) of decoded images.

    Returns:
        A `Data`. Without a test split in the source, 10 % of the examples (20 % of the named
        ones) become one; without a validation split, 10 % of the training examples, at most 5,000.

    Raises:
        ValueError: for data that cannot be used; the message says where the fault is.
        FileNotFoundError: if there is no such source.
    """
    form = find(source)
    given = {"labels": labels, "targets": targets, "target": target, "task": task, "split": split}
    given["in_memory"] = in_memory
    _check_arguments(form, source, given)
    is_named, name = isinstance(form, Named), form.title(source)
    raw = form.read(source, data_dir, **{key: given[key] for key in form.arguments})
    arrays = _numbers({part: values for part, (values, _) in raw.splits.items()}, raw.kind)
    found = {part: raw.kind or kinds.infer(x) for part, x in arrays.items()}
    native = max(found.values(), key=_WIDTHS.index)
    if kind is None and found["train"] is not native:
        received = ", ".join(f"{part}: {each}" for part, each in found.items())
        raise ValueError(
            "The splits differ in kind, and the training split is narrower. Expected one kind, or "
            f"kind to say which. Received {received}."
        )
    if kind is None:
        kind = Kind.DYNAMIC if is_named and native is Kind.EIGHT_BIT else native
    kind = _checked_kind(kind, native, name)
    splits = {}
    for part, values in arrays.items():
        if values.dtype == np.uint8 and native.is_binary:  # of a stream: 0 and 1 are no bytes
            values = streams.mapped(values, lambda values: values * np.uint8(255))
        y = {"targets" if raw.task == REGRESSION else "labels": raw.splits[part][1]}
        splits[part] = Split(values, kind, name=part, **y)
    shapes = {part: made.shape for part, made in splits.items()}
    if len(set(shapes.values())) > 1:
        raise ValueError(f"The splits differ in shape. Expected one shape. Received {shapes}.")
    widths = {
        part: made.targets.shape[1:] for part, made in splits.items() if made.targets is not None
    }
    if len(set(widths.values())) > 1:
        raise ValueError(
            f"The targets of the splits differ in shape. Expected one shape. Received {widths}."
        )
    splits = _cut(splits, name, test_share=0.2 if is_named else 0.1)
    return Data(name, splits["train"], splits["validation"].frozen(), splits["test"].frozen())


def find(source: "str | pathlib.Path | np.ndarray") -> Source:
    """Returns which form of source this is.

    Raises:
        ValueError: if it can be none.
        FileNotFoundError: if there is no such data set, file or folder.
    """
    if isinstance(source, str) and source in NAMES:
        return NAMES[source]()
    forms = [SOURCES[name]() for name in SOURCES]
    form = next((form for form in forms if form.matches(source)), None)
    if form is not None:
        return form
    if not isinstance(source, str | pathlib.Path):
        raise ValueError(
            "Unusable data source. Expected a name, a path or a NumPy array. Received "
            f"{type(source).__name__}."
        )
    words = [form.words for form in forms]
    raise FileNotFoundError(
        f"There is no data set {str(source)!r}. Expected one of {', '.join(NAMES)}, "
        f"{', '.join(words[:-1])} or {words[-1]}. Received {str(source)!r}, which is none."
        f"{hint(source, NAMES)}"
    )


def _check_arguments(form: Source, source: Any, given: dict) -> None:
    """Raises `ValueError` for arguments of `load` that do not apply to a form of source."""
    for argument, value in given.items():
        if value is not None and argument not in form.arguments:
            what = form.words if isinstance(source, np.ndarray) else repr(str(source))
            everyone = (each[name] for each in (NAMES, SOURCES) for name in each)
            where = sorted({each.words for each in everyone if argument in each.arguments})
            received = f"shape {np.shape(value)}" if np.ndim(value) else repr(value)
            raise ValueError(
                f"{argument} does not apply to {what}. Expected {argument}=None; it goes with "
                f"{' or '.join(where)} only. Received {received}."
            )


def _checked_kind(kind: "Kind | str", native: Kind, name: str) -> Kind:
    kind = kinds.of(kind)
    if native is Kind.STATIC and kind.is_binary:
        return Kind.STATIC  # binary already: there is nothing left to draw or to threshold
    if native is Kind.REAL and kind is not Kind.REAL:
        raise ValueError(
            f"The values of {name} are out of range. Expected uint8 or numbers in [0, 1] for kind "
            f"'{kind}'. Received numbers outside [0, 1]; scale them, or use kind 'real'."
        )
    return kind


def _numbers(
    arrays: "dict[str, np.ndarray]", kind: "Kind | None" = None
) -> "dict[str, np.ndarray]":
    """Returns the splits as uint8 (k/255), bool or floats, images with a channel axis.

    What integers are is decided for all splits together: one scale for training and test.
    """
    if isinstance(arrays["train"], streams.Stream):  # as the others: bytes, with channels
        return {split: _channels(values, split) for split, values in arrays.items()}
    arrays = {split: np.asarray(values) for split, values in arrays.items()}
    for split, values in arrays.items():
        kinds.check_numbers(values, f"The {split}")
        kinds.check_finite(values, f"The {split} array")
    if len({values.dtype.kind == "f" for values in arrays.values()}) > 1:
        received = {split: str(values.dtype) for split, values in arrays.items()}
        raise ValueError(
            f"The splits differ in type. Expected integers in all or floats in all. Received "
            f"{received}."
        )
    stored = kinds.from_integers(*arrays.values(), candidates=[kind] if kind else ())
    return {split: _channels(x, split) for split, x in zip(arrays, stored, strict=True)}


def _channels(values: "np.ndarray | streams.Stream", split: str) -> "np.ndarray | streams.Stream":
    """Gives images their channel axis, [N, H, W] -> [N, H, W, 1], and refuses odd layouts."""
    if values.ndim == 3:
        values = values[..., np.newaxis]
    if values.ndim == 4 and values.shape[-1] not in (1, 3, 4):
        raise ValueError(
            f"The {split} images have a wrong channel count. Expected shape (N, H, W, C) with C "
            f"1, 3 or 4. Received shape {values.shape}."
        )
    return values


def _cut(splits: dict[str, Split], name: str, test_share: float) -> dict[str, Split]:
    """Completes train, validation and test, cutting what is missing with a fixed seed."""
    splits = dict(splits)
    missing = [split for split in SPLIT_NAMES if split not in splits]
    if len(splits["train"]) <= len(missing):
        raise ValueError(
            f"{name} has too few examples to cut a {' and a '.join(missing)} split from. Expected "
            f"at least {len(missing) + 1}. Received {len(splits['train'])}."
        )
    rng = np.random.default_rng(_SPLIT_SEED)
    for wanted, share, most in (("test", test_share, None), ("validation", 0.1, 5000)):
        if wanted in missing:
            train = splits["train"]
            count = max(1, round(len(train) * share))
            count = count if most is None else min(count, most)
            order = rng.permutation(len(train))
            splits[wanted] = train.select(order[:count], wanted)
            splits["train"] = train.select(np.sort(order[count:]), "train")
    return splits
