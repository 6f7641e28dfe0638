"""Which precision trains fastest here: measured at the start, and kept for the next one.

XLA has no products in bfloat16 on a CPU: it computes them in float32 and rounds, which takes longer
than float32 does. TensorFlow's own kernels (oneDNN) have them, but are called outside XLA, and
there noise, activations and updates cost more. Whether that pays depends on processor and sizes,
so a step of each is timed whole. `jit_compile` says how a training runs, and holds for it alone:
the variables of TensorFlow that compile around products are read once, when it is imported.
"""

import hashlib
import itertools
import json
import math
import os
import pathlib
import time
from collections.abc import Sequence
from typing import Any, NamedTuple

import keras
import numpy as np
import tensorflow as tf

from tfp_vae import processor
from tfp_vae.files import own_folder, replacing, user_cache
from tfp_vae.models.graphs import traced
from tfp_vae.randomness import fold_in, normal, uniform
from tfp_vae.reading import read_text

VARIABLE = "TFP_VAE_PRECISION_CACHE"
# Another way than the first has to be so many times as fast: medians of repeats differ by some per
# cent from one start to the next, a training has parts that the step here has not, and half
# precision is not free in nats.
MARGIN = 1.15
MOST_ROWS = 1024  # of a step here; more are as fast by the row
_SECONDS = 1.0  # of repeats, beside what compiling takes
_LEAST, _MOST = 3, 25  # repeats
_STEPS = 4  # in a repeat, as a training runs many in one call
_INSTRUCTIONS = {"avx512_bf16", "amx_bf16", "avx_ne_convert", "bf16"}


class Way(NamedTuple):
    """How a training computes: Keras' dtype policy, and whether XLA compiles the step."""

    policy: str
    jit: bool

    def __str__(self) -> str:
        """Returns it in words."""
        return f"{self.policy} {'under' if self.jit else 'outside'} XLA"


class Choice(NamedTuple):
    """What is fastest.

    Attributes:
        way: the fastest, or the first unless another is `MARGIN` times as fast.
        milliseconds: of a step by the ways in words, medians.
        layers: what the step was of, in words.
        kept: whether it was measured at an earlier start.
    """

    way: Way
    milliseconds: dict[str, float]
    layers: str
    kept: bool

    def __str__(self) -> str:
        """Returns by what figures it was chosen, in one line."""
        took = ", ".join(f"{name} {value:.3g} ms" for name, value in self.milliseconds.items())
        when = "measured before, kept" if self.kept else "measured now"
        return (
            f"a step of dense layers {self.layers} takes {took} ({when}; the first unless another "
            f"is {MARGIN} times as fast)"
        )


def fastest(stacks: "Sequence[Sequence[int]]", rows: int, ways: "Sequence[Way]") -> Choice:
    """Returns how dense layers of these sizes train fastest on this machine.

    What was measured lies in `~/.cache/tfp_vae/precision` (`TFP_VAE_PRECISION_CACHE` names another
    folder, and measures every time where it is empty), for one processor, number of threads,
    version of TensorFlow and size. It is read as numbers; a file that is broken is written anew.

    Args:
        stacks: sizes of the layers of each network, the input's first; a network takes the first
            numbers of what the one before puts out.
        rows: in a batch, draws counted.
        ways: the usual one first.

    Raises:
        ValueError: for sizes that do not fit.
    """
    rows = min(rows, MOST_ROWS)
    for before, stack in itertools.pairwise([(math.inf,), *stacks]):
        if len(stack) < 2 or min(*stack, rows) < 1 or stack[0] > before[-1]:
            raise ValueError(
                "Unusable sizes of layers. Expected two or more > 0 in each network, the first no "
                f"larger than the last of the network before, and rows > 0. Received {stacks}, "
                f"rows={rows}."
            )
    key = {
        "processor": computing(),
        "threads": _threads(),
        "tensorflow": tf.__version__,
        "sizes": [list(map(int, stack)) for stack in stacks],
        "rows": int(rows),
        "ways": [str(way) for way in ways],
    }
    path = _file(key)
    known = None if path is None else _read(path, key)
    took = known or dict(zip(key["ways"], _measured(stacks, rows, ways), strict=True))
    if path is not None and not known:
        _write(path, {"key": key, "milliseconds": took})
    best = min(ways, key=lambda way: took[str(way)])
    if took[str(ways[0])] < MARGIN * took[str(best)]:
        best = ways[0]
    sizes = " and ".join("-".join(map(str, stack)) for stack in key["sizes"])
    return Choice(best, took, f"{sizes}, {rows} rows,", bool(known))


def ways(precision: str, jit: bool = True) -> list[Way]:
    """Returns the ways to train that a precision leaves open here, the usual one first.

    XLA has products in bfloat16 on a graphics card: half precision stays under it there. Where the
    processor says that it has none, half precision is left as it is.

    Args:
        precision: "auto" or a policy of Keras.
        jit: whether XLA may compile the step.
    """
    on_card = bool(tf.config.list_physical_devices("GPU"))
    if precision == "auto":
        return [Way("float32", jit), Way("mixed_bfloat16", jit and on_card)]
    if precision == "mixed_bfloat16" and jit and not on_card and has_bfloat16() is not False:
        return [Way(precision, True), Way(precision, False)]
    return [Way(precision, jit)]


