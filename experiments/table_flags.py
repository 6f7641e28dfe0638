"""The flags of programs that take a table and give one, and the model that they train or find."""

import pathlib
from collections.abc import Callable

from absl import flags

import tfp_vae as tv
from tfp_vae import extras

from . import (
    cli,
    data_flags,
    folder_flags,
    missing_flags,
    row_flags,
    row_training,
    start,
    trained_runs,
)

GROUP = "Table"
_SAMPLES = flags.DEFINE_integer(
    "num_samples", 1, "K in training: 1 is the masked ELBO, more are MIWAE.", lower_bound=1
)
DATA, OUT, SEED = row_flags.DATA, row_flags.OUT, row_training.SEED
UNREAD = (
    *(flag for flag in row_flags.UNREAD if flag is not data_flags.COLUMNS),
    row_flags.KEEP_GOING,
)


def check() -> None:
    """Raises what is known to be wrong with the flags before TensorFlow is imported."""
    extras.need_tables("Tables of mixed columns", DATA.value, OUT.value)
    for flag in (DATA, OUT):
        ending = pathlib.Path(flag.value or "").suffix.lower()
        if ending not in tv.data.table_files.ENDINGS:
            raise ValueError(
                f"--{flag.name} does not fit. Expected a file that ends in "
                f"{', '.join(tv.data.table_files.ENDINGS)}. Received {flag.value}."
            )
    row_flags.check_apart()
    out = pathlib.Path(OUT.value)
    if out.is_dir() or not out.absolute().parent.is_dir():
        raise ValueError(
            f"--out does not fit. Expected a file in a folder that there is. Received {OUT.value}."
        )


def parts(table):
    """Yields the DataFrames that a table, which may be a large one, is read in."""
    from tfp_vae.data import column_files

    large = isinstance(table, tv.data.ColumnFile)
    return table.frames(column_files.ROWS) if large else iter((table,))


def opened(
    check_columns: "Callable[[tv.data.Schema, list[str]], None]",
) -> "tuple[tv.report.RunFolder, object, tv.VAE, tv.data.Data]":
    """Returns the run folder, the table of --data, the model and the rows in three splits.

    The model is trained where the run folder is new, and the one that is there otherwise.

    Args:
        check_columns: raises what is wrong with the flags for a schema and the columns of the file,
            before any training.
    """
    check()
    text = ",".join(data_flags.COLUMNS.value or [])
    classes = tv.data.schema.names_of_classes(tv.data.schema.parse(text))
    form = (data_flags.DELIMITER.value, data_flags.ENCODING.value)
    frame = tv.data.open_table(DATA.value, *form, text=classes)
    run = tv.report.RunFolder(folder_flags.RUN_DIR.value, overwrite=True)
    if (run / "model.keras").is_file():
        cli.refuse_unused(False, "a new run folder", missing_flags.MISSING)
        start()
        run.lock()
        model = tv.load(run / "model.keras")
        trained_runs.check_vae(model, "Tables")
        if model.decoder.schema is None:
            raise ValueError(
                "The model of the run knows no columns. Expected one that was trained on a table. "
                f"Received a {type(model.decoder).__name__}."
            )
        known = tv.report.read_json(run / "metrics.json")
        trained_runs.tell_interrupted(run, known)
        said = tv.data.schema.parse(known.get("columns") or "")
        left = frame.drop(columns=[name for name in said if said[name] == tv.data.schema.DROP],
                          errors="ignore")  # fmt: skip
        check_columns(model.decoder.schema, list(frame.columns))
        with tv.data.frames.counted_from_one():
            data = tv.data.load(left, columns=model.decoder.schema, unknown=row_flags.UNKNOWN.value)
        return run, frame, model, data
    run = tv.report.RunFolder(folder_flags.RUN_DIR.value)
    with tv.data.frames.counted_from_one():
        data = tv.data.load(frame, columns=text)
    check_columns(data.schema, list(frame.columns))
    print(data.schema, flush=True)
    start()
    samples, missing = _SAMPLES.value, missing_flags.MISSING.value
    objective = tv.objectives.IWAE() if samples > 1 else None
    return run, frame, row_training.trained(run, data, objective, samples, missing), data
