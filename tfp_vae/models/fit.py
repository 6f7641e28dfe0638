"""What one call of `fit` knows: where its batches come from, where it is, what looks on."""

import contextlib
import dataclasses
import math
import numbers
import string
from collections.abc import Collection, Mapping, Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from tfp_vae import keras_private
from tfp_vae.arguments import (
    MOST,
    check_choice,
    check_count,
    check_number,
    hint,
    is_count,
)
from tfp_vae.data import Feed, Split
from tfp_vae.data.streams import MOST_BYTES, Stream
from tfp_vae.layers.convolution import Convolution
from tfp_vae.models.intake import check_options, check_weights
from tfp_vae.models.loop import Skipping
from tfp_vae.networks import CONVOLUTIONS

DEFAULT_BATCH_SIZE = 128


@dataclasses.dataclass(eq=False)
class Fit:
    """One call of `fit`; `model.current` while it runs.

    Attributes:
        feed: of the training data, None where Keras reads them itself.
        validation: feed of the validation data, None without or where Keras reads them itself.
        replayable: whether every batch is a function of its number.
        skip: batches of the epoch that begins next that a training which goes on from a checkpoint
            has behind it.
        callbacks: of this call.
    """

    feed: "Feed | None" = None
    validation: "Feed | None" = None
    replayable: bool = False
    skip: int = 0
    callbacks: tuple = ()

    def take_skip(self) -> int:
        """Returns `skip`, which is 0 from then on."""
        skip, self.skip = self.skip, 0
        return skip

    def stream(
        self,
        model: keras.Model,
        split: Split,
        feed: Feed,
        initial_epoch: "int | None" = None,
        steps_per_epoch: "int | None" = None,
    ) -> "tuple[tf.data.Dataset, keras.callbacks.Callback]":
        """Returns a dataset for Keras, and a callback that says where an epoch begins.

        The dataset is a placeholder if the data stay in memory, where `feed` is set.

        Args:
            model: the compiled `VariationalModel` that is trained.
            split: the training data.
            feed: their batches.
            initial_epoch: as in `fit`; None to go on where the training so far ended.
            steps_per_epoch: as in `fit`.

        Raises:
            ValueError: if workers would have to share batches that Keras reads itself.
        """
        at_epoch = keras.callbacks.LambdaCallback
        initial, before = initial_epoch or 0, 0
        if initial_epoch is None:
            step = int(tf.convert_to_tensor(model.training_step))
            before = step // feed.num_batches
        first = (before + initial) * feed.num_batches
        per_epoch = steps_per_epoch or feed.num_batches  # Keras' epochs need be no passes
        self.replayable = True
        if model.stays_in_memory(split):

            def set_epoch(number, logs):
                position = first + (number - initial) * per_epoch
                model.train_function.begin(feed, position, per_epoch, self.take_skip())

            self.feed = feed
            return placeholder(None if steps_per_epoch else feed), at_epoch(
                on_epoch_begin=set_epoch
            )
        if isinstance(model.distribute_strategy, tf.distribute.MultiWorkerMirroredStrategy):
            raise ValueError(
                "Workers cannot share these batches. Expected data that stay in memory. Received "
                f"batches through tf.data ({why_not_in_memory(model, split)})."
            )
        epoch = tf.Variable(before + initial, trainable=False, dtype=tf.int64)
        if steps_per_epoch:
            passes = tf.data.Dataset.counter(before + initial)
            batches = passes.flat_map(feed.dataset)
            self.replayable = False  # one iterator goes through all epochs
        else:
            batches = feed.dataset(epoch)
        batches, _ = model.to_keras(with_targets(feed, batches), None)

        def set_pass(number, logs):
            epoch.assign(before + number)
            skip = self.take_skip()
            if skip:
                model.train_function = Skipping(model, skip)

        return batches, at_epoch(on_epoch_begin=set_pass)


