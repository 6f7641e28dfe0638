"""How data come into a model: splits, arrays, tables, datasets, each looked at before it is used.

One look and one scale for every way in: what `fit` made of integers, and the order that it found
the columns of a table in, is what every other method does.
"""

import dataclasses
import multiprocessing
import types
import warnings
from collections.abc import Callable, Iterator
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from tfp_vae.arguments import check_count, check_number
from tfp_vae.data import Data, Kind, Schema, Split, Stream, answers, frames, kinds
from tfp_vae.data.splits import unmasked


@dataclasses.dataclass(frozen=True)
class Intake:
    """Turns what a user gives into what a model takes, or says why it cannot be.

    Attributes:
        candidates: the kinds that an array may be taken for, in order of preference.
        check: raises `ValueError` if the data of a `Split` do not fit the model.
        check_inputs: the same for data to predict from, whose targets may be missing.
        beside: what a `Split` is told of the `y` that was given with an array.
        supervised: whether an example has a target beside it.
        infers: whether an array says by itself what it is, whatever the candidates.
        columns: names of the columns of a table, in the order of training, where they are known.
        class_names: names of the classes, where they are known.
        predicts: whether targets are what is asked for, so that inputs come without.
        event_shape: of the examples, where it is known; an array that lacks its last axis, of one
            channel, is given it, as in `data.load`.
        schema: of the tables that the model is for: text and cells that are missing are taken too.
    """

    candidates: "tuple[Kind, ...]"
    check: Callable[[Split], None]
    check_inputs: Callable[[Split], None]
    beside: Callable[[object], dict]
    supervised: bool = False
    infers: bool = False
    columns: "tuple[str, ...] | None" = None
    class_names: "tuple[str, ...] | None" = None
    predicts: bool = False
    event_shape: "tuple[int, ...] | None" = None
    schema: "Schema | None" = None

    @staticmethod
    def is_whole(x: Any) -> bool:
        """Returns whether `x` are all examples at once: a `Split`, an array or a table."""
        return isinstance(x, Split | Data) or is_array(x)

    def split(self, x: Any, name: str = "given", y: Any = None) -> Split:
        """Returns `x`, a `Split` or an array [N, ...] with `y` beside it, as a checked `Split`.

        Raises:
            ValueError: if values, columns, shapes or targets do not fit the model.
        """
        if y is not None and not self.supervised and not (y is x or np.array_equal(y, x)):
            raise ValueError(
                f"The {name} data have targets that the model has no use for. Expected x alone, or "
                "a ConditionalVAE of x given y. Received y beside x."
            )
        split = x if isinstance(x, Split) else self.array(x, name, y)
        self._check_columns(split)
        names = split.class_names
        if names is not None and self.class_names is None and name != "training":
            if not isinstance(x, Split):
                answers.check_complete(y, name, names)
        elif names is not None and self.class_names is not None and split.labels is not None:
            if any(a != b for a, b in zip(names, self.class_names, strict=False)):
                raise ValueError(
                    f"The {split.name} labels number other classes than in training. Expected "
                    f"{', '.join(self.class_names[:20])} in this order; Split(..., class_names=...)"
                    f" numbers text by them. Received {', '.join(names[:20])}."
                )
        self.check(split)
        return split

    def inputs_of(self, x: Any, name: str = "given") -> Split:
        """Returns `x`, a `Split` or an array [N, ...], as a `Split` to predict from."""
        split = x if isinstance(x, Split) else self.array(x, name)
        self._check_columns(split)
        self.check_inputs(split)
        return split

    def _check_columns(self, split):
        if self.columns is None or split.columns is None or split.columns == self.columns:
            return
        frames.check_columns(split.columns, self.columns, split.name)
        raise ValueError(
            f"The {split.name} columns are in another order than in training. Expected "
            f"{', '.join(self.columns)}. Received {', '.join(split.columns)}."
        )

    def array(self, x: Any, name: str = "given", y: Any = None) -> Split:
        """Returns an array or table [N, ...] as a `Split` of the kind that fits, unchecked.

        `kinds.from_integers` says what integers are, as in `data.load`. The columns of a table are
        put in the order of those that the model was trained on.
        """
        if isinstance(x, Data):
            raise ValueError(
                f"The {name} data are three splits. Expected one of them: data.train, "
                "data.validation or data.test. Received a Data."
            )
        if not is_array(x):
            raise ValueError(
                f"The {name} data cannot be used. Expected a Split or an array (N, ...). Received "
                f"{type(x).__name__}."
            )
        if self.schema is not None:
            return self._table(x, name, y)
        columns = self.columns
        if frames.is_frame(x):
            x, columns = frames.table(x, name, columns)
        x = self._with_channel(unmasked(x, name))
        if columns is not None and x.shape[1:] != (len(columns),):
            columns = None  # whose error is that of the shape
        kinds.check_numbers(x, f"The {name}")
        if not self.infers:
            kinds.check_finite(x, f"The {name} array")
        given, x = x, self._scaled(x)
        more: dict[str, Any] = {"name": name, "columns": columns}
        beside = {key: value for key, value in self.beside(y).items() if value is not None}
        if "labels" in beside:
            beside["class_names"] = self.class_names
        if self.infers:
            kind = Kind.EIGHT_BIT if x.dtype == np.uint8 else kinds.infer(kinds.intensities(x))
            return Split(x, kind, **more, **beside)
        x = kinds.intensities(x)
        kinds.check_finite(x, f"The {name} array, as float32,")
        if given.dtype.kind == "f":
            kinds.check_float32(given, x, f"The {name} values")
        if not x.size:
            return Split(x, self.candidates[0], **more)  # which says that it is empty
        fitting = [kind for kind in self.candidates if not kinds.violation(x, kind)]
        if not fitting:
            # Raises if the likelihood is for no such values; else the range is wrong, says `Split`.
            self.check(Split(x, kinds.infer(x), **more, **beside))
        return Split(x, (fitting or self.candidates)[0], **more, **beside)

    def _table(self, x: Any, name: str, y: Any) -> Split:
        """Returns a table, or an array of its values, as a `Split` with the schema of the model."""
        if frames.is_frame(x):
            x = self.schema.encode(x, name)
        beside = {key: value for key, value in self.beside(y).items() if value is not None}
        if "labels" in beside:
            beside["class_names"] = self.class_names
        if not isinstance(x, Stream):
            x = np.asarray(x, np.float32)
        return Split(x, name=name, schema=self.schema, **beside)

    def _with_channel(self, x: Any) -> Any:
        """Returns an array with the axis of one channel that it lacks."""
        shape = self.event_shape
        lacks = shape is not None and shape[-1:] == (1,) and tuple(x.shape[1:]) == shape[:-1]
        return x[..., np.newaxis] if lacks else x

    def _scaled(self, x: np.ndarray) -> np.ndarray:
        """Returns an array as a `Split` keeps it."""
        if self.candidates == (Kind.EIGHT_BIT,) and x.dtype.kind == "f" and x.size:
            # A model of bytes that is given them as floats.
            if x.max() > 1 and x.min() >= 0 and x.max() <= 255 and (x == np.floor(x)).all():
                x = x.astype(np.uint8)
        return kinds.from_integers(x, candidates=self.candidates)[0]

    def scaled(self, x: Any) -> Any:
        """Returns what the model is called with, with the scale of training, on float32.

        Only integers and tables are others then, and images without their one channel; tensors of a
        graph have to be floats, and are not looked at.

        Raises:
            ValueError: for integers in a graph, of which it is not known what they are; for what is
                no number, not finite, of another shape or of a scale that the model cannot have.
        """
        if isinstance(x, tuple) and x and not hasattr(x, "_fields"):
            return (self.scaled(x[0]), *map(self._condition, x[1:]))
        if x is None or isinstance(x, list | dict | str | bytes | Data | float):
            raise ValueError(
                "The given data cannot be used. Expected an array (N, ...). Received "
                f"{type(x).__name__}."
            )
        if self.schema is not None and is_array(x):
            return self.schema.encode(x) if frames.is_frame(x) else x
        if frames.is_frame(x):
            return kinds.intensities(self._scaled(frames.table(x, "given", self.columns)[0]))
        if not isinstance(x, keras.KerasTensor | tf.Tensor | tf.Variable):
            if frames.has_gaps(x) or (is_array(x) and not isinstance(x, np.ndarray)):
                x = frames.as_array(x, "The given data")
        dtype = getattr(x, "dtype", None)
        if dtype is None or not hasattr(x, "shape") or isinstance(x, keras.KerasTensor):
            return x
        if not isinstance(x, tf.Tensor) or hasattr(x, "numpy"):
            x = self._looked_over(x)
            dtype = x.dtype
        if not tf.as_dtype(dtype).is_integer or self.candidates == (Kind.REAL,):
            return x
        if isinstance(x, tf.Tensor) and not hasattr(x, "numpy"):
            raise ValueError(
                "A graph cannot tell what integers are. Expected floats, as the model sees them "
                f"(bytes divided by 255). Received {tf.as_dtype(dtype).name}."
            )
        return kinds.intensities(self._scaled(np.asarray(x)))

    def _condition(self, given: Any) -> Any:
        """Returns what stands beside x in a call by hand as an array."""
        if given is None or isinstance(given, keras.KerasTensor | tf.Tensor | tf.Variable):
            return given
        array = frames.as_array(given, "The given conditions")
        if array.dtype.kind in "OUS":
            return answers.numbers_of_a_part(given, "given", self.class_names)[0]
        return array

    def _looked_over(self, x: Any) -> Any:
        """Returns what is called by hand, or raises; gradients with respect to it go on."""
        x = self._with_channel(unmasked(x, "given") if np.ma.isMaskedArray(x) else x)
        if isinstance(x, np.ndarray):
            kinds.check_numbers(x, "The given")
            x = x.astype(np.float64) if x.dtype.kind == "f" and x.dtype.itemsize > 8 else x
        dtype = tf.as_dtype(x.dtype)
        values = np.asarray(x)
        if not (dtype.is_floating or dtype.is_integer or dtype.is_bool):
            raise ValueError(
                "The given values are not numbers. Expected an array of real numbers. Received "
                f"dtype {values.dtype}."
            )
        shape = self.event_shape
        if shape is not None and values.shape[1:] != tuple(shape):
            raise ValueError(
                f"The given examples have a wrong shape. Expected (N, {', '.join(map(str, shape))})"
                f". Received {values.shape}."
            )
        if dtype.is_floating and values.size:
            low, high = float(values.min()), float(values.max())  # NaN if one of them is
            if not max(-low, high) <= kinds.MOST:
                kinds.check_finite(values.astype(np.float64), "The given array")
            bounded = bool(self.candidates) and Kind.REAL not in self.candidates
            if bounded and not self.infers and (low < 0 or high > 1):
                raise ValueError(
                    "The given values have another scale than in training. Expected numbers in "
                    f"[0, 1], or bytes as uint8. Received {low:g} to {high:g}."
                )
        return x

    def examples(self, x: Any) -> Any:
        """Returns what is encoded, with the look and the scale of a call by hand.

        Raises:
            ValueError: see `scaled`; and for what is no array.
        """
        if isinstance(x, Split):
            return self.inputs_of(x).values()
        if not is_array(x) and not isinstance(x, keras.KerasTensor):
            raise ValueError(
                "The given data cannot be used. Expected a Split or an array (N, ...). Received "
                f"{type(x).__name__}."
            )
        return self.scaled(x)

    # What Keras reads itself.

    def batches(
        self, x: Any, y: Any, name: str, remember: "Callable[[Split], None] | None" = None
    ) -> tuple:
        """Returns `x` and `y` for Keras to read itself, every batch looked at as it comes.

        The first one is looked at now, unless `x` is a generator.

        Args:
            x: a dataset, a `PyDataset`, a generator or a loader of another package.
            y: None: targets come with `x`.
            name: of the data, for errors.
            remember: called with each batch of a training.

        Raises:
            ValueError: if what is seen of them does not fit the model.
        """
        if frames.has_gaps(x):
            frames.as_array(x, f"The {name} data")  # which says what it is
        if y is not None and not isinstance(x, list | tuple | dict):
            raise ValueError(
                f"The {name} data bring their targets. Expected y=None and batches (x, y). "
                f"Received y beside a {type(x).__name__}."
            )
        return self._watched(x, name, remember, self.supervised), None

    def inputs(self, x: Any, name: str) -> Any:
        """Returns what Keras predicts from, every batch looked at as it comes; see `batches`."""
        return self._watched(x, name, None, self.supervised and not self.predicts)

    def _watched(self, x, name, remember, with_y):
        told = remember
        if isinstance(x, keras.utils.PyDataset) and x.use_multiprocessing and remember is not None:
            told = _Told(remember)

        def look(parts: tuple) -> tuple:
            return self._looked_at(parts, name, told, with_y)

        if isinstance(x, tf.data.Dataset):
            return self._dataset(x, name, look)
        if isinstance(x, keras.utils.PyDataset):
            look(_parts(x[0]))
            return _Watched(x, look, told if isinstance(told, _Told) else None)
        if isinstance(x, types.GeneratorType):
            return (look(_parts(batch)) for batch in x)
        if frames.has_gaps(x):
            frames.as_array(x, f"The {name} data")
        loads = hasattr(x, "__iter__") or hasattr(x, "__getitem__")  # as a loader of torch does
        if not loads or isinstance(x, str | bytes | list | tuple | dict | Iterator):
            several = ""
            if isinstance(x, list) and x and not hasattr(x[0], "shape"):
                several = " np.asarray(x) is one, if its rows have one length."
            elif isinstance(x, list | tuple | dict) and x:
                several = " A network of several inputs gets them as one array that it cuts."
            raise ValueError(
                f"The {name} data cannot be used. Expected a Split, an array (N, ...), a "
                "tf.data.Dataset, a PyDataset or a generator. Received "
                f"{type(x).__name__}.{several}"
            )
        warnings.warn(
            f"The {name} batches of a {type(x).__name__} are not looked at. Expected floats as the "
            "model sees them (bytes divided by 255), with columns in the order of training.",
            UserWarning,
            stacklevel=5,
        )
        return x

    def _dataset(self, x, name, look):
        batches = list(x.take(1))
        if not batches:
            raise ValueError(
                f"The {name} dataset is empty. Expected at least one batch. Received none."
            )
        self._check_batched(_parts(batches[0]), name)
        first = look(_parts(batches[0]))
        shapes = [[None, *np.shape(part)[1:]] for part in first]
        types_ = [tf.as_dtype(part.dtype) for part in first]

        @tf.autograph.experimental.do_not_convert
        def watched(*parts):
            # Whether and how many parts there are is the same for all batches.
            parts = _parts(parts[0]) if len(parts) == 1 else parts
            found = tf.numpy_function(lambda *each: look(each), parts, types_)
            for part, shape in zip(found, shapes, strict=True):
                part.set_shape(shape)
            return tuple(found) if len(found) > 1 else found[0]

        return x.map(watched).prefetch(2)

    def _check_batched(self, parts, name):
        """Raises `ValueError` if what a dataset gives is one example, and no batch of them."""
        shapes = [tuple(getattr(part, "shape", (None,))) for part in parts]
        event = None if self.event_shape is None else tuple(self.event_shape)
        if () in shapes[1:] or shapes[0] == event:
            raise ValueError(
                f"The {name} dataset is not batched. Expected batches of examples, dataset.batch(n)"
                f". Received single ones, x of shape {shapes[0]}."
            )

    def _looked_at(self, parts: tuple, name: str, remember: Any, with_y: bool) -> tuple:
        """Returns a batch (x, [y, [weights]]) as arrays that the model takes."""
        if not 1 <= len(parts) <= 3:
            raise ValueError(
                f"The {name} dataset has batches of {len(parts)} parts. Expected x, (x, y) or "
                f"(x, y, weights). Received {', '.join(type(each).__name__ for each in parts)}."
            )
        x, y, *rest = (*parts, None)[: max(2, len(parts))]
        if is_array(x) and not frames.is_frame(x):
            x = frames.as_array(x, f"The {name} data")
        integers = isinstance(x, np.ndarray) and x.dtype.kind in "iu"
        if not is_array(x) or (self._may_be_anything and integers):
            received = x.dtype.name if integers else type(x).__name__
            raise ValueError(
                f"The {name} dataset has batches of a wrong type. Expected floats, as the "
                f"model sees them (bytes divided by 255). Received {received}."
            )
        if with_y and y is None:
            raise ValueError(
                f"The {name} dataset has no targets. Expected batches (x, y). Received x alone."
            )
        label = f"{name} batch"
        asked = self.predicts and not with_y  # for what is beside an example
        given = y if with_y else None
        split = self.inputs_of(x, label) if asked else self.split(x, label, given)
        if remember is not None:
            remember(split)
        if not self.supervised and y is not None:
            self._check_unread(x, y, name)
        beside = [split.y] if with_y else [np.asarray(y)] * (y is not None)
        weights = (check_weights(each, len(split), f"{name} batch") for each in rest)
        return (split.values(), *beside, *weights)

    def _check_unread(self, x: np.ndarray, y: Any, name: str) -> None:
        """Raises `ValueError` for targets of a model without; classes beside x are told once."""
        if np.shape(y) == np.shape(x):
            if np.array_equal(y, x):
                return
            raise ValueError(
                f"The {name} batches have targets that the model has no use for. Expected x alone, "
                "(x, x), or a ConditionalVAE of x given y; dataset.map(lambda x, y: y) leaves the "
                "second. Received y that is another x."
            )
        warnings.warn(
            f"What stands beside x in the {name} batches is not read: a model of x alone has no "
            "use for it.",
            UserWarning,
            stacklevel=2,
        )

    @property
    def _may_be_anything(self):
        return self.infers and not self.candidates


