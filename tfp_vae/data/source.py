"""What a source of data is: how it is recognised, which arguments go with it, what it reads."""

import abc
import pathlib
from typing import Any, ClassVar, NamedTuple

import numpy as np

from tfp_vae.arguments import check_choice
from tfp_vae.data.kinds import Kind
from tfp_vae.data.streams import Stream

CLASSIFICATION, REGRESSION = TASKS = ("classification", "regression")
SPLIT_NAMES = ("train", "validation", "test")

# {split name: (values [N, ...], y [N] or [N, T] or None)}
Parts = dict[str, tuple["np.ndarray | Stream", "np.ndarray | None"]]


class Raw(NamedTuple):
    """What a source yields before it has a kind and three splits.

    Attributes:
        splits: {split name: (values [N, ...], y [N] or [N, T] or None)}, "train" at least.
            Integers in 0..255 among the values are bytes.
        task: what y is: class numbers for "classification", numbers for "regression".
        kind: what the values are where they do not say it themselves, such as `REAL` for a table.
    """

    splits: Parts
    task: str = CLASSIFICATION
    kind: "Kind | None" = None


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
