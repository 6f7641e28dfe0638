"""Sets that are out of distribution fit what they are compared with, and are what they say."""

import numpy as np
import pytest
from data_cases import refused, splits_of

import tfp_vae as tv
from tfp_vae.data import OOD, Kind, Split, fitted, hold_out, ood

KINDS = [*Kind]
NOISES = [name for name in OOD if name.endswith("noise")]


def split_of(kind, count=300, shape=(8, 8, 1)):
    grey = np.random.default_rng(1).integers(0, 200, (count, *shape)).astype(np.uint8)
    values = grey > 90 if kind == "static" else grey
    return Split(values if kind != "real" else 3.0 * grey - 50, kind, np.arange(count) % 10)


@pytest.fixture(scope="module", params=["dynamic", "eight_bit"])
def digits(request):
    return tv.data.load("digits", kind=request.param)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", OOD)
def test_an_ood_set_has_the_shape_the_kind_and_the_size(name, kind):
    split = split_of(kind)
    other = ood(split, name)
    assert (len(other), other.shape, other.kind) == (len(split), split.shape, split.kind)
    values = other.values()
    np.testing.assert_array_equal(values, other.values())
    if kind.is_binary:
        assert set(np.unique(values)) == {0.0, 1.0}
    elif kind != "real":
        assert values.min() >= 0 and values.max() <= 1
    if kind == "eight_bit":
        np.testing.assert_allclose(values * 255, np.round(values * 255), atol=1e-4)


@pytest.mark.parametrize("kind", KINDS)
def test_flips_and_turns_move_the_very_pixels(kind):
    split = split_of(kind)
    for given in (split, split.frozen()):
        x = split.values()
        np.testing.assert_array_equal(ood(given, "flip_horizontal").values(), x[:, :, ::-1])
        np.testing.assert_array_equal(ood(given, "flip_vertical").values(), x[:, ::-1])
        turned = ood(given, "rotation_90")
        np.testing.assert_array_equal(turned.values()[:, 0, 0], x[:, 0, -1])
        np.testing.assert_array_equal(turned.values()[:, -1, 0], x[:, 0, 0])
        np.testing.assert_array_equal(turned.labels, split.labels)


@pytest.mark.parametrize("kind", KINDS)
def test_shuffled_pixels_are_those_of_each_image_in_one_order(kind, base_seed):
    split = split_of(kind, 40, shape=(6, 8, 3))
    x, shuffled = split.values(), ood(split, "shuffled_pixels", base_seed)
    places = Split(np.arange(48.0).reshape(1, 6, 8, 1) * np.ones((1, 1, 1, 3)), Kind.REAL)
    order = ood(places, "shuffled_pixels", base_seed).values()[0, :, :, 0].astype(int)
    assert sorted(order.ravel()) == list(range(48)) and (order != np.arange(48).reshape(6, 8)).any()
    expected = x.reshape(40, 48, 3)[:, order]
    np.testing.assert_array_equal(shuffled.values(), expected)
    np.testing.assert_array_equal(shuffled.labels, split.labels)
    assert ood(split, "shuffled_pixels", base_seed + 1).digest != shuffled.digest


def test_flipped_grey_intensities_go_with_flipped_binary_images():
    split = split_of("dynamic").frozen()
    flipped = ood(split, "flip_vertical").unfrozen()
    np.testing.assert_array_equal(flipped.intensities(), split.unfrozen().intensities()[:, ::-1])


def test_uniform_noise_has_every_level_equally_often(base_seed):
    values = ood(split_of("eight_bit", 2000), "uniform_noise", base_seed).values()
    counts = np.bincount(np.round(values * 255).astype(int).ravel(), minlength=256)
    expected = values.size / 256
    chi_square = np.sum((counts - expected) ** 2 / expected)
    assert abs(chi_square - 255) < 4 * np.sqrt(2 * 255)


def test_uniform_noise_of_binary_images_is_a_fair_coin(base_seed):
    for kind in ("static", "dynamic", "threshold"):
        values = ood(split_of(kind, 2000), "uniform_noise", base_seed).values()
        assert abs(values.mean() - 0.5) < 4 * 0.5 / np.sqrt(values.size)


def test_gaussian_noise_has_mean_and_deviation_of_the_data(base_seed):
    split = split_of("real", 2000)
    data, noise = split.values().ravel(), ood(split, "gaussian_noise", base_seed).values()
    error = data.std() / np.sqrt(noise.size)
    assert abs(noise.mean() - data.mean()) < 4 * error
    assert abs(noise.std() - data.std()) < 4 * error / np.sqrt(2)