def check_schema(split: Split, schema: "Schema | None") -> None:
    """Raises `ValueError` if the cells of a split are none that a model of `schema` takes.

    Args:
        split: that may be a table with a schema of its own.
        schema: what the columns of the model are; None for one of numbers that are all there.
    """
    if schema is None:
        if split.schema is not None and split.observed is not None and not split.observed.all():
            raise ValueError(
                f"The {split.name} table has missing values, for which the model has no use. "
                "Expected all values, or a VAE with decoders.Columns, which fills them in. "
                f"Received {int((~split.observed).sum()):,} missing ones."
            )
        return
    if split.schema is None:
        schema.check(split.values(), split.name)
    elif split.schema != schema:
        differ = [a.name for a, b in zip(split.schema, schema, strict=True) if a != b]
        raise ValueError(
            f"The {split.name} columns are others than in training. Expected "
            f"{[c for c in schema if c.name in differ]!r}. Received "
            f"{[c for c in split.schema if c.name in differ]!r}."
        )


def is_array(x: Any) -> bool:
    """Returns whether `x` is an array, a tensor, or a table or column of one of pandas' kind."""
    if isinstance(x, np.ndarray | tf.Tensor | Stream) or frames.is_frame(x) or frames.is_series(x):
        return True
    others = str | bytes | list | tuple | dict | tf.data.Dataset | keras.utils.PyDataset
    return hasattr(x, "__array__") and hasattr(x, "shape") and not isinstance(x, others)


