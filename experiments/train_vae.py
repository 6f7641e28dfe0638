"""Trains a variational autoencoder, reports log p(x) of test data and draws what it learned.

    python -m experiments.train_vae --dataset=digits --run_dir=runs/digits

The run folder receives flags.txt (replays the run with --flagfile), history.csv, model.keras,
metrics.json and pictures. All numbers are nats per example.
"""

import time

import keras
from absl import flags

import tfp_vae as tv
from experiments import cli
from tfp_vae import evaluation, plots, report, training

_OVERWRITE = flags.DEFINE_bool("overwrite", False, "Write into a run folder that is not empty.")
_KIND = flags.DEFINE_enum(
    "kind", None, [*tv.data.Kind], "Kind of pixel values; without it, what the likelihood prefers."
)
_EPOCHS = flags.DEFINE_integer("epochs", 100, "Passes over the training data.", lower_bound=1)
_BATCH_SIZE = flags.DEFINE_integer("batch_size", 128, "Examples per step.", lower_bound=1)
_SEED = flags.DEFINE_integer("seed", 0, "Fixes weights, order, binarisation, noise.", 0, 2**31 - 1)
_LATENT_DIM = flags.DEFINE_integer("latent_dim", 20, "Size of the latent z.", lower_bound=1)
_LIKELIHOOD = flags.DEFINE_enum("likelihood", "bernoulli", [*tv.decoders.BY_NAME], "p(x|z).")
_SCALE = flags.DEFINE_string(
    "scale", "shared", "Scale of the normal likelihood: shared, per_pixel, or a number > 0."
)
_POSTERIOR = flags.DEFINE_enum(
    "posterior", "diagonal", [*tv.encoders.BY_NAME], "Covariance of q(z|x)."
)
_NETWORK = flags.DEFINE_enum("network", "mlp", ["mlp", "conv"], "Kind of encoder and decoder.")
_HIDDEN = flags.DEFINE_list(
    "hidden",
    ["400"],
    "Widths of the encoder's dense layers (the decoder mirrors them); one for conv.",
)
_FILTERS = flags.DEFINE_list("filters", ["32", "64"], "Filters of the stride-2 convolutions.")
_ACTIVATION = flags.DEFINE_enum("activation", "relu", tv.networks.ACTIVATIONS, "Of hidden layers.")
_NUM_SAMPLES = flags.DEFINE_integer("num_samples", 1, "Draws of z per example.", lower_bound=1)
_BETA = flags.DEFINE_float("beta", 1.0, "Weight of the KL in the loss.", lower_bound=0)
_WARM_UP = flags.DEFINE_enum(
    "warm_up", None, [*tv.objectives.WARM_UPS], "Shape of a KL weight that rises from 0 to 1."
)
_WARM_UP_EPOCHS = flags.DEFINE_integer("warm_up_epochs", 10, "Rise, or cycle.", lower_bound=1)
_FREE_BITS = flags.DEFINE_float("free_bits", 0.0, "Nats per latent dimension.", lower_bound=0)
_CAPACITY = flags.DEFINE_float("capacity", None, "Target of the KL, nats.", lower_bound=0)
_LEARNING_RATE = flags.DEFINE_float("learning_rate", 1e-3, "Of Adam, at step 0.", lower_bound=0)
_SCHEDULE = flags.DEFINE_enum("schedule", "cosine", training.SCHEDULES, "Of the learning rate.")
_PATIENCE = flags.DEFINE_integer(
    "patience", 0, "Stop after so many epochs without a better validation ELBO; 0: never.", 0
)
_PRECISION = flags.DEFINE_enum(
    "precision", "float32", ["float32", "mixed_bfloat16"], "Of products."
)
_JIT = flags.DEFINE_bool("jit", True, "Compile the training step with XLA.")
_TENSORBOARD = flags.DEFINE_bool("tensorboard", False, "Write TensorBoard logs.")
_IMPORTANCE_SAMPLES = flags.DEFINE_integer(
    "num_importance_samples", 500, "S of the test log p(x).", lower_bound=1
)


