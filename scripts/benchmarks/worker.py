"""A contestant: a process that makes its model ready, and then runs one block whenever it is told.

    python FILE ITEM VARIANT DATA.npz

It writes a line of JSON when it is ready, with the seconds of its first block, and one per block.
Whatever else it or its libraries print goes to standard error. Needs NumPy alone, as a contestant
has an environment of its own.
"""

import json
import os
import resource
import sys
import time

import numpy as np

# How each library is asked whether it has a GPU, once it is imported.
_HAS_GPU = {
    "torch": lambda torch: torch.cuda.is_available(),
    "jax": lambda jax: jax.default_backend() == "gpu",
    "tensorflow": lambda tf: bool(tf.config.list_physical_devices("GPU")),
}


def device() -> str:
    """Returns "gpu" or "cpu": where the library of this process works."""
    there = next((name for name in _HAS_GPU if name in sys.modules), None)
    return "gpu" if there and _HAS_GPU[there](sys.modules[there]) else "cpu"


def serve(make, where: "str | None" = None) -> None:
    """Runs blocks until standard input ends.

    Args:
        make: (item, variant, data) -> block, a function without arguments that returns the number
            of examples that it worked on and a figure that tells whether the work is the same: the
            loss of training or the log-likelihood, in nats per example. It may have an attribute
            `parameters`, a function that returns how many numbers are trained.
        where: "cpu" for a peer that has no other way; without it, what `device` says.
    """
    answers = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)
    item, variant, path = sys.argv[1:]
    with np.load(path) as data:
        block = make(item, variant, dict(data))
    started = time.perf_counter()
    _, figure = block()  # traces, compiles, allocates
    float(figure)
    print(json.dumps({"first": time.perf_counter() - started}), file=answers)
    for _ in sys.stdin:
        started = time.perf_counter()
        examples, figure = block()
        figure = float(figure)  # waits for what is computed in the background
        seconds = time.perf_counter() - started
        answer = {"seconds": seconds, "examples": int(examples), "figure": figure}
        answer["device"] = where or device()
        if hasattr(block, "parameters"):
            answer["parameters"] = int(block.parameters())
        kilobytes = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss  # bytes on macOS
        answer["peak_bytes"] = kilobytes * (1 if sys.platform == "darwin" else 1024)
        print(json.dumps(answer), file=answers)