def _parts(batch: Any) -> tuple:
    """Returns a batch as a tuple (x, [y, [weights]])."""
    return tuple(batch) if isinstance(batch, tuple | list) else (batch,)


class _Told:
    """Tells the process of a training which kinds of values the processes of its workers saw.

    Args:
        remember: called with what has a `kind`.
    """

    def __init__(self, remember: "Callable[[Any], None]") -> None:
        self._remember, self._seen = remember, multiprocessing.Value("q", 0)

    def __call__(self, split: Split) -> None:
        """Remembers a batch here, and notes its kind for others."""
        self._remember(split)
        with self._seen.get_lock():
            self._seen.value |= 1 << list(Kind).index(split.kind)

    def tell(self) -> None:
        """Remembers what was noted anywhere."""
        for number, kind in enumerate(Kind):
            if self._seen.value >> number & 1:
                self._remember(types.SimpleNamespace(kind=kind))


class _Watched(keras.utils.PyDataset):
    """A `PyDataset` whose batches are looked at as they come, maybe by workers."""

    def __init__(
        self,
        dataset: keras.utils.PyDataset,
        look: "Callable[[tuple], tuple]",
        told: "_Told | None" = None,
    ) -> None:
        super().__init__(dataset.workers, dataset.use_multiprocessing, dataset.max_queue_size)
        self._dataset, self._look, self._told = dataset, look, told

    @property
    def num_batches(self) -> "int | None":
        """The number of batches, None for no end."""
        return self._dataset.num_batches

    def __getitem__(self, index: int) -> tuple:
        return self._look(_parts(self._dataset[index]))

    def on_epoch_begin(self) -> None:
        """Tells the dataset."""
        self._dataset.on_epoch_begin()

    def on_epoch_end(self) -> None:
        """Tells the dataset, and the model of what workers saw."""
        self._dataset.on_epoch_end()
        if self._told is not None:
            self._told.tell()


