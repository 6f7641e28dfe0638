"""The flags of programs that answer for each row of a file."""

import os
import pathlib
import sys

from absl import flags

import tfp_vae as tv
from tfp_vae import extras

from . import cli, data_flags

GROUP = "Rows"
DATA = flags.DEFINE_string(
    "data", None, "A .csv, .tsv, .parquet or .xlsx file, an .npz or .npy, or a folder of images."
)
OUT = flags.DEFINE_string(
    "out", None, "The .csv file to write; of impute and synthesize also .parquet or .xlsx."
)
KEEP_GOING = flags.DEFINE_bool(
    "keep_going", False, "Say which rows cannot be read, and answer for the others."
)
UNKNOWN = flags.DEFINE_enum(
    "unknown", "refuse", ["refuse", "missing"],
    "A class that the training never saw: an error, or a cell that counts as missing.",
)  # fmt: skip
_READ = (data_flags.DELIMITER.name, data_flags.ENCODING.name)
UNREAD = tuple(flag for flag in data_flags.ALL if flag.name not in _READ)


def check() -> None:
    """Raises what is known to be wrong with --data and --out before TensorFlow is imported."""
    data, out = DATA.value, OUT.value
    if not data or not os.path.exists(data):
        raise FileNotFoundError(
            f"There are no data at {data!r}. Expected --data=FILE, such as rows.csv. Received "
            f"{'no path' if not data else 'a path that is not there'}."
        )
    if is_table():
        extras.need_tables("Files of tables", data)
    check_apart()
    path = pathlib.Path(out or "")
    if not out or path.is_dir() or not path.absolute().parent.is_dir():
        raise ValueError(
            f"--out does not fit. Expected a file in a folder that there is. Received {out!r}."
        )


def check_apart() -> None:
    """Raises `ValueError` if --out would replace what --data are."""
    data, out = DATA.value, OUT.value
    if out and os.path.exists(data) and os.path.exists(out) and os.path.samefile(data, out):
        raise ValueError(
            f"--out would replace the data. Expected another file than --data. Received {out!r} "
            "for both."
        )


def is_table() -> bool:
    """Returns whether --data is a file of a table."""
    return pathlib.Path(DATA.value).suffix.lower() in (".csv", ".tsv", ".parquet", ".xlsx")


def read(model) -> "tv.data.rows.Rows":
    """Returns the rows of --data for a model; says which are refused."""
    rows = tv.data.rows.read(
        DATA.value,
        model,
        delimiter=cli.value_of(data_flags.DELIMITER),
        encoding=cli.value_of(data_flags.ENCODING),
        keep_going=KEEP_GOING.value,
        unknown=UNKNOWN.value,
    )
    for number, reason in rows.refused.items():
        print(f"row {number} is left out: {reason}", file=sys.stderr)
    return rows


def write(rows: "tv.data.rows.Rows", columns: dict) -> None:
    """Writes --out: the number of each row and what is said of it."""
    tv.report.write_columns(OUT.value, {"row": rows.numbers, **columns})
    left_out = f", {len(rows.refused)} left out" * bool(rows.refused)
    print(f"{len(rows.numbers)} rows{left_out}: {pathlib.Path(OUT.value).resolve()}")
