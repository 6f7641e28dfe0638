"""TFRecords: read once for an index, then any example by its place in its file."""

import array
import os
import pathlib
import re
import struct
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from tfp_vae.data.folders import (
    RECORD_FILE,
    files_of,
    in_memory_or_not,
    is_folder_of_records,
    is_record_file,
)
from tfp_vae.data.pixels import Reading
from tfp_vae.data.source import SPLIT_NAMES, Raw, Source, split_in
from tfp_vae.data.sources import SOURCES
from tfp_vae.data.streams import Stream
from tfp_vae.reading import check_regular

_IMAGE_KEYS = ("image", "image/encoded")
_LABEL_KEYS = ("label", "image/class/label")
# Features that say of an image what it says itself, or where it came from.
_QUIET = re.compile(
    r"^(image/|image_)?(height|width|depth|channels|format|colorspace|filename|shape|id|key.*)$"
)
_SIGNATURES = (b"\x89PNG", b"\xff\xd8\xff", b"GIF8", b"RIFF")  # of images that are encoded
_HEAD = struct.Struct("<QI")  # before each record: its length, and the check sum of that
_KINDS = {"int64_list": "integer", "float_list": "number", "bytes_list": "text"}
_TAIL = 4  # after it: its check sum
_ROWS = 64  # records at a time of the first reading


@SOURCES.register("records", "TFRecords of tf.train.Example: a folder, maybe of splits, or a file")
class RecordFiles(Source):
    """A folder of TFRecords, which names that say a split take apart, or one such file."""

    words = "a folder of TFRecords or one .tfrecord file"
    arguments = ("in_memory", "image_size", "color_mode", "frames")

    def matches(self, source: Any) -> bool:
        """Returns whether it is a folder with such files, or one of them."""
        return bool(is_folder_of_records(source)) or is_record_file(source)

    def read(
        self,
        source: Any,
        data_dir: "str | pathlib.Path | None",
        *,
        in_memory: "bool | None" = None,
        image_size: "Sequence[int] | None" = None,
        color_mode: "str | None" = None,
        frames: "str | None" = None,
    ) -> Raw:
        """Returns the images and their labels."""
        del data_dir
        path = pathlib.Path(source)
        if frames == "all":
            raise ValueError(
                "TFRecords have one example per record. Expected frames='first' or None. Received "
                "'all'."
            )
        reading = Reading(image_size, color_mode, frames)
        files = {"train": [path]}
        notes: tuple[str, ...] = ()
        if not is_record_file(source):
            found, notes = files_of(path, RECORD_FILE)
            files = {
                split: [folder / name for name in names] for split, (folder, names) in found.items()
            }
            if list(files) == ["train"] and found["train"][0] == path:
                files = _by_name(path, files["train"])
        made = {split: Records(each, reading) for split, each in files.items()}
        parts = {split: (records, records.labels) for split, records in made.items()}
        for split, records in made.items():
            notes += tuple(f"records of the {split} split have {each}" for each in records.notes)
        return Raw(in_memory_or_not(parts, in_memory), notes=notes)


def _by_name(path, files):
    """Returns the files by the split that their names say: else test images would be trained on."""
    said = [split_in(file.name) for file in files]
    if not any(said):
        return {"train": files}
    if None in said or "train" not in said:
        raise ValueError(
            f"{path} has files whose names say a split and no training data, or files beside them. "
            f"Expected {', '.join(SPLIT_NAMES)} (or val, dev, ...) in the names of all TFRecord "
            "files or of none. "
            f"Received {', '.join(file.name for file in files[:5])}."
        )
    return {
        split: [file for file, each in zip(files, said, strict=True) if each == split]
        for split in SPLIT_NAMES
        if split in said
    }


