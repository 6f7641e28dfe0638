"""Image files: upright, of the size and the colours that are asked for, and nothing dropped."""

import struct
import zlib

import numpy as np
import pytest
from data_cases import refused, sizes
from PIL import Image

from tfp_vae import data
from tfp_vae.data.pixels import Reading

GREY = np.arange(4 * 6, dtype=np.uint8).reshape(4, 6) * 10


def save(folder, *images, suffix=".png", **options):
    folder.mkdir(parents=True, exist_ok=True)
    for number, image in enumerate(images):
        image = image if isinstance(image, Image.Image) else Image.fromarray(image)
        image.save(folder / f"{number:03d}{suffix}", **options)
    return folder


def pixels_of(loaded):
    return loaded.train.intensities()[0]


@pytest.mark.parametrize("suffix", [".png", ".tif", ".jpg"])
@pytest.mark.parametrize("tag", range(1, 9))
def test_images_are_turned_upright(tmp_path, tag, suffix):
    exif = Image.Exif()
    exif[0x0112] = tag
    # What a camera wrote that was held so: the turn of the tag undone.
    turns = {
        1: lambda x: x,
        2: np.fliplr,
        3: lambda x: np.rot90(x, 2),
        4: np.flipud,
        5: np.transpose,
        6: np.rot90,
        7: lambda x: np.rot90(np.transpose(x), 2),
        8: lambda x: np.rot90(x, -1),
    }
    seen = np.zeros((8, 16), np.uint8)
    seen[:, :8], seen[:4, :8] = 100, 200
    written = np.ascontiguousarray(turns[tag](seen))
    options = {"quality": 100} if suffix == ".jpg" else {}
    save(tmp_path, *[written] * 3, suffix=suffix, exif=exif, **options)
    if suffix == ".tif" and tag > 4:
        with refused("000.tif", "save it upright"):
            data.load(tmp_path)
        return
    loaded = data.load(tmp_path)
    assert loaded.shape == (8, 16, 1)
    np.testing.assert_allclose(pixels_of(loaded)[..., 0] * 255, seen, atol=3)


def test_grey_images_of_16_bits_are_real_numbers_in_their_own_scale(tmp_path):
    image = np.full((3, 4), 60_001, np.uint16)
    save(tmp_path, *[image] * 3)
    loaded = data.load(tmp_path)
    assert loaded.kind == "unit_interval"
    np.testing.assert_allclose(pixels_of(loaded)[..., 0], image / 65535, rtol=1e-6)
    lazy = data.load(tmp_path, in_memory=False, image_size=(6, 8))
    assert (lazy.kind, lazy.shape, lazy.test.stored.dtype) == ("unit_interval", (6, 8, 1), "f4")
    np.testing.assert_allclose(lazy.train.values(), 60_001 / 65535, rtol=1e-6)
    save(tmp_path, *[GREY[:3, :4]] * 1)
    with refused("001.png", "16 bits", "8 bits"):
        data.load(tmp_path)


@pytest.mark.parametrize(
    ("mode", "bits", "word"),
    [("I", 32, "mode I"), ("F", 32, "mode F"), ("LAB", 8, "mode LAB")],
)
def test_values_that_would_become_others_are_refused_by_name(tmp_path, mode, bits, word):
    image = Image.new(mode, (4, 4))
    save(tmp_path, *[image] * 3, suffix=".tif")
    with refused("000.tif", word):
        data.load(tmp_path)


def test_colours_of_16_bits_are_refused_as_they_are_read_with_8(tmp_path):
    def chunk(kind, content):
        check = struct.pack(">I", zlib.crc32(kind + content))
        return struct.pack(">I", len(content)) + kind + content + check

    head = chunk(b"IHDR", struct.pack(">IIBBBBB", 2, 2, 16, 2, 0, 0, 0))
    rows = chunk(b"IDAT", zlib.compress((b"\0" + b"\1\2" * 6) * 2))
    (tmp_path / "a.png").write_bytes(b"\x89PNG\r\n\x1a\n" + head + rows + chunk(b"IEND", b""))
    with refused("a.png", "16 bits per channel in colour"):
        data.load(tmp_path)


