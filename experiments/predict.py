"""Predicts for each row of a file with the model of a run folder.

    python -m experiments.predict --run_dir=runs/bnn --data=new.csv --out=pred.csv

Of a network: mean, standard deviation, what of it is epistemic and aleatoric, and an interval that
covers, or the class, a set of classes that covers, and the probability of each. Of a VAE with
classes the same of p(y|x); of one without, -log p(x) in nats and, of a run of detect, p-value and
flag. The first row below a header is number 1.
"""

from absl import flags

import tfp_vae as tv

from . import cli, row_flags, trained_runs

cli.leave_out(*row_flags.UNREAD)
_COVERAGE = flags.DEFINE_float(
    "coverage", 0.9, "Of intervals, or sets of classes, on new rows.", 0.001, 0.999
)
_NUM_SAMPLES = flags.DEFINE_integer(
    "num_predictive_samples", 100, "S, draws behind each prediction.", lower_bound=1
)


def main():
    """Loads model and rows, predicts, writes."""
    row_flags.check()
    run = trained_runs.folder()
    model, _ = trained_runs.model(run)
    rows = row_flags.read(model)
    if isinstance(model, tv.VAE) and not model.num_classes:
        split = model.as_split(rows.values)
        if (run / "detector.json").is_file():
            detector = tv.Detector.load(run / "detector.json", model)
            columns = tv.evaluation.answers.of_scores(detector, split)
        else:
            columns = {"score": tv.Detector(model).score(split)}
    else:
        predictive = model.predictive(rows.values, _NUM_SAMPLES.value)
        columns = tv.evaluation.answers.of_predictions(
            predictive, _COVERAGE.value, model.class_names
        )
    row_flags.write(rows, columns)


if __name__ == "__main__":
    cli.run(main)
