"""What can only be drawn one number after the other, and how far that is."""

import contextlib
import threading
from collections.abc import Callable, Iterator
from typing import Any

import tensorflow as tf

_active = threading.local()


@contextlib.contextmanager
def showing(progress: "Callable[[int, int], None] | None") -> Iterator[None]:
    """A context in which draws say how far they are.

    Args:
        progress: called with (steps done, steps in all); None for nothing.
    """
    before = getattr(_active, "progress", None)
    _active.progress = progress
    try:
        yield
    finally:
        _active.progress = before


def one_by_one(count: int, step: Callable[[Any, tf.Tensor], tf.Tensor], start: tf.Tensor) -> Any:
    """Returns what `count` steps make of `start`: a loop here, or a loop of a graph in one.

    Args:
        count: of steps.
        step: a function of (number of the step, what the one before made).
        start: a tensor.
    """
    if not tf.executing_eagerly():
        _, found = tf.while_loop(
            lambda i, _: i < count, lambda i, state: (i + 1, step(i, state)), (0, start)
        )
        return found
    progress = getattr(_active, "progress", None)
    for i in range(count):
        start = step(i, start)
        if progress is not None:
            progress(i + 1, count)
    return start