def test_other_files_of_16_bits_are_refused_where_8_would_be_read_and_read_where_they_fit(tmp_path):
    (tmp_path / "a.ppm").write_bytes(b"P6 2 2 65535\n" + b"\1\2" * 12)
    with refused("a.ppm", "16 bits per channel in colour"):
        data.load(tmp_path)
    (tmp_path / "a.ppm").unlink()
    fields = (40, 2, 2, 1, 16, 3, 16, 0, 0, 0, 0)  # a bitmap of 5, 6 and 5 bits
    head = struct.pack("<IiiHHIIiiII", *fields) + struct.pack("<III", 0xF800, 0x7E0, 0x1F)
    file = b"BM" + struct.pack("<IHHI", 14 + len(head) + 8, 0, 0, 14 + len(head)) + head
    for name in "abc":
        (tmp_path / f"{name}.bmp").write_bytes(file + b"\x00\xf8" * 4)
    np.testing.assert_array_equal(pixels_of(data.load(tmp_path))[..., 0], 1)


@pytest.mark.parametrize(("bits", "white"), [(12, 1), (16, 0)])
def test_grey_of_a_tiff_has_the_scale_and_the_direction_that_it_says(tmp_path, bits, white):
    strip = b"\xff\xf0\x00" if bits == 12 else b"\x00\x00\xff\xff"  # white, black
    tags = [(256, 2), (257, 1), (258, bits), (259, 1), (262, white), (273, 8), (277, 1), (278, 1)]
    tags.append((279, len(strip)))
    entries = b"".join(struct.pack("<HHII", tag, 4, 1, value) for tag, value in tags)
    head = b"II*\0" + struct.pack("<I", 8 + len(strip) + len(strip) % 2)
    file = head + strip + bytes(len(strip) % 2) + struct.pack("<H", len(tags)) + entries + bytes(4)
    for name in "abc":
        (tmp_path / f"{name}.tif").write_bytes(file)
    loaded = data.load(tmp_path)
    np.testing.assert_allclose(pixels_of(loaded)[0, :, 0], [1, 0], atol=1e-6)


