"""What one call of `fit` knows: where its batches come from, where it is, what looks on."""

import dataclasses
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from tfp_vae import keras_private
from tfp_vae.data import Feed, Split
from tfp_vae.data.feeds import MOST_BYTES
from tfp_vae.data.streams import Stream
from tfp_vae.layers.convolution import Convolution
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
        self, model: keras.Model, split: Split, batch_size: int, options: dict
    ) -> "tuple[tf.data.Dataset, keras.callbacks.Callback]":
        """Returns a dataset for Keras, and a callback that says where an epoch begins.

        The dataset is a placeholder if the data stay in memory, where `feed` is set.

        Args:
            model: the compiled `VariationalModel` that is trained.
            split: the training data.
            batch_size: examples at a time.
            options: further arguments of `fit`.

        Raises:
            ValueError: if workers would have to share batches that Keras reads itself.
        """
        at_epoch = keras.callbacks.LambdaCallback
        initial = options.get("initial_epoch", 0)
        if "initial_epoch" in options:
            before = 0
        else:
            step = int(tf.convert_to_tensor(model.training_step))
            before = step // model.batches_per_epoch(split, batch_size)
        feed, endless = model.feed(split, batch_size), options.get("steps_per_epoch")
        first = (before + initial) * feed.num_batches
        per_epoch = endless or feed.num_batches  # epochs of Keras need be no passes over the data
        self.replayable = True
        if model.stays_in_memory(split) and not options.get("class_weight"):

            def set_epoch(number, logs):
                position = first + (number - initial) * per_epoch
                model.train_function.begin(feed, position, per_epoch, self.take_skip())

            self.feed = feed
            return placeholder(None if endless else feed), at_epoch(on_epoch_begin=set_epoch)
        if isinstance(model.distribute_strategy, tf.distribute.MultiWorkerMirroredStrategy):
            raise ValueError(
                "Workers cannot share these batches. Expected data that stay in memory and no "
                "class weights. Received batches through tf.data "
                f"({why_not_in_memory(model, split)})."
            )
        epoch = tf.Variable(before + initial, trainable=False, dtype=tf.int64)
        if endless:
            passes = tf.data.Dataset.counter(before + initial)
            batches = passes.flat_map(feed.dataset)
            self.replayable = False  # one iterator goes through all epochs
        else:
            batches = feed.dataset(epoch)
        batches, _ = model.to_keras(batches, None)

        def set_pass(number, logs):
            epoch.assign(before + number)
            skip = self.take_skip()
            if skip:
                model.train_function = Skipping(model, skip)

        return batches, at_epoch(on_epoch_begin=set_pass)


def one_pass(model: keras.Model, x: Any, y: Any, batch_size: "int | None", name: str) -> tuple:
    """Returns inputs and targets for Keras, and the feed if the data stay in memory."""
    if not isinstance(x, Split | np.ndarray | tf.Tensor):
        return *model.to_keras(*model.intake.batches(x, y, name)), None
    split = model.as_split(x, name, y)
    feed = Feed(split, batch_size or DEFAULT_BATCH_SIZE, None, model.supervised)
    if model.stays_in_memory(split):
        return placeholder(feed), None, feed
    return *model.to_keras(feed.dataset(), None), None


def validation(
    model: keras.Model, data: Any, batch_size: "int | None"
) -> "tuple[object, Feed | None]":
    """Returns the validation data for Keras, and their feed if they stay in memory."""
    if data is None:
        return None, None
    name = "validation"
    if not isinstance(data, tuple):
        x, _, feed = one_pass(model, data, None, batch_size, name)
        return x, feed
    if len(data) == 2 and model.supervised:
        x, y, feed = one_pass(model, *data, batch_size, name)
        return (x if y is None else (x, y)), feed
    x, y = model.intake.batches(data[0], data[1] if len(data) > 1 else None, name)
    y = x if y is None else y  # Keras drops weights without targets
    return (*model.to_keras(x, y), *data[2:]), None


def why_not_in_memory(model: keras.Model, split: Split) -> "str | None":
    """Returns why `split` is not trained on from memory, or None if it is."""
    if isinstance(split.stored, Stream):
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
