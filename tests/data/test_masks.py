"""Masks: the share that is missing, everywhere equally likely, the same for the same seed."""

import numpy as np
import pytest
from data_cases import refused

from tfp_vae.data import PATTERNS, observed_pixels


@pytest.mark.parametrize("missing", [0, 0.3, 0.5, 1])
def test_a_random_mask_misses_exactly_its_share_of_pixels(missing):
    for shape in ((8, 8, 1), (6, 5, 3), (13,)):
        seen = observed_pixels(50, shape, "random", missing)
        assert seen.shape == (50, *shape) and seen.dtype == bool
        places = np.prod(shape[:2])
        channels = shape[2] if len(shape) == 3 else 1
        assert np.all((~seen).reshape(50, -1).sum(1) == round(missing * places) * channels)


def test_channels_of_a_pixel_are_missing_together():
    for pattern in PATTERNS:
        seen = observed_pixels(20, (6, 6, 3), pattern, 0.4)
        assert 0 < seen.mean() < 1
        np.testing.assert_array_equal(seen, seen[..., :1].repeat(3, axis=-1))


@pytest.mark.parametrize("missing", [0, 0.25, 0.5, 1])
def test_a_block_is_one_rectangle_of_about_the_share(missing):
    gone = ~observed_pixels(100, (8, 12, 1), "block", missing)[..., 0]
    height, width = round(np.sqrt(missing) * 8), round(np.sqrt(missing) * 12)
    for image in gone:
        rows, columns = image.any(1), image.any(0)
        assert (rows.sum(), columns.sum()) == ((height, width) if missing else (0, 0))
        np.testing.assert_array_equal(image, rows[:, None] & columns)
        for line in (rows, columns):
            assert np.sum(np.diff(line.astype(int)) == 1) <= 1  # without a gap


def test_random_pixels_and_block_places_are_equally_likely(base_seed):
    count = 4000
    seen = observed_pixels(count, (6, 6, 1), "random", 0.25, base_seed).mean(axis=0)
    assert np.all(np.abs(seen - 0.75) < 4.5 * np.sqrt(0.25 * 0.75 / count))
    gone = ~observed_pixels(count, (6, 6, 1), "block", 0.25, base_seed)[..., 0]
    first = gone.any(2).argmax(1)  # of 4 places
    share = np.bincount(first) / count
    assert share.shape == (4,)
    assert np.all(np.abs(share - 0.25) < 4.5 * np.sqrt(0.25 * 0.75 / count))


@pytest.mark.parametrize("pattern", PATTERNS)
def test_what_is_observed_is_a_function_of_the_seed_and_few_are_the_first_of_many(pattern):
    def make(count, seed):
        return observed_pixels(count, (8, 8, 1), pattern, 0.4, seed)

    np.testing.assert_array_equal(make(30, 1), make(30, 1))
    np.testing.assert_array_equal(make(30, 1)[:7], make(7, 1))
    assert np.any(make(30, 1) != make(30, 2))


def test_impossible_missing_pixels_are_refused():
    with refused("Unknown pattern", "block", "stripes"):
        observed_pixels(3, (8, 8, 1), "stripes", 0.5)
    for missing in (-0.1, 1.1):
        with refused("share", missing):
            observed_pixels(3, (8, 8, 1), "random", missing)
    with refused("no pixels that could be missing", "(8,)"):
        observed_pixels(3, (8,), "block", 0.5)
    with refused("Impossible count", "0"):
        observed_pixels(0, (8, 8, 1), "random", 0.5)