@pytest.mark.filterwarnings("ignore:.*have transparency")  # that every animated WebP has
@pytest.mark.parametrize("suffix", [".gif", ".tif", ".webp"])
def test_files_of_several_pictures_are_refused_or_read_as_said(tmp_path, suffix):
    frames = [Image.fromarray(GREY // (i + 1)) for i in range(3)]
    for split, count in (("train", 4), ("test", 1)):
        for name in "ab":
            options = {"save_all": True, "append_images": frames[1:]}
            options |= {"lossless": True} if suffix == ".webp" else {}
            save(tmp_path / split / name, *[frames[0]] * count, suffix=suffix, **options)
    with refused(suffix, "3 pictures", "frames='all'"):
        data.load(tmp_path)
    assert sizes(data.load(tmp_path, frames="first")) == (6, 2, 2)
    loaded = data.load(tmp_path, frames="all", color_mode="grayscale", in_memory=False)
    assert sizes(loaded) == (22, 2, 6)
    assert loaded.test.labels.tolist() == [0] * 3 + [1] * 3
    for number, image in enumerate(loaded.test.intensities()[:3, ..., 0]):
        np.testing.assert_allclose(image * 255, GREY // (number + 1), atol=2)


@pytest.mark.parametrize(
    ("mode", "channels", "word"),
    [
        ("LA", 4, "transparency"),
        ("CMYK", 3, "CMYK"),
        ("P", 3, None),
        ("RGBA", 4, None),
        ("RGB", 3, None),
    ],
)
def test_what_is_changed_on_the_way_is_said(tmp_path, recwarn, mode, channels, word):
    save(tmp_path, *[Image.new(mode, (3, 2))] * 3, suffix=".tif" if mode == "CMYK" else ".png")
    assert data.load(tmp_path).shape == (2, 3, channels)
    said = [str(each.message) for each in recwarn]
    assert (word is None and not said) or (word in said[0] and "000." in said[0])


def test_transparency_of_palettes_is_kept(tmp_path):
    image = Image.fromarray(GREY).convert("P")
    save(tmp_path, *[image] * 3, transparency=0)
    with pytest.warns(UserWarning, match="palette with transparency"):
        loaded = data.load(tmp_path)
    assert loaded.shape == (4, 6, 4) and set(np.unique(pixels_of(loaded)[..., 3])) == {0, 1}


def test_images_of_other_sizes_and_colours_are_made_alike(tmp_path):
    colour = np.stack([GREY, GREY, GREY], axis=-1)[:, :4]
    save(tmp_path, GREY, colour, np.repeat(GREY, 2, 0))
    with refused("001.png", "image_size=(H, W)", "color_mode='rgb'"):
        data.load(tmp_path)
    for mode, channels in (("grayscale", 1), ("rgb", 3), ("rgba", 4)):
        loaded = data.load(tmp_path, image_size=(5, 7), color_mode=mode)
        assert loaded.shape == (5, 7, channels)
    same = data.load(tmp_path, image_size=(4, 6), color_mode="grayscale", in_memory=False)
    found = np.concatenate(
        [getattr(same, s).intensities() for s in ("train", "validation", "test")]
    )
    assert any(np.allclose(image[..., 0] * 255, GREY) for image in found)


@pytest.mark.parametrize("suffix", [".jfif", ".jpe", ".pgm"])
def test_other_suffixes_of_images_are_images(tmp_path, suffix):
    save(tmp_path, *[GREY] * 4, suffix=suffix)
    assert sum(sizes(data.load(tmp_path))) == 4


@pytest.mark.parametrize(
    "options", [{"image_size": (0, 3)}, {"image_size": (1, 2, 3)}, {"color_mode": "grey"}]
)
def test_impossible_ways_of_reading_are_refused(options):
    with refused(next(iter(options))):
        Reading(**options)


# Folders of splits.


@pytest.mark.parametrize(
    "names",
    [("train", "val", "test"), ("Training", "VALID", "testing"), ("TRAIN", "dev", "Test")],
    ids="/".join,
)
@pytest.mark.parametrize("classes", [("a", "b"), ()], ids=["classes", "flat"])
def test_splits_are_found_under_their_usual_names(tmp_path, names, classes):
    for name, count in zip(names, (6, 2, 4), strict=True):
        for each in classes or [""]:
            save(tmp_path / name / each, *[GREY] * (count // (len(classes) or 1)))
    loaded = data.load(tmp_path)
    assert sizes(loaded) == (6, 2, 4) and loaded.class_names == (classes or None)


def test_linked_folders_are_read_unless_they_have_no_end(tmp_path):
    save(tmp_path / "elsewhere", *[GREY] * 3)
    save(tmp_path / "all" / "cats", *[GREY] * 3)
    (tmp_path / "all" / "dogs").symlink_to(tmp_path / "elsewhere")
    assert data.load(tmp_path / "all").class_names == ("cats", "dogs")
    (tmp_path / "elsewhere" / "up").symlink_to(tmp_path)
    with refused("up", "a link to a folder that it lies in"):
        data.load(tmp_path / "all")


@pytest.mark.parametrize(
    ("folders", "words"),
    [
        (("train", "eval"), ["'eval' may be"]),
        (("train", "val", "valid"), ["two folders for the validation split", "val and valid"]),
        (("train", "test", "more"), ["beside the folders of its splits", "more/000.png"]),
        (("a/train", "a/test"), ["called like splits", "test, train"]),
        (("cat/train", "cat/val", "dog/train"), ["called like splits"]),
        (("train_images", "test_images"), ["names say splits", "rename", "train_images"]),
        (("trainset/a", "testset/a"), ["names say splits", "testset, trainset"]),
        (("images", "masks"), ["what their pixels are", "images, masks"]),
    ],
    ids=str,
)
def test_folders_that_would_be_lost_or_become_classes_are_refused(tmp_path, folders, words):
    for folder in folders:
        save(tmp_path / folder, *[GREY] * 3)
    with refused(*words):
        data.load(tmp_path)


def test_folders_that_are_numbers_have_their_numbers(tmp_path):
    for label in range(11):
        save(tmp_path / str(label), *[np.full((2, 2), label, np.uint8)] * 3)
    loaded = data.load(tmp_path, kind="eight_bit")
    assert loaded.class_names == tuple(map(str, range(11)))
    levels = np.rint(loaded.train.intensities()[:, 0, 0, 0] * 255)
    np.testing.assert_array_equal(levels, loaded.train.labels)


def test_folders_without_images_are_named_and_other_files_are_told_by_their_endings(tmp_path):
    for name in ("a/0.png", "a/1.png", "b/2.png", "phone/3.HEIC"):
        (tmp_path / "x" / name).parent.mkdir(parents=True, exist_ok=True)
        Image.new("L", (2, 2)).save(tmp_path / "x" / name, "PNG")
    (tmp_path / "x" / "none").mkdir()
    folders, files = "2 folders hold no such files .* none, phone", "1 files .*3.HEIC"
    with pytest.warns(UserWarning, match=folders), pytest.warns(UserWarning, match=files):
        assert data.load(tmp_path / "x").class_names == ("a", "b")
    with refused("holds no images", "files ending in ['.heic']"):
        data.load(tmp_path / "x" / "phone")
