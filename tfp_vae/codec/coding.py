"""Encoding and decoding: the order of pushes and pops, blocks and batches.

    encode a batch:  pop z_L, ..., z_1 with q;  push x with p(x|z_1);  push z_1, ..., z_L with p
    decode it:       pop z_L, ..., z_1 with p;  pop x;                 push z_1, ..., z_L with q

z_L, the top, is popped first, because q(z_l | x, z_>l) needs what lies above. Images are coded in
blocks, each on a stack of its own, from the last image to the first, so that they come out in
order. The first images of a stack have nothing to draw z with: theirs is the centre of q, and is
paid for in full. Batches grow as the stack does.
"""

import contextlib
import importlib.metadata
import math
import os
import pathlib
import time
from collections.abc import Callable, Iterator
from typing import Any, BinaryIO, NamedTuple

import numpy as np

from tfp_vae import extras
from tfp_vae.codec import images as pictures
from tfp_vae.codec.agreed import Agreed, cells_of
from tfp_vae.codec.format import Block, Header, Reader, crc_of, write_block, write_start
from tfp_vae.codec.stack import Cells, Stack
from tfp_vae.files import replacing
from tfp_vae.models import VAE
from tfp_vae.reading import check_regular
from tfp_vae.version import __version__

_PIXELS_OF_BLOCK, _MOST_IN_BLOCK = 2**22, 4096
_LOOKED_AT = 256  # images that say how fine the latents are
_SPARE = 128  # bits that stay on a stack
_PACKAGES = ("constriction", "tensorflow", "keras", "numpy")

Progress = Callable[[int, int, str], None]


class Seconds(NamedTuple):
    """How long something took.

    Attributes:
        total: all of it, with the reading of images.
        networks: of it in the networks.
        coder: of it on the stack, with the tables of probabilities.
    """

    total: float
    networks: float
    coder: float


class Report(NamedTuple):
    """What came of an encoding.

    Attributes:
        images: N.
        dims: pixels of an image, times channels.
        bytes: of the file.
        encoding: how long it took.
        decoding: how long the check took, which decodes all of it.
    """

    images: int
    dims: int
    bytes: int
    encoding: "Seconds"
    decoding: "Seconds"

    @property
    def bits_per_dim(self) -> float:
        """Bits per pixel and channel, everything counted; NaN without an image."""
        return 8 * self.bytes / (self.images * self.dims) if self.images else math.nan


def encode(
    model: "VAE | Codec",
    images: Any,
    path: "str | pathlib.Path",
    progress: "Progress | None" = None,
) -> Report:
    """Encodes images into a file, and decodes it again before it gets its name.

    Args:
        model: a VAE of binary values or grey levels, whose posterior and prior are normals with
            independent dimensions or mixtures of them; several latents are coded top first.
        images: a `Split`, an array [N, *shape] of uint8, bool or float32, N >= 0, a folder of
            images, or a `.npy` or `.npz` file. They come back as they are; of image files the
            pixels, not the bytes.
        path: of the file.
        progress: called with (images done, in all, words for people); encoded and checked images
            count a half each.

    Raises:
        ValueError: if the model cannot be coded with, if the images do not fit it, or if they did
            not come back.
        ImportError: without the library.
    """
    path = pathlib.Path(path)
    if path.is_dir():
        raise ValueError(f"{path} cannot be written. Expected a file. Received a folder.")
    _check_place(path, images)
    codec = _codec(model)
    found = pictures.opened(images, codec.agreed.num_values, codec.agreed.shape)
    with contextlib.closing(found), replacing(path) as temporary:
        codec.clock.start()
        with open(temporary, "wb") as file:
            for done in codec.written(file, found):
                if progress:
                    bits = 8 * file.tell() / (done * codec.agreed.size)
                    progress(done, 2 * found.count, f"{bits:.4f} bits per value  ")
        encoding = codec.clock.start()
        with open(temporary, "rb") as file:
            done = 0
            for levels in codec.decoded(Reader(file, str(path)), str(path)):
                if not np.array_equal(levels, found.levels(done, done + len(levels))):
                    raise ValueError(
                        f"Images from number {done:,} on did not come back; no file was left. "
                        "Expected a model that computes the same numbers each time, and images "
                        "that do not change. Received others."
                    )
                done += len(levels)
                if progress:
                    progress(found.count + done, 2 * found.count, "checked  ")
        decoding = codec.clock.start()
        written = temporary.stat().st_size
    return Report(found.count, codec.agreed.size, written, encoding, decoding)


