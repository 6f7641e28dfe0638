"""What a source of data is: how it is recognised, which arguments go with it, what it reads."""

import abc
import pathlib
import re
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, ClassVar, NamedTuple

import numpy as np

from tfp_vae.arguments import check_choice
from tfp_vae.data.kinds import Kind
from tfp_vae.data.schema import Schema
from tfp_vae.data.streams import Stream

CLASSIFICATION, REGRESSION = TASKS = ("classification", "regression")
# A column of integers with more different values than this is a quantity, not a class.
MOST_CLASSES = 20
SPLIT_NAMES = ("train", "validation", "test")
# What others call them, in any case.
_SPLIT_WORDS = {
    "train": "train",
    "training": "train",
    "validation": "validation",
    "valid": "validation",
    "val": "validation",
    "dev": "validation",
    "test": "test",
    "testing": "test",
}
_UNSURE = ("eval", "evaluation")  # validation for some, test for others

# {split name: (values [N, ...], y [N] or [N, T] or None)}
Parts = dict[str, tuple["np.ndarray | Stream", "np.ndarray | None"]]


def split_of(word: str) -> "str | None":
    """Returns which split a usual word for one means, such as "Val"; None for any other word.

    Raises:
        ValueError: for a word that means validation to some and test to others.
    """
    if word.lower() in _UNSURE:
        raise ValueError(
            f"{word!r} may be the validation or the test split. Expected one of "
            f"{', '.join(_SPLIT_WORDS)}. Received {word!r}; rename it."
        )
    return _SPLIT_WORDS.get(word.lower())


def split_in(name: str) -> "str | None":
    """Returns which split a name has as one of its words, such as "set-val.tfrecord", or None."""
    found = {split_of(word) for word in re.split(r"[-_. ]+", name)} - {None}
    if len(found) > 1:
        raise ValueError(
            f"{name!r} names more than one split. Expected one. Received "
            f"{', '.join(sorted(found))}."
        )
    return found.pop() if found else None


class Raw(NamedTuple):
    """What a source yields before it has a kind and three splits.

    Attributes:
        splits: {split name: (values [N, ...], y [N] or [N, T] or None)}, "train" at least.
            Integers in 0..255 among the values are bytes.
        task: what y is: class numbers for "classification", numbers for "regression".
        kind: what the values are where they do not say it themselves, such as `REAL` for a table.
        class_names: what the classes 0 to K - 1 are called, or None.
        columns: what the columns of a table are called, or None.
        images: whether examples of two axes are images [H, W] (True) or not (False).
        schema: what the columns of a table are, whose values are float32 with NaN in cells that are
            missing; or None.
        notes: what of the source is not read, or is changed on the way, a sentence each. `load`
            warns of it.
        factors: {split name: what the examples were made from, [N, F]}, where it is known.
        files: {split name: the file in the source that each example is from, [N]}, if there are.
    """

    splits: Parts
    task: str = CLASSIFICATION
    kind: "Kind | None" = None
    class_names: "tuple[str, ...] | None" = None
    columns: "tuple[str, ...] | None" = None
    images: "bool | None" = None
    schema: "Schema | None" = None
    notes: "tuple[str, ...]" = ()
    factors: "Mapping[str, np.ndarray]" = MappingProxyType({})
    files: "Mapping[str, np.ndarray]" = MappingProxyType({})


class Source(abc.ABC):
    """One form that data come in, without a state.

    A data set with a name is a subclass in a file of `data/named`, registered by that name:
    `@NAMES.register("mnist", "what it is")`. Any other form is one in a file of `data/sources`,
    registered by a name of its own, `@SOURCES.register("csv", "what it is")`, and has `matches`.

    Attributes:
        words: such a source in words, for errors: "a .csv file".
        arguments: which arguments of `load` go with it, of those that do not go with all.
    """

    words: ClassVar[str]
    arguments: ClassVar[tuple[str, ...]] = ()

    def matches(self, source: Any) -> bool:
        """Returns whether what `load` was given is such a source; one with a name needs none."""
        del source
        return False

    def title(self, source: Any) -> str:
        """Returns the name of the data set."""
        return pathlib.Path(source).name

    @abc.abstractmethod
    def read(self, source: Any, data_dir: "str | pathlib.Path | None", **given: Any) -> Raw:
        """Returns the examples.

        Args:
            source: what `load` was given.
            data_dir: as `load` was given it.
            **given: a value, or None, for each of `arguments`.

        Raises:
            ValueError: for data that cannot be used; the message says where the fault is.
            FileNotFoundError: if they are neither there nor can be downloaded.
        """


class Named(Source):
    """A data set that is found by its name."""

    words = "a named data set"

    def title(self, source: str) -> str:
        """Returns the name of the data set."""
        return source


def check_task(task: "str | None") -> "str | None":
    """Returns `task`; raises `ValueError` unless it is one of `TASKS` or None."""
    return task if task is None else check_choice("task", task, TASKS)
