"""An array in memory, cut into three splits."""

import pathlib
from typing import Any

import numpy as np

from tfp_vae.data.source import CLASSIFICATION, REGRESSION, Raw, Source
from tfp_vae.data.sources import SOURCES


@SOURCES.register("array", "an array [N, ...] with labels or targets beside it")
class Array(Source):
    """An array [N, ...]."""

    words = "an array"
    arguments = ("labels", "targets")

    def matches(self, source: Any) -> bool:
        """Returns whether it is an array of NumPy."""
        return isinstance(source, np.ndarray)

    def title(self, source: np.ndarray) -> str:
        """Returns "array"."""
        return "array"

    def read(
        self,
        source: Any,
        data_dir: "str | pathlib.Path | None",
        *,
        labels: Any = None,
        targets: Any = None,
    ) -> Raw:
        """Returns the examples with their labels or targets."""
        del data_dir
        if labels is not None and targets is not None:
            raise ValueError(
                "There are both labels and targets. Expected labels for classes or targets for "
                f"regression. Received labels of shape {np.shape(labels)} and targets of shape "
                f"{np.shape(targets)}."
            )
        if targets is not None:
            return Raw({"train": (source, targets)}, REGRESSION)
        return Raw({"train": (source, labels)}, CLASSIFICATION)
