"""Trains a variational autoencoder, reports log p(x) of test data and draws what it learned.

    python -m experiments.train_vae --dataset=digits --run_dir=runs/digits
    python -m experiments.train_vae --model=conditional --run_dir=runs/conditional
    python -m experiments.train_vae --model=m2 --labels=100 --run_dir=runs/m2

With --model=conditional or m2 it is log p(x|c) of the condition c, and a class as condition is
predicted too. The run folder receives flags.txt (replays the run with --flagfile), history.csv,
model.keras, metrics.json and pictures. With --fit_prior= model.keras has the prior that was fitted
after training. Bounds and log-likelihoods are nats per example.
"""

import functools

from absl import flags

import tfp_vae as tv

from . import (
    cli,
    code_flags,
    condition_flags,
    estimator_flags,
    prior_flags,
    training_flags,
    vae_flags,
)

_LATENT_DIM = flags.DEFINE_integer("latent_dim", 20, "Size of the latent z.", lower_bound=1)
_IMPORTANCE_SAMPLES = flags.DEFINE_integer(
    "num_importance_samples", 500, "S of the test log p(x).", lower_bound=1
)


def main():
    """Loads, builds, fits, evaluates, saves and draws."""
    run, whole = vae_flags.prepare()
    data = condition_flags.conditioned(whole)
    fits = functools.partial(prior_flags.check, data=data)
    vae = condition_flags.build(data, _LATENT_DIM.value, fits)
    steps = vae.batches_per_epoch(data.train, training_flags.BATCH_SIZE.value)
    last, trained = estimator_flags.finish(steps), vae.objective
    phases = estimator_flags.phases(vae, last)
    history, metrics = training_flags.fit(vae, data, run, *condition_flags.starts(data), *phases)
    vae = code_flags.with_prior(vae, data, run)
    metrics |= code_flags.facts(vae, data)
    metrics |= estimator_flags.facts(vae, data, trained, last, history)
    before = vae
    vae, gained = prior_flags.fitted(vae, data, data.test)
    if gained:
        vae.save(run / "model.keras")
        metrics |= gained
    metrics |= condition_flags.found(vae, data, before)
    metrics |= tv.evaluation.test_metrics(vae, data.test, _IMPORTANCE_SAMPLES.value, verbose=True)
    run.write_json("metrics.json", metrics)
    tv.plots.write_all(run, vae, data.test, history)
    if gained and len(data.shape) == 3 and not vae.condition and before.generates:
        run.write_figure("prior_samples_before.png", tv.plots.prior_samples(before.generate(50)))
    if tv.methods.kind_of(metrics["model"]).finds_clusters and len(data.shape) == 3:
        run.write_figure("clusters.png", tv.plots.clusters(before, data.test))
    if metrics["quadrants"]:
        seen = tv.data.seen_quadrants(whole.shape, metrics["quadrants"])
        run.write_figure("completions.png", tv.plots.completions(vae, data.test, seen))
    print(tv.report.summary(metrics))
    print(f"again:   {cli.command(run.path)}")
    print(f"results: {run.path.resolve()}")


if __name__ == "__main__":
    cli.run(main)
