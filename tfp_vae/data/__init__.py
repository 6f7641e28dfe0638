"""Data sets with a known size, shape and kind of values.

Data are loaded and looked at without TensorFlow, which takes seconds and much memory; what makes
batches of them imports it.
"""

import importlib
from typing import TYPE_CHECKING, Any

from tfp_vae.data import rows, toys
from tfp_vae.data.answers import UNLABELLED
from tfp_vae.data.column_files import ColumnFile, open_table
from tfp_vae.data.completion import QUADRANTS, completion, seen_quadrants
from tfp_vae.data.corruptions import CORRUPTIONS, corrupted
from tfp_vae.data.kinds import Kind
from tfp_vae.data.labels import keep_labels
from tfp_vae.data.loading import load
from tfp_vae.data.missing import PATTERNS, observed_pixels
from tfp_vae.data.named import NAMES
from tfp_vae.data.named.sprites import FACTORS
from tfp_vae.data.named.uci import UCI_NAMES, uci
from tfp_vae.data.ood import OOD, fitted, hold_out, ood
from tfp_vae.data.schema import Column, ColumnKind, Schema
from tfp_vae.data.source import Named, Raw, Source
from tfp_vae.data.sources import SOURCES
from tfp_vae.data.splits import Data, Split
from tfp_vae.data.streams import Stream
from tfp_vae.data.table_files import read_frame, write_frame, write_frames

if TYPE_CHECKING:
    from tfp_vae.data.augmentation import augmented
    from tfp_vae.data.feeds import Feed

__all__ = [
    "CORRUPTIONS",
    "FACTORS",
    "NAMES",
    "OOD",
    "PATTERNS",
    "QUADRANTS",
    "SOURCES",
    "UCI_NAMES",
    "UNLABELLED",
    "Column",
    "ColumnFile",
    "ColumnKind",
    "Data",
    "Feed",
    "Kind",
    "Named",
    "Raw",
    "Schema",
    "Source",
    "Split",
    "Stream",
    "augmented",
    "completion",
    "corrupted",
    "fitted",
    "hold_out",
    "keep_labels",
    "load",
    "observed_pixels",
    "ood",
    "open_table",
    "read_frame",
    "rows",
    "seen_quadrants",
    "toys",
    "uci",
    "write_frame",
    "write_frames",
]

_OF_TENSORFLOW = {"Feed": "feeds", "augmented": "augmentation"}


def __getattr__(name: str) -> Any:
    if name not in _OF_TENSORFLOW:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(importlib.import_module(f"{__name__}.{_OF_TENSORFLOW[name]}"), name)
    globals()[name] = value
    return value
