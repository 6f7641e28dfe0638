"""Examples that lie in files and are read when they are asked for: data larger than memory.

A `Stream` is to a `Split` what an array is: an index gives the examples there. What is made of one
(a selection, a binarisation) is a stream again, so that only what an index asks for is ever in
memory. Nothing is drawn here that depends on what was read before.
"""

import contextlib
import os
import pathlib
import re
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import numpy as np

from tfp_vae.data import pixels

if TYPE_CHECKING:
    import tensorflow as tf

    from tfp_vae.data.schema import Schema

MOST_BYTES = 2**31  # of data that are kept in memory; larger ones go through tf.data
_BLOCK_BYTES = 2**24  # of a block: enough to keep files busy, nothing beside the model


def num_batches(count: int, batch_size: int, replicas: int = 1) -> int:
    """Returns the batches of one pass, a short last one included if all replicas share in it."""
    whole, short = divmod(count, batch_size)
    return whole + bool(short // replicas)


class Stream:
    """Images [N, ...] of uint8, or rows of a table, that are read when an index asks for them.

    A subclass has `read`, which several threads may call at once.

    Args:
        shape: [N, ...].
        num_files: how many files they lie in, for messages.

    Attributes:
        shape: [N, ...].
        dtype: of what is read.
        num_files: how many files they lie in.
        schema: of rows of a table that are known to fit it, what its columns are; else None.
    """

    dtype = np.dtype(np.uint8)
    schema: "Schema | None" = None

    def __init__(self, shape: "tuple[int, ...]", num_files: int):
        self.shape = tuple(int(size) for size in shape)
        self.num_files = int(num_files)

    def read(self, numbers: np.ndarray) -> np.ndarray:
        """Returns the examples with these numbers, int64 [n] in [0, N), as an array [n, ...].

        Raises:
            ValueError: if a file cannot be read or is not what it was; the message names it.
        """
        raise NotImplementedError

    def __getitem__(self, index: Any) -> np.ndarray:
        if isinstance(index, int | np.integer):
            return self.read(self.numbers([index]))[0]
        return self.read(self.numbers(index))

    def numbers(self, index: Any) -> np.ndarray:
        """Returns the numbers, int64 [n], of what a slice, a mask or an array of integers picks."""
        count = len(self)
        if isinstance(index, slice):
            return np.arange(*index.indices(count))
        index = np.asarray(index)
        if index.dtype == np.bool_ and index.shape == (count,):
            return np.flatnonzero(index)
        if not index.size:
            return np.arange(0)
        is_integer = index.dtype.kind in "iu" and index.ndim == 1
        if not is_integer or index.min() < -count or index.max() >= count:
            raise IndexError(
                f"Impossible index. Expected a slice, a mask ({count},) or integers (n,) below "
                f"{count}. Received {index.dtype} of shape {index.shape}: {index.ravel()[:3]}."
            )
        return np.where(index < 0, index + count, index)

    def __len__(self) -> int:
        return self.shape[0]

    def __array__(self, dtype: Any = None, copy: "bool | None" = None) -> np.ndarray:
        return np.asarray(self[:], dtype)

    @property
    def ndim(self) -> int:
        """The number of axes."""
        return len(self.shape)

    @property
    def size(self) -> int:
        """The number of values."""
        return int(np.prod(self.shape, dtype=np.int64))

    @property
    def nbytes(self) -> int:
        """The bytes that all of it would take in memory."""
        return self.size * self.dtype.itemsize

    def select(self, index: Any) -> "Stream":
        """Returns the examples at `index`, a slice, a mask or integers, unread."""
        return Selected(self, self.numbers(index))

    def column(self, number: int) -> np.ndarray:
        """Returns column `number` of rows [N, D] of a table, [N]."""
        return np.concatenate([block[:, number] for block in self.blocks()])

    def blocks(self) -> Iterator[np.ndarray]:
        """Yields all examples in order, in arrays that are small beside the whole."""
        rows = max(1, _BLOCK_BYTES * len(self) // max(1, self.nbytes))
        for start in range(0, len(self), rows):
            yield self[start : start + rows]

    def batch(self, numbers: "tf.Tensor") -> "tf.Tensor":
        """Returns the examples with these numbers [B] as vectors [B, P], inside a graph."""
        import tensorflow as tf

        def read(numbers):
            return self.read(numbers.astype(np.int64)).reshape(len(numbers), -1)

        x = tf.numpy_function(read, [numbers], tf.as_dtype(self.dtype), stateful=False)
        return tf.ensure_shape(x, [numbers.shape[0], self.size // len(self)])


def blocks(values: "np.ndarray | Stream") -> Iterator[np.ndarray]:
    """Yields an array as it is, or the blocks of a stream."""
    return values.blocks() if isinstance(values, Stream) else iter((values,))


def column(values: "np.ndarray | Stream", number: int) -> np.ndarray:
    """Returns column `number` of an array [N, D], or of a stream without reading the others."""
    return values.column(number) if isinstance(values, Stream) else values[:, number]


def selected(values: "np.ndarray | Stream", index: Any) -> "np.ndarray | Stream":
    """Returns what `index` picks of an array, or of a stream without reading it."""
    return values.select(index) if isinstance(values, Stream) else values[index]


def mapped(
    values: "np.ndarray | Stream", function: Callable[[np.ndarray], np.ndarray]
) -> "np.ndarray | Stream":
    """Returns what a function of each example makes of an array, or will make of a stream."""
    return Mapped(values, function) if isinstance(values, Stream) else function(values)


class Selected(Stream):
    """Some examples of another stream.

    Args:
        whole: the other stream.
        numbers: which ones, int64 [n].
    """

    def __init__(self, whole: Stream, numbers: np.ndarray):
        super().__init__((len(numbers), *whole.shape[1:]), min(whole.num_files, len(numbers)))
        self.dtype, self.schema = whole.dtype, whole.schema
        self._whole, self._numbers = whole, numbers

    def read(self, numbers: np.ndarray) -> np.ndarray:
        """Returns examples [n, ...]."""
        return self._whole.read(self._numbers[numbers])

    def column(self, number: int) -> np.ndarray:
        """Returns column `number`, [N]."""
        return self._whole.column(number)[self._numbers]

    def select(self, index: Any) -> Stream:
        """Returns the examples at `index`, unread."""
        return Selected(self._whole, self._numbers[self.numbers(index)])


class Mapped(Stream):
    """What a function makes of the examples of another stream.

    Args:
        before: the other stream.
        function: [n, ...] -> [n, ...], of each example by itself.
    """

    def __init__(self, before: Stream, function: Callable[[np.ndarray], np.ndarray]):
        first = function(before[:1])
        super().__init__((len(before), *first.shape[1:]), before.num_files)
        self.dtype = first.dtype
        self._before, self._function = before, function

    def read(self, numbers: np.ndarray) -> np.ndarray:
        """Returns examples [n, ...]."""
        return self._function(self._before.read(numbers))


class Binarised(Stream):
    """The grey images of another stream as black and white ones, 0 and 255, the same at each call.

    Image number i gets the numbers that `default_rng(seed).random([N, ...], np.float32)` has in
    place i, to which the generator is moved: any part, in any order, is that of the whole.

    Args:
        grey: the other stream.
        seed: of the draws with the intensities as probabilities; None for a threshold at 1/2.
    """

    def __init__(self, grey: Stream, seed: "int | None"):
        super().__init__(grey.shape, grey.num_files)
        self._grey, self._seed = grey, seed

    def read(self, numbers: np.ndarray) -> np.ndarray:
        """Returns examples [n, ...]."""
        grey = self._grey.read(numbers)
        if grey.dtype == np.uint8:
            grey = grey.astype(np.float32) / 255
        images = grey >= 0.5 if self._seed is None else self._noise(numbers) < grey
        return images.astype(np.uint8) * np.uint8(255)

    def _noise(self, numbers):
        each = self.size // len(self)
        parts = [np.empty([0], np.float32)]
        for run in np.split(numbers, np.flatnonzero(np.diff(numbers) != 1) + 1):
            if not len(run):
                continue
            # A word of the generator is two float32, so an odd place starts in the middle of one.
            words, odd = divmod(int(run[0]) * each, 2)
            generator = np.random.Generator(np.random.PCG64(self._seed).advance(words))
            parts.append(generator.random(odd + len(run) * each, np.float32)[odd:])
        return np.concatenate(parts).reshape(len(numbers), *self.shape[1:])


class ImageFiles(Stream):
    """The images of a folder, a file each, or several from one file.

    Making one reads the head of every file: the sizes are known, the pixels are not.

    Args:
        folder: where they are.
        names: their paths in it, one or more.
        reading: how they are read; None for as they are.

    Attributes:
        files: int64 [N], which of the names each example is of.
        notes: what is changed on the way: {in words: (how many files, the first one)}.

    Raises:
        ValueError: if a file is not a readable image, or of another shape than the first one.
    """

    def __init__(
        self,
        folder: pathlib.Path,
        names: "list[pathlib.Path]",
        reading: "pixels.Reading | None" = None,
    ):
        self._folder = os.fspath(folder)
        self._names = [os.fspath(name) for name in names]
        self._reading = reading or pixels.Reading()
        self.notes: dict[str, tuple[int, str]] = {}
        first, frames = None, []
        for number in range(len(names)):
            found = self._reading.look(self._file(number), self._file(number))
            first = first or found
            self._check(number, found.shape, found.dtype, first)
            frames.append(found.frames)
            for note in found.notes:
                count, name = self.notes.get(note, (0, self._file(number)))
                self.notes[note] = count + 1, name
        self.dtype = first.dtype
        self.files = np.repeat(np.arange(len(names)), frames)
        self._frames = np.arange(len(self.files)) - np.repeat(np.cumsum(frames) - frames, frames)
        super().__init__((len(self.files), *first.shape), len(names))

    def _file(self, number):
        return os.path.join(self._folder, self._names[number])

    def _check(self, number, shape, dtype, first):
        if shape != first.shape:
            raise ValueError(
                f"{self._file(number)} differs from the other images. Expected shape "
                f"{first.shape} (height, width, channels), as {self._names[0]} has; "
                "image_size=(H, W) and color_mode='rgb' or 'grayscale' make them alike. "
                f"Received shape {shape}."
            )
        if dtype != first.dtype:
            bits = {1: "8 bits", 4: "16 bits"}
            raise ValueError(
                f"{self._file(number)} differs from the other images. Expected "
                f"{bits[first.dtype.itemsize]} per value, as {self._names[0]} has; convert the "
                f"files. Received {bits[dtype.itemsize]}."
            )

    def read(self, numbers: np.ndarray) -> np.ndarray:
        """Returns images [n, H, W, C]."""
        images = np.empty((len(numbers), *self.shape[1:]), self.dtype)
        whole = pixels.Look(self.shape[1:], self.dtype)
        for place, number in enumerate(numbers):
            file = self._file(self.files[number])
            image = self._reading.decoded(file, file, int(self._frames[number]))
            # The file may be another one by now, and its later pictures of another size.
            self._check(self.files[number], image.shape, image.dtype, whole)
            images[place] = image
        return images


@contextlib.contextmanager
def own_errors() -> Iterator[None]:
    """Raises the `ValueError` of a stream as it is where TensorFlow has made another one of it."""
    import tensorflow as tf

    try:
        yield
    except tf.errors.OpError as error:
        ours = re.search(r"ValueError: (.*Expected.*Received.*)", error.message)
        if ours is None:
            raise
        raise ValueError(ours.group(1)) from error
