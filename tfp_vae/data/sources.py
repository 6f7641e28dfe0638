"""Where data come from: embedded, tensorflow-datasets, a folder of images, an .npz, an array.

Every source yields raw intensities and labels per split; `load` makes them a `Data` of one kind.
Splits are cut with a fixed seed. A source that brings its own test split keeps it.
"""

import pathlib

import numpy as np

from tfp_vae.data import kinds
from tfp_vae.data.kinds import Kind
from tfp_vae.data.splits import Data, Split

TFDS_NAMES = ("mnist", "fashion_mnist", "binarized_mnist")
NAMES = ("digits", *TFDS_NAMES)
IMAGE_SUFFIXES = (".png", ".jpg", ".jpeg", ".bmp", ".gif", ".webp", ".tif", ".tiff")
_SPLIT_SEED = 0
_SPLIT_NAMES = ("train", "validation", "test")
# What splits are together: as wide as the widest of them.
_WIDTHS = (Kind.STATIC, Kind.UNIT_INTERVAL, Kind.EIGHT_BIT, Kind.REAL)

# A source returns {split name: (intensities [N, ...], labels [N] or None)}.
_Raw = dict[str, tuple[np.ndarray, np.ndarray | None]]


def load(
    source: "str | pathlib.Path | np.ndarray" = "digits",
    *,
    data_dir: "str | pathlib.Path | None" = None,
    kind: "Kind | str | None" = None,
    labels: np.ndarray | None = None,
) -> Data:
    """Loads a data set.

    Args:
        source: "digits" (1,797 8x8 digits inside scikit-learn, no download), one of
            `TFDS_NAMES`, a folder of images (optionally with `train`, `validation` and `test`
            folders, optionally with one folder per class), an `.npz` file (`x_train`, `y_train`,
            `x_test`, ... or `x` and `y`), or an array [N, ...]. Integers in 0..255 mean k/255.
        data_dir: folder of prepared tensorflow-datasets, which is only read. None means the TFDS
            default (`TFDS_DATA_DIR` in the environment moves it); what is missing there is
            downloaded.
        kind: the kind of values to model (see `Kind`). None means `DYNAMIC` for the named grey
            digits and clothes, and for everything else the kind that the values have by themselves.
        labels: [N] integers, only for an array.

    Returns:
        A `Data`. Without a test split in the source, 10 % of the examples (20 % of the digits)
        become one; without a validation split, 10 % of the training examples, at most 5,000.

    Raises:
        ValueError: for data that cannot be used; the message says where the fault is.
        FileNotFoundError: if there is no such source.
    """
    if isinstance(source, np.ndarray):
        raw, name = {"train": (source, labels)}, "array"
    elif labels is not None:
        raise ValueError(
            f"labels go with an array only. Expected labels=None for {str(source)!r}, which brings "
            f"its own. Received labels of shape {np.shape(labels)}."
        )
    elif source == "digits":
        raw, name = _digits(), "digits"
    elif source in TFDS_NAMES:
        raw, name = _tfds(source, data_dir), source
    else:
        if not isinstance(source, str | pathlib.Path):
            raise ValueError(
                "Unusable data source. Expected a name, a path or a NumPy array. Received "
                f"{type(source).__name__}."
            )
        path = pathlib.Path(source)
        name = path.name
        if path.is_dir():
            raw = _folder(path)
        elif path.suffix == ".npz" and path.is_file():
            raw = _npz(path)
        else:
            raise FileNotFoundError(
                f"There is no data set {str(source)!r}. Expected one of {', '.join(NAMES)}, a "
                f"folder of images or an .npz file. Received {str(source)!r}, which is neither."
            )
    is_named = isinstance(source, str) and source in NAMES
    arrays = _numbers({split: values for split, (values, _) in raw.items()})
    found = {split: kinds.infer(values) for split, values in arrays.items()}
    native = max(found.values(), key=_WIDTHS.index)
    if kind is None and found["train"] is not native:
        received = ", ".join(f"{split}: {each}" for split, each in found.items())
        raise ValueError(
            "The splits differ in kind, and the training split is narrower. Expected one kind, or "
            f"kind to say which. Received {received}."
        )
    if kind is None:
        kind = Kind.DYNAMIC if is_named and native is Kind.EIGHT_BIT else native
    kind = _checked_kind(kind, native, name)
    splits = {}
    for split, values in arrays.items():
        values = values * np.uint8(255) if values.dtype == np.uint8 and native.is_binary else values
        splits[split] = Split(values, kind, raw[split][1], split)
    shapes = {split: made.shape for split, made in splits.items()}
    if len(set(shapes.values())) > 1:
        raise ValueError(f"The splits differ in shape. Expected one shape. Received {shapes}.")
    splits = _cut(splits, name, test_share=0.2 if is_named else 0.1)
    return Data(name, splits["train"], splits["validation"].frozen(), splits["test"].frozen())


