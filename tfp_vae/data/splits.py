"""A data set as models use it: three splits that know their size, shape and kind of values.

Intensities are kept once, in the smallest form (uint8, or float32 where that is what came in), or
not at all: a `Stream` reads them from files when they are asked for. A `Feed` makes float32 batches
of them inside a graph, batched before anything else is done. The order of the examples and the
binarisation in training are pure functions of (seed, epoch, step), never of hidden iterator state:
a run that starts at epoch 7 sees what the uninterrupted run saw.
"""

import dataclasses
import hashlib
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from tfp_vae import notebooks
from tfp_vae.arguments import check_number, check_type, is_count
from tfp_vae.data import answers, frames, kinds, streams
from tfp_vae.data.kinds import Kind
from tfp_vae.data.schema import Schema

if TYPE_CHECKING:
    import tensorflow as tf

    from tfp_vae.data.feeds import Feed

# Frozen binarisations use their own fixed stream: the test images of "mnist, dynamic" are the same
# for every model seed, because scores on different images do not compare.
_FROZEN_SEED = 20131220


def _stored(values: np.ndarray) -> np.ndarray:
    """Returns values as a split keeps them, truths as black and white."""
    if values.dtype == np.bool_:
        return values.astype(np.uint8) * np.uint8(255)
    return kinds.intensities(values)


# What a notebook shows of a split.
_SHOWN = ("split", "examples", "shape of one", "kind", "beside")


