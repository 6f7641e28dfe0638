"""An array in memory, cut into three splits."""

import pathlib
from typing import Any

import numpy as np

from tfp_vae.data import frames
from tfp_vae.data.source import CLASSIFICATION, REGRESSION, Raw, Source
from tfp_vae.data.sources import SOURCES


@SOURCES.register("array", "an array [N, ...] with labels or targets beside it")
class Array(Source):
    """An array [N, ...]."""

    words = "an array"
    arguments = ("labels", "targets", "images")

    def matches(self, source: Any) -> bool:
        """Returns whether it is an array, of NumPy or of what turns into one."""
        return hasattr(source, "__array__") and not frames.is_frame(source)

    def title(self, source: Any) -> str:
        """Returns "array"."""
        return "array"

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
        return beside(self.values(source), labels, targets)._replace(images=images)

    def values(self, source: Any) -> Any:
        """Returns the array."""
        return source


def beside(values: Any, labels: Any, targets: Any) -> Raw:
    """Returns examples with their labels or targets; raises `ValueError` for both."""
    if labels is not None and targets is not None:
        raise ValueError(
            "There are both labels and targets. Expected labels for classes or targets for "
            f"regression. Received labels of shape {np.shape(labels)} and targets of shape "
            f"{np.shape(targets)}."
        )
    if targets is not None:
        return Raw({"train": (values, targets)}, REGRESSION)
    return Raw({"train": (values, labels)}, CLASSIFICATION)
