"""Sources: what each one yields, how it is cut, and what bad data are told."""

import functools
import io
import os
import pathlib
import pickle

import numpy as np
import pytest
from data_cases import SPLITS, refused, sizes, splits_of
from PIL import Image

from tfp_vae import data, peek
from tfp_vae.data import Kind
from tfp_vae.data.named import tfds

ROOT = pathlib.Path(__file__).parents[2]


def numbered(count, dtype=np.uint8):
    """Returns images [count, 3, 3] of which no two are equal."""
    images = np.zeros((count, 3, 3), dtype)
    images[:, 0, 0], images[:, 0, 1] = np.arange(count) // 200, np.arange(count) % 200
    return images


def rows(split):
    return [row.tobytes() for row in split.intensities()]


def save_images(folder, images, suffix=".png"):
    folder.mkdir(parents=True, exist_ok=True)
    for number, image in enumerate(images):
        Image.fromarray(image).save(folder / f"{number:03d}{suffix}")


def assert_is_sound(loaded):
    """Checks what holds for every data set."""
    for name, split in zip(SPLITS, splits_of(loaded), strict=True):
        assert split.name == name
        assert split.shape == loaded.shape and split.kind is loaded.kind
        values = split.values()
        assert values.dtype == np.float32 and values.shape == (len(split), *loaded.shape)
        assert np.isfinite(values).all()
        if loaded.kind is not Kind.REAL:
            assert values.min() >= 0 and values.max() <= 1
        if loaded.kind.is_binary:
            assert np.all((values == 0) | (values == 1))
        if split.labels is not None:
            assert split.labels.shape == (len(split),) and split.labels.dtype == np.int64
            assert split.labels.min() >= 0 and split.labels.max() < loaded.num_classes


# Digits.


def test_digits_are_1797_labelled_images_of_8_by_8():
    digits = data.load("digits")
    assert_is_sound(digits)
    assert sizes(digits) == (1294, 144, 359)
    assert (digits.name, digits.shape, digits.num_classes) == ("digits", (8, 8, 1), 10)
    assert digits.kind is Kind.DYNAMIC


def test_digits_are_what_scikit_learn_has():
    from sklearn import datasets

    digits, bunch = data.load("digits", kind="eight_bit"), datasets.load_digits()
    levels = np.concatenate([split.intensities()[..., 0] for split in splits_of(digits)]) * 16
    labels = np.concatenate([split.labels for split in splits_of(digits)])
    found = sorted((row.tobytes(), y) for row, y in zip(np.rint(levels), labels, strict=True))
    images = bunch.images.astype(np.float32)
    assert found == sorted((row.tobytes(), y) for row, y in zip(images, bunch.target, strict=True))
    # Each of the 17 levels is put on the nearest of the 256: at most half a level off.
    assert np.abs(levels - np.rint(levels)).max() <= 0.5 * 16 / 255 + 1e-6


@pytest.mark.parametrize("kind", [None, "threshold", "eight_bit", "unit_interval"])
def test_digits_are_the_same_at_each_load(kind):
    assert data.load("digits", kind=kind).digests == data.load("digits", kind=kind).digests


def test_kind_changes_no_split():
    labels = [
        [split.labels.tolist() for split in splits_of(data.load("digits", kind=kind))]
        for kind in ("dynamic", "threshold", "eight_bit")
    ]
    assert labels[0] == labels[1] == labels[2]


def test_binarised_digits_keep_the_mean_of_their_intensities_and_are_not_inverted():
    grey, binary = data.load("digits", kind="eight_bit"), data.load("digits")
    for name in ("validation", "test"):
        intensity = getattr(grey, name).intensities()
        drawn = getattr(binary, name).values()
        error = np.sqrt((intensity * (1 - intensity)).sum()) / intensity.size
        assert abs(drawn.mean() - intensity.mean()) <= 4 * error
        assert np.all(drawn[intensity == 0] == 0) and np.all(drawn[intensity == 1] == 1)


