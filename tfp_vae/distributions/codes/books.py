"""Codebooks: what numbers stand for each of K codes, and which code numbers stand for.

index [..., T] -> numbers [..., T E], and back: T places, each with one of K codes of E numbers
"""

import functools
import itertools
import math
from collections.abc import Sequence

import numpy as np
import tensorflow as tf


class Codebook:
    """K codes of E numbers each.

    Args:
        places: T, codes of an example.
        count: K.
        width: E.
    """

    def __init__(self, places: int, count: int, width: int):
        self.places, self.count, self.width = places, count, width

    @property
    def size(self) -> int:
        """T E, the numbers of an example."""
        return self.places * self.width

    def codes(self, index: tf.Tensor) -> tf.Tensor:
        """Returns the numbers of codes, int32 [..., T] -> float32 [..., T E]."""
        return self.joined(self.numbers(index))

    def index(self, z: tf.Tensor) -> tf.Tensor:
        """Returns which codes numbers stand for, [..., T E] -> int32 [..., T]; no gradient."""
        return self.nearest(self.cut(z))

    def numbers(self, index: tf.Tensor) -> tf.Tensor:
        """Returns the numbers of each code, [...] -> [..., E]."""
        raise NotImplementedError

    def nearest(self, z: tf.Tensor) -> tf.Tensor:
        """Returns the nearest code, [..., E] -> int32 [...]."""
        raise NotImplementedError

    def cut(self, z: tf.Tensor) -> tf.Tensor:
        """Returns [..., T E] as [..., T, E]."""
        return tf.reshape(z, tf.concat([tf.shape(z)[:-1], [self.places, self.width]], 0))

    def joined(self, numbers: tf.Tensor) -> tf.Tensor:
        """Returns [..., T, E] as [..., T E]."""
        return tf.reshape(numbers, tf.concat([tf.shape(numbers)[:-2], [self.size]], 0))

    def every(self) -> tf.Tensor:
        """Returns all K^T codes of an example, [K^T, T E]."""
        index = np.array(list(itertools.product(range(self.count), repeat=self.places)), np.int32)
        return self.codes(tf.constant(index))


class OneHots(Codebook):
    """Code k of K is a 1 at place k among zeros.

    Args:
        places: T.
        count: K.
    """

    def __init__(self, places: int, count: int):
        super().__init__(places, count, count)

    def numbers(self, index: tf.Tensor) -> tf.Tensor:
        """Returns one-hot vectors."""
        return tf.one_hot(index, self.count)

    def nearest(self, z: tf.Tensor) -> tf.Tensor:
        """Returns the place of the largest number."""
        return tf.argmax(z, axis=-1, output_type=tf.int32)


class Bits(Codebook):
    """The codes are the numbers 0 and 1.

    Args:
        places: T.
    """

    def __init__(self, places: int):
        super().__init__(places, 2, 1)

    def numbers(self, index: tf.Tensor) -> tf.Tensor:
        """Returns 0 or 1."""
        return tf.cast(index, tf.float32)[..., tf.newaxis]

    def nearest(self, z: tf.Tensor) -> tf.Tensor:
        """Returns whether the number is above 1/2."""
        return tf.cast(z[..., 0] > 0.5, tf.int32)


class Table(Codebook):
    """Codes are the rows of a table.

    Args:
        places: T.
        table: [K, E].
    """

    def __init__(self, places: int, table: tf.Tensor):
        super().__init__(places, *table.shape)
        self.table = table

    def numbers(self, index: tf.Tensor) -> tf.Tensor:
        """Returns rows of the table."""
        return tf.gather(self.table, index)

    def nearest(self, z: tf.Tensor) -> tf.Tensor:
        """Returns the row that is nearest, the first of equals."""
        rows = tf.reshape(z, [-1, self.width])
        # |z|^2 is the same for all rows of the table.
        far = tf.reduce_sum(tf.square(self.table), -1) - 2 * tf.matmul(
            rows, self.table, transpose_b=True
        )
        return tf.reshape(tf.argmin(far, -1, output_type=tf.int32), tf.shape(z)[:-1])


class Levels(Codebook):
    """Codes are the points of a grid in [-1, 1]^E with so many levels along each axis.

    The index is that of a number with mixed radix, the first level the quickest.

    Args:
        places: T.
        levels: along each axis.
    """

    def __init__(self, places: int, levels: Sequence[int]):
        super().__init__(places, math.prod(levels), len(levels))
        self.levels = tuple(levels)
        self._radix = tf.constant(np.cumprod([1, *levels[:-1]]), tf.int32)
        self._sizes = tf.constant(levels, tf.int32)
        self._half = tf.constant([level // 2 for level in levels], tf.float32)

    def numbers(self, index: tf.Tensor) -> tf.Tensor:
        """Returns points of the grid."""
        digits = (index[..., tf.newaxis] // self._radix) % self._sizes
        return tf.cast(digits, tf.float32) / self._half - 1.0

    def nearest(self, z: tf.Tensor) -> tf.Tensor:
        """Returns the nearest point."""
        digits = tf.cast(tf.round((z + 1.0) * self._half), tf.int32)
        digits = tf.clip_by_value(digits, 0, self._sizes - 1)
        return tf.reduce_sum(digits * self._radix, -1)

    @functools.cached_property
    def spans(self) -> "tuple[tf.Tensor, tf.Tensor, tf.Tensor]":
        """(half, offset, shift) of the bound of Mentzer et al. (2024), [E] each, float32."""
        levels = np.array(self.levels, np.float64)
        half = (levels - 1) * (1 + 1e-3) / 2
        offset = np.where(levels % 2 == 0, 0.5, 0.0)
        return tuple(
            tf.constant(each, tf.float32) for each in (half, offset, np.arctanh(offset / half))
        )

    def rounded(self, raw: tf.Tensor) -> tf.Tensor:
        """Returns points of the grid with the gradient of the bound, [..., E] -> [..., E].

        round(tanh(raw + atanh(offset / half)) half - offset) / floor(L / 2): 0 gives the centre.
        """
        half, offset, shift = self.spans
        bound = tf.tanh(raw + shift) * half - offset
        return (bound + tf.stop_gradient(tf.round(bound) - bound)) / self._half