def decode(
    model: "VAE | Codec",
    path: "str | pathlib.Path",
    output: "str | pathlib.Path | None" = None,
    progress: "Progress | None" = None,
) -> "np.ndarray | None":
    """Decodes a file.

    Args:
        model: the model that it was encoded with.
        path: of the file.
        output: a `.npy` file or a folder, for PNG files, that images are written to; it gets its
            name when all of them are there.
        progress: called with (images done, in all, words for people).

    Returns:
        Without `output` the images, [N, *shape]; None otherwise.

    Raises:
        ValueError: if the file is damaged, cut short, of a newer version or of another model, or
            if this machine computes other numbers than the one that wrote it.
    """
    check_regular(path)
    if output is not None:
        _check_place(pathlib.Path(output), path)
    codec = _codec(model)
    with open(path, "rb") as file:
        reader = Reader(file, str(path))
        header = reader.header
        codec.check_fits(header, str(path))
        form = header.shape, header.stored
        if output is None:
            parts = [codec.outside(x, header) for x in _told(codec, reader, path, progress)]
            return np.concatenate([np.empty((0, *header.shape), header.stored), *parts])
        with pictures.sink(pathlib.Path(output), header.images, *form, reader.names) as put:
            for levels in _told(codec, reader, path, progress):
                put(codec.outside(levels, header))
    return None


def _told(codec, reader, path, progress):
    done = 0
    for levels in codec.decoded(reader, str(path)):
        yield levels
        done += len(levels)
        if progress:
            progress(done, reader.header.images, "")


def _codec(model):
    return model if isinstance(model, Codec) else Codec(model)


def _check_place(path, source):
    if isinstance(source, str | os.PathLike) and path.exists() and os.path.exists(source):
        if os.path.samefile(path, source):
            raise ValueError(
                f"{path} is what is read, and would be lost. Expected another place for what is "
                "written. Received the same."
            )
    if not path.absolute().parent.is_dir():
        raise ValueError(
            f"{path} cannot be written. Expected a folder that is there. Received "
            f"{path.absolute().parent}, which is not."
        )


class _Clock:
    """How long networks and coder took."""

    def __init__(self) -> None:
        self._begun, self._networks, self._coder = time.monotonic(), 0.0, 0.0

    def start(self) -> Seconds:
        """Starts anew, and returns what was until now."""
        now = time.monotonic()
        found = Seconds(now - self._begun, self._networks, self._coder)
        self._begun, self._networks, self._coder = now, 0.0, 0.0
        return found

    def network(self, function: Callable, *arguments: Any) -> Any:
        """Returns what a function of networks returns."""
        before = time.monotonic()
        found = function(*arguments)
        self._networks += time.monotonic() - before
        return found

    def stack(self, function: Callable, *arguments: Any) -> Any:
        """Returns what a function of the stack returns."""
        before = time.monotonic()
        found = function(*arguments)
        self._coder += time.monotonic() - before
        return found


