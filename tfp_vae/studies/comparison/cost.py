"""What a prediction costs: time and memory, measured on this machine."""

import contextlib
import pathlib
import statistics
import time
from collections.abc import Callable, Iterator

from tfp_vae.data import Split

_BATCH = 100
_REPEATS = 5
_STATUS, _RESET = (pathlib.Path("/proc/self") / name for name in ("status", "clear_refs"))


def of_prediction(predict: Callable[[Split], object], split: Split) -> dict[str, float]:
    """Returns what predicting costs with everything compiled.

    Args:
        predict: of a split.
        split: from which the first 100 examples are predicted at a time.

    Returns:
        "milliseconds" per example, the median of five batches, and, where the system tells
        (Linux), "memory": by how many MiB the process grows at its peak.
    """
    batch = split.take(_BATCH)
    predict(batch)  # compiles
    seconds = []
    with _peak() as peak:
        for _ in range(_REPEATS):
            started = time.perf_counter()
            predict(batch)
            seconds.append(time.perf_counter() - started)
    found = {"milliseconds": 1000 * statistics.median(seconds) / len(batch)}
    return found | ({"memory": peak[0]} if peak else {})


@contextlib.contextmanager
def _peak() -> "Iterator[list[float]]":
    """Yields a list that gets the growth of resident memory in MiB, if the system tells it."""
    found: list[float] = []
    try:
        before = _kilobytes("VmRSS")
        _RESET.write_text("5")  # the peak starts anew from what is resident now
    except OSError:
        before = None
    yield found
    if before is not None:
        found.append(max(_kilobytes("VmHWM") - before, 0) / 1024)


def _kilobytes(name: str) -> int:
    lines = _STATUS.read_text().splitlines()
    return int(next(line for line in lines if line.startswith(f"{name}:")).split()[1])