class Split:
    """The examples of one split.

    Args:
        values: [N, ...] array or `Stream`, or a frame, such as a DataFrame, of N rows. uint8 means
            k/255; floats are taken as they are.
        kind: the kind of the values that models see; None for that of the `schema`.
        labels: [N] class numbers, integers from 0 on, or None. `answers.classes` says what else:
            [N, 1], whole floats, one-hot, text, categories; -1, None, NaN and masks for no label.
        name: used in messages.
        targets: [N] or [N, T] finite real numbers to predict, or None. A split has labels or
            targets, not both.
        schema: of a table [N, D], what its columns are, or None. With one, values that are NaN or
            not observed are cells that are missing: NaN in `values()`, False in `observed`.
        beside: what stands beside the examples, by name: "labels" and "targets" as above,
            "factors" [N, F], the numbers that an example was made from, "observed", bool of the
            shape of the values, True where a value was observed, and "files" [N], names of the
            files that examples are from.
        class_names: what the classes 0 to K - 1 are called. None means the names that labels in
            text or in categories have.
        columns: the names of the D columns of a table [N, D]. None means those of the schema or of
            a frame; a frame with its columns in another order is put in this one.

    Attributes:
        shape: the event shape, such as (28, 28, 1).
        kind: a `Kind`.
        schema: the `Schema` or None.
        beside: the arrays that are there, by name: "labels" int64, "targets" and "factors" float32,
            "observed" bool, "files" of str. The names are attributes too, None for what is not
            there.
        class_names: what the classes are called, or None.
        columns: what the columns of a table are called, or None.
        augment: the share by which images are moved at random in training; 0 for not at all.

    A `DYNAMIC` split draws new binary images for every batch of `epoch`; `frozen()` gives the split
    whose images were drawn once.
    """

    def __init__(
        self,
        values: "np.ndarray | streams.Stream",
        kind: "Kind | str | None" = None,
        labels: "np.ndarray | None" = None,
        name: str = "data",
        targets: "np.ndarray | None" = None,
        *,
        schema: "Schema | None" = None,
        beside: "Mapping[str, np.ndarray] | None" = None,
        class_names: "Sequence[str] | None" = None,
        columns: "Sequence[str] | None" = None,
    ):
        if columns is None and isinstance(schema, Schema):
            columns = schema.names
        if frames.is_frame(values):
            values, columns = frames.table(values, name, columns)
        if schema is not None:
            check_type("schema", schema, Schema, "Split")
            values, beside = _with_gaps(values, beside)
        if not isinstance(values, streams.Stream):
            values = unmasked(values, name)
            kinds.check_numbers(values, f"The {name}")
        if (
            values.dtype == np.uint8
            or values.dtype == np.bool_
            or isinstance(values, streams.Stream)
        ):
            if values.dtype not in (np.uint8, np.float32):
                values = streams.mapped(values, _stored)
        else:
            given, values = values, kinds.intensities(values)
            for each, what in ((given, "split"), (values, "split, as float32,")):
                # Of a table with a schema NaN is a cell that is missing.
                each = each if schema is None else np.where(np.isnan(each), 0, each)
                kinds.check_finite(each, f"The {name} {what}")
            kinds.check_float32(given, values, f"The {name} values")
        self.kind = kinds.of(schema.kind if kind is None and schema is not None else kind)
        if schema is not None and self.kind is not schema.kind:
            raise ValueError(
                f"The {name} split has two kinds. Expected that of its schema, '{schema.kind}', or "
                f"kind=None. Received '{self.kind}'."
            )
        self.name, self.schema = name, schema
        self.columns = None if columns is None else tuple(map(str, columns))
        self._intensities = values
        # Whether the intensities are the values: nothing is left to draw or to threshold.
        self._is_frozen = self.kind not in (Kind.DYNAMIC, Kind.THRESHOLD)
        self._source: Split | None = None  # what it was before it was frozen
        self.augment = 0.0
        self._check()
        given = {"labels": labels, "targets": targets}
        given = {key: value for key, value in given.items() if value is not None}
        twice = given.keys() & (beside or {}).keys()
        if twice:
            raise ValueError(
                f"The {name} split has {' and '.join(sorted(twice))} twice. Expected them as an "
                "argument or in beside. Received both."
            )
        self.beside, self.class_names = answers.beside(
            {**given, **(beside or {})}, values.shape, name, class_names
        )

    def _check(self) -> None:
        values = self._intensities
        if values.ndim < 2:
            raise ValueError(
                f"The {self.name} values must have one axis of examples and at least one more. "
                f"Expected shape (N, ...). Received shape {values.shape}."
            )
        if not values.size:
            raise ValueError(
                f"The {self.name} split is empty. Expected at least one example. Received shape "
                f"{values.shape}."
            )
        is_known = isinstance(values, streams.Stream) and values.schema is not None
        if self.schema is not None and not (is_known and values.schema == self.schema):
            for block in streams.blocks(values):
                self.schema.check(kinds.intensities(block), self.name)
        if self.columns is not None and values.shape[1:] != (len(self.columns),):
            raise ValueError(
                f"The {self.name} values do not fit the names of their columns. Expected shape "
                f"(N, {len(self.columns)}). Received shape {values.shape}."
            )
        if self.schema is not None or (values.dtype == np.uint8 and self.kind is not Kind.STATIC):
            return  # k/255 fits every other kind
        for block in streams.blocks(values):
            self._check_values(block)

    def _check_values(self, values: np.ndarray) -> None:
        expected = kinds.violation(kinds.intensities(values), self.kind)
        if expected:
            scale = 255 if values.dtype == np.uint8 else 1
            raise ValueError(
                f"The {self.name} values are out of range. Expected {expected} for kind "
                f"'{self.kind}'. Received values from {values.min() / scale:g} to "
                f"{values.max() / scale:g}, {len(np.unique(values.ravel()[:100_000]))} different."
            )

    def __len__(self) -> int:
        return len(self._intensities)

    def __repr__(self) -> str:
        return f"Split({self.name}, {len(self)} examples of shape {self.shape}, {self.kind})"

    def _repr_html_(self) -> str:
        return notebooks.table(repr(self), _SHOWN, [self._shown()])

    def _shown(self) -> "tuple[object, ...]":
        shown = [key for key in self.beside if key != "files"]
        beside = "labels" if self.labels is not None else ", ".join(shown)
        return (self.name, len(self), self.shape, self.kind, beside)

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape of one example."""
        return tuple(self._intensities.shape[1:])

    @property
    def labels(self) -> np.ndarray | None:
        """Class numbers [N], int64, or None."""
        return self.beside.get("labels")

    @property
    def targets(self) -> np.ndarray | None:
        """Numbers to predict, [N] or [N, T], float32, or None."""
        return self.beside.get("targets")

    @property
    def factors(self) -> np.ndarray | None:
        """What the examples were made from, [N, F], float32, or None."""
        return self.beside.get("factors")

    @property
    def observed(self) -> np.ndarray | None:
        """Which values were observed, bool [N, ...], or None for all of them."""
        if not self._has_unread_gaps():
            return self.beside.get("observed")
        return np.concatenate([~np.isnan(block) for block in streams.blocks(self._intensities)])

    def _has_unread_gaps(self):
        """Whether cells are missing in a table that is not in memory."""
        if self.schema is None or not isinstance(self._intensities, streams.Stream):
            return False
        return any(np.isnan(block).any() for block in streams.blocks(self._intensities))

    @property
    def files(self) -> np.ndarray | None:
        """Which file each example is from, str [N], or None; no part of the `digest`."""
        return self.beside.get("files")

    @property
    def y(self) -> np.ndarray | None:
        """What a supervised model learns: int32 labels [N], float32 targets, or None."""
        return self.targets if self.labels is None else self.labels.astype(np.int32)

    @property
    def stored(self) -> "np.ndarray | streams.Stream":
        """The intensities as they are kept, [N, ...]: uint8 that mean k/255, or float32."""
        return self._intensities

    @property
    def is_dynamic(self) -> bool:
        """Whether `epoch` draws new binary images for every batch."""
        return self.kind is Kind.DYNAMIC and not self._is_frozen

    @property
    def digest(self) -> str:
        """SHA-256 of intensities, kind, schema and what stands beside: what was measured on."""
        sha = hashlib.sha256(
            f"{self.kind}{self._intensities.dtype}{self._intensities.shape}".encode()
        )
        for block in streams.blocks(self._intensities):
            sha.update(np.ascontiguousarray(block))
        beside: dict[str, Any] = {**self.beside}
        if self._has_unread_gaps():
            beside["observed"] = streams.mapped(self._intensities, lambda x: ~np.isnan(x))
        for key, value in sorted(beside.items()):
            if key == "files":  # the same images, wherever they lie
                continue
            if key != "labels":
                sha.update(f"{key}{value.shape}".encode())
            for block in streams.blocks(value):
                sha.update(np.ascontiguousarray(block))
        if self.schema is not None:
            sha.update(repr(self.schema).encode())
        return sha.hexdigest()

    def _others(self) -> dict:
        """Returns the arguments that say what stands beside the values and what it is called."""
        return {
            "beside": self.beside,
            "class_names": self.class_names,
            "columns": self.columns,
        }

    def intensities(self, index: Any = slice(None)) -> np.ndarray:
        """Returns the float32 intensities (before any binarisation) of the examples at `index`."""
        return kinds.intensities(self._intensities[index])

    def values(self, index: Any = slice(None)) -> np.ndarray:
        """Returns float32 values as a model sees them, [n, ...]; a dynamic split is drawn once."""
        return self.frozen().intensities(index)

    def by_columns(self) -> "np.ndarray | streams.Stream":
        """Returns `values`; of a table that is not in memory the stream, see `streams.column`."""
        unread = self.schema is not None and isinstance(self._intensities, streams.Stream)
        return self._intensities if unread else self.values()

    def frame(self, like: Any = None) -> Any:
        """Returns the table as a DataFrame with the dtypes that it had; see `Schema.decode`."""
        if self.schema is None:
            raise ValueError(
                f"The {self.name} split is no table. Expected one with a schema. Received {self!r}."
            )
        return self.schema.decode(self.values(), like)

    def frozen(self) -> "Split":
        """Returns this split with its binary images fixed, the same ones at every call."""
        if self._is_frozen:
            return self
        images, is_dynamic = self._intensities, self.kind is Kind.DYNAMIC
        if isinstance(images, streams.Stream):
            images = streams.Binarised(images, _FROZEN_SEED if is_dynamic else None)
        elif not is_dynamic:
            images = self.intensities() >= 0.5
        else:
            noise = np.random.default_rng(_FROZEN_SEED).random(self._intensities.shape, np.float32)
            images = noise < self.intensities()
        split = Split(images, self.kind, name=self.name, schema=self.schema, **self._others())
        split._is_frozen, split._source = True, self
        return split

    def unfrozen(self) -> "Split":
        """Returns this split as it was before `frozen`, with its grey intensities.

        A split that was never frozen is returned as it is.
        """
        return self if self._source is None else self._source

    def augmented(self, share: float) -> "Split":
        """Returns this split with images that are moved at random in training, each time anew.

        `data.augmented` says how. Binarisation comes after it; frozen, the images are as they were.

        Args:
            share: at most how far, a share of the image's size in [0, 1).

        Raises:
            ValueError: for another share, or a split that holds no images [N, H, W, C] of values
                that a moved image may have.
        """
        share = check_number("augment", share, 0, below=1)
        if share and (len(self.shape) != 3 or (self._is_frozen and self.kind.is_binary)):
            raise ValueError(
                f"The {self.name} split cannot be augmented. Expected images (N, H, W, C) whose "
                "values are intensities, such as those of kind 'dynamic'. Received examples of "
                f"shape {self.shape} and kind '{self.kind}', frozen: {self._is_frozen}."
            )
        split = self._like(self._intensities, self.beside)
        split.augment = share
        return split

    def mapped(self, function: Callable[[np.ndarray], np.ndarray], name: str) -> "Split":
        """Returns this split, called `name`, with other values.

        Args:
            function: what is stored [N, ...] (uint8 or float32) -> the same of another image; of a
                frozen split both the binary images and the intensities before go through it. Those
                of a `Stream` do so each time that they are read, and not all at once.
            name: of the new split.

        Raises:
            ValueError: if not all values are observed: which ones of the new values would be?
        """
        if self.observed is not None:
            raise ValueError(
                f"The {self.name} values cannot be changed where some are missing. Expected a "
                f"split without observed. Received {int((~self.observed).sum())} missing values."
            )
        return self._like(
            streams.mapped(self._intensities, function),
            self.beside,
            name,
            lambda source: source.mapped(function, name),
        )

    def in_memory(self) -> "Split":
        """Returns this split with all that lies in files read."""
        return self._like(
            self._intensities[:],
            self.beside,
            source=lambda source: source.in_memory(),
        )

    def take(self, count: int) -> "Split":
        """Returns the first `count` examples as a split."""
        return self.select(slice(count), self.name)

    def select(self, index: Any, name: str) -> "Split":
        """Returns the examples at `index`, a slice or an array, as a split called `name`.

        Raises:
            ValueError: if there are no such examples.
        """
        try:
            values = streams.selected(self._intensities, index)
            beside = {key: value[index] for key, value in self.beside.items()}
        except IndexError as error:
            raise ValueError(
                f"The {self.name} split has no such examples. Expected a slice, or numbers from 0 "
                f"to {len(self) - 1}. Received {error}."
            ) from error
        return self._like(values, beside, name, lambda source: source.select(index, name))

    def relabelled(self, labels: np.ndarray, class_names: "Sequence[str] | None" = None) -> "Split":
        """Returns the same examples with other labels [N], and without targets.

        Args:
            labels: see `Split`.
            class_names: what they are called; None for the names that the classes have.
        """
        split = self._with_y(labels=labels)
        split.class_names = self.class_names if class_names is None else tuple(class_names)
        return split

    def retargeted(self, targets: np.ndarray) -> "Split":
        """Returns the same examples with other targets, [N] or [N, T], and without labels."""
        return self._with_y(targets=targets)

    def _with_y(self, **y):
        others = {k: v for k, v in self.beside.items() if k not in ("labels", "targets")}
        return self._like(
            self._intensities, {**others, **y}, source=lambda source: source._with_y(**y)
        )

    def _like(self, values, beside, name=None, source=lambda source: source):
        """Returns a split that is frozen and augmented as this one is."""
        schema = self.schema if values.shape[1:] == self._intensities.shape[1:] else None
        same = self.columns is not None and values.shape[1:] == (len(self.columns),)
        names = self.class_names if "labels" in beside else None
        split = Split(
            values,
            self.kind,
            name=name or self.name,
            schema=schema,
            beside=beside,
            class_names=names,
            columns=self.columns if same else None,
        )
        split._is_frozen, split.augment = self._is_frozen, self.augment
        split._source = None if self._source is None else source(self._source)
        return split

    def num_batches(self, batch_size: int) -> int:
        """Returns the number of batches of one epoch, the short last one included."""
        return streams.num_batches(len(self), batch_size)

    def check_batch_size(self, batch_size: int) -> None:
        """Raises `ValueError` if `batch_size` is not in [1, N]."""
        if not is_count(batch_size, 1, len(self)):
            raise ValueError(
                f"batch_size does not fit the {self.name} split. Expected 1 to {len(self)}, the "
                f"number of examples. Received {batch_size!r}."
            )

    def dataset(self, batch_size: int, with_y: bool = False) -> "tf.data.Dataset":
        """Returns one pass in order, in float32 batches [B, ...]; binary images are frozen.

        Args:
            batch_size: examples per batch; the last one may be shorter.
            with_y: yield pairs (x, y) instead, with `y` the labels or the targets of x.

        Raises:
            ValueError: if `with_y` is asked of a split without labels and targets.
        """
        return self._feed(batch_size, None, with_y).dataset()

    def epoch(
        self, batch_size: int, seed: int, epoch: "int | tf.Variable", with_y: bool = False
    ) -> "tf.data.Dataset":
        """Returns one shuffled pass for training, in float32 batches [B, ...].

        `Feed` says what order and binarisation depend on.

        Args:
            batch_size: examples per batch; the last one may be shorter.
            seed: an integer.
            epoch: the number of the epoch. A variable is read each time an iterator is made.
            with_y: yield pairs (x, y) instead, with `y` the labels or the targets of x.

        Raises:
            ValueError: if `batch_size` is not in [1, N], or if `with_y` is asked of a split without
                labels and targets.
        """
        return self._feed(batch_size, seed, with_y).dataset(epoch)

    def _feed(self, batch_size: int, seed: "int | None", with_y: bool) -> "Feed":
        # TensorFlow takes seconds and much memory, which data that are only looked at do without.
        from tfp_vae.data.feeds import Feed

        return Feed(self, batch_size, seed, with_y)


def _with_gaps(values: Any, beside: "Mapping[str, Any] | None") -> "tuple[Any, dict]":
    """Returns the values of a table with NaN in every cell that is missing, and which are there."""
    beside = dict(beside or {})
    if isinstance(values, streams.Stream) or np.asarray(values).dtype.kind != "f":
        return values, beside
    values = np.asarray(values)
    seen = beside.get("observed")
    if seen is not None and np.shape(seen) == values.shape and np.asarray(seen).dtype == np.bool_:
        values = np.where(seen, values, np.nan).astype(values.dtype)
    gone = np.isnan(values)
    if gone.any() and (seen is None or np.shape(seen) == values.shape):
        beside["observed"] = ~gone
    return values, beside


def unmasked(values: Any, name: str) -> np.ndarray:
    """Returns values as an array; raises `ValueError` if some of them are masked."""
    if np.ma.is_masked(values):
        index = tuple(int(i) for i in np.argwhere(np.ma.getmaskarray(values))[0])
        raise ValueError(
            f"The {name} values have masked ones, which an array would pass off as observed. "
            "Expected an array, with beside={'observed': ~values.mask} for what is missing. "
            f"Received a mask at index {index}."
        )
    return np.asarray(frames.as_array(values, f"The {name} values"))


@dataclasses.dataclass(frozen=True)
class Data:
    """A data set in three splits.

    Attributes:
        name: where it came from, such as "mnist".
        train: split to learn from; a `DYNAMIC` one is binarised again for every batch.
        validation: split to choose by (early stopping, hyper-parameters), frozen.
        test: split to report on, never used for a choice, frozen.
    """

    name: str
    train: Split
    validation: Split
    test: Split

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape of one example, such as (28, 28, 1)."""
        return self.train.shape

    @property
    def kind(self) -> Kind:
        """The kind of the values."""
        return self.train.kind

    @property
    def num_classes(self) -> int | None:
        """The number of classes, or None without labels."""
        labels = [s.labels for s in (self.train, self.validation, self.test)]
        known = [found.max() for found in labels if found is not None]
        named = len(self.class_names or ())  # of which some may have no example here
        return max(int(max(known)) + 1, named) if known else None

    @property
    def class_names(self) -> "tuple[str, ...] | None":
        """What the classes are called, in the order of their numbers, or None."""
        return self.train.class_names

    @property
    def columns(self) -> "tuple[str, ...] | None":
        """What the columns of a table are called, or None."""
        return self.train.columns

    @property
    def schema(self) -> "Schema | None":
        """What the columns of a table are, or None."""
        return self.train.schema

    @property
    def task(self) -> str | None:
        """What there is to learn: "classification" of labels, "regression" of targets, or None."""
        if self.train.labels is not None:
            return "classification"
        return None if self.train.targets is None else "regression"

    @property
    def digests(self) -> dict[str, str]:
        """SHA-256 of each split."""
        return {s: getattr(self, s).digest for s in ("train", "validation", "test")}

    def __repr__(self) -> str:
        sizes = f"{len(self.train)} + {len(self.validation)} + {len(self.test)}"
        return f"Data({self.name}: {sizes} examples of shape {self.shape}, {self.kind})"

    def _repr_html_(self) -> str:
        parts = [self.train, self.validation, self.test]
        shown = notebooks.table(repr(self), _SHOWN, [part._shown() for part in parts])
        if self.schema is None:
            return shown
        rows = [(column.name, column.kind) for column in self.schema]
        return shown + notebooks.table("columns", ("column", "kind"), rows)
