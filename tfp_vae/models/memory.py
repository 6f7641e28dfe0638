"""Evaluation within the memory there is."""

import warnings
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import tensorflow as tf

from tfp_vae.data import Split


def in_batches(
    split: Split,
    batch_size: int,
    run: "Callable[[int, np.ndarray], object]",
    progress: "Callable[[int, int], None] | None" = None,
) -> Iterator[tuple[Any, int]]:
    """Yields (what `run` returned, examples that count) of batch after batch of a split.

    Args:
        split: the examples.
        batch_size: how many at a time. If memory runs out, half as many from there on.
        run: a function of (start, index [batch_size]). The last index is filled up with the last
            example: one shape, one compilation.
        progress: called with (examples done, examples in all) after every batch.

    Raises:
        MemoryError: if there is not even room for one example at a time.

    Warns:
        UserWarning: when the batches become smaller.
    """
    start, count = 0, len(split)
    batch_size = min(batch_size, count)
    while start < count:
        size = min(batch_size, count - start)
        index = np.pad(np.arange(start, start + size), (0, batch_size - size), mode="edge")
        try:
            part = run(start, index)
        except tf.errors.ResourceExhaustedError as error:
            if batch_size == 1:
                raise MemoryError(
                    f"The {split.name} split cannot be evaluated. Expected memory for one example "
                    f"at a time. Received: {error.message.splitlines()[0]}"
                ) from error
            warnings.warn(
                f"Out of memory with {batch_size} examples at a time; going on with "
                f"{batch_size // 2}.",
                UserWarning,
                stacklevel=3,
            )
            batch_size //= 2
            continue
        start += size
        if progress is not None:
            progress(start, count)
        yield part, size
