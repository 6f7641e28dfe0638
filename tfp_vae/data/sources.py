"""Where data come from: embedded, tensorflow-datasets, a folder, a file, an array.

Every source yields raw intensities and labels or targets per split; `load` makes them a `Data` of
one kind.
Splits are cut with a fixed seed. A source that brings its own test split keeps it.
"""

import os
import pathlib

import numpy as np

from tfp_vae.data import kinds, streams, tables
from tfp_vae.data.folders import SPLIT_NAMES, read_folder
from tfp_vae.data.kinds import Kind
from tfp_vae.data.splits import Data, Split

TFDS_NAMES = ("mnist", "fashion_mnist", "binarized_mnist")
NAMES = ("digits", *tables.EMBEDDED_NAMES, *TFDS_NAMES, *tables.UCI_NAMES)
_SPLIT_SEED = 0
# What splits are together: as wide as the widest of them.
_WIDTHS = (Kind.STATIC, Kind.UNIT_INTERVAL, Kind.EIGHT_BIT, Kind.REAL)
# The forms of a source, and the arguments of `load` that go with some of them only.
_ARRAY, _NAME, _UCI = "an array", "a named data set", "a uci/... data set"
_FOLDER, _CSV, _NPZ = "a folder of images or TFRecords", "a .csv file", "an .npz file"
_WHERE = {
    "labels": (_ARRAY,),
    "targets": (_ARRAY,),
    "target": (_CSV,),
    "task": (_CSV, _NPZ),
    "split": (_UCI,),
    "in_memory": (_FOLDER,),
}


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
            "diabetes", "wine" and "breast_cancer" (tables inside scikit-learn), one of
            `TFDS_NAMES`, or one of `UCI_NAMES` (see `uci`). Or a folder of images (optionally with
            `train`, `validation` and `test` folders, optionally with one folder per class) or of
            TFRecords (see `folders.read_folder` and `records.Records`), an `.npz` file (`x_train`,
            `y_train`, `x_test`, ... or `x` and `y`), a `.csv` file (a header, then numbers, which
            stay as they are), or an array [N, ...]. Integers in 0..255 in images, `.npz` files and
            arrays mean k/255.
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
    form = _form(source)
    given = {"labels": labels, "targets": targets, "target": target, "task": task, "split": split}
    given["in_memory"] = in_memory
    _check_arguments(form, source, given)
    name = {_ARRAY: "array", _NAME: source, _UCI: source}.get(form) or pathlib.Path(source).name
    if form == _ARRAY:
        task = tables.CLASSIFICATION if targets is None else tables.REGRESSION
        raw = {"train": (source, labels if targets is None else targets)}
    elif form == _UCI:
        raw, task = tables.uci_split(source, data_dir, split)
    elif form == _CSV:
        raw, task = tables.read_csv(pathlib.Path(source), target, task)
    elif form == _NPZ:
        raw, task = _npz(pathlib.Path(source), task)
    elif source in tables.EMBEDDED_NAMES:
        raw, task = tables.embedded(source)
    else:
        raw, task = _images_of(form, source, data_dir, in_memory), tables.CLASSIFICATION
    arrays = _numbers({part: values for part, (values, _) in raw.items()})
    is_table = form == _UCI or (form == _NAME and source in tables.EMBEDDED_NAMES)
    found = {part: Kind.REAL if is_table else kinds.infer(x) for part, x in arrays.items()}
    native = max(found.values(), key=_WIDTHS.index)
    if kind is None and found["train"] is not native:
        received = ", ".join(f"{part}: {each}" for part, each in found.items())
        raise ValueError(
            "The splits differ in kind, and the training split is narrower. Expected one kind, or "
            f"kind to say which. Received {received}."
        )
    if kind is None:
        kind = Kind.DYNAMIC if form == _NAME and native is Kind.EIGHT_BIT else native
    kind = _checked_kind(kind, native, name)
    splits = {}
    for part, values in arrays.items():
        if values.dtype == np.uint8 and native.is_binary:
            values = streams.mapped(values, lambda values: values * np.uint8(255))
        y = {"targets" if task == tables.REGRESSION else "labels": raw[part][1]}
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
    splits = _cut(splits, name, test_share=0.2 if form == _NAME else 0.1)
    return Data(name, splits["train"], splits["validation"].frozen(), splits["test"].frozen())


def _form(source) -> str:
    """Returns which form of source this is."""
    if isinstance(source, np.ndarray):
        return _ARRAY
    if not isinstance(source, str | pathlib.Path):
        raise ValueError(
            "Unusable data source. Expected a name, a path or a NumPy array. Received "
            f"{type(source).__name__}."
        )
    if source in NAMES:
        return _UCI if source in tables.UCI_NAMES else _NAME
    path = pathlib.Path(source)
    form = {".npz": _NPZ, ".csv": _CSV}.get(path.suffix.lower())
    # os.path, since pathlib raises where a name is longer than any file's or has a NUL in it.
    if os.path.isdir(path):
        return _FOLDER
    if form is None or not os.path.isfile(path):
        raise FileNotFoundError(
            f"There is no data set {str(source)!r}. Expected one of {', '.join(NAMES)}, a folder "
            f"of images or TFRecords, a .csv or an .npz file. Received {str(source)!r}, which is "
            "none."
        )
    return form


