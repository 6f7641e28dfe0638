"""The batches of a split as functions of (epoch, step): of nothing hidden, in any order, anywhere.

A training reads them inside its own graph, where the examples stay in memory, or through tf.data;
both call the same functions, so both see the same numbers.
"""

import tensorflow as tf

from tfp_vae.data.augmentation import augmented
from tfp_vae.data.kinds import Kind


class Feed:
    """The batches of one pass after another over a split.

    Args:
        split: a `Split`.
        batch_size: examples per batch; the last one of a pass may be shorter.
        seed: an integer that fixes order, augmentation and binarisation; None for passes in order
            over the frozen split.
        with_y: whether a batch is (x, y), with `y` the labels or the targets of x, and not x.

    The order of pass number `epoch` is a permutation keyed by (seed, epoch); the binarisation of a
    dynamic split and the moves of an augmented one are keyed by (seed, epoch, step). Nothing of it
    changes with `with_y`.

    Attributes:
        num_batches: of one pass.
        arrays: the tensors [N, ...] that batches are taken from; every function gets them as its
            first argument, so that a graph need not hold them.

    Raises:
        ValueError: if `batch_size` is not in [1, N], or if `with_y` is asked of a split without
            labels and targets.
    """

    def __init__(self, split, batch_size: int, seed: int | None, with_y: bool = False):
        if seed is not None:
            split.check_batch_size(batch_size)
        self._augment = 0.0 if seed is None else split.augment
        self._resample = seed is not None and split.is_dynamic
        self._kind = split.kind
        split = split if self._resample or self._augment else split.frozen()
        if with_y and split.y is None:
            raise ValueError(
                f"The {split.name} split has neither labels nor targets. Expected labels or "
                f"targets for supervised training. Received {len(split)} examples with none."
            )
        self.batch_size, self.seed = batch_size, seed
        self.num_batches = split.num_batches(batch_size)
        self.arrays = (tf.constant(split.stored), *([tf.constant(split.y)] if with_y else []))

    @property
    def signature(self) -> tuple:
        """What feeds have alike whose batches are the same function of arrays, order and step."""
        specs = tuple((array.shape, array.dtype) for array in self.arrays)
        return type(self), self.batch_size, self._resample, self._augment, self._kind, specs

    def order(self, epoch: tf.Tensor) -> "tuple[tf.Tensor, ...]":
        """Returns what batches have to know of a pass, an int64 scalar: order [N] and key [2]."""
        count = self.arrays[0].shape[0]
        if self.seed is None:
            return tf.range(count), tf.zeros([2], tf.int64)

        def key(purpose):
            # Two keys per epoch, for the order and for the steps: no stream is used twice.
            number = 2 * tf.cast(epoch, tf.int64) + purpose
            return tf.stack([tf.constant(self.seed, tf.int64), number])

        return tf.random.experimental.stateless_shuffle(tf.range(count), seed=key(0)), key(1)

    def batch(self, arrays, order, step: tf.Tensor) -> tuple:
        """Returns batch number `step`, an int64 scalar, of a pass with this `order`, on float32.

        Args:
            arrays: as `arrays`.
            order: what `order` returned.
            step: from 0 on, below `num_batches`.

        Returns:
            (x,) or (x, y), x of shape [B, ...].
        """
        order, key = order
        index = order[step * self.batch_size : (step + 1) * self.batch_size]
        x, *rest = (tf.gather(array, index) for array in arrays)
        if x.dtype == tf.uint8:
            x = tf.cast(x, tf.float32) / 255.0
        if not (self._resample or self._augment):
            return x, *rest
        step_key = tf.random.experimental.stateless_fold_in(key, step)
        if self._augment:
            # A key beside the step's own, which draws the same binary images as without moves.
            x = augmented(x, self._augment, tf.random.experimental.stateless_fold_in(step_key, 1))
            if self._kind is Kind.THRESHOLD:
                x = tf.cast(x >= 0.5, tf.float32)
            if self._kind is Kind.EIGHT_BIT:
                x = tf.round(x * 255.0) / 255.0
            if self._kind is Kind.UNIT_INTERVAL:
                x = tf.clip_by_value(x, 0.0, 1.0)  # the last bit of an interpolation
        if self._resample:
            x = tf.cast(tf.random.stateless_uniform(tf.shape(x), step_key) < x, tf.float32)
        return x, *rest

    def dataset(self, epoch: "int | tf.Variable" = 0) -> tf.data.Dataset:
        """Returns one pass as tf.data, batches x or tuples.

        Args:
            epoch: the number of the pass. A variable is read each time an iterator is made.
        """

        def steps_of(_):
            order = self.order(tf.cast(epoch, tf.int64))
            steps = tf.data.Dataset.range(self.num_batches)
            return steps.map(lambda step: (order, step))

        def to_batch(order, step):
            batch = self.batch(self.arrays, order, step)
            return batch if len(batch) > 1 else batch[0]

        steps = tf.data.Dataset.range(1).flat_map(steps_of)
        steps = steps.apply(tf.data.experimental.assert_cardinality(self.num_batches))
        return steps.map(to_batch, num_parallel_calls=2, deterministic=True).prefetch(8)
