"""Trains a variational autoencoder, reports log p(x) of test data and draws what it learned.

    python -m experiments.train_vae --dataset=digits --run_dir=runs/digits

The run folder receives flags.txt (replays the run with --flagfile), history.csv, model.keras,
metrics.json and pictures. All numbers are nats per example.
"""

import time

import keras
from absl import flags

from experiments import cli, vae_flags
from tfp_vae import evaluation, plots, report, training

flags.adopt_module_key_flags(vae_flags)
_LATENT_DIM = flags.DEFINE_integer("latent_dim", 20, "Size of the latent z.", lower_bound=1)
_PATIENCE = flags.DEFINE_integer(
    "patience", 0, "Stop after so many epochs without a better validation ELBO; 0: never.", 0
)
_TENSORBOARD = flags.DEFINE_bool("tensorboard", False, "Write TensorBoard logs.")
_IMPORTANCE_SAMPLES = flags.DEFINE_integer(
    "num_importance_samples", 500, "S of the test log p(x).", lower_bound=1
)


def callbacks(run: report.RunFolder) -> list:
    """Returns the callbacks that the flags ask for."""
    chosen = [
        training.ShowProgress(),
        keras.callbacks.CSVLogger(run / "history.csv"),
        keras.callbacks.TerminateOnNaN(),
    ]
    if _PATIENCE.value:
        chosen.append(training.early_stopping(_PATIENCE.value))
    if _TENSORBOARD.value:
        chosen.append(training.tensorboard(run / "tensorboard"))
    return chosen


def main():
    """Loads, builds, fits, evaluates, saves and draws."""
    run, data = vae_flags.prepare()
    vae = vae_flags.build(data, _LATENT_DIM.value)
    chosen = callbacks(run)
    print(f"{data}\n{vae.count_params():,} parameters, run folder {run.path}", flush=True)

    run.create()
    run.write_text("flags.txt", cli.flag_lines())
    started = time.monotonic()
    history = vae.fit(
        data.train,
        batch_size=vae_flags.BATCH_SIZE.value,
        validation_data=data.validation,
        epochs=vae_flags.EPOCHS.value,
        callbacks=chosen,
        verbose=0,
    )
    seconds = time.monotonic() - started
    training.check_finished(history)
    vae.save(run / "model.keras")
    epochs = len(history.epoch)
    metrics = {
        **cli.source(),
        "kind": data.kind,
        "digests": data.digests,
        "seed": vae_flags.SEED.value,
        "num_parameters": vae.count_params(),
        "num_train": len(data.train),
        "epochs": epochs,
        "train_seconds": seconds,
        "examples_per_second": epochs * len(data.train) / seconds,
        "versions": report.versions(),
    }
    # Now, and again with the results: an evaluation may take long, and training is done.
    run.write_json("metrics.json", metrics)
    metrics |= evaluation.test_metrics(vae, data.test, _IMPORTANCE_SAMPLES.value, verbose=True)
    run.write_json("metrics.json", metrics)
    plots.write_all(run, vae, data.test, history.history)
    print(report.summary(metrics))
    print(f"again:   {cli.command('experiments.train_vae', run.path)}")
    print(f"results: {run.path.resolve()}")


if __name__ == "__main__":
    cli.run(main)
