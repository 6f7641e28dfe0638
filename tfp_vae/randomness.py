"""Random numbers as functions of a key: the same eagerly, in a graph and under XLA.

A key and the place of a number in its tensor are all that the number depends on. TensorFlow's
stateless operations promise that too, but draw other numbers under XLA than in a graph, and there
slowly on a CPU (scripts/benchmark --items=R1). Here each number is a hash of its place: integer
operations, which fuse with what uses the number.

The hash is two rounds of `lowbias32`, the 32-bit integer hash with the least bias found by
Wellons, "Prospecting for hash functions", 2018 (public domain constants), with one word of the key
before each. Counter-based generators are from Salmon et al., "Parallel random numbers: as easy as
1, 2, 3", SC 2011.
"""

import contextlib
import math
import threading
from collections.abc import Iterator
from typing import Any

import tensorflow as tf

_SALT = (0x9E3779B9, 0x85EBCA6B)  # zeros are a fixed point of the hash; and two words, two hashes

_active = threading.local()


def _word(number: int) -> tf.Tensor:
    return tf.constant(number, tf.uint32)


def _mix(x: tf.Tensor) -> tf.Tensor:
    """Returns a bijective hash of uint32 words."""

    def fold(x, shift):
        return tf.bitwise.bitwise_xor(x, tf.bitwise.right_shift(x, _word(shift)))

    x = fold(x, 16) * _word(0x7FEB352D)
    x = fold(x, 15) * _word(0x846CA68B)
    return fold(x, 16)


def _words(key: Any) -> tf.Tensor:
    return tf.bitcast(tf.cast(key, tf.int32), tf.uint32)


def fold_in(key: Any, *numbers: Any) -> tf.Tensor:
    """Returns the key, int32 [2], of `key` and `numbers`, one after the other.

    Args:
        key: int32 [2], or an integer, which stands for the key of a seed.
        numbers: integer scalars; their lowest 32 bits count.
    """
    key = tf.cast(key, tf.int32)
    key = tf.stack([key, 0]) if key.shape.rank == 0 else key
    for number in numbers:
        key = _fold(key, tf.cast(number, tf.int32))
    return key


# A function, so that a training step that folds a dozen numbers is not traced for twice as long.
@tf.function(
    input_signature=[tf.TensorSpec([2], tf.int32), tf.TensorSpec([], tf.int32)], autograph=False
)
def _fold(key, number):
    return tf.bitcast(
        _mix(
            tf.bitwise.bitwise_xor(
                _words(key), _mix(_words(number) + tf.constant(_SALT, tf.uint32))
            )
        ),
        tf.int32,
    )


@contextlib.contextmanager
def part(index: "int | tf.Tensor", count: int) -> Iterator[None]:
    """A context for part `index`, an integer or a tensor, of `count` equal parts of a batch.

    Numbers with an axis of examples are then those that the whole batch would have at the places of
    this part: replicas that share a batch draw together what one device would draw.
    """
    before = current_part()
    _active.part = (index, count)
    try:
        yield
    finally:
        _active.part = before


def current_part() -> "tuple[int | tf.Tensor, int]":
    """Returns (index, count) of the innermost `part`; (0, 1) outside of any."""
    return getattr(_active, "part", None) or (0, 1)


def _places(shape: Any, axis: "int | None") -> tf.Tensor:
    """Returns the numbers of the places of a tensor, int32 [product of shape]."""
    index, count = current_part()
    if axis is None or count == 1:
        return tf.range(tf.reduce_prod(shape))
    outer, here, inner = (
        tf.reduce_prod(shape[:axis]),
        shape[axis],
        tf.reduce_prod(shape[axis + 1 :]),
    )
    rows = tf.range(outer)[:, tf.newaxis] * here * count + index * here + tf.range(here)
    return tf.reshape(rows[..., tf.newaxis] * inner + tf.range(inner), [-1])


def bits(shape: Any, key: tf.Tensor, axis: "int | None" = None) -> tf.Tensor:
    """Returns uint32 words of `shape`, uniform on all words; no two of a tensor are the same.

    Args:
        shape: integers, or an integer tensor [rank]; fewer than 2^31 words.
        key: int32 [2].
        axis: that of the examples, if it has one; see `part`.
    """
    shape = tf.convert_to_tensor(shape, tf.int32)
    first, second = tf.unstack(_words(fold_in(key, 0)))  # keys of one bit's difference: unlike
    place = tf.bitcast(_places(shape, axis), tf.uint32)
    return tf.reshape(_mix(tf.bitwise.bitwise_xor(_mix(place + first), second)), shape)


def uniform(shape: Any, key: tf.Tensor, axis: "int | None" = None) -> tf.Tensor:
    """Returns float32 numbers of `shape`, uniform on {0, 1, ..., 2^24 - 1} / 2^24."""
    words = tf.bitwise.right_shift(bits(shape, key, axis), _word(8))
    return tf.cast(tf.bitcast(words, tf.int32), tf.float32) * 2.0**-24


def normal(shape: Any, key: tf.Tensor, axis: "int | None" = None) -> tf.Tensor:
    """Returns standard normal float32 numbers of `shape`; none is further out than 5.3."""
    words = tf.bitwise.right_shift(bits(shape, key, axis), _word(9))
    # The middles of 2^23 equal parts of (-1, 1): every one a float32, none of them -1 or 1.
    middles = tf.cast(tf.bitcast(words, tf.int32), tf.float32) * 2.0**-22 + (2.0**-23 - 1.0)
    return math.sqrt(2.0) * tf.math.erfinv(middles)
