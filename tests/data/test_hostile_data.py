"""Data made to do harm: refused by name, in one line, before they take memory or start anything."""

import io
import os
import pickle
import socket
import struct
import zipfile
import zlib

import numpy as np
import pandas as pd
import pytest
import tensorflow as tf
from data_cases import refused
from PIL import Image
from stream_cases import encoded, example, noise, save_image_records, save_images, save_records

from tfp_vae import data, reading
from tfp_vae.data import pictures
from tfp_vae.data.pixels import Reading
from tfp_vae.data.sources.npz import open_npz
from tfp_vae.data.sources.records import Records, _masked_crc
from tfp_vae.data.streams import ImageFiles

POSTSCRIPT = b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 4 4\n%%EndComments\n%%EOF\n"


def _chunk(name, content):
    body = name + content
    return struct.pack(">I", len(content)) + body + struct.pack(">I", zlib.crc32(body))


def png(width, height):
    """Returns a PNG of a head and a few bytes."""
    head = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    parts = ((b"IHDR", head), (b"IDAT", zlib.compress(bytes(100))), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(_chunk(*part) for part in parts)


# Images.

BAD_IMAGES = {
    "a program": POSTSCRIPT,
    "a bomb": png(50_000, 50_000),
    "a smaller bomb": png(9_000, 9_000),
    "no end": png(4_000, 4_000),
    "no bytes": b"",
    "a broken tiff": b"II*\x00\x08\x00\x00\x00\x01\x00\x00\x01\x04\x00\xff\xff\xff\xff" * 3,
}


@pytest.mark.parametrize("content", BAD_IMAGES.values(), ids=BAD_IMAGES)
def test_an_image_that_does_harm_is_refused_by_name(tmp_path, monkeypatch, content):
    monkeypatch.setattr("subprocess.Popen", lambda *_, **__: pytest.fail("a program was started"))
    files = save_images(tmp_path, noise(3))
    files[1].write_bytes(content)
    with refused(files[1], "whole 8-bit image"):
        Reading().decoded(str(files[1]), str(files[1]))
    with refused(files[1]):  # or as one of another size
        data.load(tmp_path)
    save_records(tmp_path / "a.tfrecord", [example(image=content)])
    with refused("a.tfrecord", "record at byte 0"):
        Records([tmp_path / "a.tfrecord"])[:]


def test_formats_that_start_a_program_are_none_of_those_that_are_read():
    Image.init()
    assert set(pictures.FORMATS) < set(Image.OPEN)
    assert not {"EPS", "PDF", "WMF"} & set(pictures.FORMATS)


@pytest.mark.parametrize("form", pictures.FORMATS)
def test_every_format_is_read_under_any_name_also_where_it_packs_well(tmp_path, form):
    image = np.zeros((600, 600, 3), np.uint8)
    file = tmp_path / "a.png"
    file.write_bytes(encoded(image, form))
    np.testing.assert_array_equal(Reading().decoded(str(file), "a"), image)


def _pipe(path):
    os.mkfifo(path)


def _socket(path):
    with socket.socket(socket.AF_UNIX) as made:
        made.bind(str(path))


WHAT_IS_NO_FILE = {
    "a named pipe": _pipe,
    "a socket": _socket,
    "a device": lambda path: path.symlink_to("/dev/zero"),
    "symbolic links": lambda path: path.symlink_to(path.name),
    "No such file": lambda path: path.symlink_to("nowhere"),
}


@pytest.mark.parametrize("what", WHAT_IS_NO_FILE)
def test_what_is_no_file_is_refused_by_name_and_not_waited_for(tmp_path, monkeypatch, what):
    monkeypatch.chdir(tmp_path)  # the name of a socket is a short one
    save_images(tmp_path / "images", noise(3))
    save_image_records(tmp_path / "records" / "a.tfrecord", noise(3))
    for name in ("images/x.png", "records/x.tfrecord"):
        WHAT_IS_NO_FILE[what](tmp_path.joinpath(name).relative_to(tmp_path))
        with refused(name, what):
            data.load(os.path.dirname(name))
    WHAT_IS_NO_FILE[what](tmp_path.joinpath("x.npz").relative_to(tmp_path))
    with refused("x.npz", error=(ValueError, FileNotFoundError)):
        data.load("x.npz")


def test_a_folder_that_is_called_like_an_image_is_a_class_as_any_other(tmp_path):
    for name in ("cats.png", "dogs"):
        save_images(tmp_path / name, noise(5))
    assert data.load(tmp_path).num_classes == 2


def test_a_file_that_becomes_a_pipe_is_refused_when_it_is_read(tmp_path):
    files = save_images(tmp_path, noise(3))
    stream = ImageFiles(tmp_path, [file.name for file in files])
    files[1].unlink()
    os.mkfifo(files[1])
    with refused(files[1], "a named pipe"):
        stream[:]


# TFRecords.


def test_a_record_that_says_to_be_larger_than_its_file_is_refused_unread(tmp_path):
    file, whole = tmp_path / "a.tfrecord", tmp_path / "b.tfrecord"
    save_image_records(whole, noise(1))
    with tf.io.TFRecordWriter(str(file), "GZIP") as writer:
        writer.write(b"compressed")
    length = struct.pack("<Q", 2**40)
    huge = length + struct.pack("<I", _masked_crc(length)) + bytes(14)
    for content in (huge, file.read_bytes(), whole.read_bytes()[:-1], bytes(5)):
        file.write_bytes(content)
        with refused(file, "record at byte 0", "not compressed", f"{len(content)} bytes"):
            Records([file])


# Archives.


def archive(path, members, method=zipfile.ZIP_DEFLATED):
    with zipfile.ZipFile(path, "w", method) as file:
        for name, content in members.items():
            file.writestr(name, content)
    return path


def npy(shape, dtype="<f4", content=b""):
    """Returns the head of an array, and content that need not be of that size."""
    file = io.BytesIO()
    head = {"descr": dtype, "fortran_order": False, "shape": shape}
    np.lib.format.write_array_header_1_0(file, head)
    return file.getvalue() + content


BAD_ARRAYS = {
    "no array": b"no array",
    "nothing": b"",
    "a shape with nothing behind it": npy((10**12,)),
    "a shape of text without letters": npy((10**12,), "<U0"),
    "a shape that is negative": npy((-1, -4), content=bytes(16)),
    "more than it says": npy((2,), content=bytes(400)),
    "an object": npy((1,), "|O", pickle.dumps(np.zeros(1))),
    "a deep head": b"\x93NUMPY\x01\x00\xff\xff" + b"(" * 65_535,
}


@pytest.mark.parametrize("content", BAD_ARRAYS.values(), ids=BAD_ARRAYS)
def test_an_array_that_is_not_what_it_says_is_refused_by_file_and_name(tmp_path, content):
    path = archive(tmp_path / "a.npz", {"x.npy": content})
    with refused(path, "'x'", "plain arrays"):
        data.load(path)
    alone = tmp_path / "a.npy"
    alone.write_bytes(content)
    for mapped in (False, True):
        with refused(alone, "plain array"):
            reading.read_array(alone, mapped=mapped)
    with refused(alone, "plain array"):
        data.load(alone)


def test_what_unpacks_to_too_much_is_refused_and_what_nobody_reads_stays_packed(
    tmp_path, monkeypatch
):
    monkeypatch.setattr(reading, "_ALWAYS_UNPACKED", 2**12)
    good, bomb = npy((9, 4), content=noise(1, (9, 16, 1)).tobytes()), npy((2**14,), "|u1")
    bomb += bytes(2**14)
    path = archive(tmp_path / "a.npz", {"more.npy": bomb, "x.npy": good})
    with open_npz(path) as arrays:
        assert sorted(arrays) == ["more", "x"] and arrays["x"].shape == (9, 4)
        with refused(path, "'more'", "16,5", "numpy.savez"):
            arrays["more"]
    with (
        refused(path, "packed by a method"),
        open_npz(archive(path, {"x.npy": good}, zipfile.ZIP_LZMA)) as arrays,
    ):
        arrays["x"]


def test_two_arrays_of_one_name_are_refused(tmp_path):
    path = archive(tmp_path / "a.npz", {"x.npy": npy((1,), content=bytes(4))})
    with zipfile.ZipFile(path, "a") as file, pytest.warns(UserWarning, match="Duplicate name"):
        file.writestr("x.npy", npy((2,), content=bytes(8)))
    with refused(path, "two arrays called 'x'"):
        data.load(path)


# Tables.


def sheet(path, cells):
    """Writes an .xlsx file of one column whose sheet has more in it."""
    pd.DataFrame({"a": [1, 2]}).to_excel(path, index=False)
    with zipfile.ZipFile(path) as file:
        members = {name: file.read(name) for name in file.namelist()}
    name = "xl/worksheets/sheet1.xml"
    members[name] = members[name].replace(b"</sheetData>", cells + b"</sheetData>")
    return archive(path, members)


@pytest.mark.parametrize(
    ("cells", "words"),
    [
        (b'<row r="1048576"><c r="XFD1048576"><v>1</v></c></row>', "4 cells in a sheet of 17,179"),
        (b'<row r="x"><c r="B4"><v>1</v></c></row>', "invalid literal"),
        (b"<row>", "mismatched tag"),
        (bytes(9), "not well-formed"),
        (b" " * 2**18, "which is more than is believed"),
    ],
)
def test_a_sheet_that_says_to_be_larger_than_it_is_is_refused(tmp_path, monkeypatch, cells, words):
    monkeypatch.setattr(reading, "_ALWAYS_UNPACKED", 2**16)
    monkeypatch.setattr(reading, "_MOST_EXPANSION", 2)
    path = sheet(tmp_path / "a.xlsx", cells)
    with refused(path, words):
        data.read_frame(path)


@pytest.mark.parametrize("values", [np.arange(99).repeat(99), ["x" * 2**9] * 2**9])
def test_a_parquet_file_that_repeats_a_cell_for_ever_is_refused(tmp_path, monkeypatch, values):
    pd.DataFrame({"a": values}).to_parquet(tmp_path / "a.parquet")
    assert len(data.read_frame(tmp_path / "a.parquet")) == len(values)
    monkeypatch.setattr(reading, "_ALWAYS_UNPACKED", 2**14)
    monkeypatch.setattr(reading, "_MOST_EXPANSION", 2)
    with refused("a.parquet", "bytes of cells or more", "more than is believed"):
        data.read_frame(tmp_path / "a.parquet")


# Names.


def test_names_that_no_file_of_ours_could_hold_are_refused(tmp_path):
    for name in (b"cats\xff", b"dogs"):
        save_images(tmp_path / os.fsdecode(name), noise(3))
    with refused("name of a class", r"cats\udcff", "rename"):
        data.load(tmp_path)
    with refused("name of a class", r"\udcff"):
        data.Split(np.zeros((2, 1)), "real", labels=np.array([b"\xff", b"a"]))
    with refused("level of column 'a'", r"\udcff"):
        data.Column("a", "binary", ("\udcff", "b"))


# Labels.


def test_a_stray_label_is_refused_before_anything_has_a_place_for_it():
    labels = np.arange(20)
    labels[7] = 10**8
    with refused("65535", "100000000 at index (7,)", "return_inverse"):
        data.load(np.eye(20, dtype=np.float32), labels=labels)
