"""What a checkpoint holds, and the file it is in: an .npz with its SHA-256 behind it."""

import hashlib
import io
import json
import pathlib

import keras
import numpy as np

from tfp_vae.keras_private import CHECKPOINT_FIELDS
from tfp_vae.reading import Arrays, check_regular, json_of

_FORMAT = 1
# What Keras' own callbacks have seen; others say it with `get_state` and `set_state`.
SEEN = {
    keras.callbacks.EarlyStopping: (
        "wait",
        "best",
        "best_epoch",
        "best_weights",
        "stopped_epoch",
    ),
    keras.callbacks.ReduceLROnPlateau: ("wait", "best", "cooldown_counter"),
    keras.callbacks.ModelCheckpoint: ("best", *CHECKPOINT_FIELDS),
}
DAMAGE = (OSError, ValueError, KeyError)


def to_bytes(state: dict, arrays: dict) -> bytes:
    """Returns the content of a file with a JSON-ready state and arrays by name."""
    text = np.frombuffer(json.dumps(state | {"format": _FORMAT}).encode(), np.uint8)
    buffer = io.BytesIO()
    np.savez(buffer, state=text, **arrays)
    content = buffer.getvalue()
    return content + hashlib.sha256(content).digest()


def read(file: pathlib.Path) -> "tuple[dict, dict]":
    """Returns (state, arrays) of a file.

    Raises:
        One of `DAMAGE`: if it is not as it was written.
    """
    check_regular(file)
    content = file.read_bytes()
    content, digest = content[:-32], content[-32:]
    if hashlib.sha256(content).digest() != digest:
        raise ValueError("its content does not have its SHA-256")
    arrays = dict(Arrays(io.BytesIO(content), file.name))
    state = json_of(arrays.pop("state").tobytes(), file.name)
    if not isinstance(state, dict) or state["format"] != _FORMAT:
        raise ValueError(f"another format than {_FORMAT}")
    return state, arrays


def _names(callback) -> "tuple[str, ...]":
    return next((names for kind, names in SEEN.items() if isinstance(callback, kind)), ())


def has_state(callback) -> bool:
    """Whether a callback has seen something that a resumed training needs."""
    return hasattr(callback, "get_state") or bool(_names(callback))


def seen(callback) -> dict:
    """Returns what a callback has seen."""
    if hasattr(callback, "get_state"):
        return callback.get_state()
    return {name: getattr(callback, name, None) for name in _names(callback)}


def set_seen(callback, state: dict) -> None:
    """Gives a callback what `seen` returned."""
    if hasattr(callback, "set_state"):
        callback.set_state(state)
        return
    for name, value in state.items():
        setattr(callback, name, value)


def pack(value, arrays: dict, name: str):
    """Returns `value` as JSON, its arrays moved to `arrays`."""
    if isinstance(
        value, np.ndarray | np.generic
    ):  # the weights of a scalar variable are the latter
        arrays[name] = np.asarray(value)
        return {"array": name}
    if isinstance(value, dict):
        return {"dict": {key: pack(x, arrays, f"{name}/{key}") for key, x in value.items()}}
    if isinstance(value, list | tuple):
        return [pack(x, arrays, f"{name}/{i}") for i, x in enumerate(value)]
    return value


def unpacked(value, arrays: dict):
    """Returns what `pack` was given."""
    if isinstance(value, list):
        return [unpacked(x, arrays) for x in value]
    if not isinstance(value, dict):
        return value
    if "array" in value:
        return arrays[value["array"]]
    return {key: unpacked(x, arrays) for key, x in value["dict"].items()}
