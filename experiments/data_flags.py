"""The flags that say which data."""

import os
import pathlib
from collections.abc import Callable

from absl import flags

import tfp_vae as tv
from tfp_vae import arguments, peek

from . import cli

GROUP = "Data"
_NAMES = peek.names("data.NAMES")
DATASET = flags.DEFINE_string(
    "dataset",
    "digits",
    f"{', '.join(_NAMES)}, a folder of images or TFRecords, a .tfrecord, .npz, .npy or .csv file.",
)
DATA_DIR = flags.DEFINE_string(
    "data_dir",
    None,
    "Folder of prepared TFDS or UCI sets; without it they are downloaded.",
)
TARGET = flags.DEFINE_string("target", None, "Target column of a .csv; the last one without it.")
TASK = flags.DEFINE_enum(
    "task", None, ["classification", "regression"], "What the target of an .npz or .csv is."
)
UCI_SPLIT = flags.DEFINE_integer("uci_split", None, "Which standard split of a UCI set.", 0)
DELIMITER = flags.DEFINE_string(
    "delimiter", None, "Of the cells of a .csv: a character, or tab; without it, the rows say."
)
ENCODING = flags.DEFINE_string(
    "encoding", None, "Of a .csv, such as gbk; without it, its bytes say."
)
IMAGE_SIZE = flags.DEFINE_list(
    "image_size",
    None,
    "HEIGHT,WIDTH that the images of a folder are resized to, or sprites are made in.",
)
COLOR_MODE = flags.DEFINE_enum(
    "color_mode",
    None,
    peek.names("data.pixels.COLOR_MODES"),
    "What the images of a folder are converted to.",
)
FRAMES = flags.DEFINE_enum(
    "frames",
    None,
    peek.names("data.pixels.FRAMES"),
    "What is read of GIF, TIFF and WebP with many.",
)
COLUMNS = flags.DEFINE_list(
    "columns", None, "NAME:KIND,... of a table: real, positive, count, binary, ..., or drop."
)
ALL = (
    DATASET,
    DATA_DIR,
    TARGET,
    TASK,
    UCI_SPLIT,
    DELIMITER,
    ENCODING,
    IMAGE_SIZE,
    COLOR_MODE,
    FRAMES,
    COLUMNS,
)
# How a run remembers what goes on to `tv.data.load` as it is.
_OPTIONS = (
    "target",
    "task",
    "delimiter",
    "encoding",
    "image_size",
    "color_mode",
    "frames",
    "columns",
)


def check_folder() -> None:
    """Raises `FileNotFoundError` if --data_dir is not a folder."""
    if DATA_DIR.value is not None and not os.path.isdir(DATA_DIR.value):
        raise FileNotFoundError(
            f"data_dir does not exist. Expected a folder of prepared data sets. Received "
            f"{DATA_DIR.value!r}."
        )


def check() -> None:
    """Raises what is known to be wrong with the data before TensorFlow is imported."""
    dataset = DATASET.value
    if dataset not in _NAMES and not os.path.exists(dataset.replace("\0", " ")):
        raise FileNotFoundError(
            f"There is no data set {dataset!r}. Expected one of {', '.join(_NAMES)}, a folder of "
            f"images or TFRecords, a .tfrecord, .csv, .npz or .npy file. Received {dataset!r}, "
            "which is none."
            f"{arguments.hint(dataset, _NAMES)}"
        )
    check_folder()


# Asked whether a program models all columns of a table, none of them a target.
_whole: "list[Callable[[], bool]]" = []


def whole_tables_when(condition: "Callable[[], bool]") -> None:
    """Lets a program that models examples read a table without a target as one of mixed columns.

    Args:
        condition: asked after flags are parsed.
    """
    _whole.append(condition)


def _columns() -> "str | None":
    if COLUMNS.value is not None:
        return ",".join(COLUMNS.value)
    is_table = DATASET.value.lower().endswith(tv.data.table_files.ENDINGS)
    if is_table and TARGET.value is None and any(condition() for condition in _whole):
        return ""
    return None


def source() -> "dict[str, str | int | list[int] | None]":
    """Returns the flags that say which data, as a run remembers them: paths absolute."""
    path = pathlib.Path(DATASET.value)
    named = DATASET.value in _NAMES
    data_dir = DATA_DIR.value and str(pathlib.Path(DATA_DIR.value).absolute())
    return {
        "dataset": DATASET.value if named else str(path.absolute()),
        "data_dir": data_dir,
        "target": TARGET.value,
        "task": TASK.value,
        "uci_split": UCI_SPLIT.value,
        "delimiter": DELIMITER.value,
        "encoding": ENCODING.value,
        "image_size": IMAGE_SIZE.value and cli.integers(IMAGE_SIZE),
        "color_mode": COLOR_MODE.value,
        "frames": FRAMES.value,
        "columns": _columns(),
    }


def load(source: dict, kind=None) -> "tv.data.Data":
    """Returns the data that a `source` describes."""
    return tv.data.load(
        source["dataset"],
        data_dir=source["data_dir"],
        kind=kind,
        split=source.get("uci_split"),
        **{option: source.get(option) for option in _OPTIONS},
    )