def check_weights(weights: Any, count: int, name: str = "sample") -> np.ndarray:
    """Returns weights of examples, float32 [count].

    Args:
        weights: [count] or [count, 1].
        count: of the examples.
        name: of the weights, for errors.

    Raises:
        ValueError: for what is no finite number >= 0 for each example.
    """
    weights = np.asarray(weights)
    kinds.check_numbers(weights, f"The {name} weight")
    kinds.check_finite(weights, f"The {name} weight array")
    low = bool(weights.size) and bool((weights < 0).any())
    if weights.shape == (count, 1):
        weights = weights[:, 0]
    if weights.shape != (count,) or low:
        raise ValueError(
            f"The {name} weights do not fit the examples. Expected numbers >= 0 of shape "
            f"({count},). Received shape {weights.shape}{' with numbers below 0' if low else ''}."
        )
    return weights.astype(np.float32)


def check_options(
    x: Any, y: Any, batch_size: Any, validation_batch_size: Any, options: dict
) -> None:
    """Raises `ValueError` for arguments of `fit` that do not fit each other or the data `x`."""
    for name, value in (
        ("batch_size", batch_size),
        ("validation_batch_size", validation_batch_size),
    ):
        if value is not None:
            check_count(name, value)
    share, weight = options.get("validation_split"), options.get("sample_weight")
    if share:
        check_number("validation_split", share, low=0, below=1)
    if isinstance(x, Split) and y is not None:
        raise ValueError(
            "A Split brings its targets. Expected y=None; relabelled() and retargeted() give it "
            "others. Received y beside a Split."
        )
    is_whole = isinstance(x, Split) or is_array(x)
    if frames.has_gaps(x) or isinstance(x, str | bytes | list | tuple | dict):
        return  # what is no data at all has an error of its own
    if not is_whole and (share or weight is not None):
        raise ValueError(
            "sample_weight and validation_split go with arrays. Expected neither, or a Split or an "
            f"array (N, ...). Received one of them with {type(x).__name__}."
        )
    if weight is not None and options.get("class_weight") is not None:
        raise ValueError(
            "sample_weight and class_weight cannot be given at the same time, as in Keras. "
            "Expected one of them. Received both."
        )
    if batch_size is not None and not is_whole:
        raise ValueError(
            "batch_size goes with arrays. Expected None, or a Split or an array (N, ...); datasets "
            f"and generators bring their batches. Received {batch_size} with {type(x).__name__}."
        )
    count = 0
    if is_whole:
        count = len(x) if isinstance(x, Split) or frames.is_frame(x) else (*np.shape(x), 0)[0]
    if share and not 0 < int(count * (1 - share)) < count:
        raise ValueError(
            f"validation_split leaves nothing. Expected examples on both sides of the cut. "
            f"Received {share} with {count} examples."
        )
