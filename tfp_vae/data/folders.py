"""Folders of examples: which files are of which split, and whether they are read at once."""

import os
import pathlib
import re
from collections.abc import Mapping
from typing import Any, NamedTuple

from tfp_vae.data.source import SPLIT_NAMES, Parts, split_in, split_of
from tfp_vae.data.streams import MOST_BYTES
from tfp_vae.reading import check_regular

_SUFFIXES = "png jpg jpeg jpe jfif bmp dib gif webp tif tiff pgm ppm pbm pnm".split()
IMAGE_FILE = re.compile(rf"\.({'|'.join(_SUFFIXES)})$", re.IGNORECASE)
RECORD_FILE = re.compile(r"\.tfrec(ords?)?(-\d+-of-\d+)?$", re.IGNORECASE)
# What systems and tools put into every folder, which nobody means as data.
_LITTER = re.compile(r"^(\._.*|\.DS_Store|Thumbs\.db|desktop\.ini|\.gitkeep|\.gitignore)$", re.I)
_LITTER_FOLDERS = frozenset({"__MACOSX", ".git", ".ipynb_checkpoints", "@eaDir"})


class Found(NamedTuple):
    """The files of a folder.

    Attributes:
        splits: {split: (its folder, the sorted paths in it)}.
        notes: which files are not read, a sentence each.
    """

    splits: "dict[str, tuple[pathlib.Path, list[pathlib.Path]]]"
    notes: "tuple[str, ...]"


def is_folder_of_records(source: Any) -> "bool | None":
    """Returns whether a folder has TFRecords in it; None for what is not a folder."""
    # os.path, since pathlib raises where a name is longer than any file's or has a NUL in it.
    if not isinstance(source, str | pathlib.Path) or not os.path.isdir(source):
        return None
    path = pathlib.Path(source)
    return any(_is_wanted(file, path, RECORD_FILE) for file in _entries(path))


def is_record_file(source: Any) -> bool:
    """Returns whether `source` is the path of one TFRecord file, by its name."""
    if not isinstance(source, str | pathlib.Path) or not os.path.isfile(source):
        return False
    return bool(RECORD_FILE.search(pathlib.Path(source).name))


