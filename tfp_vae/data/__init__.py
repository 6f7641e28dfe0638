"""Data sets with a known size, shape and kind of values."""

from tfp_vae.data import toys
from tfp_vae.data.answers import UNLABELLED
from tfp_vae.data.augmentation import augmented
from tfp_vae.data.completion import QUADRANTS, completion, seen_quadrants
from tfp_vae.data.corruptions import SHIFTS, shifted
from tfp_vae.data.feeds import Feed
from tfp_vae.data.kinds import Kind
from tfp_vae.data.labels import keep_labels
from tfp_vae.data.missing import PATTERNS, observed_pixels
from tfp_vae.data.ood import FOREIGN, fitted, foreign, hold_out
from tfp_vae.data.sources import NAMES, load
from tfp_vae.data.splits import Data, Split
from tfp_vae.data.tables import UCI_NAMES, uci

__all__ = [
    "FOREIGN",
    "NAMES",
    "PATTERNS",
    "QUADRANTS",
    "SHIFTS",
    "UCI_NAMES",
    "UNLABELLED",
    "Data",
    "Feed",
    "Kind",
    "Split",
    "augmented",
    "completion",
    "fitted",
    "foreign",
    "hold_out",
    "keep_labels",
    "load",
    "observed_pixels",
    "seen_quadrants",
    "shifted",
    "toys",
    "uci",
]
