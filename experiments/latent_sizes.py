"""Draws test ELBO against training examples seen for several latent sizes in one figure.

    python -m experiments.latent_sizes --flagfile=experiments/flags/latent_sizes.flags

The figure of Kingma & Welling (2014, figure 2). Takes the flags of train_vae; writes flags.txt,
latent_sizes.png and metrics.json into the run folder. All numbers are nats per example.
"""

import time

from absl import flags

import tfp_vae as tv

from . import cli, data_flags, running_flags, training_flags, vae_flags

cli.leave_out(training_flags.PATIENCE, training_flags.TENSORBOARD, running_flags.CHECKPOINT_EVERY)
_LATENT_DIMS = flags.DEFINE_list("latent_dims", ["3", "5", "10", "20", "200"], "Sizes to compare.")


def learn(data: "tv.data.Data", latent_dim: int) -> dict:
    """Trains one model and returns its curve and its test ELBO."""
    import keras

    print(f"latent size {latent_dim}", flush=True)
    keras.utils.set_random_seed(training_flags.SEED.value)
    vae = vae_flags.build(data, latent_dim)
    started = time.monotonic()
    history = vae.fit(
        data.train,
        batch_size=training_flags.BATCH_SIZE.value,
        validation_data=data.test,
        epochs=training_flags.EPOCHS.value,
        callbacks=[tv.training.ShowProgress()],
        verbose=0,
    )
    return {
        "train_seconds": time.monotonic() - started,
        "examples_seen": [(epoch + 1) * len(data.train) for epoch in history.epoch],
        "test_elbo_curve": history.history["val_elbo"],
        "active_units": tv.evaluation.active_units(vae, data.test),
        **{f"test_{k}": v for k, v in tv.evaluation.elbo(vae, data.test, verbose=True).items()},
    }


def main():
    """Trains a model per size and draws them together."""
    sizes = cli.integers(_LATENT_DIMS)
    run, data = vae_flags.prepare()
    for size in sizes:  # a size that cannot be is found before the first is trained
        vae_flags.recipe(data, size)
    run.create()
    run.write_text("flags.txt", cli.flag_lines())
    metrics = {
        **data_flags.source(),
        "kind": data.kind,
        "digests": data.digests,
        "seed": training_flags.SEED.value,
        "latent_dims": {},
        "versions": tv.report.versions(),
    }
    results = metrics["latent_dims"]
    for size in sizes:  # written after each, so that none is lost with a later one
        results[str(size)] = learn(data, size)
        run.write_json("metrics.json", metrics)
    curves = {
        f"{size} latents": (result["examples_seen"], result["test_elbo_curve"])
        for size, result in results.items()
    }
    title = f"{data.name} ({data.kind})"
    run.write_figure("latent_sizes.png", tv.plots.bound_against_examples(curves, title))
    rows = {f"{size} latents": result["test_elbo"] for size, result in results.items()}
    errors = {f"{size} latents_se": result["test_elbo_se"] for size, result in results.items()}
    print(tv.report.summary(rows | errors))
    print(f"results: {(run / 'latent_sizes.png').resolve()}")


if __name__ == "__main__":
    cli.run(main)