class Collecting(keras.callbacks.Callback):
    """Tells layers that add something up over an epoch where one begins and a training ends."""

    def on_epoch_begin(self, epoch: int, logs: "dict | None" = None) -> None:
        """Has them begin, but in an epoch that a training which goes on has begun before."""
        if not self.model.current.skip:
            for layer in self.model.collecting_layers():
                layer.begin()

    def on_train_end(self, logs: "dict | None" = None) -> None:
        """Has them finish."""
        for layer in self.model.collecting_layers():
            layer.finish()


class LastEpoch(keras.callbacks.Callback):
    """Keeps what the variables of a training were after its last whole epoch."""

    def __init__(self) -> None:
        super().__init__()
        self._kept: list[tf.Tensor] | None = None
        self._epoch = 0

    def on_epoch_end(self, epoch: int, logs: "dict | None" = None) -> None:
        """Copies them."""
        self._kept = [tf.identity(tf.convert_to_tensor(each.value)) for each in self._variables()]
        self._epoch = epoch + 1

    def _variables(self):
        return [*self.model.variables, *self.model.optimizer.variables]

    def restore(self) -> None:
        """Puts them back, and says so; before the end of the first epoch there is nothing."""
        if self._kept is None:
            print("Interrupted in the first epoch: the model is as far as it came.", flush=True)
            return
        for variable, value in zip(self._variables(), self._kept, strict=True):
            variable.assign(value)
        print(
            f"Interrupted: the model is as it was after epoch {self._epoch}, the last whole one.",
            flush=True,
        )


def listed(callbacks: Any) -> list:
    """Returns the callbacks of a `fit`, given as one, as several or as a `CallbackList`."""
    if isinstance(callbacks, keras.callbacks.CallbackList):
        return list(callbacks.callbacks)
    return keras.tree.flatten(callbacks or [])


def check_rhythm(**numbers: Any) -> None:
    """Raises `ValueError` for numbers of epochs or steps that Keras would fail at, or take for all.

    Args:
        numbers: arguments of a method by name, None where they are not given.
    """
    for name, value in numbers.items():
        if name == "validation_freq" and isinstance(value, list | tuple | set | np.ndarray):
            for each in value:
                check_count(f"epoch in {name}", each)
        elif value is not None:
            check_count(name, value, 0 if name in ("epochs", "initial_epoch") else 1)
    epochs, first = numbers.get("epochs"), numbers.get("initial_epoch")
    if epochs is not None and first is not None and first > epochs:
        raise ValueError(
            "The training would end before it begins. Expected epochs, the number of the last one, "
            f"to be at least initial_epoch; {first + epochs} are {epochs} more. Received "
            f"epochs={epochs} and initial_epoch={first}."
        )


def check_verbose(value: Any) -> None:
    """Raises `ValueError` for what Keras would take for silence."""
    check_choice("verbose", value, ("auto", 0, 1, 2))


def check_end(x: Any, steps: "int | None", argument: str) -> None:
    """Raises `ValueError` for batches without an end where no number of steps ends them.

    Args:
        x: of a method of Keras.
        steps: of the same method.
        argument: the name of `steps`.
    """
    endless = False
    if isinstance(x, keras.utils.PyDataset):
        with contextlib.suppress(NotImplementedError):  # of one that does not say it
            endless = x.num_batches is None
    if isinstance(x, tf.data.Dataset):
        endless = int(x.cardinality()) == tf.data.INFINITE_CARDINALITY
    if endless and steps is None:
        raise ValueError(
            f"The {type(x).__name__} has no end. Expected {argument}, or batches that end, such as "
            f"dataset.take(100). Received {argument}=None."
        )


