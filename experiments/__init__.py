"""Programs: read flags, call the library. Run one as `python -m experiments.NAME --helpshort`."""

import os

# TensorFlow writes pages about its build before the first line of ours; errors still come through.
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("TFDS_LOG_LEVEL", "error")
