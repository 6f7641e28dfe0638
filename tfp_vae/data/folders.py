"""Folders of images or of TFRecords, with a folder per split and, of images, one per class."""

import pathlib
import re

import numpy as np

from tfp_vae.data.feeds import MOST_BYTES
from tfp_vae.data.records import RECORD_FILE, Records
from tfp_vae.data.streams import ImageFiles, Stream

IMAGE_SUFFIXES = (".png", ".jpg", ".jpeg", ".bmp", ".gif", ".webp", ".tif", ".tiff")
SPLIT_NAMES = ("train", "validation", "test")


def read_folder(
    path: pathlib.Path, in_memory: "bool | None"
) -> "dict[str, tuple[Stream | np.ndarray, np.ndarray | None]]":
    """Returns images and labels by split, the images in memory or as streams.

    Args:
        path: holds images or TFRecords, at any depth; or folders `train`, and maybe `validation`
            and `test`, that do. TFRecords whose names say these splits are taken apart by them.
        in_memory: whether to read the images now; None for no more than `MOST_BYTES` in all.

    Raises:
        ValueError: for files that cannot be used; the message says which.
    """
    parts = {split: path / split for split in SPLIT_NAMES if (path / split).is_dir()}
    if parts and "train" not in parts:
        raise ValueError(
            f"{path} has no training images. Expected a folder train beside {', '.join(parts)}. "
            f"Received none."
        )
    parts = parts or {"train": path}
    images = {split: _names(part, is_image) for split, part in parts.items()}
    records = {split: _names(part, is_records) for split, part in parts.items()}
    if any(images.values()) and any(records.values()):
        raise ValueError(
            f"{path} holds two kinds of files. Expected images or TFRecords. Received "
            f"{sum(map(len, images.values()))} images and {sum(map(len, records.values()))} "
            "TFRecord files."
        )
    found = records if any(records.values()) else images
    for split, names in found.items():
        if not names:
            raise ValueError(
                f"{parts[split]} holds no images. Expected files ending in "
                f"{', '.join(IMAGE_SUFFIXES)}, or .tfrecord files. Received a folder with none."
            )
    raw = _records(path, parts, records) if found is records else _images(parts, images)
    if in_memory is None:
        in_memory = sum(stream.nbytes for stream, _ in raw.values()) <= MOST_BYTES
    return {split: (x[:] if in_memory else x, labels) for split, (x, labels) in raw.items()}


def is_image(file: pathlib.Path) -> bool:
    """Returns whether a file is called like an image."""
    return file.suffix.lower() in IMAGE_SUFFIXES


def is_records(file: pathlib.Path) -> bool:
    """Returns whether a file is called like TFRecords: NAME.tfrecord, or a part of several."""
    return bool(RECORD_FILE.search(file.name))


def _names(path, is_wanted):
    names = [file.relative_to(path) for file in path.rglob("*") if is_wanted(file)]
    return sorted(n for n in names if not any(part.startswith(".") for part in n.parts))


def _images(parts, names):
    classes = sorted({n.parts[0] for part in names.values() for n in part if len(n.parts) > 1})
    for split, part in parts.items():
        alone = next((name for name in names[split] if classes and len(name.parts) == 1), None)
        if alone is not None:
            raise ValueError(
                f"{part / alone} has no class. Expected every image in the folder of its class "
                f"({', '.join(classes)}). Received an image beside these folders."
            )
    number = {name: place for place, name in enumerate(classes)}
    return {
        split: (
            ImageFiles(part, names[split]),
            np.array([number[name.parts[0]] for name in names[split]]) if classes else None,
        )
        for split, part in parts.items()
    }


def _records(path, parts, names):
    files = {split: [parts[split] / name for name in names[split]] for split in parts}
    if list(files) == ["train"] and parts["train"] == path:
        files = _by_name(path, files["train"])
    made = {split: Records(each) for split, each in files.items()}
    return {split: (records, records.labels) for split, records in made.items()}


def _by_name(path, files):
    """Returns the files by the split that their names say: else test images would be trained on."""
    said = [
        next((s for s in SPLIT_NAMES if s in re.split(r"[-_.]", file.name.lower())), None)
        for file in files
    ]
    if not any(said):
        return {"train": files}
    if None in said or "train" not in said:
        raise ValueError(
            f"{path} has files whose names say a split and no training data, or files beside them. "
            f"Expected {', '.join(SPLIT_NAMES)} in the names of all TFRecord files or of none. "
            f"Received {', '.join(file.name for file in files[:5])}."
        )
    return {
        split: [file for file, each in zip(files, said, strict=True) if each == split]
        for split in SPLIT_NAMES
        if split in said
    }
