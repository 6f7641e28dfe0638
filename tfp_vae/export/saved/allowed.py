"""What a saved model may be made of: the classes and functions that its config may name.

A `.keras` file says as JSON which objects to build, by module and name. Keras resolves those names
and calls what it finds, which is what the published attacks live on (CVE-2025-1550, CVE-2025-8747,
CVE-2025-9906): here a config is read to its end before anything in it is built, and every object
in it has to be one of these:

- a registered class of `tfp_vae`, or of a package that the caller trusts;
- a public class of Keras: layers, models, initializers, optimizers and the like. Of layers those
  are left out that run code in the file or read other files;
- an operation of Keras between the layers of a functional model, such as an addition;
- a public function of Keras that is an activation, loss or metric;
- a plain value (number, text, array, slice).

Names that are plain text count too: `activation="relu"` is looked up like an object.
"""

import functools
import inspect
import re
import sys

import keras

from tfp_vae.export.saved.archive import Refused

MOST_VALUES, MOST_DEPTH = 1_000_000, 100

# Public layers that are not plain layers, and why. `allowed_classes` finds more by their arguments.
REFUSED_LAYERS = {
    "Lambda": "it holds Python code",
    "TorchModuleWrapper": "it holds a pickle",
    "TFSMLayer": "it runs a program from another folder",
    "JaxLayer": "it calls functions by name",
    "FlaxLayer": "it calls functions by name",
    "StringLookup": "it may read any file as its vocabulary",
    "IntegerLookup": "it may read any file as its vocabulary",
    "TextVectorization": "it may read any file as its vocabulary",
}
# Arguments of layers that take code, or the name of a file.
SUSPICIOUS = {"function", "module", "filepath", "vocabulary", "call_fn", "init_fn", "call_endpoint"}

_PLAIN = {"__keras_tensor__", "__tensor__", "__numpy__", "__bytes__", "__ellipsis__", "__slice__"}
_DTYPE = re.compile(r"bool|u?int(8|16|32|64)|float(16|32|64)|bfloat16")
_FUNCTION_MODULES = ("activations", "losses", "metrics")
_NO_FUNCTIONS = {"get", "serialize", "deserialize"}
# Operations in these modules compute; those of the core also call functions, so it is listed.
_OPERATIONS = tuple(f"keras.src.ops.{name}" for name in ("numpy", "nn", "math", "linalg", "image"))
_CORE_OPERATIONS = ("Cast", "Slice", "SliceUpdate", "StopGradient", "Unstack", "ConvertToTensor")


@functools.cache
def allowed_classes() -> "frozenset[tuple[str, str]]":
    """Returns (module, name) of every public class of Keras that a config may name."""
    keras_like = {
        "keras.layers": keras.Layer,
        "keras.initializers": keras.Initializer,
        "keras.regularizers": keras.Regularizer,
        "keras.constraints": keras.constraints.Constraint,
        "keras.optimizers": keras.Optimizer,
        "keras.optimizers.schedules": keras.optimizers.schedules.LearningRateSchedule,
        "keras.losses": keras.Loss,
        "keras.metrics": keras.Metric,
        "keras.dtype_policies": keras.dtype_policies.DTypePolicy,
    }
    found = {("keras", name) for name in ("Sequential", "DTypePolicy")}
    found |= {("keras.src.models.functional", "Functional"), ("keras.models", "Sequential")}
    found |= {("keras.random", "SeedGenerator")}
    for module, kind in keras_like.items():
        public = functools.reduce(getattr, module.split(".")[1:], keras)
        for name, value in vars(public).items():
            if inspect.isclass(value) and issubclass(value, kind) and not _is_refused(name, value):
                found.add((module, name))
    return frozenset(found)


def _is_refused(name: str, layer: type) -> bool:
    # Also what a later Keras may add: a constructor that asks for code or for a file.
    return name in REFUSED_LAYERS or bool(SUSPICIOUS & set(inspect.signature(layer).parameters))


@functools.cache
def allowed_functions() -> "frozenset[str]":
    """Returns the names of Keras' activations, losses and metrics that are functions."""
    return frozenset(
        name
        for module in _FUNCTION_MODULES
        for name, value in vars(getattr(keras, module)).items()
        if inspect.isfunction(value) and name not in _NO_FUNCTIONS
    )


def _is_operation(module: str, name: str) -> bool:
    if module not in _OPERATIONS and not (
        module == "keras.src.ops.core" and name in _CORE_OPERATIONS
    ):
        return False
    found = getattr(sys.modules.get(module), name, None)
    return inspect.isclass(found) and issubclass(found, keras.Operation)


