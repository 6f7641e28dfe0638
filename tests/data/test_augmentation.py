"""Augmented splits: what moves, how far, when, and what stays as it was."""

import numpy as np
import pytest
import tensorflow as tf
from data_cases import refused
from scipy import stats

from tfp_vae.data import UNLABELLED, Kind, Split, augmented, completion, keep_labels
from tfp_vae.data.splits import Data

SHARE = 0.1
MOVES = 600


def _bar(width=64, height=64):
    """Returns a smooth bar in the middle of an image, longer than it is high."""
    x, y = np.meshgrid(np.arange(width) - (width - 1) / 2, np.arange(height) - (height - 1) / 2)
    return np.exp(-((x / 8) ** 2 + (y / 4) ** 2) / 2).astype(np.float32)[..., None]


def _moments(image):
    """Returns mass, centroid in shares of the size, and angle to the horizontal, clockwise."""
    image = image[..., 0]
    height, width = image.shape
    x, y = np.meshgrid(np.arange(width), np.arange(height))
    mass = image.sum()
    mean_x, mean_y = (image * x).sum() / mass, (image * y).sum() / mass
    x, y = x - mean_x, y - mean_y
    xx, yy, xy = ((image * product).sum() / mass for product in (x * x, y * y, x * y))
    angle = 0.5 * np.arctan2(2 * xy, xx - yy)
    return mass, mean_x - (width - 1) / 2, mean_y - (height - 1) / 2, angle


@pytest.fixture(scope="module")
def moved():
    images = tf.constant(np.tile(_bar(), (MOVES, 1, 1, 1)))
    return np.array([_moments(image) for image in augmented(images, SHARE, [3, 4]).numpy()])


def _is_uniform(values, least, most):
    return stats.kstest(values, stats.uniform(least, most - least).cdf).pvalue > 1e-3


def test_turns_are_uniform_up_to_half_the_share_of_a_turn(moved):
    assert _is_uniform(moved[:, 3], -SHARE * np.pi, SHARE * np.pi)


def test_zooms_are_uniform_around_the_size(moved):
    zoom = np.sqrt(moved[:, 0] / _bar().sum())
    assert _is_uniform(zoom, 1 - SHARE, 1 + SHARE)


def test_shifts_are_uniform_in_both_directions_and_independent(moved):
    mass, right, down, angle = moved.T
    # The shift is in pixels of the old image, which the zoom and the turn carry along.
    zoom = np.sqrt(mass / _bar().sum())
    cos, sin = np.cos(angle) / zoom, np.sin(angle) / zoom
    shift_x, shift_y = -(cos * right + sin * down), -(cos * down - sin * right)
    for shift in (shift_x, shift_y):
        assert _is_uniform(shift, -SHARE * 64, SHARE * 64)
    correlation = np.corrcoef([shift_x, shift_y, zoom, angle])
    assert np.abs(correlation[~np.eye(4, dtype=bool)]).max() < 4 / np.sqrt(MOVES)


def test_no_share_moves_nothing():
    images = np.random.default_rng(0).random((3, 5, 7, 2), np.float32)
    np.testing.assert_allclose(augmented(tf.constant(images), 0.0, [0, 1]), images, atol=1e-6)


def test_what_comes_in_from_outside_is_background():
    values = augmented(tf.ones([50, 8, 8, 1]), 0.5, [0, 1]).numpy()
    assert values.min() == 0
    assert values.max() <= 1 + 1e-6


def _split(kind=Kind.DYNAMIC, count=40):
    images = np.random.default_rng(0).integers(0, 256, (count, 6, 6, 1)).astype(np.uint8)
    return Split(images, kind, np.arange(count) % 3)


def _pass(split, epoch=0, seed=0, batch_size=40):
    return np.concatenate([*split.epoch(batch_size, seed, epoch).as_numpy_iterator()])


@pytest.mark.parametrize("kind", [Kind.DYNAMIC, Kind.THRESHOLD, Kind.EIGHT_BIT, Kind.UNIT_INTERVAL])
def test_moved_values_are_of_the_kind_of_the_split(kind):
    split = _split(kind)
    values = _pass(split.augmented(SHARE))
    assert not np.array_equal(np.sort(values, axis=None), np.sort(_pass(split), axis=None))
    if kind.is_binary:
        assert {*np.unique(values)} == {0.0, 1.0}
    elif kind is Kind.EIGHT_BIT:
        np.testing.assert_array_equal(values, np.round(values * 255) / np.float32(255))
    else:
        assert values.min() >= 0
        assert values.max() <= 1


def test_moves_are_a_function_of_seed_epoch_and_step():
    split = _split(Kind.UNIT_INTERVAL).augmented(SHARE)
    np.testing.assert_array_equal(_pass(split), _pass(split))
    for other in (_pass(split, epoch=1), _pass(split, seed=1)):
        assert not np.allclose(np.sort(_pass(split), axis=0), np.sort(other, axis=0))
    # One and the same image in both steps of a pass.
    twice = Split(np.tile(_bar(8, 8), (2, 1, 1, 1)), Kind.UNIT_INTERVAL).augmented(SHARE)
    first, second = _pass(twice, batch_size=1)
    assert not np.allclose(first, second)


def test_a_share_of_zero_gives_the_batches_of_the_split_itself():
    split = _split()
    np.testing.assert_array_equal(_pass(split.augmented(SHARE).augmented(0.0)), _pass(split))


def test_frozen_images_and_passes_in_order_are_not_moved():
    split = _split()
    moved = split.augmented(SHARE)
    np.testing.assert_array_equal(moved.values(), split.values())
    for ours, theirs in zip(moved.dataset(9), split.dataset(9), strict=True):
        np.testing.assert_array_equal(ours, theirs)


def test_parts_and_other_labels_of_an_augmented_split_are_augmented():
    split = _split().augmented(SHARE)
    few = keep_labels(split, 6, 0)
    assert (few.labels != UNLABELLED).sum() == 6
    for part in (split.take(5), few, split.mapped(lambda values: 1 - values, "negative")):
        assert part.augment == SHARE


@pytest.mark.parametrize("share", [-0.1, 1.0, float("nan")])
def test_an_impossible_share_is_refused(share):
    with refused("augment", share):
        _split().augmented(share)


@pytest.mark.parametrize(
    "split",
    [
        Split(np.zeros((4, 3)), Kind.REAL),
        Split(np.eye(4).reshape(4, 2, 2, 1), Kind.STATIC),
        _split().frozen(),
    ],
    ids=["vectors", "static", "frozen"],
)
def test_what_cannot_be_moved_is_refused(split):
    with refused("augmented", split.shape):
        split.augmented(SHARE)


def test_halves_of_images_are_not_moved_apart():
    split = _split()
    data = Data("noise", split.augmented(SHARE), split.frozen(), split.frozen())
    with refused("quadrants", SHARE):
        completion(data, 1)
