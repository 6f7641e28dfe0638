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
from collections.abc import Callable, Iterator, Mapping
from typing import IO, Any, BinaryIO

import numpy as np

MOST_TEXT = 2**26  # bytes of a text file of ours; the largest there are have a few megabytes
# What is packed hundredfold is data of few values, or a bomb: up to here the difference is small.
_MOST_EXPANSION, _ALWAYS_UNPACKED = 100, 2**28
_AT_ONCE = 2**20  # bytes that a stream is read by
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

    def rows(self, key: str) -> "np.ndarray | Rows":
        """Returns an array whose examples are unpacked when they are asked for.

        All of it is unpacked once before, a little at a time, so that damage is found before work.
        A small array in Fortran's order, whose examples lie in no part of the file, is unpacked.

        Raises:
            ValueError: as for the array itself; for a large array in Fortran's order.
        """
        member = self._members[key]
        errors = self._own_errors(f", array {key!r},")
        with errors:
            self._check_size(member)
            with self._archive.open(member) as file:
                shape, in_columns, dtype = _check_header(file, member.file_size)
                while file.read(_AT_ONCE):  # the end compares the CRC
                    pass
            if in_columns and member.file_size > _ALWAYS_UNPACKED:
                raise ValueError(
                    f"{member.file_size:,} bytes in Fortran's order, which cannot be read in "
                    "parts; save such an array as numpy.ascontiguousarray of it"
                )
        if in_columns or not shape:
            return self[key]
        return Rows(lambda: self._archive.open(member), member.file_size, shape, dtype, errors)

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


class Rows:
    """An array that is read in parts along its first axis, from a stream; made by `Arrays.rows`.

    A slice is an array in memory. Slices in order are read in one pass; one that lies before the
    end of the last one begins the stream anew.

    Args:
        start: opens the stream at its start, a member in NumPy's format.
        size: bytes of it.
        shape: of the array.
        dtype: of the array.
        errors: a context for what goes wrong.
    """

    def __init__(
        self,
        start: "Callable[[], IO[bytes]]",
        size: int,
        shape: "tuple[int, ...]",
        dtype: np.dtype,
        errors: "_OwnErrors",
    ):
        self._start, self._size, self._errors = start, size, errors
        self.shape, self.dtype, self.ndim = shape, dtype, len(shape)
        self._file: IO[bytes] | None = None
        self._at = 0

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, part: slice) -> np.ndarray:
        first, last, _ = part.indices(len(self))
        count = max(last - first, 0)
        found = np.empty((count, *self.shape[1:]), self.dtype)
        with self._errors:
            if self._file is None or first < self._at:
                self.close()
                self._file, self._at = self._start(), 0
                _check_header(self._file, self._size)
            missing = (first - self._at) * self._bytes
            while missing:
                missing -= len(self._some(min(missing, _AT_ONCE)))
            values = found.reshape(-1).view(np.uint8)
            done = 0
            while done < len(values):
                some = self._some(min(len(values) - done, _AT_ONCE))
                values[done : done + len(some)] = np.frombuffer(some, np.uint8)
                done += len(some)
            self._at = first + count
        return found

    @property
    def _bytes(self):
        return math.prod(self.shape[1:]) * self.dtype.itemsize

    def _some(self, count):
        found = self._file.read(count)
        if not found:
            raise ValueError("fewer bytes than it says")
        return found

    def close(self) -> None:
        """Closes the stream; another slice opens it again."""
        if self._file is not None:
            self._file.close()
            self._file = None


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


def _check_header(file: IO[bytes], size: int) -> "tuple[tuple[int, ...], bool, np.dtype]":
    """Returns what the head of a member says: shape, whether in Fortran's order, and type.

    Raises:
        ValueError: unless a member of `size` bytes holds what its head promises.
    """
    version = np.lib.format.read_magic(file)
    readers = {
        (1, 0): np.lib.format.read_array_header_1_0,
        (2, 0): np.lib.format.read_array_header_2_0,
    }
    if version not in readers:  # 3.0 is for names of fields, which no plain array has
        raise ValueError(f"an array in format {version}")
    shape, in_columns, dtype = readers[version](file)
    if dtype.hasobject:
        raise ValueError("an array of Python objects, whose reading runs code in the file")
    if any(not isinstance(length, int) or length < 0 for length in shape):
        raise ValueError(f"an array of shape {shape}")
    promised, there = math.prod(shape) * dtype.itemsize, size - file.tell()
    if promised != there or not dtype.itemsize:
        raise ValueError(f"an array of shape {shape} and type {dtype} in {there:,} bytes")
    return shape, in_columns, dtype
