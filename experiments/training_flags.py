"""The flags of every training: data and run folder, passes, optimizer."""

import dataclasses
import time

from absl import flags

import tfp_vae as tv
from tfp_vae import extras, peek

from . import cli, data_flags, precision_flags, running_flags

GROUP = "Training"
flags.DEFINE_string("preset", None, "Flags of a model that was measured, by name.")
_OVERWRITE = flags.DEFINE_bool("overwrite", False, "Write into a run folder that is not empty.")
KIND = flags.DEFINE_enum(
    "kind", None, peek.names("data.Kind"), "Kind of the values; without it, what the model prefers."
)
_AUGMENT = flags.DEFINE_float(
    "augment", 0.0, "Share by which training images are shifted, zoomed and turned.", 0.0, 0.99
)
EPOCHS = flags.DEFINE_integer("epochs", 100, "Passes over the training data.", lower_bound=1)
BATCH_SIZE = flags.DEFINE_integer("batch_size", 128, "Examples per step.", lower_bound=1)
SEED = flags.DEFINE_integer("seed", 0, "Fixes weights, order, binarisation, noise.", 0, 2**31 - 1)
HIDDEN = flags.DEFINE_list("hidden", ["400"], "Widths of the dense layers; one for conv.")
ACTIVATION = flags.DEFINE_enum(
    "activation", "relu", peek.names("networks.ACTIVATIONS"), "Of hidden layers."
)
NUM_SAMPLES = flags.DEFINE_integer("num_samples", 1, "Draws per example and step.", lower_bound=1)
_LEARNING_RATE = flags.DEFINE_float("learning_rate", 1e-3, "Of Adam, at step 0.", lower_bound=0)
_SCHEDULE = flags.DEFINE_enum(
    "schedule", "cosine", peek.names("training.SCHEDULES"), "Of the learning rate."
)
PATIENCE = flags.DEFINE_integer(
    "patience", 0, "Stop after so many epochs without a better validation ELBO; 0: never.", 0
)
TENSORBOARD = flags.DEFINE_bool("tensorboard", False, "Write TensorBoard logs.")


def prepare(preferred_kind, decodes: bool = True) -> "tuple[tv.report.RunFolder, tv.data.Data]":
    """Returns the run folder, checked but not made, and the data that the flags describe.

    Args:
        preferred_kind: a function of the kind of the values where no flag says it, or None.
        decodes: whether the dense layers come back to the size of the data, as in a VAE.
    """
    extras.need("report", "Pictures")
    if cli.value_of(TENSORBOARD):
        extras.need("tensorboard", "TensorBoard logs")
    data_flags.check()
    precision_flags.check()
    run = running_flags.run_folder(_OVERWRITE.value)
    import keras

    keras.utils.set_random_seed(SEED.value)
    data = data_flags.load(data_flags.source(), KIND.value or preferred_kind())
    rows = BATCH_SIZE.value * NUM_SAMPLES.value
    precision_flags.resolve(run, data, cli.integers(HIDDEN), rows, decodes)
    return run, dataclasses.replace(data, train=data.train.augmented(_AUGMENT.value))


def compiled(model, data: "tv.data.Data", optimizer=None):
    """Returns the model with its optimizer, after a look at whether it can learn these data.

    Args:
        model: that is trained.
        data: that it is trained on.
        optimizer: of a method, see `tfp_vae.methods.Method.optimizer`; None for Adam.
    """
    import keras

    steps = model.batches_per_epoch(data.train, BATCH_SIZE.value) * EPOCHS.value
    rate = tv.training.learning_rate(_SCHEDULE.value, _LEARNING_RATE.value, steps)
    model.compile(
        optimizer=optimizer(rate, len(data.train), SEED.value)
        if optimizer
        else keras.optimizers.Adam(rate),
        jit_compile=precision_flags.jit() and model.supports_jit,
        steps_per_execution=tv.training.steps_per_execution(
            data.train, BATCH_SIZE.value, running_flags.steps_at_once()
        ),
    )
    model.check_training(data.train, BATCH_SIZE.value)
    return model


def fit(model, data: "tv.data.Data", run: "tv.report.RunFolder", *more) -> "tuple[dict, dict]":
    """Makes the run folder, trains, saves; returns the history and what is known of the run.

    Args:
        model: compiled.
        data: trained and validated on.
        run: its folder.
        *more: callbacks.
    """
    saved = running_flags.checkpoints(run, data)
    chosen = [
        *more,
        tv.training.StopOnNaN(),
        tv.training.ShowProgress(),
        tv.training.HistoryFile(run / "history.csv"),
    ]
    if PATIENCE.value:
        chosen.append(tv.training.early_stopping(PATIENCE.value))
    if TENSORBOARD.value and tv.training.is_chief():
        chosen.append(tv.training.tensorboard(run / "tensorboard"))
    chosen += [saved] if saved else []  # the last one: it keeps what the others have seen
    print(f"{data}\n{model.count_params():,} parameters, run folder {run.path}")
    print(model.reading(data.train, BATCH_SIZE.value), flush=True)
    run.create()
    run.write_text("flags.txt", cli.flag_lines())
    started = time.monotonic()
    last = tv.training.saved_if_interrupted(model, run / "model.keras")
    with saved.catching_signals() if saved else last:
        history = model.fit(
            data.train,
            batch_size=BATCH_SIZE.value,
            validation_data=data.validation,
            epochs=EPOCHS.value,
            callbacks=chosen,
            verbose=0,
        )
    seconds = saved.seconds_trained if saved else time.monotonic() - started
    tv.training.check_finished(history)
    model.save(run / "model.keras")
    epochs = len(history.epoch)
    metrics = {
        **data_flags.source(),
        "kind": data.kind,
        "class_names": data.class_names,
        "digests": data.digests,
        "seed": SEED.value,
        "num_parameters": model.count_params(),
        "num_train": len(data.train),
        "epochs": epochs,
        "train_seconds": seconds,
        "examples_per_second": epochs * len(data.train) / seconds,
        "versions": tv.report.versions(),
    }
    if saved:
        metrics |= {"num_checkpoints": saved.saves, "checkpoint_seconds": saved.seconds_saving}
    # Now, and again with the results: an evaluation may take long, and training is done.
    run.write_json("metrics.json", metrics)
    return history.history, metrics