def test_thresholded_digits_are_their_intensities_cut_at_one_half():
    grey, binary = data.load("digits", kind="eight_bit"), data.load("digits", kind="threshold")
    for before, after in zip(splits_of(grey), splits_of(binary), strict=True):
        np.testing.assert_array_equal(after.values(), before.intensities() >= 0.5)


def test_validation_and_test_are_binarised_once_for_every_load_and_pass():
    first, second = data.load("digits"), data.load("digits")
    for name in ("validation", "test"):
        a, b = getattr(first, name), getattr(second, name)
        np.testing.assert_array_equal(a.values(), b.values())
        for epoch in range(2):
            batches = np.concatenate([*a.epoch(100, epoch, epoch).as_numpy_iterator()])
            np.testing.assert_array_equal(batches.sum(axis=0), a.values().sum(axis=0))


# Splits.


@pytest.mark.parametrize("count", [3, 10, 1000])
def test_splits_of_an_array_are_disjoint_and_complete(count):
    images = numbered(count)
    loaded = data.load(images, kind="eight_bit", labels=np.arange(count))
    found = [set(rows(split)) for split in splits_of(loaded)]
    assert sum(map(len, found)) == sum(sizes(loaded)) == count
    assert set().union(*found) == {row.tobytes() for row in images.astype(np.float32) / 255}
    # Every label is still that of its image.
    for split in splits_of(loaded):
        pixels = np.rint(split.intensities() * 255).astype(int)
        np.testing.assert_array_equal(pixels[:, 0, 0, 0] * 200 + pixels[:, 0, 1, 0], split.labels)


def test_splits_of_an_array_are_a_tenth_each_and_the_same_at_each_load():
    loaded = data.load(numbered(1000))
    assert sizes(loaded) == (810, 90, 100)
    np.random.seed(5)  # noqa: NPY002
    assert data.load(numbered(1000)).digests == loaded.digests


def test_a_cut_validation_split_has_at_most_5000_examples():
    loaded = data.load(np.zeros((70_000, 1), bool))
    assert sizes(loaded) == (58_000, 5_000, 7_000)


def test_splits_of_the_source_are_kept(tmp_path):
    images = numbered(60)
    np.savez(
        tmp_path / "all.npz", x_train=images[:40], x_validation=images[40:45], x_test=images[45:]
    )
    loaded = data.load(tmp_path / "all.npz")
    assert sizes(loaded) == (40, 5, 15)
    for split, part in zip(
        splits_of(loaded), (images[:40], images[40:45], images[45:]), strict=True
    ):
        np.testing.assert_array_equal(split.intensities()[..., 0], part.astype(np.float32) / 255)


def test_test_split_of_the_source_does_not_change_with_the_training_data(tmp_path):
    grey = np.random.default_rng(0).integers(0, 256, (80, 3, 3), np.uint8)
    for name, count in (("few", 20), ("many", 60)):
        np.savez(tmp_path / f"{name}.npz", x_train=grey[:count], x_test=grey[60:])
    few, many = (data.load(tmp_path / f"{n}.npz", kind="dynamic") for n in ("few", "many"))
    assert few.test.digest == many.test.digest
    assert few.train.digest != many.train.digest


# Arrays.


@pytest.mark.parametrize(
    ("values", "shape", "kind", "first"),
    [
        pytest.param(np.full((9, 4, 5), 51, np.uint8), (4, 5, 1), "eight_bit", 0.2, id="uint8"),
        pytest.param(np.full((9, 4, 5, 3), 255), (4, 5, 3), "eight_bit", 1, id="int64 in a byte"),
        pytest.param(np.full((9, 4, 5), 300), (4, 5, 1), "real", 300, id="int64 out of a byte"),
        pytest.param(np.full((9, 2), -1, np.int8), (2,), "real", -1, id="negative integers"),
        pytest.param(np.ones((9, 4, 5), bool), (4, 5, 1), "static", 1, id="bool"),
        pytest.param(np.ones((9, 4, 5), np.uint8), (4, 5, 1), "static", 1, id="uint8 of 0 and 1"),
        pytest.param(np.zeros((9, 6)), (6,), "static", 0, id="floats of 0 and 1"),
        pytest.param(np.full((9, 6), 0.3), (6,), "unit_interval", 0.3, id="floats in [0, 1]"),
        pytest.param(np.full((9, 6), -2.5), (6,), "real", -2.5, id="real"),
        pytest.param(
            np.full((9, 2, 2, 4), 0.5, np.float16), (2, 2, 4), "unit_interval", 0.5, id="f16"
        ),
    ],
)
def test_an_array_has_the_kind_of_its_values(values, shape, kind, first):
    loaded = data.load(values)
    assert_is_sound(loaded)
    assert (loaded.name, loaded.shape, loaded.kind) == ("array", shape, kind)
    assert sizes(loaded) == (7, 1, 1)
    assert loaded.num_classes is None
    np.testing.assert_allclose(loaded.train.intensities(), first, rtol=1e-6)


