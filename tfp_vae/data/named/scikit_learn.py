"""The sets inside scikit-learn, which need no download."""

import pathlib
from typing import Any

import numpy as np

from tfp_vae.data.kinds import Kind
from tfp_vae.data.named import NAMES
from tfp_vae.data.source import CLASSIFICATION, REGRESSION, Named, Raw


@NAMES.register("digits", "1,797 grey 8x8 digits, inside scikit-learn")
class Digits(Named):
    """The 8x8 digits."""

    def read(self, source: Any, data_dir: "str | pathlib.Path | None") -> Raw:
        """Returns the digits with their labels."""
        from sklearn import datasets

        bunch = datasets.load_digits()
        # 17 levels, 0..16, put on the 8-bit grid that all images share.
        values = np.round(bunch.images * (255 / 16)).astype(np.uint8)
        return Raw({"train": (values, bunch.target)})


@NAMES.register("diabetes", "progress of diabetes, 442 rows, inside scikit-learn")
@NAMES.register("wine", "three sorts of wine, 178 rows, inside scikit-learn")
@NAMES.register("breast_cancer", "benign or malignant, 569 rows, inside scikit-learn")
class Table(Named):
    """A table of real numbers."""

    def read(self, source: Any, data_dir: "str | pathlib.Path | None") -> Raw:
        """Returns the rows with their class or target."""
        from sklearn import datasets

        if source == "diabetes":
            bunch, task = datasets.load_diabetes(scaled=False), REGRESSION
        else:
            loaders = {"wine": datasets.load_wine, "breast_cancer": datasets.load_breast_cancer}
            bunch, task = loaders[source](), CLASSIFICATION
        return Raw({"train": (bunch.data.astype(np.float32), bunch.target)}, task, Kind.REAL)
