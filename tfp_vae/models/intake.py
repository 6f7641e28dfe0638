"""How data come into a model: splits, arrays, datasets, each looked at before work starts."""

import keras
import numpy as np
import tensorflow as tf

from tfp_vae.data import Kind, Split, kinds

DEFAULT_BATCH_SIZE = 128


class Intake:
    """The part of a model that turns what a user gives into what Keras takes.

    A mix-in for a Keras model with `check_split`, `candidate_kinds`, `to_keras`, `data_kind` and
    `seed`.

    Attributes:
        supervised: whether an example has a target beside it.
    """

    supervised = False

    def as_inputs(self, x, name: str = "given") -> Split:
        """Returns `x`, a `Split` or an array [N, ...], as a `Split` to predict from."""
        return self.as_split(x, name)

    def as_split(self, x, name: str = "given", y=None) -> Split:
        """Returns `x`, a `Split` or an array [N, ...] with `y` beside it, as a checked `Split`.

        Integers in 0..255 are bytes, k/255, as in `data.load`, unless the model is one of real
        numbers or 0 and 1 are all there is to it.

        Raises:
            ValueError: if the model is no model of these values, shapes or targets.
        """
        split = x if isinstance(x, Split) else self._array_split(x, name, y)
        self.check_split(split)
        return split

    def _array_split(self, x, name: str, y=None) -> Split:
        """Returns an array as a `Split`; a model without targets has no use for `y`."""
        if not isinstance(x, np.ndarray | tf.Tensor):
            raise ValueError(
                f"The {name} data cannot be used. Expected a Split or an array (N, ...). Received "
                f"{type(x).__name__}."
            )
        x = np.asarray(x)
        kinds.check_finite(x, f"The {name} array")
        candidates = self.candidate_kinds()
        if self.data_kind is not None:
            candidates = [Kind.STATIC if self.data_kind.is_binary else self.data_kind]
        is_bytes = x.dtype.kind in "iu" and x.size and 0 <= x.min() and x.max() <= 255
        if candidates == [Kind.REAL] or (candidates[0] is Kind.STATIC and kinds.is_zero_one(x)):
            is_bytes = False
        x = x.astype(np.float32) / 255 if is_bytes else x.astype(np.float32)
        if not x.size:
            return Split(x, candidates[0], name=name)  # which says that it is empty
        fitting = [kind for kind in candidates if not kinds.violation(x, kind)]
        if not fitting:
            # Raises if the likelihood is for no such values; else the range is wrong, says `Split`.
            self.check_split(Split(x, kinds.infer(x), name=name, **self._beside(y)))
        return Split(x, (fitting or candidates)[0], name=name, **self._beside(y))

    def _beside(self, y) -> dict:
        """Returns what a `Split` is told of `y`."""
        return {}

    def _one_pass(self, x, y, batch_size, name):
        if isinstance(x, Split | np.ndarray | tf.Tensor):
            split = self.as_split(x, name, y)
            return split.dataset(batch_size or DEFAULT_BATCH_SIZE, self.supervised), None
        return self._checked(x, y, name)

    def _validation(self, data, batch_size):
        if data is None:
            return None
        name = "validation"
        if not isinstance(data, tuple):
            return self.to_keras(self._one_pass(data, None, batch_size, name)[0], None)[0]
        if len(data) == 2 and self.supervised:
            x, y = self.to_keras(*self._one_pass(*data, batch_size, name))
            return x if y is None else (x, y)
        x, y = self._checked(data[0], data[1] if len(data) > 1 else None, name)
        y = x if y is None else y  # Keras drops weights without targets
        return (*self.to_keras(x, y), *data[2:])

    def _checked(self, x, y, name):
        if isinstance(x, np.ndarray | tf.Tensor):
            split = self.as_split(x, name, y)
            return split.values(), split.y if self.supervised else y
        batches = []
        if isinstance(x, tf.data.Dataset):
            batches = list(x.take(1))
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
            self.as_split(np.asarray(parts[0]), f"first {name} batch of the dataset:", targets)
        return x, y

    def batches_per_epoch(self, split: Split, batch_size: int) -> int:
        """Returns the number of batches that `batches` has."""
        return split.num_batches(batch_size)

    def batches(self, split: Split, batch_size: int, epoch) -> tf.data.Dataset:
        """Returns the shuffled batches of one epoch, a variable or a number."""
        return split.epoch(batch_size, self.seed, epoch, self.supervised)

    def _stream(self, split: Split, batch_size: int, kwargs: dict):
        """Returns the dataset of `split` and the callback that tells it the epoch."""
        if "initial_epoch" in kwargs:
            before = 0
        else:
            step = int(tf.convert_to_tensor(self.training_step))
            before = step // self.batches_per_epoch(split, batch_size)
        first = before + kwargs.get("initial_epoch", 0)
        epoch = tf.Variable(first, trainable=False, dtype=tf.int64)
        set_epoch = keras.callbacks.LambdaCallback(
            on_epoch_begin=lambda number, logs: epoch.assign(before + number)
        )
        if kwargs.get("steps_per_epoch"):  # epochs of Keras that are no passes over the data
            split.check_batch_size(batch_size)
            passes = tf.data.Dataset.counter(first)
            return passes.flat_map(lambda e: self.batches(split, batch_size, e)), set_epoch
        return self.batches(split, batch_size, epoch), set_epoch