@pytest.mark.parametrize("kind", ["dynamic", "threshold", "static"])
def test_binary_values_stay_static_whatever_binarisation_is_asked_for(kind):
    assert data.load(np.eye(9, dtype=np.uint8), kind=kind).kind is Kind.STATIC


def test_grey_values_may_be_asked_for_as_any_kind_they_fit():
    grey = np.random.default_rng(0).integers(0, 256, (9, 4), np.uint8)
    for kind in ("dynamic", "threshold", "eight_bit", "unit_interval", "real"):
        loaded = data.load(grey, kind=kind)
        assert_is_sound(loaded)
        assert loaded.kind == kind


# .npz files.


def test_an_npz_of_splits_is_read_with_its_labels(tmp_path):
    path = tmp_path / "clothes.npz"
    images, labels = numbered(30), np.arange(30) % 3
    np.savez(path, x_train=images[:20], y_train=labels[:20], x_test=images[20:], y_test=labels[20:])
    loaded = data.load(path)
    assert_is_sound(loaded)
    assert (loaded.name, loaded.shape, loaded.kind) == ("clothes.npz", (3, 3, 1), "eight_bit")
    assert (sizes(loaded), loaded.num_classes) == ((17, 3, 10), 3)
    assert loaded.test.labels.tolist() == labels[20:].tolist()
    assert data.load(str(path)).digests == loaded.digests


@pytest.mark.parametrize("labelled", [True, False], ids=["with labels", "without labels"])
def test_an_npz_of_x_is_cut(tmp_path, labelled):
    arrays = {"x": np.linspace(-1, 1, 90).reshape(30, 3)}
    np.savez(tmp_path / "a.npz", **arrays, **({"y": np.arange(30)} if labelled else {}))
    loaded = data.load(tmp_path / "a.npz")
    assert_is_sound(loaded)
    assert (sizes(loaded), loaded.shape, loaded.kind) == ((24, 3, 3), (3,), "real")
    assert (loaded.num_classes is not None) == labelled