class Records(Stream):
    """The images of TFRecord files of `tf.train.Example`, and their labels.

    Making one reads every file once, with its check sums, and keeps 24 bytes per record: where it
    is. An image is the feature "image" or "image/encoded", else the only feature of bytes: encoded
    (PNG, JPEG, ...), or raw bytes [H, W, C] beside features "height", "width" and "depth" or
    "channels", each also as "image/...". A label is one number or one text, the feature "label" or
    "image/class/label".

    Args:
        files: one or more.
        reading: how encoded images are read; None for as they are.

    Attributes:
        labels: [N], numbers or text as the records have them, or None if no record has one.
        notes: what of the records is not read, or is changed on the way, in words.

    Raises:
        ValueError: if a file is damaged, if a record is a `tf.train.SequenceExample`, holds no such
            image or one of another shape than the first, or if some records have labels and others
            none. The message names the file, the record and its place in bytes.
    """

    def __init__(self, files: "list[pathlib.Path]", reading: "Reading | None" = None):
        self._files = [os.fspath(file) for file in files]
        self._image_key = self._label_key = self._label_kind = self._event_shape = None
        self._is_raw, self._reading = False, reading or Reading()
        self._unread: dict[str, int] = {}
        self._changed: dict[str, int] = {}
        # Arrays, because three Python integers per record are as large as a small image.
        place = [array.array("q") for _ in range(3)]
        labels: list[Any] = []
        same: dict[Any, Any] = {}  # each label once: many records have few
        for number, file in enumerate(self._files):
            for start, record in _records(file):
                name = f"{file}, record at byte {start},"
                label = self._look(record, name, is_first=not place[0])
                labels.append(same.setdefault(label, label))
                for column, value in zip(place, (number, start, len(record)), strict=True):
                    column.append(value)
        if not place[0]:
            raise ValueError(
                f"{self._files[0]} and the files beside it hold no examples. Expected at least "
                f"one. Received {len(self._files)} empty files."
            )
        self._place = np.stack([np.frombuffer(column, np.int64) for column in place], axis=1)
        self.labels = None
        if self._label_key:
            dtype = {"int64_list": np.int64, "float_list": np.float64}.get(self._label_kind, object)
            self.labels = np.array(labels, dtype)
        super().__init__((len(self._place), *self._event_shape), len(self._files))
        self.notes = [f"{note} ({count})" for note, count in self._changed.items()]
        if self._unread:
            some = ", ".join(f"{key!r} ({count})" for key, count in sorted(self._unread.items()))
            self.notes.append(f"features that are not read: {some}")

    def _look(self, record, name, is_first):
        features = _features(record, name)
        if is_first:
            self._image_key = _image_key(features, name)
            self._label_key = next((key for key in _LABEL_KEYS if key in features), None)
            content = self._bytes(features, name)
            has_shape = _raw_shape(features, content) is not None
            self._is_raw = has_shape and not content.startswith(_SIGNATURES)
            if self._is_raw and self._reading != Reading(frames=self._reading.frames):
                raise ValueError(
                    f"{name} is not an image file but raw bytes, read as they are. Expected "
                    "image_size=None and color_mode=None. Received "
                    f"{self._reading.image_size} and {self._reading.color_mode!r}."
                )
        shape, dtype, notes = self._shape(features, name)
        if is_first:
            self._event_shape, self.dtype = shape, dtype
        for note in notes:
            self._changed[note] = self._changed.get(note, 0) + 1
        for key in features:
            if key not in (self._image_key, self._label_key) and not _QUIET.search(key):
                self._unread[key] = self._unread.get(key, 0) + 1
        if dtype != self.dtype:
            raise ValueError(
                f"{name} differs from the other images. Expected {self.dtype} values, as the first "
                f"one has. Received {dtype}."
            )
        self._check(shape, name)
        found = next((key for key in _LABEL_KEYS if key in features), None)
        if found is None and self._label_key is None:
            return None
        kind = features[found].WhichOneof("kind") if found else None
        label = getattr(features[found], kind).value if kind else ()
        self._label_kind = kind if is_first else self._label_kind
        if found != self._label_key or kind != self._label_kind or len(label) != 1:
            what = _KINDS.get(self._label_kind, "label")
            expected = "no label, as in the first record"
            if self._label_key:
                expected = f"one {what} {self._label_key!r} in every record"
            received = f"{found!r} with {len(label)} {_KINDS.get(kind, 'label')}s"
            received = received if found else "none"
            raise ValueError(f"{name} has a wrong label. Expected {expected}. Received {received}.")
        return label[0]

    def _bytes(self, features, name):
        values = features[self._image_key].bytes_list.value if self._image_key in features else ()
        if len(values) != 1:
            raise ValueError(
                f"{name} has no image. Expected one value of bytes in {self._image_key!r}. "
                f"Received {len(values)}; features {sorted(features)}."
            )
        return values[0]

    def _shape(self, features, name):
        content = self._bytes(features, name)
        if not self._is_raw:
            found = self._reading.look(content, name)
            return found.shape, found.dtype, found.notes
        shape = _raw_shape(features, content)
        if shape is None:
            raise ValueError(
                f"{name} has a wrong size. Expected as many raw bytes as its height, width and "
                f"depth say. Received {len(content)} bytes."
            )
        return shape, np.dtype(np.uint8), ()

    def _check(self, shape, name):
        if shape != self._event_shape:
            raise ValueError(
                f"{name} differs from the other images. Expected shape {self._event_shape} "
                f"(height, width, channels), as the first one has; image_size=(H, W) and "
                f"color_mode='rgb' or 'grayscale' make them alike. Received shape {shape}."
            )

    def read(self, numbers: np.ndarray) -> np.ndarray:
        """Returns images [n, H, W, C]."""
        images = np.empty((len(numbers), *self.shape[1:]), self.dtype)
        place = self._place[numbers]
        for number in np.unique(place[:, 0]):
            rows = np.flatnonzero(place[:, 0] == number)
            file = self._files[number]
            try:
                with open(file, "rb", buffering=0) as opened:
                    for row in rows:
                        images[row] = self._image(opened, *place[row, 1:].tolist())
            except OSError as error:
                raise ValueError(
                    f"{file} could not be read. Expected the file that was there. Received: {error}"
                ) from error
        return images

    def _image(self, opened, start, length):
        opened.seek(start)
        content = opened.read(_HEAD.size + length)
        name = f"{opened.name}, record at byte {start},"
        if len(content) != _HEAD.size + length or _HEAD.unpack_from(content)[0] != length:
            raise ValueError(
                f"{name} is not what it was. Expected {length} bytes, as at the first reading. "
                f"Received a file that was changed since."
            )
        features = _features(content[_HEAD.size :], name)
        encoded = self._bytes(features, name)
        if not self._is_raw:
            image = self._reading.decoded(encoded, name)
            self._check(image.shape, name)
            return image
        self._check(self._shape(features, name)[0], name)
        return np.frombuffer(encoded, np.uint8).reshape(self._event_shape)