def files_of(path: pathlib.Path, pattern: "re.Pattern[str]") -> Found:
    """Returns the files of a folder that are called so, by split.

    Args:
        path: a folder with files at any depth; or with folders of splits (`split_of`: `train`,
            `val`, `Test`, ...) that have them. What begins with a dot is left out.
        pattern: `IMAGE_FILE` or `RECORD_FILE`.

    Raises:
        ValueError: if there are no training data, if a split has no such files, if there are both
            images and TFRecords, or if there are files beside the folders of splits or such folders
            deeper inside.
    """
    folders = _folders(path)
    if "train" not in folders:
        raise ValueError(
            f"{path} has no training images. Expected a folder train beside "
            f"{', '.join(folder.name for folder in folders.values())}. Received none."
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
            files = (file for file in _entries(folders[split]) if not _LITTER.search(file.name))
            endings = sorted({file.suffix.lower() for file in files if file.is_file()})[:5]
            raise ValueError(
                f"{folders[split]} holds no images. Expected files ending in "
                f"{', '.join('.' + each for each in _SUFFIXES)}, or .tfrecord files. Received a "
                f"folder with {f'files ending in {endings}' if endings else 'none'}."
            )
    if folders["train"] != path:
        _check_alone(path, folders, pattern)
    _check_depth(folders, found[pattern])
    splits = {split: (folders[split], names) for split, names in found[pattern].items()}
    return Found(splits, tuple(_unread(path, splits)))


def _check_alone(path, folders, pattern):
    """Raises `ValueError` for files that lie beside the folders of splits."""
    read = set(folders.values())
    for file in sorted(_entries(path)):
        if _is_wanted(file, path, pattern) and read.isdisjoint(file.parents):
            raise ValueError(
                f"{path} has files beside the folders of its splits, which would not be read. "
                f"Expected files in {', '.join(sorted(each.name for each in read))} alone; move "
                "the others, or rename the folders if they are classes. Received "
                f"{file.relative_to(path)}."
            )


def _check_depth(folders, found):
    """Raises `ValueError` where folders of splits lie so deep that they would be classes."""
    for split, names in found.items():
        inside: dict[tuple[int, pathlib.Path], dict[str, str]] = {}
        for name in names:
            for depth, part in enumerate(name.parts[:-1]):
                said = _split_or_unsure(part)
                if said:
                    parent = pathlib.Path(*name.parts[:depth])
                    inside.setdefault((depth, parent), {})[said] = part
        for (_, parent), said in inside.items():
            if len(said) > 1:
                raise ValueError(
                    f"{folders[split] / parent} has folders that are called like splits, which "
                    "would be read as one. Expected them at the top: load the folder that has "
                    f"them, or put classes into splits. Received {', '.join(said.values())}."
                )


def _split_or_unsure(word):
    try:
        return split_of(word)
    except ValueError:
        return "unsure"


def _unread(path, splits):
    """Yields a sentence for each sort of files that nobody reads."""
    read = {folder / name for folder, names in splits.values() for name in names}
    filled = {parent for file in read for parent in file.parents}
    hidden, others, empty = [], [], []
    for file in sorted(_entries(path)):
        parts = file.relative_to(path).parts
        if file.is_dir() and file not in filled and not any(part.startswith(".") for part in parts):
            empty.append(pathlib.Path(*parts))
        if file in read or file.is_dir() or _LITTER.search(file.name):
            continue
        if _LITTER_FOLDERS.isdisjoint(parts):
            is_hidden = any(part.startswith(".") for part in parts)
            (hidden if is_hidden else others).append(pathlib.Path(*parts))
    empty = [each for each in empty if _LITTER_FOLDERS.isdisjoint(each.parts)]
    if empty:
        some = ", ".join(map(str, empty[:3])) + ", ..." * (len(empty) > 3)
        yield f"{path}: {len(empty)} folders hold no such files and are no classes: {some}"
    for files, why in ((others, "are not such files by their names"), (hidden, "are hidden")):
        if files:
            some = ", ".join(map(str, files[:3])) + ", ..." * (len(files) > 3)
            yield f"{path}: {len(files)} files {why} and are not read: {some}"


def in_memory_or_not(parts: "Mapping[str, tuple]", in_memory: "bool | None") -> Parts:
    """Returns streams as they are or read; None reads no more than `MOST_BYTES` in all."""
    if in_memory is None:
        in_memory = sum(stream.nbytes for stream, _ in parts.values()) <= MOST_BYTES
    return {split: (x[:] if in_memory else x, labels) for split, (x, labels) in parts.items()}


def _folders(path):
    """Returns the folders of the splits by split; the folder itself for "train" without any."""
    found: dict[str, pathlib.Path] = {}
    unsure = []
    for folder in sorted(each for each in path.iterdir() if each.is_dir()):
        try:
            split = split_of(folder.name)
        except ValueError as error:
            unsure.append(error)
            continue
        if split in found:
            raise ValueError(
                f"{path} has two folders for the {split} split. Expected one. Received "
                f"{found[split].name} and {folder.name}."
            )
        if split is not None:
            found[split] = folder
    if not found and not unsure:
        _check_no_split_by_another_name(path)
    if found and unsure:  # beside the folder of another split it is not a class
        raise unsure[0]
    return {split: found[split] for split in SPLIT_NAMES if split in found} or {"train": path}


# Folders of pictures of which each has another beside it that says what its pixels are.
_PICTURES, _MASKS = {"images", "imgs", "image"}, {"masks", "mask", "labels", "annotations"}


def _check_no_split_by_another_name(path):
    """Raises `ValueError` for folders that would be classes and are none: train_images, masks."""
    names = sorted(each.name for each in path.iterdir() if each.is_dir())
    said = {}
    for name in names:
        try:
            said[name] = split_in(re.sub(r"(?<=[a-z])(set|s|\d+)$", "", name.lower()))
        except ValueError:
            said[name] = "unsure"
    if "train" in said.values() and len(set(said.values()) - {None}) > 1:
        raise ValueError(
            f"{path} has folders whose names say splits, which would be read as classes. Expected "
            f"{', '.join(SPLIT_NAMES)} (or val, dev, ...) as their whole names; rename them. "
            f"Received {', '.join(name for name in names if said[name])}."
        )
    lower = {name.lower() for name in names}
    if lower & _PICTURES and lower & _MASKS:
        raise ValueError(
            f"{path} has a folder of pictures and one of what their pixels are, which would be "
            "read as two classes. Expected the folder of pictures alone, or a folder for each "
            f"class. Received {', '.join(sorted(lower & (_PICTURES | _MASKS)))}."
        )


def _entries(folder, inside=()):
    """Yields all that is in a folder at any depth, as `rglob` does, which follows no links.

    Folders of classes are often links to where the images are.
    """
    inside = (*inside, os.path.realpath(folder))
    for name in sorted(_listed(folder)):
        path = folder / name
        yield path
        if not path.is_dir():
            continue
        target = os.path.realpath(path)
        if path.is_symlink() and any(os.path.commonpath([target, up]) == target for up in inside):
            raise ValueError(
                f"{path} is a link to a folder that it lies in. Expected folders that come to an "
                f"end. Received a link to {target}."
            )
        yield from _entries(path, inside)


def _listed(folder):
    try:
        return os.listdir(folder)
    except OSError as error:
        raise ValueError(
            f"{folder} could not be read. Expected a folder. Received: {error.strerror}"
        ) from error


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
            file.relative_to(folder)
            for file in _entries(folder)
            if _is_wanted(file, folder, pattern)
        )
        for split, folder in folders.items()
    }
