"""Every bound on log p(x) beside each other, from the ELBO to annealing from above.

    python -m experiments.bounds --run_dir=runs/digits
    python -m experiments.bounds --exact=ppca --run_dir=runs/ppca

writes bounds.txt, bounds.json and bounds.png into the run folder and prints the first. Examples are
those of a split, and as many that the model makes itself, of which log p(x) is bounded from above
too. With --exact it is those of a model whose log p(x) is known. All in nats per example.
"""

from absl import flags

import tfp_vae as tv
from tfp_vae import arguments, extras, peek

from . import cli, data_flags, folder_flags, start, trained_runs

_EXACT = flags.DEFINE_enum(
    "exact", None, peek.names("studies.exact.EXACT"), "A model with a known log p(x), not a run's."
)
_OVERWRITE = flags.DEFINE_bool("overwrite", False, "Write into a folder that is not empty.")
_SPLIT = flags.DEFINE_enum("split", "test", ["train", "validation", "test"], "Which examples.")
_NUM_EXAMPLES = flags.DEFINE_integer("num_examples", 100, "Of each set.", 1, 100_000)
_NUM_STEPS = flags.DEFINE_integer("num_steps", 1000, "Temperatures of AIS.", lower_bound=1)
_NUM_CHAINS = flags.DEFINE_integer("num_chains", 16, "Chains of each example.", 1, 100_000)
_SCHEDULE = flags.DEFINE_enum(
    "schedule", "sigmoid", peek.names("evaluation.annealing.SCHEDULES"), "Of the temperatures."
)
_START = flags.DEFINE_enum(
    "start", "prior", peek.names("evaluation.annealing.STARTS"), "What chains begin with."
)
_SAMPLES = flags.DEFINE_list("samples", ["1", "10", "100", "5000"], "S of each L_S.")
_SEED = flags.DEFINE_integer("seed", 0, "Fixes examples and draws.", 0, 2**31 - 1)


def main():
    """Loads or makes the model, estimates, writes."""
    cli.refuse_unused(not _EXACT.value, "a run of its own", _SPLIT, *data_flags.ALL)
    cli.refuse_unused(bool(_EXACT.value), "--exact", _OVERWRITE)
    samples = [arguments.check_count("samples", each) for each in cli.integers(_SAMPLES)]
    extras.need("report", "Pictures")
    if _EXACT.value:
        run = tv.report.RunFolder(folder_flags.RUN_DIR.value, _OVERWRITE.value)
        start()
    else:
        run = trained_runs.folder()
    from tfp_vae.studies import ladder

    settings = ladder.Settings(
        _NUM_EXAMPLES.value,
        _NUM_STEPS.value,
        _NUM_CHAINS.value,
        _SCHEDULE.value,
        _START.value,
        samples=tuple(samples),
        seed=_SEED.value,
    )
    if _EXACT.value:
        exact = ladder.made(_EXACT.value, _SEED.value)
        run.create()
        vae, split, source = exact.vae, None, {"exact": _EXACT.value}
    else:
        run.lock()
        exact = None
        vae, data, source, _ = trained_runs.opened(run)
        ladder.check(vae)
        split = getattr(data, _SPLIT.value)
        source |= {"kind": data.kind, "split": _SPLIT.value, "digest": split.digest}
    found = ladder.of_run(vae, split, settings, exact, verbose=True)
    print(ladder.write(run, found, settings, source))
    print(f"results: {(run / 'bounds.json').resolve()}")


if __name__ == "__main__":
    cli.run(main)
