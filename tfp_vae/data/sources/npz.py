"""An .npz file with arrays of one or of several splits."""

import contextlib
import os
import pathlib
from collections.abc import Iterator
from typing import Any

from tfp_vae.data import kinds
from tfp_vae.data.source import CLASSIFICATION, REGRESSION, SPLIT_NAMES, Raw, Source, check_task
from tfp_vae.data.sources import SOURCES
from tfp_vae.reading import Arrays, check_regular


@SOURCES.register("npz", "a file of arrays x_train, y_train, x_test, ... or x and y")
class Npz(Source):
    """An .npz file: `x_train`, `y_train`, `x_test`, ... or `x` and `y`."""

    words = "an .npz file"
    arguments = ("task",)

    def matches(self, source: Any) -> bool:
        """Returns whether it is the path of a file that ends so."""
        return is_file(source, ".npz")

    def read(
        self, source: Any, data_dir: "str | pathlib.Path | None", *, task: "str | None" = None
    ) -> Raw:
        """Returns the splits that are there. Without a task, integers y are classes."""
        del data_dir
        path, task = pathlib.Path(source), check_task(task)
        splits = {}
        with open_npz(path) as arrays:
            for split in SPLIT_NAMES:
                if f"x_{split}" in arrays:
                    splits[split] = (arrays[f"x_{split}"], arrays.get(f"y_{split}"))
            if not splits and "x" in arrays:
                splits["train"] = (arrays["x"], arrays.get("y"))
        if "train" not in splits:
            raise ValueError(
                f"{path} has no training data. Expected arrays x_train (and y_train, x_test, ...) "
                f"or x (and y). Received arrays {sorted(arrays)}."
            )
        for split, (values, _) in splits.items():
            kinds.check_finite(values, f"{path}, array for {split},")
        types = {split: y.dtype for split, (_, y) in splits.items() if y is not None}
        are_real = {each.kind == "f" for each in types.values()}
        if task is not None and "train" not in types:
            raise ValueError(
                f"{path} has nothing to learn for task {task!r}. Expected an array y_train, or y "
                f"beside x. Received arrays {sorted(arrays)}."
            )
        if task is None and len(are_real) > 1:
            received = ", ".join(f"{split}: {each}" for split, each in types.items())
            raise ValueError(
                f"The y of {path} differ in type. Expected integers in all or floats in all, or "
                f"task to say which. Received {received}."
            )
        return Raw(splits, task or (REGRESSION if True in are_real else CLASSIFICATION))


def is_file(source: Any, suffix: str) -> bool:
    """Returns whether `source` is the path of a file that ends in `suffix`."""
    if not isinstance(source, str | pathlib.Path):
        return False
    # os.path, since pathlib raises where a name is longer than any file's or has a NUL in it.
    return pathlib.Path(source).suffix.lower() == suffix and os.path.isfile(source)


@contextlib.contextmanager
def open_npz(path: pathlib.Path) -> Iterator[Arrays]:
    """Yields the arrays of an .npz file by name; what nobody asks for is not unpacked.

    Raises:
        ValueError: if it is no such file; from an array that is asked for, if that is damaged, of
            objects or too large for the file.
    """
    check_regular(path)
    with path.open("rb") as file:
        yield Arrays(file, str(path))