def _check_arguments(form: str, source, given: dict) -> None:
    """Raises `ValueError` for arguments of `load` that do not apply to a form of source."""
    what = form if form == _ARRAY else repr(str(source))
    for argument, value in given.items():
        if value is not None and form not in _WHERE[argument]:
            is_array = argument in ("labels", "targets")
            received = f"shape {np.shape(value)}" if is_array else repr(value)
            raise ValueError(
                f"{argument} does not apply to {what}. Expected {argument}=None; it goes with "
                f"{' or '.join(_WHERE[argument])} only. Received {received}."
            )
    if given["labels"] is not None and given["targets"] is not None:
        raise ValueError(
            "There are both labels and targets. Expected labels for classes or targets for "
            f"regression. Received labels of shape {np.shape(given['labels'])} and targets of "
            f"shape {np.shape(given['targets'])}."
        )
    if given["task"] is not None and given["task"] not in tables.TASKS:
        raise ValueError(
            f"Unknown task. Expected one of {', '.join(tables.TASKS)}. Received {given['task']!r}."
        )


def _images_of(
    form: str, source, data_dir: "str | pathlib.Path | None", in_memory: "bool | None"
) -> tables.Raw:
    if form == _FOLDER:
        return read_folder(pathlib.Path(source), in_memory)
    return _digits() if source == "digits" else _tfds(source, data_dir)


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


def _numbers(arrays: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Returns the splits as uint8 (k/255), bool or floats, images with a channel axis.

    What integers are is decided for all splits together: one scale for training and test.
    """
    if isinstance(arrays["train"], streams.Stream):  # as the others: bytes, with channels
        return {split: _channels(values, split, True) for split, values in arrays.items()}
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
    integers = [x for x in arrays.values() if x.dtype.kind in "iu" and x.size]
    is_grey = all(0 <= x.min() and x.max() <= 255 for x in integers)
    return {split: _channels(values, split, is_grey) for split, values in arrays.items()}


def _channels(values: np.ndarray, split: str, is_grey: bool) -> np.ndarray:
    """Gives images their channel axis, [N, H, W] -> [N, H, W, 1], and refuses odd layouts."""
    if values.dtype.kind in "iu" and not isinstance(values, streams.Stream):
        values = values.astype(np.uint8 if is_grey else np.float32, copy=False)
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


def _digits() -> tables.Raw:
    from sklearn import datasets

    bunch = datasets.load_digits()
    # 17 levels, 0..16, put on the 8-bit grid that all images share.
    values = np.round(bunch.images * (255 / 16)).astype(np.uint8)
    return {"train": (values, bunch.target)}


def _tfds(name: str, data_dir: "str | pathlib.Path | None") -> tables.Raw:
    import tensorflow_datasets as tfds

    if data_dir is not None and not pathlib.Path(data_dir).is_dir():
        raise FileNotFoundError(
            f"data_dir does not exist. Expected a folder of prepared tensorflow-datasets. Received "
            f"{str(data_dir)!r}."
        )
    place = "the tensorflow-datasets default folder, or a network to download it from"
    if data_dir is not None:
        place = f"{str(data_dir)!r} (without data_dir it would be downloaded)"
    try:
        builder = tfds.builder(name, data_dir=data_dir)
        if data_dir is None:
            builder.download_and_prepare()
        elif not builder.is_prepared():
            raise FileNotFoundError(f"no {builder.data_path}")
        splits = builder.as_dataset(batch_size=-1)
        loaded = {split: tfds.as_numpy(splits[split]) for split in SPLIT_NAMES if split in splits}
    except Exception as error:  # TFDS raises a different type for each thing that can go wrong
        reason = " ".join(str(error).split())[:200] or type(error).__name__
        raise FileNotFoundError(
            f"The data set {name!r} could not be loaded. Expected it prepared in {place}. "
            f"Received: {reason}"
        ) from error
    return {split: (part["image"], part.get("label")) for split, part in loaded.items()}


def _npz(path: pathlib.Path, task: str | None) -> tuple[tables.Raw, str]:
    arrays = tables.read_npz(path)
    raw: tables.Raw = {}
    for split in SPLIT_NAMES:
        if f"x_{split}" in arrays:
            raw[split] = (arrays[f"x_{split}"], arrays.get(f"y_{split}"))
    if not raw and "x" in arrays:
        raw["train"] = (arrays["x"], arrays.get("y"))
    if "train" not in raw:
        raise ValueError(
            f"{path} has no training data. Expected arrays x_train (and y_train, x_test, ...) or x "
            f"(and y). Received arrays {sorted(arrays)}."
        )
    for split, (values, _) in raw.items():
        kinds.check_finite(values, f"{path}, array for {split},")
    types = {split: y.dtype for split, (_, y) in raw.items() if y is not None}
    are_real = {each.kind == "f" for each in types.values()}
    if task is not None and "train" not in types:
        raise ValueError(
            f"{path} has nothing to learn for task {task!r}. Expected an array y_train, or y "
            f"beside x. Received arrays {sorted(arrays)}."
        )
    if task is None and len(are_real) > 1:
        received = ", ".join(f"{split}: {each}" for split, each in types.items())
        raise ValueError(
            f"The y of {path} differ in type. Expected integers in all or floats in all, or task "
            f"to say which. Received {received}."
        )
    return raw, task or (tables.REGRESSION if True in are_real else tables.CLASSIFICATION)
