"""Trains a Bayesian neural network (or a neighbour of it) and reports how far to trust it.

    python -m experiments.train_bnn --dataset=digits --run_dir=runs/bnn
    python -m experiments.train_bnn --dataset=diabetes --hidden=50 --run_dir=runs/diabetes

The run folder receives flags.txt (replays the run with --flagfile), history.csv, model.keras,
metrics.json and pictures; a posterior that starts from the trained point is in posterior.keras, its
draws as members of an ensemble or, of laplace, itself. Log-likelihoods, entropies and KL are in
nats; errors and scales of real targets in their own units.
"""

from absl import flags

import tfp_vae as tv
from tfp_vae import peek

from . import bnn_flags, cli, training_flags

_PREDICTIVE_SAMPLES = flags.DEFINE_integer(
    "num_predictive_samples", 100, "S, draws of the weights behind each prediction.", lower_bound=1
)
_CONFORMAL = flags.DEFINE_enum(
    "conformal",
    None,
    peek.names("conformal.CONFORMAL"),
    "By what intervals, or sets of classes, cover; without it scaled, or aps of classes.",
)
_COVERAGE = flags.DEFINE_float(
    "coverage", 0.9, "Of those intervals or sets on new data.", 0.001, 0.999
)
_MOST_NUMBERS = 2**26  # in the file of the draws


def main():
    """Loads, builds, fits, evaluates, saves and draws."""
    run, data = bnn_flags.prepare()
    if _CONFORMAL.value is not None:
        tv.conformal.CONFORMAL[_CONFORMAL.value]().check_task(data.task)
    chosen = bnn_flags.recipe()
    model = bnn_flags.build(chosen, data)
    num_samples = _PREDICTIVE_SAMPLES.value
    history, metrics = training_flags.fit(model, data, run)
    predictor = tv.methods.finish(
        chosen,
        model,
        data.train,
        seed=training_flags.SEED.value,
        batch_size=training_flags.BATCH_SIZE.value,
        callbacks=[tv.training.ShowProgress()],
        validation=data.validation,
    )
    if predictor is not model:
        most = max(1, _MOST_NUMBERS // predictor.num_weights)
        predictor.as_model(min(num_samples, most)).save(run / "posterior.keras")
    metrics |= {"method": chosen.method, "kl": None}
    test = tv.evaluation.predict(predictor, data.test, num_samples, verbose=True)
    validation = tv.evaluation.predict(predictor, data.validation, num_samples)
    splits = (validation, data.validation.y, test, data.test.y)
    conformal, covered = tv.evaluation.conformal_metrics(*splits, _CONFORMAL.value, _COVERAGE.value)
    if conformal is not None:
        run.write_json("conformal.json", conformal.to_json())
    metrics |= tv.evaluation.distribution_metrics(test, data.test.y)
    metrics |= covered
    metrics |= tv.evaluation.temperature_metrics(*splits)
    pruned = None
    has_distributions = not chosen.weights.point_weights
    if has_distributions:
        metrics |= tv.evaluation.weight_metrics(model)
    said = chosen.weights.summary(predictor)
    classes = data.num_classes if data.task == "classification" else None
    metrics |= said | tv.training.convergence_of(model, history)
    metrics |= tv.training.of_posterior(said, classes)
    run.write_json("metrics.json", metrics)
    if has_distributions and tv.evaluation.has_mean_field(model):
        pruned = tv.evaluation.pruning_curve(
            model, data.test, num_samples=num_samples, verbose=True
        )
        run.write_json("pruning.json", pruned)
    tv.plots.write_predictive(run, predictor, data.test, test, history, pruned)
    print(tv.report.summary(metrics))
    print(tv.training.conclusion(metrics))
    print(f"again:   {cli.command(run.path)}")
    print(f"results: {run.path.resolve()}")


if __name__ == "__main__":
    cli.run(main)
