"""Programs: read flags, call the library. Run one as `python -m experiments.NAME -h`.

Where the package is installed they are `tfp_vae.programs`, and the command is `tfp-vae NAME -h`.
Flags and paths are looked at before TensorFlow is imported, which takes seconds: a module here
imports at its top what is there at once, and a program calls `start` before it needs the rest.
"""

import contextlib
import logging
import multiprocessing
import os
import sys
from collections.abc import Iterator

try:
    import tfp_vae as _  # noqa: F401
except ImportError as error:  # told in one line, as all that a program cannot use
    print(f"error: {error}", file=sys.stderr)
    sys.exit(2)

from . import kept_programs

# Keras imports them where they are installed, for wrappers and pictures that no program has: more
# than a quarter of the time until TensorFlow is there. What needs one imports it later, as ever.
_FOR_OTHERS = ("matplotlib", "pandas", "sklearn")


@contextlib.contextmanager
def _hidden(*names: str) -> "Iterator[None]":
    """A context in which modules that are not imported yet look as if they were not installed."""
    hidden = [name for name in names if name not in sys.modules]
    sys.modules.update(dict.fromkeys(hidden))
    try:
        yield
    finally:
        for name in hidden:
            del sys.modules[name]


def start() -> None:
    """Imports TensorFlow, quietly, with the folder for what XLA compiles."""
    if "tensorflow" in sys.modules:
        return
    # It writes pages about its build before the first line of ours; errors still come through.
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    os.environ.setdefault("TFDS_LOG_LEVEL", "error")
    logging.getLogger("tensorflow").setLevel("ERROR")  # it warns where a model is traced once
    _keep_what_is_compiled()
    # What it logs while it loads, before it reads the level above, only a closed door keeps out.
    stderr = os.dup(2)
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 2)
    try:
        with _hidden(*_FOR_OTHERS):
            import tensorflow as _  # noqa: F401
    finally:
        os.dup2(stderr, 2)
        os.close(stderr)
        os.close(nowhere)


def _keep_what_is_compiled() -> None:
    given = os.environ.get("TF_XLA_FLAGS", "")
    flags = "" if kept_programs.FLAG in given else kept_programs.flags()
    if flags:
        os.environ["TF_XLA_FLAGS"] = f"{given} {flags}".strip()


if multiprocessing.current_process().name != "MainProcess":
    start()  # it works for a program, and what it is sent needs TensorFlow
