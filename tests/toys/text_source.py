"""A source of data of somebody else: numbers in a text file."""

import numpy as np

from tfp_vae.data.kinds import Kind
from tfp_vae.data.source import Raw, Source
from tfp_vae.data.sources import SOURCES


@SOURCES.register("toy_text", "numbers in a .toy file")
class Text(Source):
    """A table whose last column is the target."""

    words = "a .toy file"

    def matches(self, source):
        """Whether this is such a file."""
        return str(source).endswith(".toy")

    def read(self, source, data_dir):
        """Returns the table."""
        table = np.loadtxt(source, dtype=int)
        return Raw({"train": (table[:, :-1], table[:, -1] / 2)}, "regression", Kind.REAL)
