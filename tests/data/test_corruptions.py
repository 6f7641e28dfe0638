"""Corruptions keep what they promise: range, kind, labels, and the original at level 0."""

import numpy as np
import pytest
from data_cases import refused

import tfp_vae as tv
from tfp_vae.data import CORRUPTIONS, Kind, Split, corrupted

KINDS = ["dynamic", "threshold", "eight_bit", "unit_interval"]
WORST = {name: len(levels) - 1 for name, levels in CORRUPTIONS.items()}


def images(kind="eight_bit", count=60, shape=(9, 9, 1), seed=0):
    """Returns a split of smooth random images with bright borders, labelled."""
    rng = np.random.default_rng(seed)
    waves = rng.normal(size=(count, 3, 3, shape[-1])).repeat(3, axis=1).repeat(3, axis=2)
    grey = (255 / (1 + np.exp(-2 * waves))).astype(np.uint8)[:, : shape[0], : shape[1]]
    return Split(grey if kind != "static" else grey > 127, kind, np.arange(count) % 10, name="test")


def distance(split, other):
    return float(np.sqrt(np.mean((split.values() - other.values()) ** 2)))


@pytest.mark.parametrize("name", CORRUPTIONS)
def test_levels_start_at_none_and_rise(name):
    assert CORRUPTIONS[name][0] == 0
    assert np.all(np.diff(CORRUPTIONS[name]) > 0)


@pytest.mark.parametrize("name", CORRUPTIONS)
@pytest.mark.parametrize("kind", [*KINDS, "static"])
def test_level_zero_is_the_split_itself(name, kind):
    split = images(kind)
    for given in (split, split.frozen()):
        same = corrupted(given, name, 0)
        np.testing.assert_array_equal(same.values(), split.values())
        np.testing.assert_array_equal(same.labels, split.labels)
        assert same.kind == split.kind


@pytest.mark.parametrize("name", CORRUPTIONS)
@pytest.mark.parametrize("kind", [*KINDS, "static"])
def test_a_corruption_keeps_range_kind_grid_and_labels(name, kind):
    split = images(kind)
    for level in range(1, len(CORRUPTIONS[name])):
        other = corrupted(split, name, level)
        values = other.values()
        assert values.shape == (len(split), *split.shape)
        assert other.kind == split.kind
        np.testing.assert_array_equal(other.labels, split.labels)
        assert values.min() >= 0 and values.max() <= 1
        if other.kind.is_binary:
            assert set(np.unique(values)) <= {0.0, 1.0}
            np.testing.assert_array_equal(values, other.values())  # frozen
        if other.kind is Kind.EIGHT_BIT:
            np.testing.assert_allclose(values * 255, np.round(values * 255), atol=1e-4)


def test_float_images_stay_on_the_grid_of_256_levels_or_become_any_number():
    grey = images().intensities()
    on_grid = corrupted(Split(grey, Kind.EIGHT_BIT), "rotation", 3).values() * 255
    np.testing.assert_allclose(on_grid, np.round(on_grid), atol=1e-4)
    free = corrupted(Split(grey, Kind.UNIT_INTERVAL), "rotation", 3).values() * 255
    assert np.abs(free - np.round(free)).max() > 0.1


@pytest.mark.parametrize("shape", [(9, 9, 1), (9, 6, 3)])
def test_half_a_turn_is_a_flip_of_both_axes(shape):
    split = images("unit_interval", shape=shape)
    turned = corrupted(split, "rotation", CORRUPTIONS["rotation"].index(180))
    # Bytes: what interpolation misses is less than half a level.
    np.testing.assert_array_equal(turned.values(), split.values()[:, ::-1, ::-1])


def test_a_quarter_turn_is_counter_clockwise_and_keeps_the_border():
    split = images()
    turned = corrupted(split, "rotation", CORRUPTIONS["rotation"].index(90))
    np.testing.assert_array_equal(turned.values(), np.rot90(split.values(), axes=(1, 2)))


def test_rotation_is_black_outside():
    white = Split(np.full((2, 9, 9, 1), 255, np.uint8), Kind.EIGHT_BIT)
    turned = corrupted(white, "rotation", CORRUPTIONS["rotation"].index(45)).values()
    # A cubic spline rings by some percent beside a step.
    assert np.all(turned[:, [0, 0, -1, -1], [0, -1, 0, -1]] < 0.1)
    assert np.all(turned[:, 3:6, 3:6] > 0.9)


@pytest.mark.parametrize("level", range(1, len(CORRUPTIONS["translation"])))
def test_translation_is_cyclic_and_keeps_the_pixels_of_every_row(level):
    split = images("eight_bit")
    moved = corrupted(split, "translation", level).values()
    pixels = round(CORRUPTIONS["translation"][level] * 9)
    assert pixels > 0
    np.testing.assert_array_equal(moved[:, :, pixels], split.values()[:, :, 0])
    np.testing.assert_array_equal(moved[:, :, 0], split.values()[:, :, -pixels])
    np.testing.assert_array_equal(np.sort(moved, axis=2), np.sort(split.values(), axis=2))


