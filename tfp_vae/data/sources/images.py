"""A folder of images, with a folder per split and one per class."""

import pathlib
from collections.abc import Sequence
from typing import Any

import numpy as np

from tfp_vae.data.answers import in_order
from tfp_vae.data.folders import IMAGE_FILE, files_of, in_memory_or_not, is_folder_of_records
from tfp_vae.data.pixels import Reading
from tfp_vae.data.source import Raw, Source
from tfp_vae.data.sources import SOURCES
from tfp_vae.data.streams import ImageFiles


@SOURCES.register("images", "a folder of images, maybe with one folder per split and per class")
class Images(Source):
    """A folder of images."""

    words = "a folder of images"
    arguments = ("in_memory", "image_size", "color_mode", "frames")

    def matches(self, source: Any) -> bool:
        """Returns whether it is a folder, and none of TFRecords."""
        return is_folder_of_records(source) is False

    def read(
        self,
        source: Any,
        data_dir: "str | pathlib.Path | None",
        *,
        in_memory: "bool | None" = None,
        image_size: "Sequence[int] | None" = None,
        color_mode: "str | None" = None,
        frames: "str | None" = None,
    ) -> Raw:
        """Returns the images; their classes are the names of their folders."""
        del data_dir
        reading = Reading(image_size, color_mode, frames)
        files, notes = files_of(pathlib.Path(source), IMAGE_FILE)
        names = [name for _, names in files.values() for name in names]
        classes = in_order(name.parts[0] for name in names if len(name.parts) > 1)
        number = {name: place for place, name in enumerate(classes)}
        streams, changed, where = {}, [], {}
        for split, (folder, names) in files.items():
            alone = next((name for name in names if classes and len(name.parts) == 1), None)
            if alone is not None:
                raise ValueError(
                    f"{folder / alone} has no class. Expected every image in the folder of its "
                    f"class ({', '.join(classes)}). Received an image beside these folders."
                )
            stream = ImageFiles(folder, names, reading)
            labels = np.array([number[name.parts[0]] for name in names]) if classes else None
            inside = [(folder / name).relative_to(source).as_posix() for name in names]
            where[split] = np.array(inside, object)[stream.files]
            streams[split] = (stream, None if labels is None else labels[stream.files])
            changed += [
                f"{count} images of the {split} split have {note}, first {first}"
                for note, (count, first) in stream.notes.items()
            ]
        notes = (*notes, *changed)
        parts = in_memory_or_not(streams, in_memory)
        return Raw(parts, class_names=classes or None, notes=notes, files=where)
