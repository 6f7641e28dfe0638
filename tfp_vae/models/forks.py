"""Processes that were forked after TensorFlow had computed, where it waits for ever.

Its threads are not copied with the process, and what is handed to them is never done: no error, no
end. So a model says it there.
"""

import os

from tfp_vae import keras_private

_hangs = False


def check() -> None:
    """Raises `RuntimeError` in a process in which TensorFlow would hang."""
    if _hangs:
        raise RuntimeError(
            "TensorFlow cannot compute in a process that was forked after it had computed. "
            "Expected processes of multiprocessing.get_context('spawn') (or 'forkserver'), which "
            "joblib starts by itself, or a fork before anything is computed. Received process "
            f"{os.getpid()}, forked from {os.getppid()}."
        )


def _look() -> None:
    global _hangs
    _hangs = keras_private.has_computed()


if hasattr(os, "register_at_fork"):  # where there are forks
    os.register_at_fork(after_in_child=_look)