def check_config(config, trusted: "tuple[str, ...]" = ()) -> None:
    """Reads a config to its end.

    Args:
        config: of a saved model, as JSON gives it.
        trusted: packages beside `tfp_vae` whose registered classes may be built.

    Raises:
        Refused: naming what is not allowed.
    """
    pending, count = [(config, 0)], 0
    while pending:
        value, depth = pending.pop()
        count += 1
        if depth > MOST_DEPTH or count > MOST_VALUES:
            what = "deeply nested" if depth > MOST_DEPTH else "long"
            raise Refused(f"has a config that is too {what}", f"more than {MOST_DEPTH} levels")
        if isinstance(value, dict):
            if "class_name" in value:
                _check_object(value, trusted)
            pending.extend((inner, depth + 1) for inner in value.values())
        elif isinstance(value, list):
            pending.extend((inner, depth + 1) for inner in value)
        elif isinstance(value, str) and keras.saving.get_registered_object(value) is not None:
            _check_trusted(value, trusted)


def _check_object(node: dict, trusted: "tuple[str, ...]") -> None:
    name, module = node["class_name"], node.get("module")
    # As Keras does: what is registered goes before the module, and its name may be left out.
    registered = node.get("registered_name", name)
    if not isinstance(name, str) or not all(
        isinstance(v, str | None) for v in (module, registered)
    ):
        raise Refused("has an object without a proper name", f"{name!r} of {module!r}"[:200])
    if name in _PLAIN:
        return _check_plain(node)
    if name.startswith("__"):
        raise Refused("has code or types hidden in its config", f"{name} in its config")
    if name == "function":
        return _check_function(node.get("config"), module, trusted)
    if ">" in (registered or "") or keras.saving.get_registered_object(registered) is not None:
        return _check_registered(name, module, registered, trusted)
    if registered not in (None, name):
        raise Refused("has an object with two names", f"{name!r} registered as {registered!r}")
    if module is None:
        # Without one, Keras falls back on an older, laxer way to find the class.
        raise Refused("has an object that does not say its module", repr(name))
    if (module, name) in allowed_classes() or _is_operation(module, name):
        return None
    if module.split(".")[0] == "keras" and name in REFUSED_LAYERS:
        raise Refused(f"has a {name} layer: {REFUSED_LAYERS[name]}", f"{module}.{name}")
    raise Refused(
        "names a class that is not a plain layer; one of your own is registered by "
        "keras.saving.register_keras_serializable('mypackage') and loaded by "
        "load(..., trusted=('mypackage',))",
        f"{module}.{name}"[:200],
    )


def _check_plain(node: dict) -> None:
    config = node.get("config")
    dtype = config.get("dtype", "float32") if isinstance(config, dict) else None
    if not isinstance(dtype, str) or not _DTYPE.fullmatch(dtype):
        raise Refused("has a value of an unknown type", f"{node['class_name']} of {dtype!r}"[:200])


def _check_function(name, module, trusted: "tuple[str, ...]") -> None:
    if isinstance(name, str) and ">" in name:
        return _check_trusted(name, trusted)
    is_keras = module == "builtins" or (module or "").startswith("keras.")
    if is_keras and isinstance(name, str) and name in allowed_functions():
        return None
    raise Refused(
        "names no known activation, loss or metric; one of your own is registered and "
        "trusted as a class is",
        f"{module}.{name}"[:200],
    )


def _check_registered(name, module, registered, trusted: "tuple[str, ...]") -> None:
    _check_trusted(registered, trusted)
    found = keras.saving.get_registered_object(registered)
    if found is None:
        raise Refused(
            "needs a class that is not registered; import the module that defines it", registered
        )
    if found.__name__ != name:
        raise Refused("has an object with two names", f"{name!r} registered as {registered!r}")
    # A class keeps its package when it moves between the package's modules.
    if module is not None and module.split(".")[0] != found.__module__.split(".")[0]:
        raise Refused("has a class in a wrong module", f"{registered} in {module}"[:200])


def _check_trusted(registered: str, trusted: "tuple[str, ...]") -> None:
    package = registered.split(">")[0]
    if package.split(".")[0] != "tfp_vae" and package not in trusted:
        raise Refused(
            f"names a class of a package that is not trusted; load(..., trusted=({package!r},)) "
            "would trust it",
            registered[:200],
        )