def _records(file: str) -> "Iterator[tuple[int, bytes]]":
    """Yields (place in bytes, content) of the records of a file, with their check sums looked at.

    Raises:
        ValueError: where the file is damaged.
    """
    import tensorflow as tf

    _check_lengths(file)
    start = 0
    try:
        # In blocks: one record at a time, most of the time would be tf.data's.
        dataset = tf.data.TFRecordDataset(file, buffer_size=2**18).batch(_ROWS)
        for block in dataset.as_numpy_iterator():
            for record in block:
                yield start, record
                start += _HEAD.size + len(record) + _TAIL
    except tf.errors.OpError as error:
        # "{{where}} corrupted record at 123; op"
        reason = re.sub(r"\{\{.*?\}\}", "", error.message).split(";")[0].split("[Op")[0]
        found = re.search(r"record at (\d+)", reason)
        start = _start_of(file, start, int(found.group(1)) if found else start)
        raise ValueError(
            f"{file} is damaged: record at byte {start}. Expected whole TFRecords, not compressed. "
            f"Received: {' '.join(reason.split())}"
        ) from error


def _check_lengths(file: str) -> None:
    """Raises `ValueError` unless records fill the file.

    TensorFlow takes the memory that a record asks for, and ends the process where there is less.
    """
    start, size = 0, check_regular(file)
    with open(file, "rb") as opened:
        while start < size:
            opened.seek(start)
            head = opened.read(_HEAD.size)
            length, check_sum = _HEAD.unpack(head) if len(head) == _HEAD.size else (size, 0)
            end = start + _HEAD.size + length + _TAIL
            if end > size or _masked_crc(head[:8]) != check_sum:
                reason = "a length with another check sum"
                if end > size:
                    reason = f"one that ends behind the {size:,} bytes of the file"
                raise ValueError(
                    f"{file} is damaged: record at byte {start}. Expected whole TFRecords, not "
                    f"compressed. Received {reason}."
                )
            start = end


