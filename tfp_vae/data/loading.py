"""`load`: whatever form data come in, a `Data` of one kind in three splits.

Every source yields raw intensities and labels or targets per split. Splits are cut with a fixed
seed, by class where there are classes. A source that brings its own test split keeps it.
"""

import os
import pathlib
import warnings
from collections.abc import Mapping
from typing import Any

import numpy as np

from tfp_vae.arguments import hint
from tfp_vae.data import answers, kinds, streams
from tfp_vae.data.kinds import Kind
from tfp_vae.data.named import NAMES
from tfp_vae.data.schema import Schema, parse
from tfp_vae.data.source import REGRESSION, SPLIT_NAMES, Named, Raw, Source
from tfp_vae.data.sources import SOURCES
from tfp_vae.data.splits import Data, Split, unmasked
from tfp_vae.reading import check_regular

_SPLIT_SEED = 0
# What splits are together: as wide as the widest of them.
_WIDTHS = (Kind.STATIC, Kind.UNIT_INTERVAL, Kind.EIGHT_BIT, Kind.REAL)


def load(
    source: Any = "digits",
    *,
    data_dir: "str | pathlib.Path | None" = None,
    kind: "Kind | str | None" = None,
    labels: Any = None,
    targets: Any = None,
    target: str | None = None,
    task: str | None = None,
    split: int | None = None,
    in_memory: bool | None = None,
    image_size: "tuple[int, int] | None" = None,
    color_mode: str | None = None,
    frames: str | None = None,
    images: bool | None = None,
    delimiter: str | None = None,
    encoding: str | None = None,
    columns: "Mapping[str, Any] | Schema | str | None" = None,
    unknown: str | None = None,
) -> Data:
    """Loads a data set.

    What of a source nobody reads (other files of a folder, arrays of an `.npz`, features of
    TFRecords) and what is changed on the way (transparency, CMYK) is said in a warning, by name.

    Args:
        source: one of `NAMES`: "digits" (1,797 8x8 digits inside scikit-learn, no download),
            "diabetes", "wine" and "breast_cancer" (tables inside scikit-learn), "mnist",
            "fashion_mnist", "binarized_mnist", "sprites" and "rooms" (images made on the spot from
            factors that `Split.factors` has, see `data.named.sprites`), or one of `UCI_NAMES` (see
            `uci`);
            `NAMES.meanings` says what each is. Or a folder of images (optionally with `train`,
            `validation` and `test` folders or what else they are usually called, optionally with
            one folder per class) or of TFRecords (see `data.sources.records`), one `.tfrecord`
            file, an `.npz` file (`x_train`, `y_train`, `x_test`, ... or `x` and `y`; also `X_val`,
            `train_images`, `test_labels` and the like), a `.csv` file (a header, then numbers,
            which stay as they are), an array [N, ...] or an `.npy` file of one, a DataFrame, or
            {"train": DataFrame, "test": DataFrame}, whose columns may be in any order. Integers in
            0..255 in images, `.npz` files and arrays mean k/255 (`kinds.from_integers`); grey
            images of 16 bits are k/65535.
        data_dir: folder of prepared tensorflow-datasets, or of the `.npz` files of UCI sets, which
            is only read. None means the TFDS default (`TFDS_DATA_DIR` in the environment moves it),
            or the cache of Keras for UCI sets; what is missing there is downloaded.
        kind: the kind of values to model (see `Kind`). None means `DYNAMIC` for the named grey
            digits and clothes, `REAL` for the named tables, and for everything else the kind that
            the values have by themselves.
        labels: [N] classes in any form that `Split` takes, only for an array, an `.npy` file or a
            DataFrame.
        targets: [N] or [N, T] finite numbers to predict, only for the same.
        target: the column of a `.csv` file or a DataFrame to predict. None means the last one of a
            file and none of a DataFrame.
        task: "classification" or "regression", for a `.csv` or `.npz` file or a DataFrame. None
            means that the values say: in a table, text and integers with at most 20 different
            values are classes; in an `.npz` file, integers and text are. Classes in text are
            numbered in sorted order, whole numbers by their size; `class_names` are the texts.
        split: which of the standard splits of a UCI set. None means 0.
        in_memory: whether the images of a folder are read now and kept, or each time that they are
            asked for. None means to keep up to `MOST_BYTES` (2 GiB) of decoded images. Of a table
            of mixed columns in a .csv or .parquet file, whether its values are kept, or lie in a
            temporary file; None means that files of up to 32 MiB are read as a whole, and larger
            ones by columns, of which up to 256 MiB of values are kept (`open_table`).
        image_size: (H, W) that the images of files are resized to. None means that of the files.
            Sprites and rooms are made in (32, 32), the default, or (64, 64).
        color_mode: "grayscale", "rgb" or "rgba", to which the images of files are converted. None
            means what the files have.
        frames: of files with several pictures (GIF, TIFF, WebP): "first", or "all" for an example
            of each. None refuses them.
        images: whether an array [N, A, B] holds images [H, W], which get a channel axis, or series
            [T, F], which stay. None means series for floats beyond [0, 1], images for the rest.
        delimiter: what separates the cells of a `.csv` file: one character, or "tab". None means
            the comma, semicolon, tab or bar that the first rows agree about.
        encoding: of a `.csv` file, such as "gbk". None means UTF-8, UTF-16 with a byte order mark,
            or GBK where all bytes are Chinese.
        columns: what the columns of a table are, {name: kind} or "name:kind,name:kind" of those
            that are not what their values say (see `Schema.infer`; {} for none), or the `Schema`
            of another one. Then text, classes and missing cells may be in a file or DataFrame, all
            its columns are modelled but `target`, and the splits have a `schema`. A DataFrame
            without labels and targets, a .parquet and an .xlsx file are read so in any case.
        unknown: what a level is that is none of `columns` or of the training table: an error
            ("refuse", the default), or a cell that is "missing".

    Returns:
        A `Data`. Without a test split in the source, 10 % of the examples (20 % of the named
        ones) become one; without a validation split, 10 % of the training examples, at most 5,000.
        Both are cut with a fixed seed and, but for named sets, by class: each class with two
        examples or more is in the cut and in what is left of it.

    Raises:
        ValueError: for data that cannot be used; the message says where the fault is.
        FileNotFoundError: if there is no such source.
    """
    form = find(source)
    if isinstance(columns, str):
        columns = parse(columns)
    if columns is not None and not isinstance(columns, Mapping | Schema):
        raise ValueError(
            "Unusable columns. Expected {name: kind}, 'name:kind,name:kind' or a Schema. Received "
            f"{columns!r}."
        )
    given = {
        "labels": labels,
        "targets": targets,
        "target": target,
        "task": task,
        "split": split,
        "in_memory": in_memory,
        "image_size": image_size,
        "color_mode": color_mode,
        "frames": frames,
        "images": images,
        "delimiter": delimiter,
        "encoding": encoding,
        "columns": columns,
        "unknown": unknown,
    }
    _check_arguments(form, source, given)
    is_named, name = isinstance(form, Named), form.title(source)
    raw = form.read(source, data_dir, **{key: given[key] for key in form.arguments})
    for note in raw.notes:
        warnings.warn(note, stacklevel=2)
    if raw.schema is not None:
        if kind is not None and kinds.of(kind) is not raw.schema.kind:
            raise ValueError(
                "A table has the kinds of its columns. Expected kind=None; columns says others. "
                f"Received {kind!r}."
            )
        made = {
            part: Split(x, name=part, schema=raw.schema, class_names=names, **y[part])
            for y, names in [_answers(raw)]
            for part, (x, _) in raw.splits.items()
        }
        made = _cut(made, name, test_share=0.1, by_class=True)
        return Data(name, made["train"], made["validation"], made["test"])
    arrays = _numbers(
        {part: values for part, (values, _) in raw.splits.items()}, raw.kind, raw.images
    )
    found = {part: raw.kind or kinds.infer(x) for part, x in arrays.items()}
    native = max(found.values(), key=_WIDTHS.index)
    if kind is None and found["train"] is not native:
        received = ", ".join(f"{part}: {each}" for part, each in found.items())
        raise ValueError(
            "The splits differ in kind, and the training split is narrower. Expected one kind, or "
            f"kind to say which. Received {received}."
        )
    if kind is None:
        is_drawn = is_named and native is Kind.EIGHT_BIT and raw.kind is None
        kind = Kind.DYNAMIC if is_drawn else native
    kind = _checked_kind(kind, native, name)
    ys, class_names = _answers(raw)
    splits = {}
    for part, values in arrays.items():
        if values.dtype == np.uint8 and native.is_binary:  # of a stream: 0 and 1 are not bytes
            values = streams.mapped(values, lambda values: values * np.uint8(255))
        splits[part] = Split(
            values,
            kind,
            name=part,
            class_names=class_names,
            columns=raw.columns,
            beside={
                key: of[part]
                for key, of in (("factors", raw.factors), ("files", raw.files))
                if part in of
            },
            **ys[part],
        )
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
    splits = _cut(splits, name, test_share=0.2 if is_named else 0.1, by_class=not is_named)
    return Data(name, splits["train"], splits["validation"].frozen(), splits["test"].frozen())


