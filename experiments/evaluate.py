"""Evaluates the model of a run folder again: another split, more samples, other data.

    python -m experiments.evaluate --run_dir=runs/digits --num_importance_samples=5000

writes evaluation.json into the run folder and prints it. All numbers are nats per example.
"""

from absl import flags

import tfp_vae as tv
from experiments import cli
from tfp_vae import evaluation, report

flags.adopt_module_key_flags(cli)
_SPLIT = flags.DEFINE_enum("split", "test", ["train", "validation", "test"], "Which examples.")
_NUM_SAMPLES = flags.DEFINE_integer("num_elbo_samples", 64, "S of the ELBO.", lower_bound=1)
_IMPORTANCE_SAMPLES = flags.DEFINE_integer(
    "num_importance_samples", 5000, "S of log p(x).", lower_bound=1
)


def main():
    """Loads model and data, evaluates and writes."""
    run = report.RunFolder(cli.RUN_DIR.value, overwrite=True)
    vae = tv.load(run / "model.keras")
    source = cli.source()
    if not cli.DATASET.present:  # what the model was trained on
        trained = report.read_json(run / "metrics.json")
        source = {"dataset": trained["dataset"], "data_dir": source["data_dir"]}
        source["data_dir"] = source["data_dir"] or trained["data_dir"]
    data = tv.data.load(source["dataset"], data_dir=source["data_dir"], kind=vae.data_kind)
    split = getattr(data, _SPLIT.value)
    metrics = {
        **source,
        "kind": data.kind,
        "split": _SPLIT.value,
        "digest": split.digest,
        **evaluation.test_metrics(
            vae,
            split,
            _IMPORTANCE_SAMPLES.value,
            _NUM_SAMPLES.value,
            prefix=f"{_SPLIT.value}_",
            verbose=True,
        ),
        "versions": report.versions(),
    }
    run.write_json("evaluation.json", metrics)
    print(report.summary(metrics))
    print(f"results: {(run / 'evaluation.json').resolve()}")


if __name__ == "__main__":
    cli.run(main)
