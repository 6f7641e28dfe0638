"""Saved models back in: `.keras` files in safe mode. `VariationalModel.save` writes them."""

import json
import pathlib
import zipfile

import keras


def load(path: "str | pathlib.Path") -> keras.Model:
    """Loads a model that its `save` wrote, ready to be evaluated or trained on.

    Raises:
        FileNotFoundError: if there is no such file.
        ValueError: if the file is a legacy `.h5`, is damaged, or holds no model of this package.
    """
    path = pathlib.Path(path)
    expected = "Expected a .keras file saved by tfp_vae."
    if path.suffix in (".h5", ".hdf5"):
        raise ValueError(
            f"{path} is in the legacy HDF5 format, whose loading may run code hidden in the file. "
            f"{expected} Received a {path.suffix} file; save the model again as .keras."
        )
    if not path.is_file():
        raise FileNotFoundError(f"There is no model at {path}. {expected} Received no file.")
    try:
        with zipfile.ZipFile(path) as archive:
            damaged = archive.testzip()
            config = json.loads(archive.read("config.json"))
        name = config.get("registered_name") or config.get("class_name")
    except Exception as error:  # a damaged archive fails in as many ways as it has bytes
        raise ValueError(
            f"{path} is truncated or is no model file. {expected} Received: {error}"
        ) from error
    if damaged:
        raise ValueError(f"{path} is damaged. {expected} Received a bad checksum in {damaged}.")
    if not str(name).startswith("tfp_vae>"):
        raise ValueError(f"{path} is not one of our models. {expected} Received a {name!r}.")
    try:
        return keras.saving.load_model(path, safe_mode=True)
    except Exception as error:  # Keras raises a different type for each part of the file
        reason = " ".join(str(error).split())[:200]
        raise ValueError(f"{path} could not be loaded. {expected} Received: {reason}") from error
