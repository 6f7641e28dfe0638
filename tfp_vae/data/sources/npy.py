"""An .npy file: one array, with labels or targets beside it."""

from typing import Any

import numpy as np

from tfp_vae.data.source import Source
from tfp_vae.data.sources import SOURCES
from tfp_vae.data.sources.array import Array
from tfp_vae.data.sources.npz import is_file
from tfp_vae.reading import read_array


@SOURCES.register("npy", "a file of one array [N, ...] with labels or targets beside it")
class Npy(Array):
    """An .npy file of an array [N, ...], which is read as that array is."""

    words = "an .npy file"
    title = Source.title

    def matches(self, source: Any) -> bool:
        """Returns whether it is the path of a file that ends so."""
        return is_file(source, ".npy")

    def values(self, source: Any) -> np.ndarray:
        """Returns the array of the file."""
        return read_array(source)
