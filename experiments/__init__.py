"""Programs: read flags, call the library. Run one as `python -m experiments.NAME --helpshort`."""

import logging
import os
import sys

# TensorFlow writes pages about its build before the first line of ours; errors still come through.
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("TFDS_LOG_LEVEL", "error")
logging.getLogger("tensorflow").setLevel("ERROR")  # that a model is traced once is no news


def _import_tensorflow() -> None:
    # What it logs while it loads, before it reads the level above, only a closed door keeps out.
    stderr = os.dup(2)
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 2)
    try:
        import tensorflow as _  # noqa: F401
    finally:
        os.dup2(stderr, 2)
        os.close(stderr)
        os.close(nowhere)


if "tensorflow" not in sys.modules:
    _import_tensorflow()