@pytest.mark.parametrize("name", NOISES)
def test_noise_is_a_function_of_the_seed_and_has_no_labels(name):
    split = split_of("dynamic")
    assert ood(split, name, 1).digest == ood(split, name, 1).digest
    assert ood(split, name, 1).digest != ood(split, name, 2).digest
    assert ood(split, name).labels is None


def test_what_has_no_ood_set_is_refused():
    with refused("Unknown OOD set", "flip_vertical", "upside_down"):
        ood(split_of("dynamic"), "upside_down")
    with refused("no rotation_90", "square", "(8, 6, 1)"):
        ood(split_of("dynamic", shape=(8, 6, 1)), "rotation_90")
    table = Split(np.random.default_rng(0).normal(size=(50, 4)), Kind.REAL)
    with refused("no flip_vertical", "(4,)"):
        ood(table, "flip_vertical")
    with refused("no shuffled_pixels", "(4,)"):
        ood(table, "shuffled_pixels")
    assert ood(table, "gaussian_noise").shape == (4,)


# Another data set.


def test_another_set_gets_the_kind_and_loses_its_labels():
    other = split_of("dynamic").frozen()
    for kind in ("dynamic", "threshold", "eight_bit", "unit_interval", "real", "static"):
        found = fitted(other, split_of(kind))
        assert (found.kind, found.shape, found.labels) == (kind, (8, 8, 1), None)
        is_binary = found.kind.is_binary
        expected = other.unfrozen().intensities()
        if kind in ("dynamic", "static"):
            expected = other.values()
        elif kind == "threshold":
            expected = expected >= 0.5
        np.testing.assert_allclose(found.values(), expected, atol=0 if is_binary else 1e-6)


def test_another_size_is_refused_or_resized():
    small, large = split_of("eight_bit"), split_of("eight_bit", shape=(28, 20, 1))
    with refused("do not fit", "(8, 8, 1)", "(28, 20, 1)", "resize=True"):
        fitted(large, small)
    found = fitted(large, small, resize=True)
    assert (found.shape, found.kind, len(found)) == ((8, 8, 1), Kind.EIGHT_BIT, len(large))
    assert found.values().mean() == pytest.approx(large.values().mean(), rel=0.02)
    with refused("do not fit", "3 channels"):
        fitted(small, split_of("eight_bit", shape=(28, 20, 3)), resize=True)


def test_values_that_cannot_be_of_the_kind_are_refused():
    with refused("out of range", "only 0 and 1"):
        fitted(split_of("eight_bit"), split_of("static"))
    with refused("out of range", "[0, 1]"):
        fitted(split_of("real"), split_of("eight_bit"))


# A class held out.


def test_no_split_has_an_example_of_a_class_held_out(digits):
    rest, outside = hold_out(digits, [3, 8])
    for split, before in zip(splits_of(rest), splits_of(digits), strict=True):
        keep = ~np.isin(before.labels, [3, 8])
        assert len(split) == keep.sum() < len(before)
        np.testing.assert_array_equal(split.intensities(), before.intensities()[keep])
        old = np.array([0, 1, 2, 4, 5, 6, 7, 9])[split.labels]
        np.testing.assert_array_equal(old, before.labels[keep])
    assert rest.num_classes == 8 == len(np.unique(rest.train.labels))
    chosen = np.isin(digits.test.labels, [3, 8])
    np.testing.assert_array_equal(outside.values(), digits.test.values()[chosen])
    np.testing.assert_array_equal(outside.labels, digits.test.labels[chosen])
    assert (outside.shape, outside.kind) == (rest.shape, rest.kind)


def test_training_images_are_still_binarised_anew_without_a_class():
    rest, _ = hold_out(tv.data.load("digits"), [0])
    first, second = (next(iter(rest.train.epoch(50, 0, epoch))) for epoch in (0, 1))
    assert np.any(first != second)
    np.testing.assert_array_equal(rest.test.values(), rest.test.values())


@pytest.mark.parametrize("classes", [[], [10], [-1], list(range(10))])
def test_classes_that_cannot_be_held_out_are_refused(digits, classes):
    with refused("cannot be held out", "not all"):
        hold_out(digits, classes)


def test_data_without_labels_have_no_class_to_hold_out():
    with refused("can be held out", "labels"):
        hold_out(tv.data.load("diabetes"), [0])
