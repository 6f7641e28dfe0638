"""Data sets with a known size, shape and kind of values."""

from tfp_vae.data import toys
from tfp_vae.data.kinds import Kind
from tfp_vae.data.sources import NAMES, load
from tfp_vae.data.splits import UNLABELLED, Data, Split
from tfp_vae.data.tables import UCI_NAMES, uci

__all__ = ["NAMES", "UCI_NAMES", "UNLABELLED", "Data", "Kind", "Split", "load", "toys", "uci"]
