"""Images on their way into a codec and out of it: arrays, files of NumPy and folders."""

import collections
import contextlib
import itertools
import os
import pathlib
import shutil
from collections.abc import Callable, Iterator
from typing import Any, BinaryIO

import numpy as np

from tfp_vae import extras
from tfp_vae.data import Split
from tfp_vae.data.folders import IMAGE_FILE
from tfp_vae.data.pixels import Reading
from tfp_vae.files import replacing
from tfp_vae.reading import Arrays, Rows, check_regular, read_array

STORED = ("uint8", "bool", "float32")
_AT_ONCE = 256
MOST_NAME = 1024  # bytes of the name of a file
_FORBIDDEN = frozenset('\\:*?"<>|') | frozenset(map(chr, range(32)))


class Images:
    """Images [N, *shape] as whole numbers below K, which are read when they are asked for.

    Attributes:
        shape: of an image.
        stored: what they are outside, one of `STORED`.
        white: the largest number outside: 1 or K - 1 of integers, 1 of others.
        names: of the files of a folder, without their endings; None for arrays.
        files: what is open; `close` closes it.
    """

    def __init__(self, count: int, shape: "tuple[int, ...]", num_values: int):
        self.count, self.shape, self.num_values = count, tuple(shape), num_values
        self.stored, self.white = "uint8", num_values - 1
        self.names: list[str] | None = None
        self.files = contextlib.ExitStack()

    def read(self, start: int, stop: int) -> np.ndarray:
        """Returns images as they are outside."""
        raise NotImplementedError

    def close(self) -> None:
        """Closes what is read from."""
        self.files.close()

    def levels(self, start: int, stop: int) -> np.ndarray:
        """Returns images as whole numbers, int32 [n, *shape].

        Raises:
            ValueError: for values that the model has no probability of.
        """
        values = self.read(start, stop)
        scaled = np.nan_to_num(values.astype(np.float64)) * ((self.num_values - 1) / self.white)
        levels = np.rint(scaled.clip(0, self.num_values - 1)).astype(np.int32)
        wrong = self.outside(levels) != values
        if self.stored == "float32":
            wrong |= np.signbit(values)  # -0.0 would come back as 0.0
        if wrong.any():
            first, most = np.argwhere(wrong)[0], self.num_values - 1
            allowed = f"0 and {self.white}" if most == 1 else f"0 to {self.white}"
            if self.stored == "float32" and most > 1:
                allowed = f"k/{most} of whole numbers k"
            elif self.white > most > 1:
                allowed += f" in {most + 1} steps, as {self.outside(np.arange(3))}"
            raise ValueError(
                f"Image {start + first[0]:,} has a value that the model has no probability of. "
                f"Expected {allowed}. Received {values[tuple(first)]}."
            )
        return levels

    def outside(self, levels: np.ndarray) -> np.ndarray:
        """Returns images as they are outside, of whole numbers."""
        return outside(levels, self.num_values, self.white, self.stored)