class Codec:
    """A model that codes, for several files: making it takes as long as a model is loaded.

    Args:
        model: see `encode`.

    Raises:
        ValueError: see `encode`.
        ImportError: without the library.
    """

    def __init__(self, model: VAE):
        extras.need("codec", "Codecs")
        self.agreed, self.clock = Agreed(model), _Clock()
        kind = model.data_kind
        self.kind = "" if kind is None else str(kind)
        size = self.agreed.size
        self.block = max(1, min(_MOST_IN_BLOCK, _PIXELS_OF_BLOCK // size))
        self._needed = 0.0

    def header(self, found: "pictures.Images") -> Header:
        """Returns what the file of these images begins with; looks at some of them."""
        some = self._seen(found.levels(0, min(found.count, _LOOKED_AT)))
        cells, self._needed = cells_of(self.agreed, some)
        agreed = self.agreed
        return Header(
            images=found.count,
            shape=agreed.shape,
            num_values=agreed.num_values,
            stored=found.stored,
            white=found.white,
            kind=self.kind,
            model=agreed.digest,
            batch=agreed.batch,
            block=self.block,
            cells=tuple(cells),
            versions=_versions(),
        )

    def check_fits(self, header: Header, name: str) -> None:
        """Raises `ValueError` if a file is of another model."""
        agreed = self.agreed
        if header.model != agreed.digest:
            # What Keras says of the parts of a model changes with its versions.
            others = ", ".join(_others(header))
            raise ValueError(
                f"{name} was encoded with another model. Expected the model {header.model[:12]}"
                f"{f', perhaps with {others} as then' if others else ''}. "
                f"Received {agreed.digest[:12]}."
            )
        dims = [len(each.exponents) for each in header.cells]
        known = (agreed.shape, agreed.num_values, agreed.batch, agreed.dims)
        said = (header.shape, header.num_values, header.batch, dims)
        if said != known:
            raise ValueError(
                f"{name} does not fit the model. Expected shape, values, batch and latents "
                f"{known}. Received {said}."
            )

    def outside(self, levels: np.ndarray, header: Header) -> np.ndarray:
        """Returns whole numbers as the images were."""
        return pictures.outside(levels, header.num_values, header.white, header.stored)

    def _seen(self, levels):
        """Returns images as the model sees them."""
        return levels.astype(np.float32) / np.float32(self.agreed.num_values - 1)

    # Encoding.

    def written(self, file: BinaryIO, found: "pictures.Images") -> Iterator[int]:
        """Writes a file, and yields how many images are in it after every block."""
        header = self.header(found)
        write_start(file, header, found.names)
        for start in range(0, found.count, header.block):
            stop = min(start + header.block, found.count)
            write_block(file, self.encoded(found.levels(start, stop), header.cells))
            yield stop

    def encoded(self, levels: np.ndarray, cells: "tuple[Cells, ...]") -> Block:
        """Returns a block of images, int32 [n, *shape]."""
        stack, schedule, left = Stack(), [], len(levels)
        while left:
            drawn = min(
                int((stack.bits - _SPARE) / max(self._needed, 1.0)), self.agreed.batch, left
            )
            count = max(drawn, 1)
            self._push(stack, levels[left - count : left], cells, drawn > 0)
            schedule.append(max(drawn, 0))
            left -= count
        check = crc_of(levels, self.agreed.num_values)
        found = np.array(schedule[::-1], np.int64)
        return Block(len(levels), check, found, stack.words())

    def _push(self, stack, levels, cells, is_drawn):
        agreed, clock, x = self.agreed, self.clock, self._seen(levels)
        above: tuple[np.ndarray, ...] = ()
        chosen = []
        for level, each in enumerate(cells):
            posterior = clock.network(agreed.posterior, level, x, above)
            if is_drawn:
                cell = clock.stack(stack.pop_latents, posterior, each, True)
            else:
                cell = each.nearest(posterior.centre())
            chosen.append(cell)
            above = (*above, each.value(cell))
        tables = clock.network(agreed.tables, above)
        clock.stack(stack.push_values, levels.ravel(), tables)
        for level in reversed(range(len(cells))):
            prior = clock.network(agreed.prior, level, above[:level], len(x))
            clock.stack(stack.push_latents, chosen[level], prior, cells[level])

    # Decoding.

    def decoded(self, reader: Reader, name: str) -> Iterator[np.ndarray]:
        """Yields the images of each block, int32 [n, *shape], once their CRC is right."""
        header = reader.header
        self.check_fits(header, name)
        for block in reader.blocks():
            try:
                stack = Stack(block.words)
                parts = [self._pop(stack, int(n), header.cells) for n in block.schedule]
            except (ValueError, KeyError) as error:
                raise self._drifted(header, name) from error
            levels = np.concatenate(parts)
            right = crc_of(levels, header.num_values) == block.pixels
            if not right or not stack.is_empty:
                raise self._drifted(header, name)
            yield levels

    def _pop(self, stack, schedule, cells):
        agreed, clock, count = self.agreed, self.clock, max(schedule, 1)
        above: tuple[np.ndarray, ...] = ()
        chosen = []
        for level, each in enumerate(cells):
            prior = clock.network(agreed.prior, level, above, count)
            cell = clock.stack(stack.pop_latents, prior, each)
            chosen.append(cell)
            above = (*above, each.value(cell))
        tables = clock.network(agreed.tables, above)
        levels = clock.stack(stack.pop_values, tables).reshape(count, *agreed.shape)
        if schedule:
            x = self._seen(levels)
            for level in reversed(range(len(cells))):
                posterior = clock.network(agreed.posterior, level, x, above[:level])
                clock.stack(stack.push_latents, chosen[level], posterior, cells[level], True)
        return levels

    def _drifted(self, header, name):
        others = ", ".join(_others(header)) or "the processor"
        return ValueError(
            f"{name} is whole, but this machine computes other numbers than the one that wrote it. "
            f"Expected {others} of that machine. Received images with another CRC; no "
            "picture was written."
        )


def _others(header: Header) -> "list[str]":
    """Returns the versions of what wrote a file that are other ones here."""
    here = _versions()
    return [f"{k} {v}" for k, v in header.versions.items() if here.get(k) != v]


def _versions() -> "dict[str, str]":
    found = {name: importlib.metadata.version(name) for name in _PACKAGES}
    return {"tfp_vae": __version__, **found}
