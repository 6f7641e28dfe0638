"""An .npy file: one array, with labels or targets beside it."""

import pathlib
from typing import Any

from tfp_vae.data.source import Raw, Source
from tfp_vae.data.sources import SOURCES
from tfp_vae.data.sources.array import beside
from tfp_vae.data.sources.npz import is_file
from tfp_vae.reading import read_array


@SOURCES.register("npy", "a file of one array [N, ...] with labels or targets beside it")
class Npy(Source):
    """An .npy file of an array [N, ...], which is read as that array is."""

    words = "an .npy file"
    arguments = ("labels", "targets", "images")

    def matches(self, source: Any) -> bool:
        """Returns whether it is the path of a file that ends so."""
        return is_file(source, ".npy")

    def read(
        self,
        source: Any,
        data_dir: "str | pathlib.Path | None",
        *,
        labels: Any = None,
        targets: Any = None,
        images: "bool | None" = None,
    ) -> Raw:
        """Returns the examples with their labels or targets."""
        del data_dir
        return beside(read_array(source), labels, targets)._replace(images=images)
