"""Random numbers by key: uniform, independent, and the same wherever they are computed."""

import numpy as np
import pytest
import tensorflow as tf
from scipy import special, stats

from tfp_vae import randomness

COUNT = 2**18


def _words(key=(0, 0), count=COUNT):
    return randomness.bits([count], key).numpy()


def _is_uniform(words, parts):
    """Returns whether counts of words in equal parts pass a chi-square test at 1e-4."""
    counts = np.bincount((words.astype(np.uint64) * parts >> 32).astype(int), minlength=parts)
    return stats.chisquare(counts).pvalue > 1e-4


# The keys that programs use: small seeds, neighbours, and what folding them makes.
KEYS = [(0, 0), (0, 1), (1, 0), (7, 2**31 - 1), tuple(randomness.fold_in(0, 5, 3).numpy())]


@pytest.mark.parametrize("key", KEYS, ids=str)
def test_words_are_uniform_in_their_high_and_low_bits(key):
    words = _words(key)
    reversed_words = words.view(np.uint8).reshape(-1, 4)[:, ::-1].copy().view(np.uint32)[:, 0]
    for each in (words, reversed_words):
        assert _is_uniform(each, 256)
        assert _is_uniform(each, 65536)
    ones = (words[:, np.newaxis] >> np.arange(32, dtype=np.uint32) & 1).sum(axis=0)
    assert np.abs(ones - COUNT / 2).max() < 5 * np.sqrt(COUNT / 4)


@pytest.mark.parametrize("lag", [1, 2, 20, 784])
def test_neighbours_in_a_tensor_are_independent(lag):
    words = _words((3, 4))
    high = words >> np.uint32(28)
    assert _is_uniform((high[:-lag] << np.uint32(28)) | (high[lag:] << np.uint32(24)), 256)


@pytest.mark.all_only
def test_streams_of_neighbouring_keys_are_independent():
    streams = [_words(tuple(key)) for key in ((0, 0), (1, 0), (0, 1), (1, 1), (2, 0))]
    for i, first in enumerate(streams):
        for second in streams[i + 1 :]:
            flipped = first ^ second
            ones = (flipped[:, np.newaxis] >> np.arange(32, dtype=np.uint32) & 1).sum(axis=0)
            assert np.abs(ones - COUNT / 2).max() < 5 * np.sqrt(COUNT / 4)
            # Nor is one the other moved along: as many common words as chance gives, 16 of 2^36.
            common = np.intersect1d(first, second).size
            assert abs(common - COUNT**2 / 2**32) < 5 * np.sqrt(COUNT**2 / 2**32) + 1


def test_the_first_numbers_of_many_keys_are_uniform():
    def first_word(step):
        key = randomness.fold_in(0, 1, step)
        return key, randomness.bits([], key)

    signature = (tf.int32, tf.uint32)
    draw = tf.function(lambda: tf.map_fn(first_word, tf.range(4000), fn_output_signature=signature))
    keys, first = draw()
    assert _is_uniform(first.numpy(), 64)
    assert _is_uniform(keys.numpy().astype(np.uint32)[:, 0], 64)
    assert _is_uniform(keys.numpy().astype(np.uint32)[:, 1], 64)


def test_folding_gives_every_path_its_own_key():
    paths = [(s, *path) for s in range(8) for path in ((), (0,), (1,), (0, 0), (0, 1), (1, 0))]
    keys = {tuple(randomness.fold_in(*path).numpy()) for path in paths}
    assert len(keys) == len(paths)
    np.testing.assert_array_equal(
        randomness.fold_in(randomness.fold_in(3, 1), 2), randomness.fold_in(3, 1, 2)
    )


def test_uniform_numbers_are_uniform_below_one():
    numbers = randomness.uniform([COUNT], (1, 2)).numpy()
    assert numbers.min() >= 0
    assert numbers.max() < 1
    assert stats.kstest(numbers, "uniform").pvalue > 1e-4


def test_normal_numbers_are_normal_also_in_the_tails():
    numbers = randomness.normal([4 * COUNT], (1, 2)).numpy().astype(float)
    assert stats.kstest(numbers, "norm").pvalue > 1e-4
    for power, expected in ((1, 0), (2, 1), (3, 0), (4, 3), (6, 15)):
        error = np.sqrt(special.factorial2(2 * power - 1) / len(numbers))
        assert abs(np.mean(numbers**power) - expected) < 5 * error
    beyond = np.abs(numbers) > 4
    chance = 2 * stats.norm.sf(4)
    assert abs(beyond.sum() - chance * beyond.size) < 5 * np.sqrt(chance * beyond.size)
    assert np.isfinite(numbers).all()


def test_no_word_gives_an_infinite_normal_number(monkeypatch):
    extremes = tf.constant([0, 2**32 - 1], tf.uint32)
    monkeypatch.setattr(randomness, "bits", lambda shape, key, axis: extremes)
    numbers = randomness.normal([2], (0, 0)).numpy()
    np.testing.assert_allclose(numbers, [-5.294, 5.294], atol=0.01)


@pytest.mark.parametrize("draw", [randomness.bits, randomness.uniform, randomness.normal])
def test_numbers_are_the_same_eagerly_in_a_graph_and_under_xla(draw):
    def numbers(key):
        return draw([300, 7], key)

    key = randomness.fold_in(5, 6)
    graph = tf.function(numbers, autograph=False)(key)
    xla = tf.function(numbers, autograph=False, jit_compile=True)(key)
    np.testing.assert_array_equal(graph, numbers(key))
    if draw is randomness.normal:  # log and square root may be rounded another way
        np.testing.assert_allclose(xla, graph, rtol=1e-5, atol=1e-7)
    else:
        np.testing.assert_array_equal(xla, graph)


def test_more_rows_do_not_change_the_first_ones():
    many, few = (randomness.normal([rows, 5], (8, 9)).numpy() for rows in (6, 4))
    np.testing.assert_array_equal(many[:4], few)


def test_shapes_may_be_tensors_and_empty():
    assert randomness.normal(tf.constant([2, 3]), (0, 0)).shape == (2, 3)
    assert randomness.uniform([], (0, 0)).shape == ()
    assert randomness.uniform([0, 4], (0, 0)).shape == (0, 4)