@pytest.mark.parametrize(
    "names",
    [
        ("x_train", "y_train", "x_val", "y_val", "x_test", "y_test"),
        ("X_train", "y_train", "X_dev", "y_dev", "X_test", "y_test"),
        ("train_images", "train_labels", "val_images", "val_labels", "test_images", "test_labels"),
    ],
    ids=lambda names: names[0],
)
def test_arrays_of_an_npz_are_found_under_their_usual_names(tmp_path, names):
    arrays = [numbered(9), np.arange(9)[:, np.newaxis]] * 3
    arrays = {
        name: each[: 3 * (3 - i // 2)]
        for i, (name, each) in enumerate(zip(names, arrays, strict=True))
    }
    np.savez(tmp_path / "a.npz", **arrays)
    loaded = data.load(tmp_path / "a.npz")
    assert (sizes(loaded), loaded.num_classes) == ((9, 6, 3), 9)


def test_arrays_of_an_npz_that_are_not_read_are_named(tmp_path):
    np.savez(tmp_path / "a.npz", x=numbered(9), weights=np.ones(9), x_extra=np.ones(9))
    with pytest.warns(UserWarning, match="a.npz: arrays that are not read: weights, x_extra$"):
        data.load(tmp_path / "a.npz")
    np.savez(tmp_path / "a.npz", x_train=numbered(9), x_val=numbered(9), X_valid=numbered(9))
    with refused("two arrays for x of the validation split", "X_valid", "x_val"):
        data.load(tmp_path / "a.npz")
    np.savez(tmp_path / "a.npz", x=numbered(9), y_test=np.arange(9))
    with refused("y of the test split alone"):
        data.load(tmp_path / "a.npz")


def test_series_stay_and_images_get_a_channel_axis():
    real = np.random.default_rng(0).normal(size=(20, 6, 3))
    assert data.load(real).shape == (6, 3)
    assert data.load(real, images=True).shape == (6, 3, 1)
    assert data.load(np.abs(np.tanh(real))).shape == (6, 3, 1)
    assert data.load(np.abs(np.tanh(real)), images=False).shape == (6, 3)
    with refused("not images", "(20, 18)"):
        data.load(real.reshape(20, 18), images=True)


@pytest.mark.parametrize("channels", [2, 5, 13])
def test_images_may_have_any_number_of_channels(channels):
    assert data.load(np.full((9, 8, 8, channels), 0.5)).shape == (8, 8, channels)


# Folders.


def test_a_folder_of_images_is_read_in_the_order_of_the_names(tmp_path):
    save_images(tmp_path / "shapes", numbered(20) + np.uint8(2))
    (tmp_path / "shapes" / "notes.txt").write_text("not an image")
    (tmp_path / "shapes" / ".DS_Store").write_text("of the system")
    with pytest.warns(UserWarning, match=r"1 files are not such files .* notes\.txt$"):
        loaded = data.load(tmp_path / "shapes")
    assert_is_sound(loaded)
    assert (loaded.name, loaded.shape, loaded.kind) == ("shapes", (3, 3, 1), "eight_bit")
    assert (sizes(loaded), loaded.num_classes) == ((16, 2, 2), None)
    assert loaded.digests == data.load(numbered(20) + np.uint8(2)).digests


def test_class_folders_give_labels_in_the_order_of_their_names(tmp_path):
    save_images(tmp_path / "dog", [np.full((2, 2, 3), 200, np.uint8)] * 8)
    save_images(tmp_path / "cat", [np.full((2, 2, 3), 100, np.uint8)] * 8)
    (tmp_path / "empty").mkdir()
    save_images(tmp_path / ".cache", [np.zeros((9, 9), np.uint8)])
    with (
        pytest.warns(UserWarning, match=r"1 files are hidden .* \.cache/000\.png$"),
        pytest.warns(UserWarning, match=r"1 folders hold no such files.*: empty$"),
    ):
        loaded = data.load(tmp_path)
    assert_is_sound(loaded)
    assert loaded.class_names == ("cat", "dog") == loaded.test.class_names
    assert (loaded.shape, loaded.num_classes, sum(sizes(loaded))) == ((2, 2, 3), 2, 16)
    for split in splits_of(loaded):
        level = np.where(split.labels == 0, 100, 200)  # cat, dog
        np.testing.assert_array_equal(np.rint(split.intensities()[:, 0, 0, 0] * 255), level)


def test_train_and_test_folders_are_the_splits(tmp_path):
    images = numbered(30)
    save_images(tmp_path / "train" / "a", images[:10])
    save_images(tmp_path / "train" / "b", images[10:20])
    save_images(tmp_path / "test" / "b", images[20:])
    loaded = data.load(tmp_path)
    assert (sizes(loaded), loaded.num_classes) == ((18, 2, 10), 2)
    assert loaded.test.labels.tolist() == [1] * 10
    np.testing.assert_array_equal(np.rint(loaded.test.intensities()[..., 0] * 255), images[20:])


@pytest.mark.parametrize(
    ("mode", "suffix", "channels"),
    [
        ("L", ".png", 1),
        ("1", ".png", 1),
        ("RGB", ".jpg", 3),
        ("RGBA", ".png", 4),
        ("P", ".gif", 3),
        ("L", ".BMP", 1),
    ],
)
def test_images_of_usual_modes_and_formats_are_read(tmp_path, mode, suffix, channels):
    image = Image.fromarray(np.uint8([[0, 255], [255, 0]])).convert(mode)
    for number in range(4):
        image.save(tmp_path / f"{number}{suffix}")
    assert data.load(tmp_path).shape == (2, 2, channels)


@pytest.mark.parametrize("name", ["mnist", "digits"])
def test_a_folder_may_be_called_like_a_data_set(tmp_path, name):
    save_images(tmp_path / name, numbered(20))
    loaded = data.load(tmp_path / name)
    assert (loaded.kind, sizes(loaded)) == ("eight_bit", (16, 2, 2))


# Tensorflow-datasets.


@pytest.fixture
def tiny_tfds(tmp_path):
    """Returns a function that prepares a few random images under the name of a data set."""
    import tensorflow as tf
    import tensorflow_datasets as tfds

    def prepare(name, version, sizes, levels, labelled):
        rng = np.random.default_rng(0)
        features = {"image": tfds.features.Image(shape=(28, 28, 1))}
        if labelled:
            features["label"] = tfds.features.ClassLabel(num_classes=10)
        parts = {}
        for split, count in sizes.items():
            arrays = {"image": rng.integers(0, levels, (count, 28, 28, 1), np.uint8)}
            if labelled:
                arrays["label"] = np.arange(count) % 10
            parts[split] = tf.data.Dataset.from_tensor_slices(arrays)
        tfds.dataset_builders.store_as_tfds_dataset(
            name=name,
            version=version,
            features=tfds.features.FeaturesDict(features),
            split_datasets=parts,
            data_dir=tmp_path,
            disable_shuffling=True,
        )
        return tmp_path

    return prepare


@pytest.mark.parametrize(("name", "version"), [("mnist", "3.0.1"), ("fashion_mnist", "3.0.1")])
def test_a_prepared_tfds_folder_is_read_without_a_network(tiny_tfds, name, version):
    folder = tiny_tfds(name, version, {"train": 40, "test": 20}, 256, labelled=True)
    loaded = data.load(name, data_dir=folder)
    assert_is_sound(loaded)
    assert (loaded.name, loaded.shape, loaded.num_classes) == (name, (28, 28, 1), 10)
    assert (sizes(loaded), loaded.kind) == ((36, 4, 20), Kind.DYNAMIC)
    assert data.load(name, data_dir=str(folder)).digests == loaded.digests


def test_a_prepared_tfds_folder_of_binary_images_is_static(tiny_tfds):
    parts = {"train": 9, "validation": 5, "test": 4}
    folder = tiny_tfds("binarized_mnist", "1.0.0", parts, 2, labelled=False)
    loaded = data.load("binarized_mnist", data_dir=folder, kind="dynamic")
    assert_is_sound(loaded)
    assert (sizes(loaded), loaded.kind, loaded.num_classes) == ((9, 5, 4), Kind.STATIC, None)


@pytest.mark.all_only
@pytest.mark.slow
def test_mnist_is_70000_labelled_digits_binarised_on_the_fly(prepared, monkeypatch):
    monkeypatch.setattr(tfds, "_images", functools.cache(tfds._images))  # read once for both kinds
    mnist = data.load("mnist", data_dir=prepared("tfds", "mnist"))
    assert_is_sound(mnist)
    assert (sizes(mnist), mnist.shape, mnist.num_classes) == ((55000, 5000, 10000), (28, 28, 1), 10)
    assert mnist.kind is Kind.DYNAMIC
    counts = [980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009]
    assert np.bincount(mnist.test.labels).tolist() == counts
    grey = data.load("mnist", data_dir=prepared("tfds", "mnist"), kind="eight_bit")
    intensity, drawn = grey.test.intensities(), mnist.test.values()
    error = np.sqrt((intensity * (1 - intensity)).sum()) / intensity.size
    assert abs(drawn.mean() - intensity.mean()) <= 4 * error
    assert intensity.mean() < 0.2  # ink is 1, paper is 0
    assert mnist.train.digest != grey.train.digest
    np.testing.assert_array_equal(mnist.train.labels, grey.train.labels)


@pytest.mark.slow
@pytest.mark.all_only  # read as MNIST is, by the same reader
def test_fashion_mnist_is_70000_labelled_clothes(prepared):
    clothes = data.load("fashion_mnist", data_dir=prepared("tfds", "fashion_mnist"))
    assert_is_sound(clothes)
    assert sizes(clothes) == (55000, 5000, 10000)
    assert (clothes.shape, clothes.kind) == ((28, 28, 1), Kind.DYNAMIC)
    assert np.bincount(clothes.test.labels).tolist() == [1000] * 10


@pytest.mark.slow
@pytest.mark.all_only  # as a few images of it above
def test_binarized_mnist_has_the_fixed_binarisation_and_its_own_three_splits(prepared):
    binarized = data.load("binarized_mnist", data_dir=prepared("tfds", "binarized_mnist"))
    assert_is_sound(binarized)
    assert sizes(binarized) == (50000, 10000, 10000)
    assert (binarized.shape, binarized.kind) == ((28, 28, 1), Kind.STATIC)
    assert binarized.num_classes is None
    assert 0.1 < binarized.test.values().mean() < 0.2


def test_a_data_set_missing_from_data_dir_is_refused_at_once_and_nothing_is_written(tmp_path):
    with refused("'mnist'", error=FileNotFoundError) as error:
        data.load("mnist", data_dir=tmp_path)
    assert str(tmp_path) in str(error.value) and "\n" not in str(error.value)
    assert not [*tmp_path.iterdir()]


def test_a_data_dir_that_does_not_exist_is_refused(tmp_path):
    with refused("data_dir", error=FileNotFoundError) as error:
        data.load("mnist", data_dir=tmp_path / "nowhere")
    assert str(tmp_path / "nowhere") in str(error.value)


# Bad data.


@pytest.mark.parametrize("source", ["mnits", "nowhere.npz", "no/such/folder"])
def test_an_unknown_source_is_refused(source):
    with refused(source, error=FileNotFoundError):
        data.load(source)


@pytest.mark.parametrize(("wrong", "meant"), [("minst", "mnist"), ("uci/concret", "uci/concrete")])
def test_a_name_with_a_slip_is_told_the_one_that_was_meant(wrong, meant):
    with refused(f"Did you mean {meant}?", error=FileNotFoundError):
        data.load(wrong)


def test_names_and_what_they_are_can_be_read_without_importing_anything():
    assert peek.names("data.NAMES") == tuple(data.NAMES)
    assert peek.names("data.UCI_NAMES") == tuple(n for n in data.NAMES if n.startswith("uci/"))
    assert all(data.NAMES.meanings.values()) and all(data.SOURCES.meanings.values())


def test_a_file_of_another_kind_is_refused(tmp_path):
    (tmp_path / "data.txt").write_text("1,2,3")
    with refused("data.txt", error=FileNotFoundError):
        data.load(tmp_path / "data.txt")


def test_an_unknown_kind_is_refused():
    with refused("kind") as error:
        data.load("digits", kind="grayish")
    assert "'grayish'" in str(error.value) and "threshold" in str(error.value)


@pytest.mark.parametrize("kind", [None, "dynamic", "unit_interval", "real"])
@pytest.mark.parametrize("bad", [np.nan, np.inf], ids=str)
def test_pixels_of_an_array_that_are_not_finite_are_named_by_their_index(kind, bad):
    values = np.zeros((40, 3, 3))
    values[17, 1, 2] = bad
    with refused(f"Received {bad} at index (17, 1, 2)"):
        data.load(values, kind=kind)


@pytest.mark.parametrize("kind", [None, "dynamic"])
def test_pixels_of_an_npz_that_are_not_finite_are_named_by_file_and_index(tmp_path, kind):
    values = np.zeros((40, 3, 3))
    values[39, 0, 0] = np.nan
    np.savez(tmp_path / "holes.npz", x_train=np.ones((40, 3, 3)), x_test=values)
    with refused(str(tmp_path / "holes.npz"), "test") as error:
        data.load(tmp_path / "holes.npz", kind=kind)
    assert "Received nan at index (39, 0, 0)" in str(error.value)


@pytest.mark.parametrize("kind", ["dynamic", "threshold", "static", "eight_bit", "unit_interval"])
@pytest.mark.parametrize("value", [-0.5, 1.5, 200.0])
def test_values_out_of_range_for_the_kind_are_refused(kind, value):
    with refused("out of range"):
        data.load(np.full((9, 4), value), kind=kind)


@pytest.mark.parametrize(
    ("kind", "expected"), [("static", "only 0 and 1"), ("eight_bit", "multiples of 1/255")]
)
def test_values_off_the_grid_of_the_kind_are_refused(kind, expected):
    with refused(expected):
        data.load(np.full((9, 4), 0.3001), kind=kind)


@pytest.mark.parametrize(
    ("values", "word"),
    [
        pytest.param(np.zeros((9, 3, 8, 8)), "channels first", id="channels first"),
        pytest.param(np.zeros((0, 4, 4)), "empty", id="empty"),
        pytest.param(np.zeros((9, 0, 4)), "empty", id="no pixels"),
        pytest.param(np.zeros(9), "one axis of examples", id="one axis"),
        pytest.param(np.array(9.0), "one axis of examples", id="a number"),
        pytest.param(np.zeros((2, 4)), "too few examples", id="two examples"),
        pytest.param(np.array([[b"a"], [b"b"]]), "not numbers", id="text"),
        pytest.param(np.array([[{}], [{}]]), "not numbers", id="objects"),
        pytest.param(np.zeros((9, 4), complex), "not numbers", id="complex"),
    ],
)
def test_an_array_that_is_no_data_set_is_refused(values, word):
    with refused(word):
        data.load(values)


@pytest.mark.parametrize("count", [8, 10], ids=["too few", "too many"])
def test_labels_of_a_wrong_length_are_refused(tmp_path, count):
    values, labels = np.zeros((9, 4)), np.zeros(count, int)
    with refused("labels", "(9,)"):
        data.load(values, labels=labels)
    np.savez(tmp_path / "a.npz", x_train=values, y_train=labels)
    with refused("labels", "(9,)"):
        data.load(tmp_path / "a.npz")


def test_labels_for_a_source_that_brings_its_own_are_refused():
    with refused("labels"):
        data.load("digits", labels=np.zeros(1797, int))


def test_an_empty_split_is_refused_by_name(tmp_path):
    np.savez(tmp_path / "a.npz", x_train=np.ones((9, 4)), x_test=np.ones((0, 4)))
    with refused("test split is empty"):
        data.load(tmp_path / "a.npz")


@pytest.mark.parametrize(
    ("test", "word"),
    [
        pytest.param(np.zeros((9, 5)), "shape", id="another shape"),
        pytest.param(np.full((9, 4), 0.5), "differ in kind", id="grey where training is binary"),
        pytest.param(np.zeros((9, 4), np.uint8), "type", id="integers where training is floats"),
    ],
)
def test_splits_that_do_not_fit_each_other_are_refused(tmp_path, test, word):
    np.savez(tmp_path / "a.npz", x_train=np.ones((9, 4)), x_test=test)
    with refused(word):
        data.load(tmp_path / "a.npz")


def test_integers_have_one_scale_in_all_splits(tmp_path):
    np.savez(tmp_path / "a.npz", x_train=np.full((9, 4), 300), x_test=np.full((9, 4), 200))
    loaded = data.load(tmp_path / "a.npz")
    assert (loaded.kind, loaded.train.values().max(), loaded.test.values().max()) == (
        "real",
        300,
        200,
    )


def test_an_npz_without_known_arrays_is_refused_with_their_names(tmp_path):
    np.savez(tmp_path / "a.npz", images=np.zeros((9, 4)), x_test=np.zeros((9, 4)))
    with refused(str(tmp_path / "a.npz"), "x_train") as error:
        data.load(tmp_path / "a.npz")
    assert "['images', 'x_test']" in str(error.value)


@pytest.mark.parametrize("share", [0.0, 0.1, 0.5, 0.99])
def test_a_truncated_npz_is_refused_by_name(tmp_path, share):
    whole = io.BytesIO()
    np.savez(whole, x=np.zeros((9, 4)))
    content = whole.getvalue()
    (tmp_path / "cut.npz").write_bytes(content[: int(share * len(content))])
    with refused(str(tmp_path / "cut.npz")):
        data.load(tmp_path / "cut.npz")


class _Trap:
    """Makes a folder where it is unpickled."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return os.mkdir, (self.path,)


@pytest.mark.parametrize("form", ["array of objects", "bare pickle"])
def test_pickled_objects_are_refused_and_never_run(tmp_path, form):
    trap = _Trap(str(tmp_path / "sprung"))
    if form == "bare pickle":
        (tmp_path / "a.npz").write_bytes(pickle.dumps(trap))
    else:
        np.savez(tmp_path / "a.npz", x=np.array([[trap]] * 9, dtype=object))
    with refused(str(tmp_path / "a.npz")):
        data.load(tmp_path / "a.npz")
    assert not (tmp_path / "sprung").exists()


@pytest.mark.parametrize("inside", [[], ["notes.txt"], ["train/notes.txt"]], ids=str)
def test_a_folder_without_images_is_refused(tmp_path, inside):
    for name in inside:
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("no image")
    with refused(str(tmp_path), "holds no images"):
        data.load(tmp_path)


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".gif", ".bmp"])
@pytest.mark.parametrize("share", [0.0, 0.3, 0.9])
def test_a_truncated_image_is_refused_by_name(tmp_path, suffix, share):
    noise = np.random.default_rng(0).integers(0, 256, (16, 16), np.uint8)
    save_images(tmp_path, [noise] * 5, suffix)
    file = tmp_path / f"003{suffix}"
    content = file.read_bytes()
    file.write_bytes(content[: int(share * len(content))])
    with refused(str(file)):
        data.load(tmp_path)


def test_a_file_that_is_no_image_is_refused_by_name(tmp_path):
    save_images(tmp_path, numbered(3))
    (tmp_path / "001.png").write_text("<html>404</html>")
    with refused(str(tmp_path / "001.png")):
        data.load(tmp_path)


@pytest.mark.parametrize(
    "other",
    [
        pytest.param(np.zeros((3, 4), np.uint8), id="another size"),
        pytest.param(np.zeros((3, 3, 3), np.uint8), id="another channel count"),
    ],
)
def test_images_of_different_shapes_are_refused_by_name(tmp_path, other):
    save_images(tmp_path, [*numbered(3), other])
    with refused(str(tmp_path / "003.png"), "(3, 3, 1)", "000.png") as error:
        data.load(tmp_path)
    assert str((*other.shape, 1)[:3]) in str(error.value)


def test_an_image_beside_class_folders_is_refused_by_name(tmp_path):
    save_images(tmp_path / "cat", numbered(3))
    save_images(tmp_path, numbered(1))
    with refused(str(tmp_path / "000.png"), "no class"):
        data.load(tmp_path)


def test_an_npy_file_is_the_array_that_is_in_it(tmp_path):
    grey = np.random.default_rng(0).integers(0, 256, (20, 4, 5)).astype(np.uint8)
    table = np.random.default_rng(0).normal(size=(20, 3)).astype(np.float32) * 9
    for values in (grey, table, np.asfortranarray(table), grey > 99):
        np.save(tmp_path / "a.npy", values)
        given = {"labels": np.arange(20) % 2}
        found, wanted = data.load(tmp_path / "a.npy", **given), data.load(values, **given)
        assert found.name == "a.npy" and found.kind is wanted.kind
        assert found.digests == wanted.digests
    targets = data.load(str(tmp_path / "a.npy"), targets=table[:, 0]).train.targets
    assert targets.shape == (16,)
    with refused("target does not apply", "a.npy"):
        data.load(tmp_path / "a.npy", target="y")
