"""Draws test ELBO against training examples seen for several latent sizes in one figure.

    python -m experiments.latent_sizes --flagfile=experiments/flags/latent_sizes.flags

The figure of Kingma & Welling (2014, figure 2). Takes the flags of train_vae; writes flags.txt,
latent_sizes.png and metrics.json into the run folder. All numbers are nats per example.
"""

from absl import flags

from . import cli, data_flags, estimator_flags, running_flags, training_flags, vae_flags

cli.leave_out(training_flags.PATIENCE, training_flags.TENSORBOARD, running_flags.CHECKPOINT_EVERY)
cli.leave_out(*estimator_flags.PHASES)
_LATENT_DIMS = flags.DEFINE_list("latent_dims", ["3", "5", "10", "20", "200"], "Sizes to compare.")


def main():
    """Trains a model per size and draws them together."""
    sizes = cli.integers(_LATENT_DIMS)
    run, data = vae_flags.prepare()
    for size in sizes:  # a size that cannot be is found before the first is trained
        vae_flags.recipe(data, size)
    run.create()
    run.write_text("flags.txt", cli.flag_lines())
    from tfp_vae.studies import latent_sizes

    plan = latent_sizes.Plan(
        data,
        tuple(sizes),
        vae_flags.build,
        training_flags.BATCH_SIZE.value,
        training_flags.EPOCHS.value,
        training_flags.SEED.value,
    )
    results = latent_sizes.run(plan, run, data_flags.source())
    print(latent_sizes.write(plan, run, results))
    print(f"results: {(run / 'latent_sizes.png').resolve()}")


if __name__ == "__main__":
    cli.run(main)
