"""Completion: which quadrants are seen, and that both parts are those of the same image."""

import dataclasses

import numpy as np
import pytest
from data_cases import refused, splits_of

from tfp_vae import data
from tfp_vae.data import Kind, Split

IMAGE = np.arange(16).reshape(4, 4, 1)
UPPER_LEFT, UPPER_RIGHT = IMAGE[:2, :2].ravel(), IMAGE[:2, 2:].ravel()
LOWER_LEFT, LOWER_RIGHT = IMAGE[2:, :2].ravel(), IMAGE[2:, 2:].ravel()


@pytest.mark.parametrize(
    ("quadrants", "unseen"),
    [
        (1, [*UPPER_LEFT, *UPPER_RIGHT, *LOWER_RIGHT]),
        (2, [*UPPER_RIGHT, *LOWER_RIGHT]),
        (3, LOWER_RIGHT),
    ],
)
def test_the_quadrants_of_the_published_table_are_seen(quadrants, unseen):
    seen = data.seen_quadrants((4, 4, 1), quadrants)
    assert sorted(IMAGE[~seen]) == sorted(unseen)


def test_a_middle_row_is_in_the_lower_half_and_a_middle_column_in_the_right_one():
    assert data.seen_quadrants((5, 5, 3), 1).sum() == 3 * 2 * 3
    assert data.seen_quadrants((5, 5, 1), 3).sum() == 25 - 3 * 3


@pytest.mark.parametrize("quadrants", data.QUADRANTS)
@pytest.mark.parametrize("kind", ["dynamic", "eight_bit", "threshold"])
def test_unseen_and_seen_pixels_make_the_image_again(quadrants, kind):
    whole = data.load("digits", kind=kind)
    cut = data.completion(whole, quadrants)
    seen = data.seen_quadrants(whole.shape, quadrants)
    for before, after in zip(splits_of(whole), splits_of(cut), strict=True):
        assert (after.name, after.kind, after.labels) == (before.name, before.kind, None)
        np.testing.assert_array_equal(after.targets, before.unfrozen().intensities()[:, seen])
        if after.name != "train":  # a training image is drawn when it is asked for
            np.testing.assert_array_equal(after.values(), before.values()[:, ~seen])
    assert cut.shape == ((4 - quadrants) * 16,) and cut.task == "regression"


def test_training_images_are_binarised_anew_and_their_condition_stays():
    cut = data.completion(data.load("digits"), 2)
    (first,), (second,) = (list(cut.train.epoch(1294, 0, epoch, True)) for epoch in (0, 1))
    ones = [np.sort(np.asarray(x).sum(0)) for x, _ in (first, second)]
    assert np.any(ones[0] != ones[1])
    totals = [np.sort(np.asarray(y).sum(1)) for _, y in (first, second)]
    np.testing.assert_allclose(totals[0], totals[1], rtol=1e-6)


@pytest.mark.parametrize("quadrants", [0, 4, 1.5, None])
def test_another_number_of_quadrants_is_refused(quadrants):
    with refused("Expected one of 1, 2, 3", f"Received {quadrants}"):
        data.seen_quadrants((4, 4, 1), quadrants)


@pytest.mark.parametrize("shape", [(16,), (1, 4, 1)])
def test_what_is_no_image_is_refused(shape):
    whole = data.load("digits")
    split = Split(np.zeros((6, *shape), np.float32), Kind.STATIC)
    other = dataclasses.replace(whole, train=split, validation=split, test=split)
    with refused("Only images have quadrants", f"Received shape {shape}"):
        data.completion(other, 1)