def computing() -> str:
    """Returns what computes: the graphics cards that TensorFlow sees, else the processor."""
    cards = tf.config.list_physical_devices("GPU")
    if cards:
        details = [tf.config.experimental.get_device_details(card) for card in cards]
        return ", ".join(str(each.get("device_name", "GPU")) for each in details)
    return " ".join([processor.name(), *sorted(_INSTRUCTIONS & {*_features()})])


def has_bfloat16() -> "bool | None":
    """Returns whether there are products in bfloat16; None where the processor does not say."""
    if tf.config.list_physical_devices("GPU"):
        return True
    found = _features()
    return bool(_INSTRUCTIONS & {*found}) if found else None


def _features():
    return " ".join((processor.told("flags") or processor.told("Features"))[:1]).split()


def _threads():
    asked = tf.config.threading.get_intra_op_parallelism_threads()
    if asked or not hasattr(os, "sched_getaffinity"):
        return asked or os.cpu_count()
    return len(os.sched_getaffinity(0))


def _file(key: dict) -> "pathlib.Path | None":
    """Returns where the figures of `key` lie, None where nothing is kept."""
    named = os.environ.get(VARIABLE)
    try:
        folder = user_cache("precision") if named is None else named and pathlib.Path(named)
        if not folder:
            return None
        own_folder(folder.absolute())
    except OSError:  # it is measured every time, which the line says
        return None
    text = json.dumps(key, sort_keys=True)
    return folder.absolute() / f"{hashlib.sha256(text.encode()).hexdigest()[:16]}.json"


def _read(path: pathlib.Path, key: dict) -> "dict[str, float] | None":
    """Returns the figures in a file, None if they are not those of `key`, or no figures."""
    try:
        found: Any = json.loads(read_text(path, 2**16))
        if found["key"] != key:
            return None
        took = {name: float(found["milliseconds"][name]) for name in key["ways"]}
    except (OSError, ValueError, TypeError, KeyError, RecursionError):
        return None
    return took if all(0 < value < math.inf for value in took.values()) else None


def _write(path, content):
    try:
        with replacing(path) as temporary:
            temporary.write_text(json.dumps(content), encoding="utf-8")
    except OSError:  # as on a full disk: it is measured again
        pass


def _measured(stacks, rows, ways) -> "list[float]":
    """Returns the median milliseconds of a step by each way; repeats take turns."""
    draws = np.random.default_rng(0)
    sizes = [pair for stack in stacks for pair in itertools.pairwise(stack)]
    kernels = [
        tf.Variable(draws.normal(0, size[0] ** -0.5, size), dtype=tf.float32) for size in sizes
    ]
    slots = [[tf.Variable(tf.zeros(size)) for size in sizes] for _ in range(2)]
    runs = [_run(stacks, rows, way, kernels, *slots) for way in ways]
    for run in runs:  # traced and compiled
        run().numpy()
    found: list = [[] for _ in runs]
    started = time.perf_counter()
    while len(found[0]) < _LEAST or (
        len(found[0]) < _MOST and time.perf_counter() - started < _SECONDS
    ):
        for run, took in zip(runs, found, strict=True):
            before = time.perf_counter()
            run().numpy()
            took.append((time.perf_counter() - before) / _STEPS * 1000)
    return [float(np.median(took)) for took in found]


def _run(stacks, rows, way, kernels, first, second):
    """Returns a graph of some steps: noise, networks, their gradient and an update like Adam's."""
    dtype = keras.dtype_policies.get(way.policy).compute_dtype

    def loss(key):
        x = tf.cast(uniform([rows, stacks[0][0]], key) < 0.5, tf.float32)
        layers, total = iter(kernels), 0.0
        for number, stack in enumerate(stacks, 1):
            x = x[:, : stack[0]]
            for place in range(1, len(stack)):
                x = tf.matmul(tf.cast(x, dtype), tf.cast(next(layers), dtype))
                x = tf.nn.relu(x) if place < len(stack) - 1 else tf.cast(x, tf.float32)
            total += tf.reduce_sum(tf.math.softplus(x)) / rows
            x += normal([rows, stack[-1]], fold_in(key, number))
        return total

    def step(number, _):
        with tf.GradientTape() as tape:
            value = loss(fold_in(0, number))
        for kernel, m, v, slope in zip(
            kernels, first, second, tape.gradient(value, kernels), strict=True
        ):
            m.assign(0.9 * m + 0.1 * slope)
            v.assign(0.999 * v + 0.001 * tf.square(slope))
            kernel.assign_sub(1e-4 * m / (tf.sqrt(v) + 1e-7))
        return number + 1, value

    def run():
        return tf.while_loop(lambda i, _: i < _STEPS, step, (tf.constant(0), tf.constant(0.0)))[1]

    return traced(run, way.jit)