def check_optimizer(model: keras.Model) -> None:
    """Raises `ValueError` for an optimizer that cannot train a model.

    It was built for the variables of another; or its rate, or another number of it that Keras takes
    as it is, would lead uphill, or nowhere.
    """
    if not keras_private.knows(model.optimizer, model.trainable_variables):
        raise ValueError(
            f"The optimizer of this {type(model).__name__} has trained another model, or one with "
            "other variables. Expected compile() with one of its own. Received "
            f"{type(model.optimizer).__name__} after {int(model.optimizer.iterations)} steps."
        )
    rate = float(keras.ops.convert_to_numpy(model.optimizer.learning_rate))
    if not 0 <= rate < math.inf:  # 0 keeps all weights, for a look at a loss
        raise ValueError(
            "Impossible learning rate. Expected a finite number >= 0, or a schedule of them. "
            f"Received {rate:g} at step {int(model.optimizer.iterations)} of "
            f"{type(model.optimizer).__name__}."
        )
    own = getattr(model.optimizer, "inner_optimizer", model.optimizer)
    for name in ("clipnorm", "global_clipnorm", "clipvalue", "weight_decay", "epsilon"):
        value = getattr(own, name, None)
        if isinstance(value, numbers.Real):
            check_number(f"{name} of {type(own).__name__}", float(value), 0)


def whole(*numbers: "int | None") -> "list[int | None]":
    """Returns numbers that were checked, of any whole type (2.0), in the one that Keras takes."""
    return [None if each is None else int(each) for each in numbers]


def plain_rhythm(validation_freq: "int | Collection[int]") -> "int | list[int]":
    """Returns a checked `validation_freq` in the types that Keras tells apart."""
    if isinstance(validation_freq, Collection | np.ndarray):
        return [int(each) for each in validation_freq]
    return int(validation_freq)


def check_callbacks(
    callbacks: Any, metrics: "Collection[str] | None" = None, validates: bool = False
) -> None:
    """Raises `ValueError` for what is no callback, or would fail after the first epoch.

    Args:
        callbacks: of a method of Keras.
        metrics: of the training, None where there is no training.
        validates: whether there are validation data.
    """
    for callback in listed(callbacks):
        if isinstance(callback, type) or not hasattr(callback, "set_model"):
            received = callback.__name__ if isinstance(callback, type) else repr(callback)
            raise ValueError(
                "callbacks has what is none. Expected objects such as "
                "keras.callbacks.EarlyStopping(monitor='val_loss'). Received "
                f"{'the class ' if isinstance(callback, type) else ''}{received}."
            )
        if metrics is None or not isinstance(callback, keras.callbacks.ModelCheckpoint):
            continue
        _check_fields(callback, metrics, validates)
        if callback.save_weights_only:
            continue
        if not str(callback.filepath).endswith(".keras"):
            raise ValueError(
                f"{type(callback).__name__} saves in another format. Expected a path ending in "
                f".keras, or save_weights_only=True. Received {callback.filepath!r}."
            )


def _check_fields(callback, metrics, validates):
    known = {"epoch", "batch", "learning_rate", *metrics}
    known |= {f"val_{name}" for name in metrics if validates}
    try:
        fields = {field for _, field, *_ in string.Formatter().parse(str(callback.filepath))}
    except ValueError as error:
        raise ValueError(
            f"The path of {type(callback).__name__} cannot be filled in. Expected fields such as "
            f"{{epoch}}. Received {callback.filepath!r}: {error}."
        ) from error
    unknown = sorted(each for each in fields - {None} if each not in known)
    if unknown:
        raise ValueError(
            f"The path of {type(callback).__name__} has a field that there is not. Expected some "
            f"of {', '.join(sorted(known))}. Received {unknown[0]!r}{hint(unknown[0], known)}"
        )