def _start_of(file: str, start: int, place: int) -> int:
    """Returns where the record begins that `place` lies in; those from `start` on are good."""
    with open(file, "rb") as opened:
        while True:
            opened.seek(start)
            head = opened.read(_HEAD.size)
            if len(head) < _HEAD.size:
                return start
            end = start + _HEAD.size + _HEAD.unpack(head)[0] + _TAIL
            if end > place:
                return start
            start = end


def _crc_of_byte(value: int) -> int:
    for _ in range(8):
        value = value >> 1 ^ (0x82F63B78 if value & 1 else 0)
    return value


_CRC = tuple(map(_crc_of_byte, range(256)))


def _masked_crc(content: bytes) -> int:
    """Returns the check sum of a TFRecord: CRC-32C, turned and moved."""
    crc = 2**32 - 1
    for byte in content:
        crc = _CRC[(crc ^ byte) & 255] ^ crc >> 8
    crc ^= 2**32 - 1
    return ((crc >> 15 | crc << 17) + 0xA282EAD8) % 2**32


def _features(record: bytes, name: str) -> Any:
    """Returns the features of a `tf.train.Example`, a mapping."""
    import tensorflow as tf

    try:
        # Of which an Example is one without lists; read as an Example it would lose them unseen.
        found = tf.train.SequenceExample.FromString(record)
    except Exception as error:  # protobuf's own type, which it has moved between versions
        raise ValueError(
            f"{name} could not be read. Expected a tf.train.Example. Received {len(record)} bytes "
            f"that are none."
        ) from error
    lists = found.feature_lists.feature_list
    if lists:
        raise ValueError(
            f"{name} is a tf.train.SequenceExample. Expected a tf.train.Example of one image; its "
            "frames can be written as records of their own. Received lists of features "
            f"{', '.join(sorted(lists)[:10])}."
        )
    return found.context.feature


def _image_key(features: Any, name: str) -> str:
    of_bytes = sorted(key for key in features if features[key].WhichOneof("kind") == "bytes_list")
    known = [key for key in _IMAGE_KEYS if key in of_bytes] or of_bytes
    if len(known) != 1 and known[:1] != list(_IMAGE_KEYS[:1]):
        raise ValueError(
            f"{name} has no feature that is known as the image. Expected "
            f"{' or '.join(map(repr, _IMAGE_KEYS))}, or one feature of bytes alone. Received "
            f"features of bytes {of_bytes} among {sorted(features)}."
        )
    return known[0]


def _raw_shape(features: Any, content: bytes) -> "tuple[int, int, int] | None":
    """Returns the shape (H, W, C) of raw bytes, or None if none is known or fits them."""
    height, width, depth = (
        next(
            (
                int(features[key].int64_list.value[0])
                for name in names
                for key in (name, f"image/{name}")
                if key in features and len(features[key].int64_list.value) == 1
            ),
            None,
        )
        for names in (("height",), ("width",), ("depth", "channels"))
    )
    if not height or not width or height < 0 or width < 0:
        return None
    depth = len(content) // (height * width) if depth is None else depth
    return (height, width, depth) if height * width * depth == len(content) else None
