r"""The file of a codec: what stands where, written and read within bounds.

    magic     8 bytes   b"\x89TFPVAE\n"
    version   uint16    2; of 1 the cells in the header have no "around"
    header    uint32 length, uint32 CRC, JSON in UTF-8, packed by zlib, see `Header`
    names     uint32 length, uint32 CRC, names of files, JSON packed by zlib; length 0 without
    blocks    one after the other until all images are there:
        images    uint32    at most the header's "block"
        runs      uint32    how many runs of batches of one size
        words     uint32    how many words of the stack
        pixels    uint32    CRC of the images, uint8 (uint16 of more than 256 values) in order
        check     uint32    CRC of the twelve bytes before `pixels`, `pixels`, and all that follows
        schedule  uint16 how many images, uint16 how many batches of so many, in the order in which
                  they are decoded; 0 images for one whose latents were not drawn from the stack
        stack     uint32 words, the bottom of the stack first

All numbers are little-endian, every CRC is that of zlib (CRC-32). Nothing in a file is executed.
"""

import dataclasses
import itertools
import json
import math
import struct
import zlib
from collections.abc import Iterator
from typing import Any, BinaryIO, NamedTuple

import numpy as np

from tfp_vae.codec.images import MOST_NAME, STORED, unusable
from tfp_vae.codec.stack import Cells
from tfp_vae.reading import json_of

MAGIC = b"\x89TFPVAE\n"
VERSION = 2
MOST_IN_BLOCK = 2**16  # images
_MOST_HEADER = 2**20  # bytes
_MOST_NAMES = 2**28
_BLOCK = struct.Struct("<5I")


@dataclasses.dataclass(frozen=True)
class Header:
    """What a file says of itself.

    Attributes:
        images: N.
        shape: of an image.
        num_values: K, of a pixel.
        stored: what images are outside, see `images.STORED`.
        white: their largest number outside.
        kind: of values, in words.
        model: SHA-256, see `agreed.digest`.
        batch: examples that networks are run on at a time.
        block: images of a block, at most.
        cells: of each latent, top first.
        versions: of what wrote it.
    """

    images: int
    shape: "tuple[int, ...]"
    num_values: int
    stored: str
    white: int
    kind: str
    model: str
    batch: int
    block: int
    cells: "tuple[Cells, ...]"
    versions: "dict[str, str]"

    def as_json(self) -> str:
        """Returns it as JSON."""
        values: dict[str, Any] = dict(vars(self))
        values["cells"] = [
            {
                "exponents": [int(e) for e in each.exponents],
                "radius": each.radius,
                "around": each.around,
            }
            for each in self.cells
        ]
        return json.dumps(values, sort_keys=True, separators=(",", ":"))


class Block(NamedTuple):
    """Images that are coded by themselves.

    Attributes:
        images: how many.
        pixels: CRC of them.
        schedule: images of each batch, see the module.
        words: uint32.
    """

    images: int
    pixels: int
    schedule: np.ndarray
    words: np.ndarray


def crc_of(levels: np.ndarray, num_values: int) -> int:
    """Returns the CRC of images of whole numbers."""
    kind = "u1" if num_values <= 256 else "<u2"
    return zlib.crc32(np.ascontiguousarray(levels.astype(kind)).tobytes())


def write_start(file: BinaryIO, header: Header, names: "list[str] | None") -> None:
    """Writes all before the first block."""
    file.write(MAGIC + struct.pack("<H", VERSION))
    _write_part(file, zlib.compress(header.as_json().encode(), 9))
    packed = b"" if names is None else zlib.compress(json.dumps(names).encode(), 9)
    _write_part(file, packed)


def _write_part(file, content):
    file.write(struct.pack("<2I", len(content), zlib.crc32(content)) + content)


def write_block(file: BinaryIO, block: Block) -> None:
    """Writes a block."""
    runs = [(size, len([*same])) for size, same in itertools.groupby(block.schedule.tolist())]
    sizes = block.images, len(runs), len(block.words), block.pixels
    rest = np.array(runs, "<u2").tobytes() + block.words.astype("<u4").tobytes()
    check = zlib.crc32(rest, zlib.crc32(struct.pack("<4I", *sizes)))
    file.write(_BLOCK.pack(*sizes, check) + rest)


