"""Every method beside Hamiltonian Monte Carlo on two problems that can be looked at.

    python -m experiments.toys --run_dir=runs/toys

A regression with a gap and two moons; the same small network for all. Draws the predictive
distributions and reports their total-variation distance to that of NUTS, which is the reference,
and beside them that of one half of its chains to the other.
"""

from absl import flags

import tfp_vae as tv
from tfp_vae import extras, peek

from . import cli, folder_flags, start

_OVERWRITE = flags.DEFINE_bool("overwrite", False, "Write into a run folder that is not empty.")
_LEFT_OUT = peek.names("studies.toys.LEFT_OUT")
_DEFAULT = [name for name in peek.names("methods.METHODS") if name not in _LEFT_OUT]
_METHODS = flags.DEFINE_list("methods", _DEFAULT, "Which methods, beside nuts.")
_HIDDEN = flags.DEFINE_integer("hidden", 20, "Width of the one hidden layer.", lower_bound=1)
_STEPS = flags.DEFINE_integer("steps", 3000, "Training steps.", lower_bound=1)
_CHAIN = flags.DEFINE_integer("chain", 200, "Samples of NUTS per chain.", lower_bound=10)
_SEED = flags.DEFINE_integer("seed", 0, "Fixes data, weights and noise.", 0, 2**31 - 1)


def main():
    """Runs all methods on both problems, and draws."""
    methods = cli.chosen(_METHODS, peek.names("methods.METHODS"))
    extras.need("report", "Pictures")
    run = tv.report.RunFolder(folder_flags.RUN_DIR.value, _OVERWRITE.value)
    start()
    from tfp_vae.studies import toys

    chosen = ["nuts", *(name for name in methods if name != "nuts")]
    metrics = {"seed": _SEED.value, "versions": tv.report.versions()}
    run.create()
    for problem, draw in (
        ("regression", tv.plots.regression_curves),
        ("two_moons", tv.plots.classification_maps),
    ):
        progress = tv.training.Progress(problem, seconds=0)
        result = toys.compare(
            problem, chosen, _HIDDEN.value, _STEPS.value, _CHAIN.value, _SEED.value, progress
        )
        metrics[problem] = result.metrics
        run.write_json("metrics.json", metrics)
        run.write_figure(f"{problem}.png", draw(result.train, result.grid, result.predictives))
        if problem == "two_moons":
            figure = draw(result.train, result.grid, result.predictives, "epistemic")
            run.write_figure(f"{problem}_epistemic.png", figure)
        for name, row in result.metrics["methods"].items():
            print(f"{problem:<12}{name:<20}total variation to nuts {row['total_variation']:.3f}")
    print(f"results: {run.path.resolve()}")


if __name__ == "__main__":
    cli.run(main)