@pytest.mark.parametrize("size", [8, 28])
def test_lengths_are_shares_of_the_width(size):
    point = np.zeros((1, size, size, 1), np.float32)
    point[0, size // 2, size // 2] = 1
    split = Split(point, Kind.UNIT_INTERVAL)
    moved = corrupted(split, "translation", 2).values()
    assert np.argmax(moved[0, size // 2, :, 0]) == size // 2 + size // 4
    blurred = corrupted(split, "blur", 3).values()[0, ..., 0]
    places = np.arange(size) - size // 2
    # A sampled normal kernel, cut off at four standard deviations.
    spread = np.sqrt(np.sum(blurred.sum(0) * places**2) / blurred.sum())
    assert spread == pytest.approx(CORRUPTIONS["blur"][3] * size, rel=0.02)


def test_noise_has_the_standard_deviation_of_its_level(base_seed):
    grey = Split(np.full((400, 8, 8, 1), 0.5, np.float32), Kind.UNIT_INTERVAL)
    noise = corrupted(grey, "noise", 1, base_seed).values() - 0.5  # at 0.1 nothing is cut off
    count = noise.size
    assert abs(noise.mean()) < 4 * 0.1 / np.sqrt(count)
    assert abs(noise.std() - 0.1) < 4 * 0.1 / np.sqrt(2 * count)


def test_contrast_keeps_the_mean_and_shrinks_the_deviations():
    split = Split(images().intensities(), Kind.UNIT_INTERVAL)
    flat = corrupted(split, "contrast", 3).values()
    mean = split.values().mean(axis=(1, 2, 3), keepdims=True)
    np.testing.assert_allclose(flat - mean, 0.4 * (split.values() - mean), atol=1e-6)


@pytest.mark.parametrize(
    ("name", "most"), [("noise", 5), ("blur", 4), ("contrast", 4), ("rotation", 4)]
)
def test_a_higher_level_is_further_from_the_original(name, most):
    split = tv.data.load("digits", kind="eight_bit").test
    away = [distance(corrupted(split, name, level), split) for level in range(most + 1)]
    assert np.all(np.diff(away) > 0.004)


@pytest.mark.parametrize("kind", ["eight_bit", "static"])
def test_noise_is_a_function_of_the_seed_and_the_level(kind):
    split = images(kind)
    first = corrupted(split, "noise", 2, seed=3)
    assert corrupted(split, "noise", 2, seed=3).digest == first.digest
    assert corrupted(split, "noise", 2, seed=4).digest != first.digest
    assert corrupted(split, "noise", 3, seed=3).digest != first.digest


def test_a_frozen_dynamic_split_is_corrupted_in_its_grey_intensities(base_seed):
    # Wide images of one grey level: after contrast is lost every pixel has the mean as probability.
    ramp = np.tile(np.linspace(0, 255, 20).astype(np.uint8), (500, 20, 1))[..., np.newaxis]
    split = Split(ramp, Kind.DYNAMIC).frozen()
    assert set(np.unique(split.intensities())) == {0.0, 1.0}
    drawn = corrupted(split, "contrast", WORST["contrast"], base_seed).values().mean(axis=(0, 1, 3))
    expected = 0.5 + 0.2 * (np.arange(20) / 19 - 0.5)
    # 500 x 20 draws of each column; the intensities are rounded to 1/255.
    assert np.all(np.abs(drawn - expected) < 4.5 * 0.5 / 100 + 0.005)
    selected = split.select(np.arange(10, 30), "some")
    np.testing.assert_array_equal(selected.unfrozen().intensities(), ramp[:20] / np.float32(255))


def test_threshold_comes_after_the_corruption():
    grey = Split(images().intensities(), Kind.UNIT_INTERVAL)
    expected = corrupted(grey, "blur", 3).values() >= 0.5
    found = corrupted(Split(grey.values(), Kind.THRESHOLD).frozen(), "blur", 3)
    np.testing.assert_array_equal(found.values(), expected)


def test_what_cannot_be_corrupted_is_refused():
    with refused("Unknown corruption", "rotation", "twist"):
        corrupted(images(), "twist", 1)
    for level in (-1, 99, 0.5):
        with refused("Impossible level of blur", level):
            corrupted(images(), "blur", level)
    with refused("cannot be corrupted", "(5,)"):
        corrupted(Split(np.zeros((3, 5), np.uint8), Kind.EIGHT_BIT), "noise", 1)
    with refused("cannot be corrupted", "real"):
        corrupted(Split(np.ones((3, 5, 5, 1)), Kind.REAL), "noise", 1)
