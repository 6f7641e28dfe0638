"""The flags of programs that train a VAE of the rows of a file where the run folder is new."""

import functools
import pathlib
import time

from absl import flags

import tfp_vae as tv

from . import cli, data_flags, row_flags

GROUP = "Training"
SEED = flags.DEFINE_integer("seed", 0, "Of the weights, the training and the draws.", 0, 2**31 - 1)
_LATENT_DIM = flags.DEFINE_integer("latent_dim", 8, "Size of the latent z.", lower_bound=1)
_HIDDEN = flags.DEFINE_list("hidden", ["128", "128"], "Widths of hidden layers.")
_EPOCHS = flags.DEFINE_integer("epochs", 200, "Passes over the rows in training.", lower_bound=1)
_BATCH_SIZE = flags.DEFINE_integer("batch_size", 64, "Rows per step.", lower_bound=1)
_RATE = flags.DEFINE_float("learning_rate", 1e-3, "Of Adam, at the start.", lower_bound=1e-9)
FLAGS = (_LATENT_DIM, _HIDDEN, _EPOCHS, _BATCH_SIZE, _RATE)


def trained(
    run: "tv.report.RunFolder",
    data: "tv.data.Data",
    objective: "tv.objectives.Bound | None" = None,
    num_samples: int = 1,
    missing: str = "at_random",
) -> "tv.VAE":
    """Makes the run folder; returns the model of the flags, trained and saved there.

    Ctrl-C saves it, too, as it was after its last whole epoch: impute, synthesize and predict then
    find it there.

    Args:
        run: its folder.
        data: of --data.
        objective: the ELBO by default.
        num_samples: draws of z per row and step.
        missing: why cells are missing.
    """
    import keras

    keras.utils.set_random_seed(SEED.value)
    recipe = tv.methods.VAERecipe(
        latent_dim=_LATENT_DIM.value,
        hidden=tuple(cli.integers(_HIDDEN)),
        num_samples=num_samples,
        missing=missing,
    )
    model = recipe.build(data, objective, seed=SEED.value)
    batch_size = min(_BATCH_SIZE.value, len(data.train))
    steps = model.batches_per_epoch(data.train, batch_size) * _EPOCHS.value
    rate = tv.training.learning_rate("cosine", _RATE.value, steps)
    model.compile(keras.optimizers.Adam(rate), jit_compile=False)
    model.check_training(data.train, batch_size)
    run.create()
    run.write_text("flags.txt", cli.flag_lines())
    print(f"{data}\n{model.count_params():,} parameters, run folder {run.path}", flush=True)
    started = time.monotonic()
    save = functools.partial(_save, run, data, model, started)
    interrupted = functools.partial(save, interrupted=True)
    with tv.training.saved_if_interrupted(model, run / "model.keras", interrupted):
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
    save()
    return model


def _save(run, data, model, started, **more):
    """Writes the model, and what is known of it, which the next program asks for."""
    model.save(run / "model.keras")
    known = {
        "dataset": str(pathlib.Path(row_flags.DATA.value).absolute()),
        "columns": ",".join(data_flags.COLUMNS.value or []),
        "delimiter": data_flags.DELIMITER.value,
        "encoding": data_flags.ENCODING.value,
        "digests": data.digests,
        "seed": SEED.value,
        "num_train": len(data.train),
        "epochs": len(model.history.epoch),
        "train_seconds": time.monotonic() - started,
        "versions": tv.report.versions(),
        **more,
    }
    run.write_json("metrics.json", known | tv.evaluation.elbo(model, data.test, 64))
