"""The batches of a split as functions of (epoch, step): of nothing hidden, in any order, anywhere.

A training reads them inside its own graph, where the examples stay in memory, or through tf.data;
both call the same functions, so both see the same numbers.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import tensorflow as tf

from tfp_vae.arguments import check_count
from tfp_vae.data.augmentation import augmented
from tfp_vae.data.kinds import Kind
from tfp_vae.data.streams import Stream, num_batches
from tfp_vae.randomness import current_part, fold_in, uniform

if TYPE_CHECKING:
    from tfp_vae.data.splits import Split

_FEED = 2**29  # folded into the seed, which a model that learns from the batches folds others into


class Feed:
    """The batches of one pass after another over a split.

    Args:
        split: a `Split`.
        batch_size: examples per batch; the last one of a pass may be shorter.
        seed: an integer that fixes order, augmentation and binarisation; None for passes in order
            over the frozen split.
        with_y: whether a batch is (x, y), with `y` the labels or the targets of x, and not x.
        replicas: how many share every batch; a short last one leaves out what would not divide.
        shuffle: whether a pass with a seed has an order of its own; else it is that of the split.
        weights: numbers [N] that stand behind the rest of every batch, or None.

    The order of pass number `epoch` is a permutation keyed by (seed, epoch); the binarisation of a
    dynamic split and the moves of an augmented one are keyed by (seed, epoch, step). Nothing of it
    changes with `with_y`.

    Attributes:
        num_batches: of one pass.
        ahead: how many batches tf.data makes ahead of the one that is asked for.
        short: examples of its last batch if those are fewer than in the others, else 0.
        compiles: whether XLA can compile `batch` with a `size`.
        arrays: the tensors [N, ...] that batches are taken from, of examples as vectors; every
            function gets them as its first argument, so that a graph does not hold them. Of a
            `Stream` the first one has the numbers of the examples, by which they are read.

    Raises:
        ValueError: if `batch_size` is not in [1, N], if `with_y` is asked of a split without labels
            and targets, or if values of the split are missing.
    """

    def __init__(
        self,
        split: "Split",
        batch_size: int,
        seed: int | None,
        with_y: bool = False,
        replicas: int = 1,
        *,
        shuffle: bool = True,
        weights: "np.ndarray | None" = None,
    ):
        if seed is not None:
            split.check_batch_size(batch_size)
        check_count("batch_size", batch_size)  # of a pass in order it may exceed the split
        gaps = split.schema is None  # of a table they are NaN, which its models know
        if gaps and split.observed is not None and not split.observed.all():
            raise ValueError(
                f"The {split.name} split has missing values, which a batch would pass off as "
                "observed. Expected all values, such as those of evaluation.impute. Received "
                f"{int((~split.observed).sum()):,} missing ones."
            )
        self._augment = 0.0 if seed is None else split.augment
        self._resample = seed is not None and split.is_dynamic
        self._kind = split.kind
        split = split if self._resample or self._augment else split.frozen()
        if with_y and split.y is None:
            raise ValueError(
                f"The {split.name} split has neither labels nor targets. Expected labels or "
                f"targets for supervised training. Received {len(split)} examples with none."
            )
        self.batch_size, self.seed, self.replicas = batch_size, seed, replicas
        self.shuffle, self.with_y, self.weighted = shuffle, with_y, weights is not None
        if batch_size % replicas:
            raise ValueError(
                f"batch_size does not fit the replicas. Expected a multiple of {replicas}, the "
                f"number of replicas that share a batch. Received {batch_size}."
            )
        self.short = len(split) % batch_size // replicas * replicas
        self.num_batches = num_batches(len(split), batch_size, replicas)
        stored = split.stored
        self._stream = stored if isinstance(stored, Stream) else None
        # No XLA kernel moves images or reads files.
        self.compiles = not self._augment and self._stream is None
        self.ahead = 8 if self._stream is None else 2  # of images that may be large
        self._shape = split.shape
        if isinstance(stored, Stream):
            first = tf.range(len(split))
        else:
            # Flat, since XLA vectorises the innermost axis: that of an image is its channels.
            first = tf.constant(stored.reshape(len(split), -1))
        beside = [split.y] * with_y + [np.asarray(weights, np.float32)] * self.weighted
        self.arrays = (first, *map(tf.constant, beside))

    @property
    def signature(self) -> tuple:
        """What feeds have alike whose batches are the same function of arrays, order and step."""
        specs = tuple((array.shape, array.dtype) for array in self.arrays)
        return (
            type(self),
            self.batch_size,
            self._resample,
            self._augment,
            self._kind,
            self._shape,
            self.with_y,
            specs,
        )

    def order(self, epoch: tf.Tensor) -> "tuple[tf.Tensor, ...]":
        """Returns what batches have to know of a pass, an int64 scalar: order [N] and key [2]."""
        count = self.arrays[0].shape[0]
        if self.seed is None:
            return tf.range(count), tf.zeros([2], tf.int32)
        # Two keys per epoch, for the order and for the steps: no stream is used twice.
        order, steps = (fold_in(self.seed, _FEED, epoch, purpose) for purpose in (0, 1))
        if not self.shuffle:
            return tf.range(count), steps
        return tf.random.experimental.stateless_shuffle(tf.range(count), seed=order), steps

    def batch(
        self,
        arrays: Sequence[tf.Tensor],
        order: "tuple[tf.Tensor, ...]",
        step: tf.Tensor,
        size: int | None = None,
    ) -> tuple:
        """Returns batch number `step`, an int64 scalar, of a pass with this `order`, on float32.

        Args:
            arrays: as `arrays`.
            order: what `order` returned.
            step: from 0 on, below `num_batches`.
            size: B, an integer, where it has to be known to compile the graph.

        Returns:
            (x,) or (x, y), with weights at the end, x of shape [B, ...]; inside `randomness.part`,
            the part of it.
        """
        order, key = order
        first = step * self.batch_size
        if size is None:
            index = order[first : first + self.batch_size]
        else:
            index = tf.slice(order, [first], [size])
        part, parts = current_part()
        if parts > 1:
            share = tf.shape(index)[0] // parts  # all parts are equal: see `short`
            index = index[part * share : (part + 1) * share]
        x, *rest = (tf.gather(array, index) for array in arrays)
        x = x if self._stream is None else self._stream.batch(x)
        if x.dtype == tf.uint8:
            x = tf.cast(x, tf.float32) / 255.0
        step_key = fold_in(key, step)
        if self._augment:
            # A key beside the step's own, which draws the same binary images as without moves.
            images = tf.reshape(x, [-1, *self._shape])
            x = tf.reshape(augmented(images, self._augment, fold_in(step_key, 1)), tf.shape(x))
            if self._kind is Kind.THRESHOLD:
                x = tf.cast(x >= 0.5, tf.float32)
            if self._kind is Kind.EIGHT_BIT:
                x = tf.round(x * 255.0) / 255.0
            if self._kind is Kind.UNIT_INTERVAL:
                x = tf.clip_by_value(x, 0.0, 1.0)  # the last bit of an interpolation
        if self._resample:
            x = tf.cast(uniform(tf.shape(x), step_key, axis=0) < x, tf.float32)
        return tf.reshape(x, [size // parts if size else -1, *self._shape]), *rest

    def dataset(self, epoch: "int | tf.Variable" = 0) -> tf.data.Dataset:
        """Returns one pass as tf.data, batches x or tuples.

        Args:
            epoch: the number of the pass. A variable is read each time an iterator is made.
        """

        # Autograph would convert all that is called, which takes longer than to trace it.
        @tf.autograph.experimental.do_not_convert
        def steps_of(_):
            order = self.order(tf.cast(epoch, tf.int64))
            steps = tf.data.Dataset.range(self.num_batches)
            return steps.map(tf.autograph.experimental.do_not_convert(lambda step: (order, step)))

        @tf.autograph.experimental.do_not_convert
        def to_batch(order, step):
            batch = self.batch(self.arrays, order, step)
            return batch if len(batch) > 1 else batch[0]

        steps = tf.data.Dataset.range(1).flat_map(steps_of)
        steps = steps.apply(tf.data.experimental.assert_cardinality(self.num_batches))
        return steps.map(to_batch, num_parallel_calls=2, deterministic=True).prefetch(self.ahead)
