"""How data come into a model: splits, arrays, datasets, each looked at before work starts."""

import dataclasses
import types
from collections.abc import Callable, Iterator
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from tfp_vae.arguments import check_count, check_number
from tfp_vae.data import Kind, Split, kinds


@dataclasses.dataclass(frozen=True)
class Intake:
    """Turns what a user gives into what a model takes, or says why it cannot be.

    Attributes:
        candidates: the kinds that an array may be taken for, in order of preference.
        check: raises `ValueError` if the data of a `Split` do not fit the model.
        beside: what a `Split` is told of the `y` that was given with an array.
        supervised: whether an example has a target beside it.
        infers: whether an array says by itself what it is, whatever the candidates.
    """

    candidates: "tuple[Kind, ...]"
    check: Callable[[Split], None]
    beside: Callable[[object], dict]
    supervised: bool = False
    infers: bool = False

    def split(self, x: Any, name: str = "given", y: Any = None) -> Split:
        """Returns `x`, a `Split` or an array [N, ...] with `y` beside it, as a checked `Split`.

        Raises:
            ValueError: if values, shapes or targets do not fit the model.
        """
        split = x if isinstance(x, Split) else self.array(x, name, y)
        self.check(split)
        return split

    def array(self, x: Any, name: str = "given", y: Any = None) -> Split:
        """Returns an array [N, ...] as a `Split` of the kind that fits it, not checked further.

        `kinds.from_integers` says what integers are, as in `data.load`.
        """
        if not isinstance(x, np.ndarray | tf.Tensor):
            raise ValueError(
                f"The {name} data cannot be used. Expected a Split or an array (N, ...). Received "
                f"{type(x).__name__}."
            )
        x = np.asarray(x)
        kinds.check_numbers(x, f"The {name}")
        if not self.infers:
            kinds.check_finite(x, f"The {name} array")
        (x,) = kinds.from_integers(x, candidates=self.candidates)
        if self.infers:
            kind = Kind.EIGHT_BIT if x.dtype == np.uint8 else kinds.infer(kinds.intensities(x))
            return Split(x, kind, name=name, **self.beside(y))
        x = kinds.intensities(x)
        kinds.check_finite(x, f"The {name} array, as float32,")
        if not x.size:
            return Split(x, self.candidates[0], name=name)  # which says that it is empty
        fitting = [kind for kind in self.candidates if not kinds.violation(x, kind)]
        if not fitting:
            # Raises if the likelihood is for no such values; else the range is wrong, says `Split`.
            self.check(Split(x, kinds.infer(x), name=name, **self.beside(y)))
        return Split(x, (fitting or self.candidates)[0], name=name, **self.beside(y))

    def batches(self, x: Any, y: Any, name: str) -> tuple:
        """Returns `x` and `y` for Keras to read itself, after a look at the first batch.

        Raises:
            ValueError: if what is seen of them does not fit the model.
        """
        if isinstance(x, np.ndarray | tf.Tensor):
            split = self.split(x, name, y)
            return split.values(), split.y if self.supervised else y
        is_generator = isinstance(x, types.GeneratorType)
        others = str | bytes | list | tuple | dict | Iterator
        if x is None or (isinstance(x, others) and not is_generator):
            raise ValueError(
                f"The {name} data cannot be used. Expected a Split, an array (N, ...), a "
                f"tf.data.Dataset, a PyDataset or a generator. Received {type(x).__name__}."
            )
        batches = []
        if isinstance(x, tf.data.Dataset):
            batches = list(x.take(1))
            if not batches:
                raise ValueError(
                    f"The {name} dataset is empty. Expected at least one batch. Received none."
                )
        elif isinstance(x, keras.utils.PyDataset):
            batches = [x[0]]
        for batch in batches:
            parts = batch if isinstance(batch, tuple | list) else (batch,)
            dtype = getattr(parts[0], "dtype", None)
            if dtype is None or not tf.as_dtype(dtype).is_floating:
                received = type(parts[0]).__name__ if dtype is None else tf.as_dtype(dtype).name
                raise ValueError(
                    f"The {name} dataset has batches of a wrong type. Expected floats, as the "
                    f"model sees them (bytes divided by 255). Received {received}."
                )
            if self.supervised and len(parts) < 2:
                raise ValueError(
                    f"The {name} dataset has no targets. Expected batches (x, y). Received x alone."
                )
            targets = np.asarray(parts[1]) if self.supervised else None
            self.split(np.asarray(parts[0]), f"first {name} batch of the dataset:", targets)
        return x, y


def check_options(x: Any, batch_size: "int | None", options: dict) -> None:
    """Raises `ValueError` for arguments of `fit` that do not fit each other or the data `x`."""
    if batch_size is not None:
        check_count("batch_size", batch_size)
    share, weight = options.get("validation_split"), options.get("sample_weight")
    if share is not None:
        check_number("validation_split", share, low=0, below=1)
    is_array = isinstance(x, np.ndarray | tf.Tensor)
    if not is_array and (share or weight is not None):
        raise ValueError(
            "sample_weight and validation_split go with arrays. Expected neither, or an array "
            f"(N, ...). Received one of them with {type(x).__name__}."
        )
    count = len(x) if is_array and x.ndim else 0
    if is_array and share and not 0 < int(count * (1 - share)) < count:
        raise ValueError(
            f"validation_split leaves nothing. Expected examples on both sides of the cut. "
            f"Received {share} with {count} examples."
        )
    if weight is not None:
        weight = np.asarray(weight)
        kinds.check_numbers(weight, "The sample_weight")
        kinds.check_finite(weight, "The sample_weight")
        if weight.shape != (count,) or (weight < 0).any():
            raise ValueError(
                f"The sample weights do not fit the examples. Expected numbers >= 0 of shape "
                f"({count},). Received shape {weight.shape}"
                f"{' with numbers below 0' if (weight < 0).any() else ''}."
            )