def build(data: tv.data.Data) -> tv.VAE:
    """Returns the compiled model that the flags describe."""
    hidden = [int(width) for width in _HIDDEN.value]
    activation = _ACTIVATION.value
    if _NETWORK.value == "conv":
        filters = [int(count) for count in _FILTERS.value]
        encode = tv.networks.conv_encoder(filters, hidden[0], activation)
        decode = tv.networks.conv_decoder(data.shape, filters[::-1], hidden[0], activation)
    else:
        encode = tv.networks.mlp(hidden, activation)
        decode = tv.networks.mlp(hidden[::-1], activation)
    options = {}
    if _LIKELIHOOD.value == "normal":
        named = _SCALE.value in ("shared", "per_pixel")
        options["scale"] = _SCALE.value if named else float(_SCALE.value)
    steps = data.train.num_batches(_BATCH_SIZE.value)
    beta = _BETA.value
    if _WARM_UP.value:
        beta = tv.objectives.WARM_UPS[_WARM_UP.value](_WARM_UP_EPOCHS.value * steps)
    vae = tv.VAE(
        prior=tv.priors.StandardNormal(_LATENT_DIM.value),
        encoder=tv.encoders.BY_NAME[_POSTERIOR.value](encode, _LATENT_DIM.value),
        decoder=tv.decoders.BY_NAME[_LIKELIHOOD.value](decode, data.shape, **options),
        objective=tv.objectives.ELBO(beta, _FREE_BITS.value, _CAPACITY.value),
        num_samples=_NUM_SAMPLES.value,
        seed=_SEED.value,
    )
    rate = training.learning_rate(_SCHEDULE.value, _LEARNING_RATE.value, steps * _EPOCHS.value)
    vae.compile(
        optimizer=keras.optimizers.Adam(rate),
        jit_compile=_JIT.value,
        steps_per_execution=training.steps_per_execution(data.train, _BATCH_SIZE.value),
    )
    return vae


def callbacks(run: report.RunFolder) -> list:
    """Returns the callbacks that the flags ask for."""
    chosen = [training.ShowProgress(), keras.callbacks.CSVLogger(run / "history.csv")]
    if _PATIENCE.value:
        chosen.append(training.early_stopping(_PATIENCE.value))
    if _TENSORBOARD.value:
        chosen.append(training.tensorboard(run / "tensorboard"))
    return chosen


def main():
    """Loads, builds, fits, evaluates, saves and draws."""
    keras.utils.set_random_seed(_SEED.value)
    keras.config.set_dtype_policy(_PRECISION.value)
    kind = _KIND.value or tv.decoders.BY_NAME[_LIKELIHOOD.value].preferred_kind
    run = report.RunFolder(cli.RUN_DIR.value, _OVERWRITE.value)
    data = tv.data.load(cli.DATASET.value, data_dir=cli.DATA_DIR.value, kind=kind)
    vae = build(data)
    vae.check_training(data.train, _BATCH_SIZE.value)
    print(f"{data}\n{vae.count_params():,} parameters, run folder {run.path}", flush=True)

    run.create()
    run.write_text("flags.txt", cli.flag_lines())
    started = time.monotonic()
    history = vae.fit(
        data.train,
        batch_size=_BATCH_SIZE.value,
        validation_data=data.validation,
        epochs=_EPOCHS.value,
        callbacks=callbacks(run),
        verbose=0,
    )
    seconds = time.monotonic() - started
    tv.export.save(vae, run / "model.keras")
    epochs = len(history.epoch)
    metrics = {
        "dataset": data.name,
        "kind": data.kind,
        "digests": data.digests,
        "seed": _SEED.value,
        "num_parameters": vae.count_params(),
        "num_train": len(data.train),
        "epochs": epochs,
        "train_seconds": seconds,
        "examples_per_second": epochs * len(data.train) / seconds,
        **evaluation.test_metrics(vae, data.test, _IMPORTANCE_SAMPLES.value, verbose=True),
        "versions": report.versions(),
    }
    run.write_json("metrics.json", metrics)
    plots.write_all(run, vae, data.test, history.history)
    print(report.summary(metrics))
    print(
        f"results: {run.path.resolve()} (again: {cli.command('experiments.train_vae', run.path)})"
    )


if __name__ == "__main__":
    cli.run(main)