def choose_modes(model: keras.Model, callbacks: Any) -> None:
    """Tells callbacks that compare a metric whether more is better, which the models know.

    Raises:
        ValueError: for a metric that the model does not have.
    """
    best = model.directions()
    for callback in listed(callbacks):
        monitor = getattr(callback, "monitor", None)
        compares = getattr(callback, "save_best_only", True)
        if not isinstance(monitor, str) or getattr(callback, "mode", None) != "auto":
            continue
        name = monitor.removeprefix("val_")
        if name in best:
            callback.mode = best[name]
        elif compares:
            raise ValueError(
                f"{type(callback).__name__} cannot tell whether more or less of {monitor!r} is "
                f"better. Expected one of {', '.join(best)}, with or without 'val_', or "
                f"mode='min' or 'max'. Received {monitor!r} and mode='auto'."
                f"{hint(name, list(best))}"
            )


def weights_of(model: keras.Model, split: Split, options: dict) -> "np.ndarray | None":
    """Returns weights [N] of examples, float32, from `sample_weight` or `class_weight`, or None.

    Raises:
        ValueError: for weights that are none, or are all 0, and for weights of no class.
    """
    weights = options.get("sample_weight")
    if weights is not None:
        return _some_above_zero(check_weights(weights, len(split)), "sample")
    by_class = options.get("class_weight")
    if by_class is None:
        return None
    if not model.supervised or split.labels is None or not isinstance(by_class, Mapping):
        received = "no classes" if split.labels is None else type(by_class).__name__
        raise ValueError(_NO_CLASSES.format(type(model).__name__, received))
    weights = np.ones(len(split), np.float32)  # as in Keras for classes that are not named
    for label, weight in class_weights(model, by_class, split.class_names, split.labels).items():
        weights[split.labels == label] = weight
    return _some_above_zero(weights, "class")


def _some_above_zero(weights, what):
    if not weights.any():
        raise ValueError(
            f"The {what} weights leave nothing to learn from. Expected some above 0. Received 0 "
            "for all examples."
        )
    return weights


_NO_CLASSES = (
    "class_weight weights the examples of a class. Expected {{class number: weight}} and a {} of "
    "examples with labels. Received {}."
)


def class_weights(
    model: keras.Model,
    by_class: Any,
    names: "Sequence[str] | None" = None,
    labels: "np.ndarray | None" = None,
) -> "dict[int, float]":
    """Returns weights of classes by their numbers.

    Args:
        model: that is trained.
        by_class: {number or name of a class: weight}.
        names: of the classes, where they are known.
        labels: of the examples, where they are known.

    Raises:
        ValueError: for a class that there is not: its weight would be of nothing.
    """
    if not model.supervised or not isinstance(by_class, Mapping):
        received = type(by_class).__name__ if model.supervised else "a model without classes"
        raise ValueError(_NO_CLASSES.format(type(model).__name__, received))
    names = names or model.class_names
    owners = (model, getattr(model, "likelihood", None))
    count = next((n for n in (getattr(each, "num_classes", None) for each in owners) if n), None)
    if count is None and labels is not None:
        count = int(labels.max(initial=0)) + 1
    found = {}
    for label, weight in by_class.items():
        number = names.index(label) if names and label in names else label
        if not is_count(number, 0, MOST if count is None else count - 1):
            known = f"some of {', '.join(names[:20])}, or " if names else ""
            upper = "" if count is None else f" to {count - 1}"
            raise ValueError(
                f"class_weight names a class that there is not. Expected {known}numbers from "
                f"0{upper}. Received {label!r}."
            )
        found[int(number)] = check_number(f"weight of class {label}", weight, 0)
    return found


def with_targets(feed: Feed, batches: tf.data.Dataset) -> tf.data.Dataset:
    """Returns batches of which Keras tells weights from targets: it drops weights without them."""
    if feed.weighted and not feed.with_y:
        return batches.map(lambda x, weights: (x, x, weights))
    return batches