def outside(levels: np.ndarray, num_values: int, white: int, stored: str) -> np.ndarray:
    """Returns whole numbers below K as they are outside, an array of `stored`."""
    if stored == "float32":
        return levels.astype(np.float32) / np.float32(num_values - 1)
    return (levels.astype(np.int64) * white // (num_values - 1)).astype(stored)


class _Array(Images):
    def __init__(self, values: "np.ndarray | Rows", num_values: int, name: str):
        if values.dtype not in (np.uint8, np.bool_, np.float32):
            raise ValueError(
                f"{name} holds no images. Expected an array of uint8, bool or float32. Received "
                f"{values.dtype}."
            )
        if values.ndim < 2:
            raise ValueError(
                f"{name} holds no images. Expected an array [N, ...]. Received shape "
                f"{values.shape}."
            )
        super().__init__(len(values), values.shape[1:], num_values)
        self._values, self.stored = values, values.dtype.name
        if self.stored != "uint8":
            self.white = 1
        elif num_values == 2:  # 0 and 1, or 0 and 255
            parts = range(0, self.count, _AT_ONCE)
            self.white = 255 if any(values[i : i + _AT_ONCE].max() > 1 for i in parts) else 1

    def read(self, start, stop):
        return np.asarray(self._values[start:stop])


class _Split(Images):
    def __init__(self, split: Split, num_values: int):
        super().__init__(len(split), split.shape, num_values)
        self._split, self.stored, self.white = split.frozen(), "float32", 1

    def read(self, start, stop):
        return self._split.values(slice(start, stop))


class _Folder(Images):
    def __init__(self, path: pathlib.Path, num_values: int):
        extras.need("images", "Image files")
        files = sorted(x for x in path.rglob("*") if IMAGE_FILE.search(x.name) and not x.is_dir())
        self._reading, self._files = Reading(), files
        looks = [self._look(file) for file in files]
        shapes = {look.shape for look in looks}
        if len(shapes) > 1:
            a, b = sorted(shapes)[:2]
            raise ValueError(
                f"{path} has images of different shapes. Expected one. Received {a} and {b}."
            )
        super().__init__(len(files), shapes.pop() if shapes else (), num_values)
        self.white = 255
        self.names = [file.relative_to(path).with_suffix("").as_posix() for file in files]
        counted = collections.Counter(self.names)
        double = {name for name, count in counted.items() if count > 1}
        if double:
            raise ValueError(
                f"{path} has two images of one name, which would become one PNG file. Expected "
                f"different names. Received {min(double)}."
            )
        odd = unusable(self.names)
        if odd:
            raise ValueError(
                f"{path} has a file whose name not every system can have, or that is that of a "
                "folder beside it once all are PNG. Expected letters, digits and the like, at most "
                f"{MOST_NAME} bytes. Received {odd[0]!r}."
            )

    def _look(self, file):
        check_regular(file)
        look = self._reading.look(str(file), str(file))
        if look.dtype != np.uint8 or look.frames > 1 or look.notes:
            why = "16 bits" if look.dtype != np.uint8 else f"{look.frames} pictures"
            raise ValueError(
                f"{file} would not come back as it is. Expected one picture of 8 bits. Received "
                f"{look.notes[0] if look.notes else why}."
            )
        return look

    def read(self, start, stop):
        files = self._files[start:stop]
        read = [self._reading.decoded(str(file), str(file)) for file in files]
        return np.stack(read) if read else np.zeros((0, *self.shape), np.uint8)


def opened(source: Any, num_values: int, shape: "tuple[int, ...]") -> Images:
    """Returns images of any source.

    Args:
        source: a `Split`, an array, a folder of image files, a `.npy` or an `.npz` file.
        num_values: K, of the model.
        shape: of an image of the model; a grey image may lack its channel.

    Raises:
        ValueError: for another shape, or what are no images.
    """
    found = _found(source, num_values)
    if not found.count and not found.shape:  # a folder without an image
        found.shape = shape
    if found.shape != shape:
        found.close()
        raise ValueError(
            f"The images have another shape than the model's. Expected {shape}. Received "
            f"{found.shape}."
        )
    return found


def _found(source, num_values):
    if isinstance(source, Split):
        return _Split(source, num_values)
    if isinstance(source, np.ndarray):
        return _Array(source, num_values, "The array")
    path = pathlib.Path(source)
    if path.is_dir():
        return _Folder(path, num_values)
    check_regular(path)
    if path.suffix == ".npy":
        return _Array(read_array(path, mapped=True), num_values, str(path))
    if path.suffix != ".npz":
        raise ValueError(
            f"{path} is no source of images. Expected a folder of images, a .npy or an .npz file. "
            f"Received a file ending in {path.suffix!r}."
        )
    with contextlib.ExitStack() as files:
        arrays = Arrays(files.enter_context(open(path, "rb")), str(path))
        if len(arrays) != 1:
            raise ValueError(
                f"{path} holds several arrays. Expected one, of images. Received "
                f"{', '.join(list(arrays)[:5]) or 'none'}."
            )
        (name,) = arrays
        rows = arrays.rows(name)
        if isinstance(rows, Rows):
            files.callback(rows.close)
        images = _Array(rows, num_values, str(path))
        images.files = files.pop_all()
    return images


def is_name(name: Any) -> bool:
    """Returns whether a name stays inside of a folder on every system."""
    if not isinstance(name, str) or not 0 < len(name.encode(errors="replace")) <= MOST_NAME:
        return False
    is_text = not any("\ud800" <= letter <= "\udfff" for letter in name)  # no bytes that are none
    parts = name.split("/")
    return is_text and all(part.strip(". ") and _FORBIDDEN.isdisjoint(part) for part in parts)


def unusable(names: "list[Any]") -> "list[Any]":
    """Returns the names that cannot be those of PNG files beside the others."""
    files = {f"{name}.png" for name in names}
    return [name for name in names if not is_name(name) or not files.isdisjoint(_above(name))]


def _above(name):
    return map(str, pathlib.PurePosixPath(name).parents)


Put = Callable[[np.ndarray], None]


def _into_folder(folder: pathlib.Path, names: "list[str] | None") -> Put:
    from PIL import Image  # loaded when used

    numbers = itertools.count()

    def put(images):
        for image, number in zip(images, numbers, strict=False):  # which goes on where it was
            name = f"{number:08d}" if names is None else names[number]
            path = folder / f"{name}.png"
            if path.exists():  # where A and a are one
                raise ValueError(
                    f"{path.name} has the name of another image on this file system. Expected a "
                    "folder that tells them apart, or a .npy file. Received names that are one."
                )
            path.parent.mkdir(parents=True, exist_ok=True)
            grey = image.shape[-1] == 1
            Image.fromarray(image[..., 0] if grey else image).save(path, "PNG")

    return put


def check_output(output: pathlib.Path, shape: "tuple[int, ...]", stored: str) -> None:
    """Raises `ValueError` if decoded images cannot go there."""
    is_file = output.suffix == ".npy"
    if output.exists() and (not is_file or output.is_dir()):
        raise ValueError(
            f"{output} is there already. Expected a new folder, or a .npy file. Received "
            f"{'a folder' if output.is_dir() else 'a file'}."
        )
    if is_file:
        return
    if output.suffix:
        raise ValueError(
            f"Images cannot be written to {output}. Expected a .npy file, or a folder that is not "
            f"there yet. Received an ending {output.suffix!r}."
        )
    extras.need("images", "Image files")
    if len(shape) != 3 or shape[-1] not in (1, 3, 4) or stored != "uint8":
        raise ValueError(
            "These are no files of images. Expected uint8 (height, width, 1, 3 or 4), or --output "
            f"ending in .npy. Received {stored} {shape}."
        )


@contextlib.contextmanager
def sink(
    output: pathlib.Path,
    count: int,
    shape: "tuple[int, ...]",
    stored: str,
    names: "list[str] | None",
) -> Iterator[Put]:
    """Yields what images are given to; it gets its name at the end, if nothing failed.

    Args:
        output: a `.npy` file, or a folder, which receives PNG files.
        count: N.
        shape: of an image.
        stored: one of `STORED`.
        names: of the files of a folder; None for numbers.
    """
    check_output(output, shape, stored)
    if output.suffix == ".npy":
        with replacing(output) as temporary, open(temporary, "wb") as file:
            header = {"descr": np.dtype(stored).str, "fortran_order": False}
            np.lib.format.write_array_header_1_0(file, {**header, "shape": (count, *shape)})
            yield lambda images: _write_array(file, images)
        return
    temporary = output.with_name(f".{os.getpid()}-{output.name}")
    shutil.rmtree(temporary, ignore_errors=True)  # of a process of this number that was killed
    temporary.mkdir(parents=True)
    try:
        yield _into_folder(temporary, names)
        os.replace(temporary, output)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def _write_array(file: BinaryIO, images: np.ndarray) -> None:
    file.write(np.ascontiguousarray(images).tobytes())
