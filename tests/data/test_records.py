"""TFRecords: which features are read, which files belong to which split, and what is refused."""

import numpy as np
import pytest
import tensorflow as tf
from data_cases import refused, sizes
from stream_cases import encoded, example, noise, save_image_records, save_images, save_records

from tfp_vae import data
from tfp_vae.data.sources.records import Records


@pytest.fixture
def file(tmp_path):
    return tmp_path / "some.tfrecord"


IMAGES = noise(4, (3, 2, 3))
_FRAMES = tf.train.FeatureList(
    feature=[tf.train.Feature(bytes_list=tf.train.BytesList(value=[encoded(IMAGES[0])]))]
)
SEQUENCE = tf.train.SequenceExample(
    context=tf.train.Example.FromString(example(image=encoded(IMAGES[0]))).features,
    feature_lists=tf.train.FeatureLists(feature_list={"frames": _FRAMES}),
).SerializeToString()


@pytest.mark.parametrize(
    "features",
    [
        lambda x: {"image": encoded(x)},
        lambda x: {"image__encoded": encoded(x), "image__format": b"png", "image__height": 3},
        lambda x: {"jpg_or_so": encoded(x, "BMP")},
        lambda x: {"image": encoded(x), "image__encoded": b"a mask"},
        lambda x: {"image_raw": x.tobytes(), "height": 3, "width": 2, "depth": 3},
        lambda x: {"image": x.tobytes(), "image__height": 3, "image__width": 2},
        lambda x: {"image": x.tobytes(), "height": 3, "width": 2, "channels": 3},
    ],
    ids=["image", "encoded", "the_only_bytes", "two", "raw_depth", "raw", "raw_channels"],
)
def test_images_of_all_spellings_are_read(file, features):
    save_records(file, [example(**features(image)) for image in IMAGES])
    stream = Records([file])
    assert stream.labels is None
    np.testing.assert_array_equal(stream[:], IMAGES)
    np.testing.assert_array_equal(stream[[3, 0, 3]], IMAGES[[3, 0, 3]])


def test_records_are_what_tensorflow_itself_reads_of_them(file):
    save_image_records(file, IMAGES, range(4))
    spec = {"image": tf.io.FixedLenFeature([], tf.string)}
    records = tf.data.TFRecordDataset(str(file)).map(lambda r: tf.io.parse_single_example(r, spec))
    plain = [tf.io.decode_png(each["image"]).numpy() for each in records]
    np.testing.assert_array_equal(Records([file])[:], plain)


@pytest.mark.parametrize("key", ["label", "image__class__label"])
def test_labels_are_read(file, key):
    records = [
        example(image=encoded(x), **{key: y}) for x, y in zip(IMAGES, [2, 0, -1, 7], strict=True)
    ]
    save_records(file, records)
    np.testing.assert_array_equal(Records([file]).labels, [2, 0, -1, 7])


def test_features_that_are_not_read_are_named(tmp_path):
    records = [example(image=encoded(x), image__height=3, bbox=[1, 2]) for x in noise(4)]
    save_records(tmp_path / "a.tfrecord", records)
    with pytest.warns(UserWarning, match=r"train split have features that are not read: 'bbox' .4"):
        data.load(tmp_path)


def test_a_second_label_is_named_where_the_first_is_read(tmp_path):
    records = [example(image=encoded(x), label=1, image__class__label=2) for x in noise(4)]
    save_records(tmp_path / "a.tfrec", records)
    with pytest.warns(UserWarning, match=r"not read: 'image/class/label' .4"):
        loaded = data.load(tmp_path)
    assert set(loaded.train.labels) == {1}


def test_images_of_records_are_made_alike(tmp_path):
    images = [noise(1, (3, 2, 3))[0], noise(1, (4, 4, 1))[0]] * 3
    save_records(tmp_path / "a.tfrecord", [example(image=encoded(x)) for x in images])
    with refused("image_size=(H, W)"):
        data.load(tmp_path)
    assert data.load(tmp_path, image_size=(5, 6), color_mode="rgb").shape == (5, 6, 3)


def test_folders_are_the_splits(tmp_path):
    for count, split in ((9, "train"), (3, "test")):
        save_image_records(tmp_path / split / "a.tfrecords", noise(count), range(count))
    loaded = data.load(tmp_path)
    assert sizes(loaded) == (8, 1, 3) and loaded.num_classes == 9


def test_names_of_files_are_the_splits_so_that_no_test_image_is_trained_on(tmp_path):
    counts = {"train": 9, "val": 2, "Test": 3}
    for split, count in counts.items():
        save_image_records(tmp_path / f"set-{split}.tfrecord-00000-of-00001", noise(count))
    assert sizes(data.load(tmp_path)) == (9, 2, 3)
    save_image_records(tmp_path / "more.tfrecord", noise(1))
    with refused("say a split", "more.tfrecord"):
        data.load(tmp_path)


def test_files_without_a_split_in_their_names_are_cut(tmp_path):
    for part in ("trains", "latest"):
        save_image_records(tmp_path / f"{part}.tfrecord", noise(10))
    assert sizes(data.load(tmp_path)) == (16, 2, 2)


def test_images_beside_tfrecords_are_refused(tmp_path):
    save_images(tmp_path, noise(2))
    save_image_records(tmp_path / "a.tfrecord", noise(2))
    with refused(tmp_path, "two kinds", "2 images and 1 TFRecord"):
        data.load(tmp_path)


