"""The flags of programs that take a table and give one, and the model that they train or find."""

import pathlib
import time

from absl import flags

import tfp_vae as tv
from tfp_vae import extras

from . import cli, data_flags, folder_flags, start, trained_runs

GROUP = "Table"
DATA = flags.DEFINE_string("data", None, "Table to read: .csv, .tsv, .parquet or .xlsx.")
OUT = flags.DEFINE_string("out", None, "Table to write, in one of the same forms.")
SEED = flags.DEFINE_integer("seed", 0, "Of the weights, the training and the draws.", 0, 2**31 - 1)
_LATENT_DIM = flags.DEFINE_integer("latent_dim", 8, "Size of the latent z.", lower_bound=1)
_HIDDEN = flags.DEFINE_list("hidden", ["128", "128"], "Widths of hidden layers.")
_EPOCHS = flags.DEFINE_integer("epochs", 200, "Passes over the rows in training.", lower_bound=1)
_BATCH_SIZE = flags.DEFINE_integer("batch_size", 64, "Rows per step.", lower_bound=1)
_RATE = flags.DEFINE_float("learning_rate", 1e-3, "Of Adam.", lower_bound=1e-9)
_SAMPLES = flags.DEFINE_integer(
    "num_samples", 1, "K in training: 1 is the masked ELBO, more are MIWAE.", lower_bound=1
)
UNREAD = tuple(
    flag for flag in data_flags.ALL if flag.name not in ("columns", "delimiter", "encoding")
)


def check() -> None:
    """Raises what is known to be wrong with the flags before TensorFlow is imported."""
    extras.need("tables", "Tables of mixed columns")
    for flag in (DATA, OUT):
        ending = pathlib.Path(flag.value or "").suffix.lower()
        if ending not in tv.data.table_files.ENDINGS:
            raise ValueError(
                f"--{flag.name} does not fit. Expected a file that ends in "
                f"{', '.join(tv.data.table_files.ENDINGS)}. Received {flag.value}."
            )
    if not pathlib.Path(OUT.value).absolute().parent.is_dir():
        raise ValueError(
            f"--out does not fit. Expected a file in a folder that there is. Received {OUT.value}."
        )


def opened() -> "tuple[tv.report.RunFolder, object, tv.VAE, tv.data.Data]":
    """Returns the run folder, the frame of --data, the model and the rows in three splits.

    The model is trained where the run folder is new, and the one that is there otherwise.
    """
    check()
    frame = tv.data.read_frame(DATA.value, data_flags.DELIMITER.value, data_flags.ENCODING.value)
    text = ",".join(data_flags.COLUMNS.value or [])
    run = tv.report.RunFolder(folder_flags.RUN_DIR.value, overwrite=True)
    if (run / "model.keras").is_file():
        start()
        run.lock()
        model = tv.load(run / "model.keras")
        trained_runs.check_vae(model, "Tables")
        if model.decoder.schema is None:
            raise ValueError(
                "The model of the run knows no columns. Expected one that was trained on a table. "
                f"Received a {type(model.decoder).__name__}."
            )
        known = tv.report.read_json(run / "metrics.json").get("columns") or ""
        said = tv.data.schema.parse(known)
        left = frame.drop(columns=[name for name in said if said[name] == tv.data.schema.DROP],
                          errors="ignore")  # fmt: skip
        return run, frame, model, tv.data.load(left, columns=model.decoder.schema)
    run = tv.report.RunFolder(folder_flags.RUN_DIR.value)
    data = tv.data.load(frame, columns=text)
    print(data.schema, flush=True)
    start()
    return run, frame, _trained(run, data, text), data


def _trained(run, data, columns):
    import keras

    keras.utils.set_random_seed(SEED.value)
    samples = _SAMPLES.value
    recipe = tv.methods.VAERecipe(
        latent_dim=_LATENT_DIM.value, hidden=tuple(cli.integers(_HIDDEN)), num_samples=samples
    )
    objective = tv.objectives.IWAE() if samples > 1 else None
    model = recipe.build(data, objective, seed=SEED.value)
    model.compile(keras.optimizers.Adam(_RATE.value), jit_compile=False)
    batch_size = min(_BATCH_SIZE.value, len(data.train))
    model.check_training(data.train, batch_size)
    run.create()
    run.write_text("flags.txt", cli.flag_lines())
    print(f"{data}\n{model.count_params():,} parameters, run folder {run.path}", flush=True)
    started = time.monotonic()
    history = model.fit(
        data.train,
        batch_size=batch_size,
        validation_data=data.validation,
        epochs=_EPOCHS.value,
        callbacks=[
            tv.training.StopOnNaN(),
            tv.training.ShowProgress(),
            tv.training.HistoryFile(run / "history.csv"),
        ],
        verbose=0,
    )
    tv.training.check_finished(history)
    model.save(run / "model.keras")
    known = {
        "dataset": str(pathlib.Path(DATA.value).absolute()),
        "columns": columns,
        "delimiter": data_flags.DELIMITER.value,
        "encoding": data_flags.ENCODING.value,
        "digests": data.digests,
        "seed": SEED.value,
        "num_train": len(data.train),
        "epochs": len(history.epoch),
        "train_seconds": time.monotonic() - started,
        "versions": tv.report.versions(),
    }
    run.write_json("metrics.json", known | tv.evaluation.elbo(model, data.test, 64))
    return model