def _answers(raw: Raw) -> "tuple[dict[str, dict], tuple[str, ...] | None]":
    """Returns {split: {"labels" or "targets": y}} and the names that all splits have for classes.

    Raises:
        ValueError: if labels are none, or are -1 and 1, of which one would be taken for no label.
    """
    ys = {part: y for part, (_, y) in raw.splits.items()}
    if raw.task == REGRESSION:
        found = {part: y if y is None else answers.real_numbers(y, part) for part, y in ys.items()}
        flat = {part: y[:, 0] if np.shape(y)[1:] == (1,) else y for part, y in found.items()}
        return {part: {"targets": y} for part, y in flat.items()}, None
    names = raw.class_names
    if names is None:
        each = [answers.classes(y, part)[1] for part, y in ys.items() if y is not None]
        known = [one for one in each if one is not None]
        if known:
            names = known[0] if len(set(known)) == 1 else answers.in_order(set().union(*known))
    numbers = {
        part: None if y is None else answers.classes(y, part, names)[0] for part, y in ys.items()
    }
    present = {int(label) for y in numbers.values() if y is not None for label in np.unique(y)}
    if present == {answers.UNLABELLED, 1}:
        raise ValueError(
            "The labels are -1 and 1, and -1 means no label here. Expected two classes as 0 and 1, "
            "such as labels > 0. Received -1 and 1 alone."
        )
    return {part: {"labels": y} for part, y in numbers.items()}, names


