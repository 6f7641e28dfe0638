"""Files that may come from anybody, read within bounds that the files themselves set.

A file can say that it holds more than it does. Everything that is read here is looked at first:
whether it is a file at all, and whether what it promises fits into the bytes that it has. Only then
is memory taken. Whatever is wrong is one `ValueError` with the name of the file.
"""

import json
import math
import os
import stat
import zipfile
from collections.abc import Iterator, Mapping
from typing import Any, BinaryIO

import numpy as np

MOST_TEXT = 2**26  # bytes of a text file of ours; the largest there are have a few megabytes
# What is packed hundredfold is data of few values, or a bomb: up to here the difference is small.
_MOST_EXPANSION, _ALWAYS_UNPACKED = 100, 2**28
_METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
_FORMS = {
    stat.S_IFDIR: "a folder",
    stat.S_IFIFO: "a named pipe",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
    stat.S_IFSOCK: "a socket",
}


def check_regular(path: "str | os.PathLike[str]") -> int:
    """Returns the size of a file in bytes, links followed.

    Raises:
        ValueError: if there is none that can be read to an end: opening a named pipe waits for
            somebody to write into it, and a device never ends.
    """
    try:
        found = os.stat(path)
    except (OSError, ValueError) as error:  # a loop of links, a link to nothing, a name with a NUL
        reason = getattr(error, "strerror", None) or error
        raise ValueError(
            f"{os.fspath(path)} could not be read. Expected a file. Received: {reason}"
        ) from error
    if not stat.S_ISREG(found.st_mode):
        form = _FORMS.get(stat.S_IFMT(found.st_mode), "something else")
        raise ValueError(f"{os.fspath(path)} is not a file. Expected a file. Received {form}.")
    return found.st_size


def most_unpacked(packed: int) -> int:
    """Returns how many bytes `packed` bytes of a file are believed to unpack to."""
    return max(_MOST_EXPANSION * packed, _ALWAYS_UNPACKED)


def read_text(path: "str | os.PathLike[str]", most: int = MOST_TEXT) -> str:
    """Returns the text of a file in UTF-8.

    Args:
        path: the file.
        most: bytes that it may have.

    Raises:
        ValueError: if it is not a file, larger than that, or no text.
    """
    size = check_regular(path)
    if size > most:
        raise ValueError(
            f"{os.fspath(path)} is too large. Expected at most {most:,} bytes. Received {size:,}."
        )
    try:
        with open(path, encoding="utf-8") as file:
            return file.read(most)
    except (OSError, UnicodeDecodeError) as error:
        raise ValueError(
            f"{os.fspath(path)} is damaged. Expected a text in UTF-8. Received: {error}"
        ) from error


def json_of(text: "str | bytes", name: str) -> Any:
    """Returns what a text says as JSON.

    Args:
        text: the text.
        name: of its file, for errors.

    Raises:
        ValueError: if it is not JSON, or nested more deeply than Python's parser goes.
    """
    try:
        return json.loads(text)
    except RecursionError as error:
        raise ValueError(
            f"{name} is damaged. Expected JSON. Received brackets nested too deeply."
        ) from error
    except ValueError as error:
        raise ValueError(f"{name} is damaged. Expected JSON. Received: {error}") from error


class Arrays(Mapping):
    """The arrays of an .npz archive by name, each unpacked when it is asked for, never unpickled.

    Args:
        file: the archive, open.
        name: of the file, for errors.

    Raises:
        ValueError: if it is not such an archive; when an array is asked for, if that is damaged, of
            objects, or unpacks to more than the archive can be believed to hold.
    """

    def __init__(self, file: BinaryIO, name: str):
        self._name = name
        with self._own_errors():
            self._archive = zipfile.ZipFile(file)
        # As NumPy does: the name of an array is that of its member, without .npy.
        self._members: dict[str, zipfile.ZipInfo] = {}
        for member in self._archive.infolist():
            key = member.filename.removesuffix(".npy")
            if key in self._members:  # NumPy reads the last one and drops the others
                raise ValueError(
                    f"{name} has two arrays called {key!r}. Expected names that differ. Received "
                    f"{len(self._archive.infolist())} arrays."
                )
            self._members[key] = member

    def __contains__(self, key: object) -> bool:
        return key in self._members

    def __iter__(self) -> Iterator[str]:
        return iter(self._members)

    def __len__(self) -> int:
        return len(self._members)

    def __getitem__(self, key: str) -> np.ndarray:
        member = self._members[key]
        with self._own_errors(f", array {key!r},"):
            self._check_size(member)
            with self._archive.open(member) as file:
                _check_header(file, member.file_size)
            with self._archive.open(member) as file:
                return np.lib.format.read_array(file, allow_pickle=False)

    def _check_size(self, member: zipfile.ZipInfo) -> None:
        if member.compress_type not in _METHODS or member.flag_bits & 1:
            raise ValueError("a member that is encrypted, or packed by a method of no NumPy")
        limit = member.compress_size
        if member.compress_type != zipfile.ZIP_STORED:
            limit = most_unpacked(limit)
        if member.file_size > limit:
            raise ValueError(
                f"{member.file_size:,} bytes packed in {member.compress_size:,}, which is more "
                "than is believed; save such an array with numpy.savez, which does not pack"
            )

    def _own_errors(self, where: str = "") -> "_OwnErrors":
        return _OwnErrors(
            f"{self._name}{where} could not be read. Expected an .npz archive of plain arrays."
        )


def read_array(path: "str | os.PathLike[str]", *, mapped: bool = False) -> np.ndarray:
    """Returns the array of an .npy file, never unpickled.

    Args:
        path: the file.
        mapped: whether the numbers stay in the file until they are asked for.

    Raises:
        ValueError: if it is not such a file, damaged, or of objects.
    """
    size = check_regular(path)
    with _OwnErrors(f"{os.fspath(path)} could not be read. Expected an .npy file, a plain array."):
        with open(path, "rb") as file:
            _check_header(file, size)
            if not mapped:
                file.seek(0)
                return np.lib.format.read_array(file, allow_pickle=False)
        return np.load(path, mmap_mode="r", allow_pickle=False)


class _OwnErrors:
    """A context in which whatever goes wrong becomes one `ValueError` that begins with a text."""

    def __init__(self, text: str):
        self._text = text

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind, error, trace) -> None:
        # Zip, zlib, header and pickle faults have no common type.
        if isinstance(error, Exception):
            reason = " ".join(str(error).split())[:300] or type(error).__name__
            raise ValueError(f"{self._text} Received: {reason}") from error


def _check_header(file: BinaryIO, size: int) -> None:
    """Raises `ValueError` unless a member of `size` bytes holds what its head promises."""
    version = np.lib.format.read_magic(file)
    readers = {
        (1, 0): np.lib.format.read_array_header_1_0,
        (2, 0): np.lib.format.read_array_header_2_0,
    }
    if version not in readers:  # 3.0 is for names of fields, which no plain array has
        raise ValueError(f"an array in format {version}")
    shape, _, dtype = readers[version](file)
    if dtype.hasobject:
        raise ValueError("an array of Python objects, whose reading runs code in the file")
    if any(not isinstance(length, int) or length < 0 for length in shape):
        raise ValueError(f"an array of shape {shape}")
    promised, there = math.prod(shape) * dtype.itemsize, size - file.tell()
    if promised != there or not dtype.itemsize:
        raise ValueError(f"an array of shape {shape} and type {dtype} in {there:,} bytes")
