"""Bias and variance of every gradient estimator of a bound, on a trained VAE and on exact models.

    python -m experiments.gradients --run_dir=runs/digits --bound=iwae

writes gradients.json and gradients.png into the run folder and prints the table: where the exact
gradient is known the bias is the distance from it in standard errors, of a run that from the plain
estimator. snr is the length of the gradient by the root of its summed variances.
"""

from absl import flags

from tfp_vae import extras, peek
from tfp_vae.arguments import check_count

from . import cli, trained_runs

_BOUND = flags.DEFINE_enum("bound", "iwae", peek.names("objectives.BOUNDS"), "Whose gradient.")
_DRAWS = flags.DEFINE_list("draws", ["1", "2", "4", "16"], "Numbers K of draws.")
_EXAMPLES = flags.DEFINE_integer("num_examples", 16, "Of the batch of the run.", lower_bound=1)
_REPEATS = flags.DEFINE_integer("num_repeats", 64, "Estimates on the run.", lower_bound=2)
_SEED = flags.DEFINE_integer("seed", 0, "Fixes the draws.", 0, 2**31 - 1)


def main():
    """Measures on the run and on the exact models, writes, draws and prints."""
    draws = sorted({check_count("--draws", count) for count in cli.integers(_DRAWS)})
    if not draws:
        raise ValueError("--draws does not fit. Expected numbers of draws. Received none.")
    extras.need("report", "Pictures")
    run = trained_runs.folder()
    run.lock()
    from tfp_vae.studies import gradients

    plan = gradients.Plan(
        _BOUND.value, tuple(draws), _EXAMPLES.value, _REPEATS.value, seed=_SEED.value
    )
    model, data, source, _ = trained_runs.opened(run)
    trained_runs.check_vae(model, "Gradients of a bound by its latents")
    rows = gradients.run(plan, model, data.test)
    print(gradients.write(plan, run, rows, source))
    print(f"results: {(run / 'gradients.json').resolve()}")


if __name__ == "__main__":
    cli.run(main)