def one_pass(
    model: keras.Model, x: Any, y: Any, weights: Any, batch_size: "int | None", name: str
) -> tuple:
    """Returns inputs and targets for Keras, and the feed if the data stay in memory."""
    check_options(x, y, batch_size, None, {"sample_weight": weights})
    if not model.intake.is_whole(x):
        return *model.to_keras(*model.intake.batches(x, y, name)), None
    split = model.as_split(x, name, y)
    weights = weights_of(model, split, {"sample_weight": weights})
    size = int(batch_size or DEFAULT_BATCH_SIZE)
    feed = Feed(split, size, None, model.supervised, weights=weights)
    if model.stays_in_memory(split):
        return placeholder(feed), None, feed
    return *model.to_keras(with_targets(feed, feed.dataset()), None), None


def validation(
    model: keras.Model,
    data: Any,
    batch_size: "int | None",
    otherwise: "int | None",
    steps: "int | None" = None,
) -> "tuple[object, Feed | None]":
    """Returns the validation data for Keras, and their feed if they stay in memory.

    Args:
        model: that is trained.
        data: `validation_data` of `fit`.
        batch_size: `validation_batch_size` of `fit`.
        otherwise: the batch size of arrays without one.
        steps: `validation_steps` of `fit`.
    """
    if data is None:
        return None, None
    if isinstance(data, list):
        data = tuple(data)
    if not isinstance(data, tuple):
        data = (data,)
    if not 1 <= len(data) <= 3:
        raise ValueError(
            "validation_data cannot be told apart. Expected a Split, x, (x, y) or (x, y, weights). "
            f"Received {len(data)} parts."
        )
    x, y, weights = (*data, None, None)[:3]
    check_end(x, steps, "validation_steps")
    if batch_size is None and model.intake.is_whole(x):
        batch_size = otherwise
    x, y, feed = one_pass(model, x, y, weights, batch_size, "validation")
    return (x if y is None else (x, y)), feed


def why_not_in_memory(model: keras.Model, split: Split) -> "str | None":
    """Returns why `split` is not trained on from memory, or None if it is."""
    if isinstance(split.stored, Stream):
        if split.schema is not None:
            return "the rows are read from a temporary file"
        return f"the examples are read from {split.stored.num_files:,} files"
    if split.stored.nbytes > MOST_BYTES:
        return f"{split.stored.nbytes:,} bytes are more than {MOST_BYTES:,}"
    if model.run_eagerly:
        return "the model runs eagerly"
    return None


def how(model: keras.Model, split: Split, batch_size: int) -> str:
    """Returns how `fit` reads `split`, and why so, in one line; the model is compiled."""
    reason = why_not_in_memory(model, split)
    if reason is not None:
        return f"batches through tf.data: {reason}"
    held = f"batches from memory ({split.stored.nbytes:,} bytes), "
    if keras_private.strategy_of(model) is not None:
        shared = f"shared by {model.num_replicas} replicas"
        return f"{held}{shared}, in a graph: XLA compiles no step of tf.distribute"
    if not model.jit_compile:
        slow = convolves(model) and not model.supports_jit
        why = "XLA is slow at convolutions on a CPU" if slow else "not compiled by XLA"
        return f"{held}in a graph: {why}"
    if model.feed(split, batch_size).compiles:
        return held + "many steps in one XLA program"
    return held + "step by step under XLA, which cannot make these batches"


def convolves(model: keras.Model) -> bool:
    """Returns whether there are convolutions in a model."""
    layers = keras_private.all_sublayers(model)
    return any(isinstance(layer, (Convolution, *CONVOLUTIONS)) for layer in layers)


def placeholder(feed: "Feed | None") -> tf.data.Dataset:
    """Returns a dataset that tells Keras how many batches there are: those of a pass, or no end."""
    # A strategy wants batches, and to share them out; nobody reads these.
    options = tf.data.Options()
    options.experimental_distribute.auto_shard_policy = tf.data.experimental.AutoShardPolicy.OFF
    batch = tf.zeros([tf.distribute.get_strategy().num_replicas_in_sync])
    count = None if feed is None else feed.num_batches
    return tf.data.Dataset.from_tensors(batch).repeat(count).with_options(options)
