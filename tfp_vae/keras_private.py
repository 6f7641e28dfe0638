"""The names of Keras and TensorFlow that are not public, each in one function and nowhere else.

A new version of either may rename them without a word: `tests/test_keras_private.py` has a test of
each function, and `tests/test_architecture.py` says that no other file uses such names.
"""

import contextlib
import contextvars
import functools
import io
from collections.abc import Callable, Iterator, Mapping
from typing import Any

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


def last_layers(network: keras.Layer) -> "list[keras.Layer]":
    """Returns the layers that the outputs of a network come from, last first, as far as is known.

    The layers of a `Sequential` in reverse; of a functional model the path to its one output while
    every layer on it has one input.
    """
    if isinstance(network, keras.Sequential):
        found = []
        for layer in reversed(network.layers):
            found += last_layers(layer)
        return found
    outputs = keras.tree.flatten(getattr(network, "outputs", None) or [])
    if len(outputs) != 1:
        return [network]
    found, tensor = [], outputs[0]
    while True:
        history = tensor._keras_history
        found += last_layers(history.operation)
        inputs = history.operation._inbound_nodes[history.node_index].input_tensors
        if len(inputs) != 1:
            return found
        tensor = inputs[0]


def raw_step(optimizer: keras.optimizers.Optimizer) -> keras.Variable:
    """Returns the variable that counts the batches an optimizer has seen.

    The public `iterations` stands still while an optimizer accumulates gradients.
    """
    return getattr(optimizer, "inner_optimizer", optimizer)._iterations


def index_of(optimizer: keras.optimizers.Optimizer, variable: Any) -> int:
    """Returns the place of a weight among those that an optimizer was built for."""
    return optimizer._get_variable_index(variable)


def knows(optimizer: keras.optimizers.Optimizer, variables: "list[keras.Variable]") -> bool:
    """Returns whether an optimizer can train variables: it has them, or was not built so far."""
    known = getattr(optimizer, "_trainable_variables_indices", {})
    return not optimizer.built or all(optimizer._var_key(each) in known for each in variables)


def put_layer(model: keras.Model, name: str, layer: "keras.Layer | None") -> None:
    """Sets a layer as an attribute of a model in the place of what is there, also of a built one.

    Keras takes no new layer into a model that is built, and keeps what was replaced.
    """
    tracker, before = model._tracker, getattr(model, name, None)
    locked = tracker.locked
    tracker.unlock()
    try:
        if before is not None:
            tracker.untrack(before)
        setattr(model, name, layer)
    finally:
        if locked:
            tracker.lock()


def strategy_of(model: keras.Model) -> "tf.distribute.Strategy | None":
    """Returns the strategy that a model was made under, or None.

    The public `distribute_strategy` is the default strategy where there is none.
    """
    return model._distribute_strategy


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


_LOOK: "contextvars.ContextVar[Callable | None]" = contextvars.ContextVar("look", default=None)


@contextlib.contextmanager
def before_variables(look: "Callable[[tuple[int, ...]], None]") -> "Iterator[None]":
    """A context in which `look` gets the shape of every variable of Keras before it takes memory.

    TensorFlow's public `variable_creator_scope` gets a function without a shape.
    """
    _watch_variables()
    token = _LOOK.set(look)
    try:
        yield
    finally:
        _LOOK.reset(token)


def _watch_variables() -> None:
    # Once and for good: a context of another thread may end while this one is open.
    make = keras.Variable._initialize_with_initializer
    if not hasattr(make, "__wrapped__"):

        @functools.wraps(make)
        def watched(variable, initializer):
            look = _LOOK.get()
            if look is not None:
                look(tuple(variable.shape))
            return make(variable, initializer)

        keras.Variable._initialize_with_initializer = watched


_EXPORT_LOOKS: "list[Callable[[keras.Layer, str], None]]" = []
_EXPORTER: "contextvars.ContextVar[str | None]" = contextvars.ContextVar("exporter", default=None)
_ARCHIVE, _SAVED_MODEL = "keras.export.ExportArchive", "tf.saved_model.save"


def before_export(look: "Callable[[keras.Layer, str], None]") -> None:
    """Has `look(layer, how)` called before Keras or TensorFlow exports a layer; it may raise.

    Neither asks a layer whether it can be exported. `how` is the format of `Model.export`,
    "keras.export.ExportArchive" or "tf.saved_model.save". A model whose class has an `export` of
    its own is not looked at there.
    """
    _watch_exports()
    _EXPORT_LOOKS.insert(0, look)  # the one that knows more comes later


def look_at_call(layer: keras.Layer) -> None:
    """Looks at a layer that is called in what is exported, such as a function of an archive."""
    if _EXPORTER.get() is not None:
        _look_at_export(layer, _EXPORTER.get())


def _look_at_export(layer, how):
    if isinstance(layer, keras.Layer):
        for look in _EXPORT_LOOKS:
            look(layer, how)


def _watch_exports() -> None:
    from keras.src.export.saved_model_export_archive import SavedModelExportArchive as Archive

    def export(original, model, filepath, format="tf_saved_model", *args, **kwargs):
        _look_at_export(model, format)
        return original(model, filepath, format, *args, **kwargs)

    def track(original, archive, resource):
        _look_at_export(resource, _ARCHIVE)
        return original(archive, resource)

    def add_endpoint(original, archive, name, fn, *args, **kwargs):
        _look_at_export(getattr(fn, "__self__", None), _ARCHIVE)
        return traced(original, archive, name, fn, *args, **kwargs)

    def traced(original, *args, **kwargs):
        token = _EXPORTER.set(_ARCHIVE)
        try:
            return original(*args, **kwargs)
        finally:
            _EXPORTER.reset(token)

    def children(original, layer, save_type="checkpoint", **kwargs):
        if save_type == "savedmodel":
            _look_at_export(layer, _SAVED_MODEL)
        return original(layer, save_type, **kwargs)

    for owner, name, watching in (
        (keras.Model, "export", export),
        (Archive, "track", track),
        (Archive, "add_endpoint", add_endpoint),
        (Archive, "write_out", traced),
        (keras.Layer, "_trackable_children", children),
    ):
        original = getattr(owner, name)
        if not hasattr(original, "_overseen"):
            setattr(owner, name, _overseen(original, watching))


def _overseen(original, watching):
    @functools.wraps(original)
    def watched(*args, **kwargs):
        return watching(original, *args, **kwargs)

    watched._overseen = True
    return watched


def is_saved_as_hdf5() -> bool:
    """Returns whether Keras asks for a configuration to write it into a legacy HDF5 file."""
    from keras.src.backend.common import global_state

    return bool(global_state.get_global_attribute("use_legacy_config", False))


def weights_as_bytes(model: keras.Model) -> bytes:
    """Returns what `save_weights` writes into a .weights.h5 file.

    Keras lets HDF5 write the file itself, which ends the interpreter where the disk is full.
    """
    from keras.src.saving import saving_lib

    buffer = io.BytesIO()
    store = saving_lib.H5IOStore(buffer, mode="w")
    saving_lib._save_state(
        model, weights_store=store, assets_store=None, inner_path="", visited_saveables=set()
    )
    store.close()
    return buffer.getvalue()


def has_computed() -> bool:
    """Returns whether TensorFlow has started its threads, which it does at its first operation."""
    from tensorflow.python.eager import context

    return bool(context.context()._initialized)
