"""How data come into a model: splits, arrays, datasets, each looked at before work starts."""

import types
from collections.abc import Iterator

import keras
import numpy as np
import tensorflow as tf

from tfp_vae.arguments import is_count, is_number
from tfp_vae.data import Feed, Kind, Split, kinds
from tfp_vae.data.feeds import MOST_BYTES, num_batches
from tfp_vae.data.streams import Stream
from tfp_vae.layers.convolution import Convolution
from tfp_vae.models.loop import Skipping
from tfp_vae.networks import CONVOLUTIONS

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

        `kinds.from_integers` says what integers are, as in `data.load`.

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
        kinds.check_numbers(x, f"The {name}")
        kinds.check_finite(x, f"The {name} array")
        candidates = self.candidate_kinds()
        if self.data_kind is not None:
            candidates = [Kind.STATIC if self.data_kind.is_binary else self.data_kind]
        (x,) = kinds.from_integers(x, candidates=candidates)
        x = kinds.intensities(x)
        kinds.check_finite(x, f"The {name} array, as float32,")
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
        """Returns inputs and targets for Keras, and the feed if the data stay in memory."""
        if not isinstance(x, Split | np.ndarray | tf.Tensor):
            return *self.to_keras(*self._checked(x, y, name)), None
        split = self.as_split(x, name, y)
        feed = Feed(split, batch_size or DEFAULT_BATCH_SIZE, None, self.supervised)
        if self.stays_in_memory(split):
            return placeholder(feed), None, feed
        return *self.to_keras(feed.dataset(), None), None

    def _validation(self, data, batch_size):
        """Returns the validation data for Keras, and their feed if they stay in memory."""
        if data is None:
            return None, None
        name = "validation"
        if not isinstance(data, tuple):
            x, _, feed = self._one_pass(data, None, batch_size, name)
            return x, feed
        if len(data) == 2 and self.supervised:
            x, y, feed = self._one_pass(*data, batch_size, name)
            return (x if y is None else (x, y)), feed
        x, y = self._checked(data[0], data[1] if len(data) > 1 else None, name)
        y = x if y is None else y  # Keras drops weights without targets
        return (*self.to_keras(x, y), *data[2:]), None

    def _checked(self, x, y, name):
        if isinstance(x, np.ndarray | tf.Tensor):
            split = self.as_split(x, name, y)
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
            self.as_split(np.asarray(parts[0]), f"first {name} batch of the dataset:", targets)
        return x, y

    def check_options(self, x, batch_size, options: dict) -> None:
        """Raises `ValueError` for arguments of `fit` that do not fit each other or the data `x`."""
        if batch_size is not None and not is_count(batch_size):
            raise ValueError(
                f"Impossible batch_size. Expected an integer >= 1. Received {batch_size!r}."
            )
        share, weight = options.get("validation_split"), options.get("sample_weight")
        if share is not None and not (is_number(share, 0) and share < 1):
            raise ValueError(
                f"Impossible validation_split. Expected 0 <= share < 1. Received {share!r}."
            )
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

    def batches_per_epoch(self, split: Split, batch_size: int) -> int:
        """Returns the number of batches that `feed` has."""
        return num_batches(len(split), batch_size, self.num_replicas)

    @property
    def num_replicas(self) -> int:
        """How many replicas share a batch in training."""
        return self.distribute_strategy.num_replicas_in_sync

    def feed(self, split: Split, batch_size: int) -> Feed:
        """Returns the shuffled batches for training."""
        return Feed(split, batch_size, self.seed, self.supervised, self.num_replicas)

    def stays_in_memory(self, split: Split) -> bool:
        """Returns whether `split` is trained on from memory and not through tf.data.

        It is if it is there and no larger than `MOST_BYTES`, and the model does not run eagerly.
        """
        return self._why_not_in_memory(split) is None

    def _why_not_in_memory(self, split: Split) -> "str | None":
        if isinstance(split.stored, Stream):
            return f"the examples are read from {split.stored.num_files:,} files"
        if split.stored.nbytes > MOST_BYTES:
            return f"{split.stored.nbytes:,} bytes are more than {MOST_BYTES:,}"
        if self.run_eagerly:
            return "the model runs eagerly"
        return None

    @property
    def supports_jit(self) -> bool:
        """Whether a training is faster under XLA, else Keras and the programs leave it out.

        On a CPU not with convolutions: `scripts/benchmark --items=V3` says how slow XLA's are.
        """
        layers = self._flatten_layers(include_self=False)
        if not all(layer.supports_jit for layer in layers):
            return False
        return not self._convolves or bool(tf.config.list_physical_devices("GPU"))

    @supports_jit.setter
    def supports_jit(self, value):
        pass  # of Keras' own constructor

    @property
    def _convolves(self) -> bool:
        layers = self._flatten_layers(include_self=False)
        return any(isinstance(layer, (Convolution, *CONVOLUTIONS)) for layer in layers)

    def reading(self, split: Split, batch_size: int) -> str:
        """Returns how `fit` reads `split`, and why so, in one line; the model is compiled."""
        reason = self._why_not_in_memory(split)
        if reason is not None:
            return f"batches through tf.data: {reason}"
        held = f"batches from memory ({split.stored.nbytes:,} bytes), "
        if self._distribute_strategy is not None:
            shared = f"shared by {self.num_replicas} replicas"
            return f"{held}{shared}, in a graph: XLA compiles no step of tf.distribute"
        if not self.jit_compile:
            slow = self._convolves and not self.supports_jit
            why = "XLA is slow at convolutions on a CPU" if slow else "not compiled by XLA"
            return f"{held}in a graph: {why}"
        if self.feed(split, batch_size).compiles:
            return held + "many steps in one XLA program"
        return held + "step by step under XLA, which cannot make these batches"

    def _stream(self, split: Split, batch_size: int, kwargs: dict):
        """Returns a dataset, its feed or None, and a function for when an epoch begins.

        The dataset is a placeholder if the data stay in memory, where there is a feed.
        """
        initial = kwargs.get("initial_epoch", 0)
        if "initial_epoch" in kwargs:
            before = 0
        else:
            step = int(tf.convert_to_tensor(self.training_step))
            before = step // self.batches_per_epoch(split, batch_size)
        feed, endless = self.feed(split, batch_size), kwargs.get("steps_per_epoch")
        first = (before + initial) * feed.num_batches
        per_epoch = endless or feed.num_batches  # epochs of Keras need be no passes over the data
        self.is_replayable = True
        if self.stays_in_memory(split) and not kwargs.get("class_weight"):

            def set_epoch(number, logs):
                position = first + (number - initial) * per_epoch
                self.train_function.begin(feed, position, per_epoch, self._taken_skip())

            return placeholder(None if endless else feed), feed, set_epoch
        if isinstance(self.distribute_strategy, tf.distribute.MultiWorkerMirroredStrategy):
            raise ValueError(
                "Workers cannot share these batches. Expected data that stay in memory and no "
                "class weights. Received batches through tf.data "
                f"({self._why_not_in_memory(split)})."
            )
        epoch = tf.Variable(before + initial, trainable=False, dtype=tf.int64)
        if endless:
            passes = tf.data.Dataset.counter(before + initial)
            batches = passes.flat_map(feed.dataset)
            self.is_replayable = False  # one iterator goes through all epochs
        else:
            batches = feed.dataset(epoch)
        batches, _ = self.to_keras(batches, None)

        def set_pass(number, logs):
            epoch.assign(before + number)
            skip = self._taken_skip()
            if skip:
                self.train_function = Skipping(self, skip)

        return batches, None, set_pass

    def _taken_skip(self) -> int:
        skip, self.skip_batches = self.skip_batches, 0
        return skip


def placeholder(feed: "Feed | None") -> tf.data.Dataset:
    """Returns a dataset that tells Keras how many batches there are: those of a pass, or no end."""
    # A strategy wants batches, and to share them out; nobody reads these.
    options = tf.data.Options()
    options.experimental_distribute.auto_shard_policy = tf.data.experimental.AutoShardPolicy.OFF
    batch = tf.zeros([tf.distribute.get_strategy().num_replicas_in_sync])
    count = None if feed is None else feed.num_batches
    return tf.data.Dataset.from_tensors(batch).repeat(count).with_options(options)
