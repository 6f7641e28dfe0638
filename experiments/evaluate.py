"""Evaluates the model of a run folder again: another split, more samples, other data.

    python -m experiments.evaluate --run_dir=runs/digits --num_importance_samples=5000

writes evaluation.json into the run folder and prints it. Bounds and log-likelihoods are in nats per
example.
"""

from absl import flags

import tfp_vae as tv

from . import cli, prior_flags, trained_runs

_SPLIT = flags.DEFINE_enum("split", "test", ["train", "validation", "test"], "Which examples.")
_NUM_SAMPLES = flags.DEFINE_integer("num_elbo_samples", 64, "S of the ELBO.", lower_bound=1)
_IMPORTANCE_SAMPLES = flags.DEFINE_integer(
    "num_importance_samples", 5000, "S of log p(x).", lower_bound=1
)
_PREDICTIVE_SAMPLES = flags.DEFINE_integer(
    "num_predictive_samples", 100, "S of a Bayesian network's predictions.", lower_bound=1
)
_CLASS_SAMPLES = flags.DEFINE_integer(
    "num_class_samples", 100, "S of log p(x|y) under each class, to classify.", lower_bound=1
)
_PRECISION = flags.DEFINE_enum(
    "likelihood_precision",
    "float32",
    ["float32", "bfloat16"],
    "Of the decoder's products in log p(x) and log p(x|y); the error of bfloat16 is printed.",
)


def main():
    """Loads model and data, evaluates and writes."""
    run = trained_runs.folder()
    run.lock()
    model, data, source, trained = trained_runs.opened(run)
    split = getattr(data, _SPLIT.value)
    prefix = f"{_SPLIT.value}_"
    gained: dict = {}
    prior_flags.check(model, data)
    has_likelihood = isinstance(model, tv.VAE) and model.on_bound
    cli.refuse_unused(has_likelihood, "a VAE on a bound", _PRECISION)
    if isinstance(model, tv.VAE):
        before = model
        model, gained = prior_flags.fitted(model, data, split)
        found = tv.evaluation.class_metrics(
            model,
            split,
            _CLASS_SAMPLES.value,
            prefix=prefix,
            verbose=True,
            precision=_PRECISION.value,
        )
        if has_likelihood:
            found |= {"likelihood_precision": _PRECISION.value}
        found |= tv.evaluation.test_metrics(
            model,
            split,
            _IMPORTANCE_SAMPLES.value,
            _NUM_SAMPLES.value,
            prefix=prefix,
            verbose=True,
            precision=_PRECISION.value,
        )
        if tv.methods.kind_of(trained.get("model", "vae")).finds_clusters:
            found |= tv.evaluation.cluster_metrics(before, data.train, split)
    else:
        found = tv.evaluation.predictive_metrics(
            model, split, _PREDICTIVE_SAMPLES.value, prefix=prefix, verbose=True
        )
    metrics = {
        **source,
        "kind": data.kind,
        "split": _SPLIT.value,
        "digest": split.digest,
        **found,
        **gained,
        "versions": tv.report.versions(),
    }
    run.write_json("evaluation.json", metrics)
    print(tv.report.summary(metrics))
    print(f"results: {(run / 'evaluation.json').resolve()}")


if __name__ == "__main__":
    cli.run(main)
