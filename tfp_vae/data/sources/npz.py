"""An .npz file with arrays of one or of several splits."""

import contextlib
import os
import pathlib
import re
from collections.abc import Iterable, Iterator
from typing import Any

from tfp_vae.data import answers, kinds
from tfp_vae.data.source import (
    CLASSIFICATION,
    REGRESSION,
    SPLIT_NAMES,
    Raw,
    Source,
    check_task,
    split_of,
)
from tfp_vae.data.sources import SOURCES
from tfp_vae.reading import Arrays, check_regular

# Words in the names of arrays, beside one for the split: x_train, X_val, train_images, test_labels.
_ROLES = {
    **dict.fromkeys(("x", "image", "images", "data", "input", "inputs", "features"), "x"),
    **dict.fromkeys(("y", "label", "labels", "target", "targets"), "y"),
    "factors": "factors",
}
# The arrays of dSprites (Matthey et al., 2017), as its file calls them.
_DSPRITES = {"imgs": "x", "latents_classes": "factors"}


@SOURCES.register("npz", "a file of arrays x_train, y_train, x_test, ... or x and y")
class Npz(Source):
    """An .npz file: `x_train`, `y_train`, `x_test`, ... or `x` and `y`.

    What the examples were made from is `factors` beside `x` or `factors_train`, ..., [N, F]; the
    file of dSprites is read as it is, with its `latents_classes`. Cars3D, which comes as meshes of
    MATLAB, is written as `x` and `factors` first.
    """

    words = "an .npz file"
    arguments = ("task", "images")

    def matches(self, source: Any) -> bool:
        """Returns whether it is the path of a file that ends so."""
        return is_file(source, ".npz")

    def read(
        self,
        source: Any,
        data_dir: "str | pathlib.Path | None",
        *,
        task: "str | None" = None,
        images: "bool | None" = None,
    ) -> Raw:
        """Returns the splits that are there. Without a task, integers y are classes."""
        del data_dir
        path, task = pathlib.Path(source), check_task(task)
        with open_npz(path) as arrays:
            names = sorted(arrays)
            found, unread = _roles(path, names)
            splits = {
                split: (arrays[found["x", split]], arrays.get(found.get(("y", split))))
                for split in SPLIT_NAMES
                if ("x", split) in found
            }
            factors = {
                split: arrays[found["factors", split]]
                for split in splits
                if ("factors", split) in found
            }
        if "train" not in splits:
            raise ValueError(
                f"{path} has no training data. Expected arrays x_train (and y_train, x_test, ...) "
                f"or x (and y). Received arrays {names}."
            )
        for split, (values, _) in splits.items():
            kinds.check_finite(values, f"{path}, array for {split},")
        if task is None and answers.are_one_hot(y for _, y in splits.values()):
            task = CLASSIFICATION  # floats, as Keras' to_categorical makes them
        types = {split: y.dtype for split, (_, y) in splits.items() if y is not None}
        are_real = {each.kind == "f" for each in types.values()}
        if task is not None and "train" not in types:
            raise ValueError(
                f"{path} has nothing to learn for task {task!r}. Expected an array y_train, or y "
                f"beside x. Received arrays {names}."
            )
        if task is None and len(are_real) > 1:
            received = ", ".join(f"{split}: {each}" for split, each in types.items())
            raise ValueError(
                f"The y of {path} differ in type. Expected integers in all or floats in all, or "
                f"task to say which. Received {received}."
            )
        notes = f"{path}: arrays that are not read: {', '.join(unread)}"
        return Raw(
            splits,
            task or (REGRESSION if True in are_real else CLASSIFICATION),
            images=images,
            notes=(notes,) * bool(unread),
            factors=factors,
        )


def _roles(
    path: pathlib.Path, names: "Iterable[str]"
) -> "tuple[dict[tuple[str, str], str], list[str]]":
    """Returns {("x", "y" or "factors", split): name of an array} and names that say neither."""
    found: dict[tuple[str, str], str] = {}
    unread = []
    for name in sorted(names):
        words = re.split(r"[-_. /]+", name.lower())
        role = next((_ROLES[word] for word in words if word in _ROLES), None)
        rest = [word for word in words if word not in _ROLES]
        split = "train" if words in (["x"], ["y"], ["factors"]) else None
        if name in _DSPRITES:
            role, split = _DSPRITES[name], "train"
        if role and len(words) == 2 and len(rest) == 1:
            split = split_of(rest[0])
        if role is None or split is None:
            unread.append(name)
        elif (role, split) in found:
            raise ValueError(
                f"{path} has two arrays for {role} of the {split} split. Expected one. Received "
                f"{found[role, split]!r} and {name!r}."
            )
        else:
            found[role, split] = name
    for role, split in found:
        if role != "x" and ("x", split) not in found:
            raise ValueError(
                f"{path} has {role} of the {split} split alone. Expected an array x_{split} beside "
                f"it. Received {found[role, split]!r} among {sorted(names)}."
            )
    return found, unread


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
        ValueError: if it is not such a file; from an array that is asked for, if it is damaged, of
            objects or too large for the file.
    """
    check_regular(path)
    with path.open("rb") as file:
        yield Arrays(file, str(path))