class Reader:
    """Reads a file from its start; nothing is believed before its CRC is right.

    Args:
        file: open for reading.
        name: of it, for errors.

    Raises:
        ValueError: if it is no such file, of a newer version, cut short or damaged.
    """

    def __init__(self, file: BinaryIO, name: str):
        self._file, self._name = file, name
        file.seek(0, 2)
        self._left = file.tell()
        file.seek(0)
        if self._left < len(MAGIC) or self._take(len(MAGIC)) != MAGIC:
            raise ValueError(
                f"{name} is no file of a codec. Expected one that tfp_vae.codec.encode wrote. "
                "Received something else."
            )
        (version,) = struct.unpack("<H", self._take(2))
        if version > VERSION:
            raise ValueError(
                f"{name} was written by a newer version of tfp_vae. Expected format {VERSION} or "
                f"older. Received format {version}."
            )
        if version < 1:
            raise self._damaged(f"format 1 to {VERSION}", f"format {version}")
        self._version = version
        self.header = self._header(self._unpacked(self._part(_MOST_HEADER), _MOST_HEADER))
        self.names = self._names(self._part(_MOST_NAMES))

    def blocks(self) -> Iterator[Block]:
        """Yields all blocks, one at a time in the memory."""
        header, missing = self.header, self.header.images
        size = math.prod(header.shape)
        while missing:
            start = self._take(_BLOCK.size)
            images, count, words, pixels, check = _BLOCK.unpack(start)
            rest = self._take(4 * count + 4 * words)
            if zlib.crc32(rest, zlib.crc32(start[:16])) != check:
                raise self._damaged("a block with the CRC that it names", "another one")
            runs = np.frombuffer(rest[: 4 * count], "<u2").astype(np.int64).reshape(-1, 2)
            total = int((np.maximum(runs[:, 0], 1) * runs[:, 1]).sum())
            fits = 0 < images <= min(header.block, missing) and total == images
            if not fits or runs[:, 0].max() > header.batch or not runs[:, 1].all():
                raise self._damaged(f"a block of up to {header.block} images", f"{images}")
            schedule = np.repeat(runs[:, 0], runs[:, 1])
            # No stack of so many images is longer: every symbol takes at most three bytes.
            if words > images * (size + sum(len(x.exponents) + 2 for x in header.cells)) + 64:
                raise self._damaged("a stack that fits its images", f"{words:,} words")
            found = np.frombuffer(rest[4 * count :], "<u4").astype(np.uint32)
            yield Block(images, pixels, schedule, found)
            missing -= images
        if self._left:
            raise self._damaged("the end of the file", f"{self._left:,} bytes more")

    def _take(self, count):
        if count > self._left:
            raise self._damaged(f"{count:,} bytes more", f"{self._left:,}: it was cut short")
        self._left -= count
        found = self._file.read(count)
        if len(found) < count:  # it shrinks while it is read
            raise self._damaged(f"{count:,} bytes more", f"{len(found):,}")
        return found

    def _part(self, most):
        length, check = struct.unpack("<2I", self._take(8))
        if length > most:
            raise self._damaged(f"a part of at most {most:,} bytes", f"{length:,}")
        content = self._take(length)
        if zlib.crc32(content) != check:
            raise self._damaged("a part with the CRC that it names", "another one")
        return content

    def _unpacked(self, packed, most):
        try:
            return zlib.decompressobj().decompress(packed, most)
        except zlib.error as error:
            raise self._damaged("a part packed by zlib", f"{error}") from error

    def _damaged(self, expected, received):
        return ValueError(f"{self._name} is damaged. Expected {expected}. Received {received}.")

    def _header(self, content):
        values = json_of(content, self._name)
        try:
            cells = tuple(
                Cells(
                    _integers(each["exponents"], -64, 64),
                    _integer(each["radius"], 1, 2**20),
                    0 if self._version == 1 else _integer(each["around"], 1, 2**20),
                )
                for each in values["cells"]
            )
            header = Header(
                images=_integer(values["images"], 0, 2**48),
                shape=tuple(_integers(values["shape"], 1, 2**24).tolist()),
                num_values=_integer(values["num_values"], 2, 2**16),
                stored=values["stored"],
                white=_integer(values["white"], 1, 2**16),
                kind=str(values["kind"]),
                model=str(values["model"]),
                batch=_integer(values["batch"], 1, 2**15),
                block=_integer(values["block"], 1, MOST_IN_BLOCK),
                cells=cells,
                versions={str(k): str(v) for k, v in values["versions"].items()},
            )
            if header.stored not in STORED or not header.shape or not cells:
                raise ValueError(header.stored)
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise self._damaged("a header with all fields", f"{error!r}") from error
        return header

    def _names(self, packed):
        if not packed:
            return None
        count = self.header.images
        most = min(_MOST_NAMES, 2 + (MOST_NAME + 4) * count)
        names = json_of(self._unpacked(packed, most), self._name)
        fits = isinstance(names, list) and len(names) == count == len({*map(str, names)})
        if not fits or unusable(names):
            raise self._damaged(f"{count:,} different names of files", "others")
        return names


def _integer(value, least, most):
    if type(value) is not int or not least <= value <= most:
        raise ValueError(value)
    return value


def _integers(values, least, most):
    if not isinstance(values, list):
        raise TypeError(values)
    return np.array([_integer(each, least, most) for each in values], np.int64)
