"""Folders of examples: which files are of which split, and whether they are read at once."""

import os
import pathlib
import re
from collections.abc import Mapping
from typing import Any

from tfp_vae.data.feeds import MOST_BYTES
from tfp_vae.data.source import SPLIT_NAMES, Parts
from tfp_vae.reading import check_regular

IMAGE_FILE = re.compile(r"\.(png|jpg|jpeg|bmp|gif|webp|tif|tiff)$", re.IGNORECASE)
RECORD_FILE = re.compile(r"\.tfrecords?(-\d+-of-\d+)?$", re.IGNORECASE)


def is_folder_of_records(source: Any) -> "bool | None":
    """Returns whether a folder has TFRecords in it; None for what is no folder."""
    # os.path, since pathlib raises where a name is longer than any file's or has a NUL in it.
    if not isinstance(source, str | pathlib.Path) or not os.path.isdir(source):
        return None
    folders = _folders(pathlib.Path(source)).values()
    return any(_is_wanted(path, folder, RECORD_FILE) for folder in folders for path in _all(folder))


def files_of(
    path: pathlib.Path, pattern: "re.Pattern[str]"
) -> "dict[str, tuple[pathlib.Path, list[pathlib.Path]]]":
    """Returns {split: (its folder, the sorted paths in it of files that are called so)}.

    Args:
        path: a folder with files at any depth; or with folders `train`, and maybe `validation` and
            `test`, that have them. What begins with a dot is left out.
        pattern: `IMAGE_FILE` or `RECORD_FILE`.

    Raises:
        ValueError: if there are no training data, if a split has no such files, or if there are
            both images and TFRecords.
    """
    folders = _folders(path)
    if "train" not in folders:
        raise ValueError(
            f"{path} has no training images. Expected a folder train beside {', '.join(folders)}. "
            f"Received none."
        )
    found = {each: _names(folders, each) for each in (IMAGE_FILE, RECORD_FILE)}
    counts = [sum(map(len, names.values())) for names in found.values()]
    if all(counts):
        raise ValueError(
            f"{path} holds two kinds of files. Expected images or TFRecords. Received "
            f"{counts[0]} images and {counts[1]} TFRecord files."
        )
    for split, names in found[pattern].items():
        if not names:
            raise ValueError(
                f"{folders[split]} holds no images. Expected files ending in .png, .jpg, .jpeg, "
                ".bmp, .gif, .webp, .tif or .tiff, or .tfrecord files. Received a folder with none."
            )
    return {split: (folders[split], names) for split, names in found[pattern].items()}


def in_memory_or_not(parts: "Mapping[str, tuple]", in_memory: "bool | None") -> Parts:
    """Returns streams as they are or read; None reads no more than `MOST_BYTES` in all."""
    if in_memory is None:
        in_memory = sum(stream.nbytes for stream, _ in parts.values()) <= MOST_BYTES
    return {split: (x[:] if in_memory else x, labels) for split, (x, labels) in parts.items()}


def _folders(path):
    folders = {split: path / split for split in SPLIT_NAMES if (path / split).is_dir()}
    return folders or {"train": path}


def _all(folder):
    return folder.rglob("*")


def _is_wanted(file, folder, pattern):
    parts = file.relative_to(folder).parts
    if not pattern.search(file.name) or any(part.startswith(".") for part in parts):
        return False
    if file.is_dir():  # of any name: what is in it is looked at by itself
        return False
    check_regular(file)  # here, so that a named pipe is told by its name before anything is read
    return True


def _names(folders, pattern):
    return {
        split: sorted(
            file.relative_to(folder) for file in _all(folder) if _is_wanted(file, folder, pattern)
        )
        for split, folder in folders.items()
    }
