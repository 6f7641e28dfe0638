"""The names of Keras and TensorFlow that are not public, each in one function and nowhere else.

A new version of either may rename them without a word: `tests/test_keras_private.py` has a test of
each function, and `tests/test_architecture.py` says that no other file uses such names.
"""

from collections.abc import Callable, Mapping

import keras
import tensorflow as tf

# What `ModelCheckpoint` has seen beside its public `best`: with `save_freq` a number of batches.
CHECKPOINT_FIELDS = ("_batches_seen_since_last_saving", "_last_batch_seen")


def sublayers(layer: keras.Layer) -> "list[keras.Layer]":
    """Returns the layers that are attributes of a layer, in the order they were set.

    The public `layers` is there for models alone.
    """
    return list(layer._layers)


def all_sublayers(layer: keras.Layer) -> "list[keras.Layer]":
    """Returns the layers inside a layer at any depth, each once, in the order of Keras."""
    return list(layer._flatten_layers(include_self=False))


def own_variables(layer: keras.Layer) -> "list[keras.Variable]":
    """Returns the variables of a layer itself, without those of layers inside; no seeds."""
    return [*layer._trainable_variables, *layer._non_trainable_variables]


def raw_step(optimizer: keras.optimizers.Optimizer) -> keras.Variable:
    """Returns the variable that counts the batches an optimizer has seen.

    The public `iterations` stands still while an optimizer accumulates gradients.
    """
    return getattr(optimizer, "inner_optimizer", optimizer)._iterations


def strategy_of(model: keras.Model) -> "tf.distribute.Strategy | None":
    """Returns the strategy that a model was made under, or None.

    The public `distribute_strategy` is the default strategy where there is none.
    """
    return model._distribute_strategy


def compiled_with(model: keras.Model) -> "list[str]":
    """Returns which of "loss" and "metrics" were given to `compile`."""
    given = {name: getattr(model, f"_compile_{name}", None) for name in ("loss", "metrics")}
    return [name for name, value in given.items() if value is not None]


def is_nested_evaluation(options: Mapping) -> bool:
    """Returns whether `fit` called `evaluate` with these options, for its validation data."""
    return bool(options.get("_use_cached_eval_dataset"))


def start_at_epoch(model: keras.Model, epoch: "int | None") -> None:
    """Has the `fit` that begins start at another epoch; None ends that.

    To be called by a callback in `on_train_begin`: Keras reads it after that.
    """
    model._initial_epoch = epoch


def freeze_variables(function: Callable) -> Callable:
    """Returns a concrete function with constants in place of its variables."""
    from tensorflow.python.framework import convert_to_constants

    return convert_to_constants.convert_variables_to_constants_v2(function)