def _checked_kind(kind: "Kind | str", native: Kind, name: str) -> Kind:
    try:
        kind = Kind(kind)
    except ValueError:
        raise ValueError(
            f"Unknown kind of values. Expected one of {', '.join(Kind)}. Received {kind!r}."
        ) from None
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
    arrays = {split: np.asarray(values) for split, values in arrays.items()}
    for split, values in arrays.items():
        if values.dtype.kind not in "biuf":
            raise ValueError(
                f"The {split} values are not numbers. Expected an array of real numbers. Received "
                f"dtype {values.dtype}."
            )
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
    if values.dtype.kind in "iu":
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
    missing = [split for split in _SPLIT_NAMES if split not in splits]
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


def _digits() -> _Raw:
    from sklearn import datasets

    bunch = datasets.load_digits()
    # 17 levels, 0..16, put on the 8-bit grid that all images share.
    values = np.round(bunch.images * (255 / 16)).astype(np.uint8)
    return {"train": (values, bunch.target)}


def _tfds(name: str, data_dir: "str | pathlib.Path | None") -> _Raw:
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
        loaded = {split: tfds.as_numpy(splits[split]) for split in _SPLIT_NAMES if split in splits}
    except Exception as error:  # TFDS raises a different type for each thing that can go wrong
        reason = " ".join(str(error).split())[:200] or type(error).__name__
        raise FileNotFoundError(
            f"The data set {name!r} could not be loaded. Expected it prepared in {place}. "
            f"Received: {reason}"
        ) from error
    return {split: (part["image"], part.get("label")) for split, part in loaded.items()}


def _npz(path: pathlib.Path) -> _Raw:
    try:
        # NumPy leaves a file that it opened itself open if the archive is damaged.
        with path.open("rb") as file, np.load(file, allow_pickle=False) as archive:
            arrays = {key: archive[key] for key in archive.files}
    except Exception as error:  # zip, header and pickle faults have no common type
        raise ValueError(
            f"{path} could not be read. Expected an .npz archive of plain arrays. Received: {error}"
        ) from error
    raw: _Raw = {}
    for split in _SPLIT_NAMES:
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
    return raw


def _folder(path: pathlib.Path) -> _Raw:
    parts = {split: path / split for split in _SPLIT_NAMES if (path / split).is_dir()}
    if parts and "train" not in parts:
        raise ValueError(
            f"{path} has no training images. Expected a folder train beside {', '.join(parts)}. "
            f"Received none."
        )
    parts = parts or {"train": path}
    names = {split: _image_names(part) for split, part in parts.items()}
    classes = sorted({n.parts[0] for part in names.values() for n in part if len(n.parts) > 1})
    return {split: _images(part, names[split], classes) for split, part in parts.items()}


def _image_names(path: pathlib.Path) -> list[pathlib.Path]:
    names = [f.relative_to(path) for f in path.rglob("*") if f.suffix.lower() in IMAGE_SUFFIXES]
    names = sorted(n for n in names if not any(part.startswith(".") for part in n.parts))
    if not names:
        raise ValueError(
            f"{path} holds no images. Expected files ending in {', '.join(IMAGE_SUFFIXES)}. "
            f"Received a folder with none."
        )
    return names


def _images(
    path: pathlib.Path, names: list[pathlib.Path], classes: list[str]
) -> tuple[np.ndarray, np.ndarray | None]:
    images, labels = [], []
    for name in names:
        image = _image(path / name)
        if images and image.shape != images[0].shape:
            raise ValueError(
                f"{path / name} differs from the other images. Expected shape {images[0].shape} "
                f"(height, width, channels), as {names[0]} has. Received shape {image.shape}."
            )
        images.append(image)
        if classes and len(name.parts) == 1:
            raise ValueError(
                f"{path / name} has no class. Expected every image in the folder of its class "
                f"({', '.join(classes)}). Received an image beside these folders."
            )
        labels.append(classes.index(name.parts[0]) if classes else 0)
    return np.stack(images), np.array(labels) if classes else None


def _image(file: pathlib.Path) -> np.ndarray:
    from PIL import Image

    try:
        with Image.open(file) as image:
            image.load()
            if image.mode.startswith(("I", "F")):
                raise ValueError(f"16 or more bits per value (mode {image.mode})")
            if image.mode in ("RGB", "RGBA"):
                return np.asarray(image)
            if image.mode in ("P", "CMYK", "YCbCr", "LA", "PA"):
                return np.asarray(image.convert("RGB"))
            return np.asarray(image.convert("L"))[..., np.newaxis]
    except (OSError, SyntaxError, ValueError) as error:
        raise ValueError(
            f"{file} could not be read. Expected a whole 8-bit image file. Received: {error}"
        ) from error
