"""Saved models back in: `.keras` files in safe mode. `VariationalModel.save` writes them.

A file is read once and looked at as a whole; only then is anything built, from a fresh archive of
exactly the bytes that were looked at.
"""

import json
import pathlib
import tempfile
import warnings
from collections.abc import Iterable

import keras
import numpy as np

from tfp_vae import keras_private
from tfp_vae.arguments import check_path
from tfp_vae.export.saved import archive
from tfp_vae.export.saved.allowed import check_config
from tfp_vae.export.saved.archive import Refused
from tfp_vae.export.saved.sizes import Budget, check_sizes
from tfp_vae.models.variational import VariationalModel

_EXPECTED = "Expected a .keras file saved by tfp_vae."


def load(path: "str | pathlib.Path", *, trusted: Iterable[str] = ()) -> VariationalModel:
    """Loads a model that its `save` wrote, ready to be evaluated or trained on.

    The file may come from anybody: it is checked before anything in it is built. It may hold the
    registered classes of `tfp_vae` and plain Keras layers, initializers, optimizers and the like;
    no Lambda, no lookup of files, nothing compressed beyond measure, nothing that points out of it.

    Args:
        path: the file.
        trusted: packages of your own, as given to `keras.saving.register_keras_serializable`, whose
            registered classes may be built too. Their code is run: name only what you know.

    Raises:
        FileNotFoundError: if there is no such file.
        ValueError: in one line, if the file is of another format, is damaged, holds no model of
            this package, or holds something that a model does not need.

    Warns:
        UserWarning: for weights that are not finite.
    """
    path = pathlib.Path(check_path("path", path))
    trusted = _packages(trusted)
    try:
        if path.is_file():
            with open(path, "rb") as file:
                archive.refuse_other_formats(path, file.read(8))
        else:
            archive.refuse_other_formats(path, b"")
            raise FileNotFoundError(f"There is no model at {path}. {_EXPECTED} Received no file.")
        model = _load(path, trusted)
    except Refused as refused:
        raise ValueError(
            f"{path} {refused.problem}. {_EXPECTED} Received {refused.received}."
        ) from refused
    broken = [
        variable.path
        for variable in model.trainable_variables
        if not np.isfinite(keras.ops.convert_to_numpy(variable)).all()
    ]
    if broken:
        warnings.warn(
            f"{path} has weights that are not finite ({', '.join(broken[:3])}): what it answers is "
            "of no use. Expected a model whose training did not break down.",
            UserWarning,
            stacklevel=2,
        )
    return model


def _packages(trusted: Iterable[str]) -> "tuple[str, ...]":
    trusted = (trusted,) if isinstance(trusted, str) else tuple(trusted)
    if not all(isinstance(name, str) and name and ">" not in name for name in trusted):
        raise ValueError(
            "trusted names packages. Expected names as given to register_keras_serializable, such "
            f"as ('mypackage',). Received {trusted!r}."
        )
    return trusted


def _load(path: pathlib.Path, trusted: "tuple[str, ...]") -> VariationalModel:
    members = archive.read(path)
    try:
        config = json.loads(members[archive.CONFIG])
        json.loads(members[archive.METADATA])
    except (ValueError, RecursionError) as error:
        raise Refused("has a damaged config", archive.one_line(error)) from error
    _check_is_ours(config)
    check_config(config, trusted)
    held = archive.check_weights(members[archive.WEIGHTS])
    check_sizes(config, held)
    with tempfile.TemporaryDirectory(prefix="tfp_vae-") as folder:
        checked = pathlib.Path(folder) / "model.keras"
        archive.write(checked, members)
        del members
        try:
            budget = Budget(held)
            with warnings.catch_warnings(), keras_private.before_variables(budget.take):
                # Keras says so and goes on, with an optimizer that starts anew.
                warnings.filterwarnings("error", message=".*Skipping variable loading")
                return keras.saving.load_model(checked, safe_mode=True)
        except Exception as error:  # Keras raises a different type for each part of the file
            inner = error
            while inner is not None and not isinstance(inner, Refused):
                inner = inner.__cause__ or inner.__context__
            # Keras says the config of every object around it before it says what happened.
            what = str(error).rpartition("Exception encountered: ")[2] or error
            raise inner or Refused("could not be loaded", archive.one_line(what)) from error


def _check_is_ours(config) -> None:
    name = config.get("registered_name") if isinstance(config, dict) else None
    found = keras.saving.get_registered_object(name) if isinstance(name, str) else None
    if not (isinstance(found, type) and issubclass(found, VariationalModel)):
        what = name or (config.get("class_name") if isinstance(config, dict) else config)
        raise Refused("is not one of our models", f"a {what!r}"[:200])
