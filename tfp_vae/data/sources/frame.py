"""A table of pandas, polars and their like, or one for each split."""

import pathlib
from typing import Any

import numpy as np

from tfp_vae.arguments import check_choice
from tfp_vae.data import frames, kinds
from tfp_vae.data.column_files import ColumnFile
from tfp_vae.data.schema import DROP, Schema, to_pandas
from tfp_vae.data.source import (
    CLASSIFICATION,
    MOST_CLASSES,
    REGRESSION,
    Raw,
    Source,
    check_task,
    split_of,
)
from tfp_vae.data.sources import SOURCES
from tfp_vae.data.sources.array import beside


@SOURCES.register("frame", "a DataFrame, or {split: DataFrame}, maybe with a column to predict")
class Frame(Source):
    """A DataFrame, or a dict of one for each split, whose columns may be in any order."""

    words = "a DataFrame"
    arguments = ("labels", "targets", "target", "task", "columns", "unknown")

    def matches(self, source: Any) -> bool:
        """Returns whether it is a frame or a dict of frames."""
        if isinstance(source, dict):
            return bool(source) and all(map(frames.is_frame, source.values()))
        return frames.is_frame(source) or isinstance(source, ColumnFile)

    def title(self, source: Any) -> str:
        """Returns "table", or the name of a file."""
        return source.path.name if isinstance(source, ColumnFile) else "table"

    def read(
        self,
        source: Any,
        data_dir: "str | pathlib.Path | None",
        *,
        labels: Any = None,
        targets: Any = None,
        target: "str | None" = None,
        task: "str | None" = None,
        columns: Any = None,
        unknown: "str | None" = None,
    ) -> Raw:
        """Returns the rows; their columns are in the order of the training table."""
        del data_dir
        task = check_task(task)
        given = self._by_split(source)
        if len(given) > 1 and (labels is not None or targets is not None):
            raise ValueError(
                "Labels and targets go with one table. Expected target, the name of a column, for "
                f"tables of {', '.join(given)}. Received labels or targets."
            )
        alone = labels is None and targets is None
        is_mixed = isinstance(source, ColumnFile) or columns is not None
        if is_mixed or (alone and target is None and not _is_bytes(given)):
            raw = of_mixed_columns(given, columns or {}, target, task, unknown)
            return raw if alone else _beside(raw, labels, targets)
        whole = frames.column_names(given["train"])
        if target is not None:
            check_choice("column", target, whole)
        order = [name for name in whole if name != target]
        splits, tasks = {}, {}
        for split, frame in given.items():
            names = frames.column_names(frame)
            frames.check_columns(names, whole, split)
            splits[split] = (frames.table(_without(frame, target), split, order)[0], None)
            if target is not None:
                y = frame[frame.columns[names.index(target)]]
                splits[split] = (splits[split][0], y)
                tasks[split] = task or _task(y)
        if not all(x.dtype == np.uint8 for x, _ in splits.values()):  # integers of tables are none
            splits = {split: (_numbers(x, split), y) for split, (x, y) in splits.items()}
        raw = Raw(splits, tasks.get("train", CLASSIFICATION))
        if target is None:
            raw = beside(splits["train"][0], labels, targets)
            raw = raw._replace(splits={**splits, "train": raw.splits["train"]})
        return raw._replace(columns=tuple(order))

    def _by_split(self, source):
        if not isinstance(source, dict):
            return {"train": source}
        found = {split_of(str(key)): frame for key, frame in source.items()}
        if None in found or "train" not in found or len(found) < len(source):
            raise ValueError(
                "These tables are not those of splits. Expected train, and maybe validation and "
                f"test, each once. Received {', '.join(map(str, source))}."
            )
        return found


def of_mixed_columns(
    given: "dict[str, Any]",
    columns: Any,
    target: "str | None",
    task: "str | None",
    unknown: "str | None" = None,
) -> Raw:
    """Returns tables of numbers, text and classes, with cells that may be missing, as values.

    Args:
        given: {split: frame or `ColumnFile`}, "train" at least.
        columns: {name: kind} of those whose kind is not what the training table says; or a
            `Schema`.
        target: the column that is predicted, which is no part of the values; or None.
        task: what it is; None for what its values say.
        unknown: see `data.load`.
    """
    given = {
        split: frame if isinstance(frame, ColumnFile) else to_pandas(frame, split)
        for split, frame in given.items()
    }
    train = given["train"]
    if target is not None:
        check_choice("column", target, list(train.columns))
    ys = {}
    for split, frame in given.items():
        if target is not None:
            frames.check_columns(list(frame.columns), list(train.columns), split)
            ys[split] = frame[target]
            given[split] = frame.drop(columns=[target])
    if isinstance(columns, Schema):
        schema = columns
    else:
        schema = Schema.infer(given["train"], columns)
        dropped = [name for name, kind in columns.items() if kind == DROP]
        given = {
            split: frame.drop(columns=[name for name in dropped if name in frame.columns])
            for split, frame in given.items()
        }
    splits = {
        split: (schema.encode(frame, split, unknown or "refuse"), ys.get(split))
        for split, frame in given.items()
    }
    found = CLASSIFICATION if target is None else task or _task(ys["train"])
    return Raw(splits, found, columns=schema.names, schema=schema)


def _beside(raw, labels, targets):
    values, _ = raw.splits["train"]
    found = beside(values, labels, targets)
    return raw._replace(splits={**raw.splits, **found.splits}, task=found.task)


def _is_bytes(given):
    """Returns whether all columns are of uint8, which are pixels."""
    return all(
        str(frame[name].dtype).lower() == "uint8"
        for frame in given.values()
        for name in frame.columns
    )


def _numbers(values: np.ndarray, split: str) -> np.ndarray:
    """Returns integers as the floats that they are in a table, whatever their range."""
    small = values.astype(np.float32)
    kinds.check_float32(values, small, f"The {split} values")
    return small


def _without(frame, target):
    if target is None:
        return frame
    names = frames.column_names(frame)
    return frame[[each for each, name in zip(frame.columns, names, strict=True) if name != target]]


def _task(y: Any) -> str:
    """Returns what a column asks for: text, categories, bools and few integers are classes."""
    values = np.asarray(y.to_numpy())
    if frames.categories(y) is not None or values.dtype.kind not in "iuf":
        return CLASSIFICATION
    few = values.dtype.kind in "iu" and len(np.unique(values)) <= MOST_CLASSES
    return CLASSIFICATION if few else REGRESSION
