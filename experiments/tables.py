"""VAEs of tables beside other imputers and detectors of anomalies, on the sets of scikit-learn.

    python -m experiments.tables --run_dir=runs/tables

writes tables.json into the run folder: the squared error of cells that were removed from
breast_cancer, and the area under the ROC curve of anomalies of digits, breast_cancer and wine,
means over seeds with their standard errors.
"""

from absl import flags

import tfp_vae as tv

from . import cli, folder_flags, start

_SEEDS = flags.DEFINE_integer("seeds", 5, "How many, from 0 on.", lower_bound=1)
_EPOCHS = flags.DEFINE_integer("epochs", 400, "Of each VAE.", lower_bound=1)
_TREES = flags.DEFINE_integer("trees", 100, "Of each forest.", lower_bound=1)
_ROUNDS = flags.DEFINE_integer("rounds", 10, "Of regressions in turn.", lower_bound=1)
_SAMPLES = flags.DEFINE_integer("num_importance_samples", 500, "S of each row.", lower_bound=1)


def main():
    """Measures and writes."""
    run = tv.report.RunFolder(folder_flags.RUN_DIR.value)
    run.create()
    run.write_text("flags.txt", cli.flag_lines())
    start()
    from tfp_vae.studies import tables

    chosen = (_SEEDS, _EPOCHS, _TREES, _ROUNDS, _SAMPLES)
    plan = tables.Plan(*(flag.value for flag in chosen))
    run.write_json("tables.json", tables.run(plan))
    print(f"results: {(run / 'tables.json').resolve()}")


if __name__ == "__main__":
    cli.run(main)
