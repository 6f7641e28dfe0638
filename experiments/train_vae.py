"""Trains a variational autoencoder, reports log p(x) of test data and draws what it learned.

    python -m experiments.train_vae --dataset=digits --run_dir=runs/digits

The run folder receives flags.txt (replays the run with --flagfile), history.csv, model.keras,
metrics.json and pictures. All numbers are nats per example.
"""

from absl import flags

from experiments import cli, training_flags, vae_flags
from tfp_vae import evaluation, plots, report

flags.adopt_module_key_flags(vae_flags)
_LATENT_DIM = flags.DEFINE_integer("latent_dim", 20, "Size of the latent z.", lower_bound=1)
_IMPORTANCE_SAMPLES = flags.DEFINE_integer(
    "num_importance_samples", 500, "S of the test log p(x).", lower_bound=1
)


def main():
    """Loads, builds, fits, evaluates, saves and draws."""
    run, data = vae_flags.prepare()
    vae = vae_flags.build(data, _LATENT_DIM.value)
    history, metrics = training_flags.fit(vae, data, run)
    metrics |= evaluation.test_metrics(vae, data.test, _IMPORTANCE_SAMPLES.value, verbose=True)
    run.write_json("metrics.json", metrics)
    plots.write_all(run, vae, data.test, history)
    print(report.summary(metrics))
    print(f"again:   {cli.command('experiments.train_vae', run.path)}")
    print(f"results: {run.path.resolve()}")


if __name__ == "__main__":
    cli.run(main)
