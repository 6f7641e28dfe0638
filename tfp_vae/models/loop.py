"""Many steps in one call: batches are made inside the graph, from data that stay in memory.

Stock Keras makes two tf.data iterators per epoch and traces the step twice, which small data wait
for. Here an epoch needs no iterator, and the step is traced once. With `jit_compile` the whole loop
is one XLA program: batches, steps and updates without a word to TensorFlow in between.
"""

import functools
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from typing import Any

import keras
import tensorflow as tf

from tfp_vae import keras_private
from tfp_vae.data import Feed
from tfp_vae.models.graphs import traced
from tfp_vae.randomness import part


class Loop:
    """Runs the batches of a feed, as the train or test function of a Keras model.

    Args:
        model: a compiled `VariationalModel`.
        step: its `train_step` or `test_step`.
        feed: what the first batches come from.

    `begin` says which batches are the next ones, calling the loop runs some of them.
    """

    def __init__(self, model: keras.Model, step: Callable, feed: Feed):
        self._model, self._step = model, step
        self._strategy = keras_private.strategy_of(model)
        self._compiled = bool(model.jit_compile and feed.compiles)
        if model.jit_compile and not self._compiled:
            self._step = traced(step, jit=True)
        self._signature = feed.signature
        self._steps: dict = {}  # by size of the batches; traced when first called
        self._feed: Feed | None = None
        self._order: tuple | None = None
        self._position = self._left = self._skip = 0

    def fits(self, feed: Feed) -> bool:
        """Returns whether the batches of `feed` can run in the same graph as those so far."""
        return self._signature == feed.signature

    def begin(
        self, feed: Feed, position: int = 0, count: "int | None" = None, skip: int = 0
    ) -> None:
        """Says which batches are the next ones.

        Args:
            feed: what they come from.
            position: the number of the first of them, counted through all passes over `feed`.
            count: how many there are; those of one pass by default.
            skip: how many of them have been worked on before: calls pass them by.
        """
        if feed is not self._feed or position != self._position:
            self._feed, self._order = feed, None
        self._position, self._skip = position, skip
        self._left = feed.num_batches if count is None else count

    @property
    def position(self) -> int:
        """The number of the batch that is trained on next, counted through all passes."""
        return self._position + self._skip

    def release(self) -> None:
        """Lets go of the data."""
        self._feed = self._order = None
        self._left = 0

    def __call__(self, iterator: Any = None) -> dict:
        """Runs the next `steps_per_execution` batches, or those left, and returns the metrics.

        Args:
            iterator: what Keras iterates over, a placeholder of as many elements as batches.

        Raises:
            StopIteration: if no batch is left.
        """
        if not self._left:
            raise StopIteration
        wanted = min(self._model.steps_per_execution, self._left)
        self._left -= wanted
        skipped = min(wanted, self._skip)
        self._skip -= skipped
        self._position += skipped
        wanted -= skipped
        logs = self._model.get_metrics_result() if skipped else None
        while wanted:
            epoch, first = divmod(self._position, self._feed.num_batches)
            if self._order is None or first == 0:
                self._order = self._feed.order(tf.constant(epoch, tf.int64))
            count, size = self._alike(first, wanted)
            given = (self._feed.arrays, self._order, tf.constant(first, tf.int64))
            logs = self._run(size, *given, tf.constant(count, tf.int64))
            self._position += count
            wanted -= count
        return logs

    def _alike(self, first: int, wanted: int) -> "tuple[int, int | None]":
        """Returns how many of the wanted batches one program can run, and their size if fixed."""
        feed = self._feed
        left = feed.num_batches - first
        if not self._compiled:
            return min(wanted, left), None
        full = left - bool(feed.short)
        return (min(wanted, full), feed.batch_size) if full else (1, feed.short)

    def _run(self, size, *arguments):
        if tf.config.functions_run_eagerly() and self._strategy is None:
            return self._all_steps(size, *arguments)
        if size not in self._steps:
            optimizer = self._model.optimizer
            if optimizer is not None and not optimizer.built:
                with self._model.distribute_strategy.scope():
                    optimizer.build(self._model.trainable_variables)
            # One concrete function: a `tf.function` is traced anew when it is called again.
            function = traced(functools.partial(self._all_steps, size), self._compiled)
            self._steps[size] = function.get_concrete_function(*arguments)
        return self._steps[size](*arguments)

    def _all_steps(self, size, arrays, order, first, count):
        feed, last = self._feed, first + count - 1

        def run(batch):
            x, *rest = batch
            if feed.weighted and not feed.with_y:
                rest = [None, *rest]
            x, y = self._model.to_keras(x, *rest[:1] or [None])
            self._step((x, y, *rest[1:]) if rest else x)

        def replica(step):
            # Replicas make their parts of the batch; of any other batch, all of it.
            index = tf.distribute.get_replica_context().replica_id_in_sync_group
            with part(index, feed.replicas) if feed.replicas > 1 else nullcontext():
                run(feed.batch(arrays, order, step))

        def shared(step):
            self._strategy.run(replica, (step,))
            return (step + 1,)

        def compiled(step):
            run(feed.batch(arrays, order, step, size))
            return (step + 1,)

        def ahead(step, batch):
            # The next batch needs nothing of this step: TensorFlow makes it meanwhile.
            following = feed.batch(arrays, order, tf.minimum(step + 1, last))
            run(batch)
            return step + 1, following

        if self._strategy is not None:
            tf.while_loop(lambda step: step <= last, shared, (first,))
        elif self._compiled:
            tf.while_loop(lambda step: step <= last, compiled, (first,))
        elif self._model.steps_per_execution == 1:
            run(feed.batch(arrays, order, first))
        else:
            batch = feed.batch(arrays, order, first)
            shapes = [tf.TensorShape([None, *part.shape[1:]]) for part in batch]
            tf.while_loop(
                lambda step, _: step <= last,
                ahead,
                (first, batch),
                shape_invariants=(first.shape, tuple(shapes)),
            )
        return self._model.get_metrics_result()


class Skipping:
    """A train function of Keras that passes by the first batches of what it iterates over.

    Args:
        model: whose train function it is.
        count: of batches to pass by.
    """

    def __init__(self, model: keras.Model, count: int):
        self._model, self._function, self._left = model, model.train_function, count

    def __call__(self, iterator: Iterator) -> dict:
        """Runs, or passes by, the next `steps_per_execution` batches."""
        if not self._left:
            return self._function(iterator)
        for _ in range(min(self._left, self._model.steps_per_execution)):
            next(iterator)
            self._left -= 1
        return self._model.get_metrics_result()
