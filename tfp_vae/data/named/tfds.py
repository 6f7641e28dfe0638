"""Images of tensorflow-datasets, prepared in a folder or downloaded."""

import pathlib
from typing import Any

from tfp_vae.data.named import NAMES
from tfp_vae.data.source import SPLIT_NAMES, Named, Parts, Raw


@NAMES.register("mnist", "70,000 grey 28x28 digits")
@NAMES.register("fashion_mnist", "70,000 grey 28x28 clothes")
@NAMES.register("binarized_mnist", "70,000 binary 28x28 digits, binarised once")
class TFDS(Named):
    """A set of images of tensorflow-datasets."""

    def read(self, source: Any, data_dir: "str | pathlib.Path | None") -> Raw:
        """Returns the images of all splits, with labels where there are some."""
        return Raw(_images(source, data_dir))


def _images(name: str, data_dir: "str | pathlib.Path | None") -> Parts:
    import tensorflow_datasets as tfds

    if data_dir is not None and not pathlib.Path(data_dir).is_dir():
        raise FileNotFoundError(
            f"data_dir does not exist. Expected a folder of prepared tensorflow-datasets. Received "
            f"{str(data_dir)!r}."
        )
    place = "the tensorflow-datasets default folder, or a network to download it from"
    if data_dir is not None:
        place = f"{str(data_dir)!r} (without data_dir it would be downloaded)"
    try:
        builder = tfds.builder(name, data_dir=data_dir)
        if data_dir is None:
            builder.download_and_prepare()
        elif not builder.is_prepared():
            raise FileNotFoundError(f"no {builder.data_path}")
        splits = builder.as_dataset(batch_size=-1)
        loaded = {split: tfds.as_numpy(splits[split]) for split in SPLIT_NAMES if split in splits}
    except Exception as error:  # TFDS raises a different type for each thing that can go wrong
        reason = " ".join(str(error).split())[:200] or type(error).__name__
        raise FileNotFoundError(
            f"The data set {name!r} could not be loaded. Expected it prepared in {place}. "
            f"Received: {reason}"
        ) from error
    return {split: (part["image"], part.get("label")) for split, part in loaded.items()}
