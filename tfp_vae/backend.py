"""What Keras computes with, looked at before anything is imported that needs it.

Keras imports its backend with itself, and none other later: one that is not TensorFlow fails there
as a missing package, or here as an array of another library, far from what has to be changed.
"""

import json
import os
import pathlib
import sys

NAME = "tensorflow"


def check() -> None:
    """Raises `ImportError` if Keras is told, or was told before, to compute with another one."""
    keras = sys.modules.get("keras")
    if hasattr(keras, "config"):
        found, where = keras.config.backend(), "Keras, which is imported"
    elif os.environ.get("KERAS_BACKEND"):
        found, where = os.environ["KERAS_BACKEND"], "the variable KERAS_BACKEND"
    else:
        file = _settings()
        found, where = _said(file), str(file)
    if found != NAME:
        raise ImportError(
            f"tfp_vae computes with TensorFlow. Expected KERAS_BACKEND={NAME} in the environment "
            f'before Keras is imported, or "backend": "{NAME}" in keras.json. Received '
            f"{found!r} of {where}."
        )


def _settings() -> pathlib.Path:
    """Returns where Keras looks for its settings."""
    folder = os.environ.get("KERAS_HOME")
    if folder is None:
        home = os.path.expanduser("~")
        folder = os.path.join(home if os.access(home, os.W_OK) else "/tmp", ".keras")
    return pathlib.Path(folder).expanduser() / "keras.json"


def _said(file: pathlib.Path) -> str:
    """Returns the backend that a file of settings names; Keras' own default if it names none."""
    try:
        known = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError):  # as Keras does
        return NAME
    return str(known.get("backend", NAME)) if isinstance(known, dict) else NAME