@pytest.mark.parametrize(
    ("records", "words"),
    [
        ([], ["no examples"]),
        ([b"no example, \xff\xff"], ["tf.train.Example"]),
        ([example(label=1)], ["known as the image", "label"]),
        ([example(one=b"a", two=b"b")], ["known as the image", "one", "two"]),
        ([example(image=b"no image")], ["could not be read"]),
        ([example(image=b"1234", height=3, width=2)], ["could not be read"]),
        (
            [example(image=encoded(IMAGES[0])), example(label=1)],
            ["record at byte", "no image", "label"],
        ),
        (
            [example(image=encoded(IMAGES[0])), example(image=encoded(noise(1)[0]))],
            ["record at byte", "(3, 2, 3)", "(5, 5, 3)"],
        ),
        (
            [
                example(image=bytes(6), height=3, width=2),
                example(image=bytes(5), height=3, width=2),
            ],
            ["record at byte", "wrong size", "5 bytes"],
        ),
        (
            [example(image=encoded(IMAGES[0]), label=1), example(image=encoded(IMAGES[0]))],
            ["record at byte", "wrong label", "'label'", "none"],
        ),
        (
            [example(image=encoded(IMAGES[0])), example(image=encoded(IMAGES[0]), label=1)],
            ["record at byte", "wrong label", "no label"],
        ),
        ([example(image=encoded(IMAGES[0]), label=[1, 2])], ["wrong label", "2 integers"]),
        (
            [example(image=encoded(IMAGES[0]), label=label) for label in (b"cat", 1)],
            ["record at byte", "one text 'label'", "'label' with 1 integers"],
        ),
        (
            [example(image=encoded(IMAGES[0]), label=[1, 2])],
            ["one integer 'label'", "2 integers"],
        ),
        ([SEQUENCE], ["tf.train.SequenceExample", "lists of features frames"]),
    ],
    ids=lambda value: value[0].replace(" ", "_") if value and isinstance(value[0], str) else "",
)
def test_records_that_cannot_be_used_are_refused_by_file_and_place(file, records, words):
    save_records(file, records)
    with refused(file, *words):
        Records([file])


def test_labels_of_text_and_whole_floats_are_classes_that_all_splits_number_alike(tmp_path):
    for split, names in (("train", [b"dog", b"cat", "ü".encode()] * 4), ("test", [b"cat"] * 4)):
        pairs = zip(noise(len(names)), names, strict=True)
        records = [example(image=encoded(x), label=y) for x, y in pairs]
        save_records(tmp_path / f"{split}.tfrecord", records)
    loaded = data.load(tmp_path)
    assert loaded.class_names == ("cat", "dog", "ü") and set(loaded.test.labels) == {0}
    for y, file in ((2.0, "whole"), (0.5, "half")):
        records = [example(image=encoded(x), label=y) for x in noise(12)]
        save_records(tmp_path / file / "a.tfrecord", records)
    assert set(data.load(tmp_path / "whole").train.labels) == {2}
    with refused("not class numbers", "0.5"):
        data.load(tmp_path / "half")


@pytest.mark.parametrize("damage", ["a byte", "a length", "the end", "another format"])
def test_a_damaged_file_is_refused_by_name_and_place(tmp_path, file, damage):
    whole = tmp_path / "other.tfrecord"
    for each in (file, whole):
        save_image_records(each, noise(100))
    content = bytearray(file.read_bytes())
    start = len(content) * 80 // 100  # of record number 80, all being as long
    length = len(content) // 100
    if damage == "a byte":
        content[start + length // 2] ^= 1
    elif damage == "a length":
        content[start] ^= 1
    elif damage == "the end":
        content = content[: start + length // 2]
    else:
        content, start = b"\x89PNG" * 100, 0
    file.write_bytes(content)
    with refused(file, f"damaged: record at byte {start}."):
        Records([whole, file])


def test_a_file_that_is_changed_after_the_look_is_refused_by_name(file):
    save_image_records(file, noise(3))
    stream = Records([file])
    save_image_records(file, noise(3, (6, 6, 3)))
    with refused(file, "record at byte"):
        stream[:]
    file.unlink()
    with refused(file, "could not be read"):
        stream[:]


def test_one_file_of_records_is_read_as_a_folder_with_it_alone(tmp_path):
    images, labels = noise(20, (4, 5, 3)), np.arange(20) % 2
    for name in ("one.tfrecord", "test.tfrec", "a.tfrecords-00001-of-00003"):
        file = tmp_path / name.partition(".")[0] / name
        file.parent.mkdir()
        save_image_records(file, images, labels)
        loaded = data.load(file, image_size=(2, 2))
        assert loaded.name == name and sizes(loaded) == (16, 2, 2)
        assert loaded.train.shape == (2, 2, 3) and set(loaded.train.labels) == {0, 1}
    whole = data.load(tmp_path / "one", image_size=(2, 2))
    again = data.load(str(tmp_path / "one" / "one.tfrecord"), image_size=(2, 2), in_memory=False)
    np.testing.assert_array_equal(whole.train.values(), again.train.values())
    (tmp_path / "none.tfrecord").write_bytes(b"")
    with refused("none.tfrecord", "no examples"):
        data.load(tmp_path / "none.tfrecord")