def find(source: Any) -> Source:
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
            "Unusable data source. Expected a name, a path, a NumPy array or a DataFrame. Received "
            f"{type(source).__name__}."
        )
    words = [form.words for form in forms]
    received = f"{str(source)!r}, which is none."
    if os.path.exists(source):
        check_regular(source)  # a pipe or a device is told by what it is
        received = f"a file that ends in {pathlib.Path(source).suffix!r}, which is none of these."
    raise FileNotFoundError(
        f"There is no data set {str(source)!r}. Expected one of {', '.join(NAMES)}, "
        f"{', '.join(words[:-1])} or {words[-1]}. Received {received}{hint(source, NAMES)}"
    )


def _check_arguments(form: Source, source: Any, given: dict) -> None:
    """Raises `ValueError` for arguments of `load` that do not apply to a form of source."""
    for argument, value in given.items():
        if value is not None and argument not in form.arguments:
            is_text = isinstance(source, str | pathlib.Path)
            what = repr(str(source)) if is_text else form.words
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
    arrays: "dict[str, np.ndarray]", kind: "Kind | None" = None, images: "bool | None" = None
) -> "dict[str, np.ndarray]":
    """Returns the splits as uint8 (k/255), bool or floats, images with a channel axis.

    What integers are is decided for all splits together: one scale for training and test.
    """
    if isinstance(arrays["train"], streams.Stream):  # as the others: bytes, with channels
        return {split: _channels(values, split, True) for split, values in arrays.items()}
    arrays = {split: unmasked(values, split) for split, values in arrays.items()}
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
    if images is None and stored[0].ndim == 3 and stored[0].dtype.kind == "f":
        floats = next(iter(arrays.values())).dtype.kind == "f"
        images = not floats or all(kinds.infer(x) is not Kind.REAL for x in stored)
    return {split: _channels(x, split, images) for split, x in zip(arrays, stored, strict=True)}


def _channels(
    values: "np.ndarray | streams.Stream", split: str, images: "bool | None"
) -> "np.ndarray | streams.Stream":
    """Gives images their channel axis, [N, H, W] -> [N, H, W, 1], and refuses odd layouts."""
    if images and values.ndim not in (3, 4):
        raise ValueError(
            f"The {split} values are not images. Expected shape (N, H, W) or (N, H, W, C), or "
            f"images=None. Received shape {values.shape}."
        )
    if values.ndim == 3 and images is not False:
        return values[..., np.newaxis]
    if values.ndim == 4 and images is None:
        _, first, second, last = values.shape
        if first in (1, 3, 4) and last not in (1, 3, 4) and first < min(second, last):
            raise ValueError(
                f"The {split} images seem to have their channels first. Expected shape (N, H, W, "
                "C): np.moveaxis(x, 1, -1) makes it, and images=True says that it is so. Received "
                f"shape {values.shape}."
            )
    return values


def _cut(
    splits: dict[str, Split], name: str, test_share: float, by_class: bool
) -> dict[str, Split]:
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
            if by_class and train.labels is not None:
                order, count = _by_class(order, train.labels, count)
            splits[wanted] = train.select(order[:count], wanted)
            splits["train"] = train.select(np.sort(order[count:]), "train")
    return splits


def _by_class(order: np.ndarray, labels: np.ndarray, count: int) -> "tuple[np.ndarray, int]":
    """Returns an order whose first examples are the same share of every class, and their number.

    Each class with two examples or more has at least one of them and leaves at least one; `count`
    is larger where there are more such classes.
    """
    classes, place, sizes = np.unique(labels, return_inverse=True, return_counts=True)
    least = (sizes > 1).astype(int)
    most = np.maximum(sizes - 1, 0)
    if len(classes) == len(labels):
        return order, count  # a class for each example: there is nothing to share out
    most = np.where(most.sum() < count, sizes, most)
    count = max(count, int(least.sum()))
    share = np.clip(np.floor(count * sizes / sizes.sum()).astype(int), least, most)
    while share.sum() != count:  # to the class that is furthest from its share, one by one
        off = count * sizes / sizes.sum() - share
        if share.sum() < count:
            share[np.argmax(np.where(share < most, off, -np.inf))] += 1
        else:
            share[np.argmin(np.where(share > least, off, np.inf))] -= 1
    turn = np.empty(len(labels), int)  # which of its class each example is, in the order
    for each in range(len(classes)):
        members = order[place[order] == each]
        turn[members] = np.arange(len(members))
    is_first = turn[order] < share[place[order]]
    return np.concatenate([order[is_first], order[~is_first]]), count
