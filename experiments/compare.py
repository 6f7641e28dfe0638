"""Compares VAEs and Bayesian networks on the same data and writes one report.

    python -m experiments.compare --dataset=digits --budget=quick --run_dir=runs/compare

The run folder receives report/index.html (opens without a network), report/report.md,
report/report.json, and under parts/ what every model found, by which an interrupted comparison goes
on: run the same command again. More seeds or models may be asked for in the same folder.
"""

import os
import sys
import time

from absl import flags

import tfp_vae as tv
from tfp_vae import extras, peek

from . import cli, data_flags, folder_flags, start

_ENTRANTS, _TASK_NAMES = peek.names("studies.comparison.ENTRANTS"), peek.names("report.TASKS")
_OTHERS = [*peek.names("studies.comparison.entrants.FURTHER")]
_OTHERS += [name for name in peek.names("methods.METHODS") if name not in _ENTRANTS]
_BUDGET = flags.DEFINE_enum(
    "budget", "quick", peek.names("studies.comparison.BUDGETS"), "How much is spent."
)
_SEEDS = flags.DEFINE_integer("seeds", None, "Trainings per model; 3 quick, 5 full.", 2)
_MODELS = flags.DEFINE_list(
    "models",
    [*_ENTRANTS],
    f"Which models; also {', '.join(_OTHERS)}, and module:function for a function of the data that "
    "returns a Keras network of logits.",
)
_MATCH = flags.DEFINE_enum(
    "match",
    "parameters",
    peek.names("studies.comparison.MATCHES"),
    "What all models have alike: parameters or seconds.",
)
_SECONDS = flags.DEFINE_float("seconds", None, "Of training, with --match=seconds.", 0)
_ESTIMATOR = flags.DEFINE_enum(
    "estimator",
    "local",
    peek.names("methods.ESTIMATORS"),
    "Gradient estimator of the Bayesian network.",
)
_EPOCHS = flags.DEFINE_integer("epochs", None, "Passes over the training data.", lower_bound=1)
_HIDDEN = flags.DEFINE_integer("hidden", None, "Width of the reference network.", lower_bound=1)
_TASKS = flags.DEFINE_list("tasks", None, f"Some of {', '.join(_TASK_NAMES)}.")
_LANGUAGE = flags.DEFINE_enum("language", "en", peek.names("report.LANGUAGES"), "Of the report.")
_JOBS = flags.DEFINE_integer(
    "jobs", 1, "Parts that run at the same time, in processes of their own.", 1
)
_OVERWRITE = flags.DEFINE_bool("overwrite", False, "Start anew in a folder that is not empty.")
# Other data that are out of distribution for a data set and fit its shape.
_OOD = {"mnist": ("fashion_mnist",), "fashion_mnist": ("mnist",)}


def main():
    """Loads, runs what is not done yet, and writes the report."""
    cli.refuse_unused(_MATCH.value == "seconds", "--match=seconds", _SECONDS)
    cli.refuse_unused(_MATCH.value == "parameters", "--match=parameters", _EPOCHS, _JOBS)
    if _JOBS.value > 1:  # one process must not take all the memory of a card
        os.environ.setdefault("TF_FORCE_GPU_ALLOW_GROWTH", "true")
    tasks = None if _TASKS.value is None else tuple(cli.chosen(_TASKS, _TASK_NAMES))
    own = [name for name in _MODELS.value or () if ":" in name]
    models = cli.chosen(_MODELS, [*_ENTRANTS, *_OTHERS, *own])
    extras.need("report", "Reports")
    extras.need("images", "Corrupted and compressed images")
    data_flags.check()
    start()
    if own:
        sys.path.insert(0, "")  # a module beside the command
    from tfp_vae.studies import comparison

    kind = tv.data.Kind.UNIT_INTERVAL
    data = data_flags.load(data_flags.source(), kind)
    outside = _OOD.get(data_flags.DATASET.value, ())
    others = {
        name: tv.data.fitted(
            tv.data.load(name, data_dir=data_flags.DATA_DIR.value, kind=kind).test, data.test
        )
        for name in outside
    }
    settings = comparison.Settings.of(
        _BUDGET.value,
        data,
        match=_MATCH.value,
        estimator=_ESTIMATOR.value,
        seconds=_SECONDS.value,
        epochs=_EPOCHS.value,
        hidden=_HIDDEN.value,
        tasks=tasks,
        ood=outside,
    )
    seeds = _SEEDS.value or (3 if _BUDGET.value == "quick" else 5)
    run = comparison.Comparison(
        folder_flags.RUN_DIR.value, data, settings, models, seeds, others, _OVERWRITE.value
    )
    print(f"{data}\n{len(run.parts())} parts, run folder {run.run_folder.path}", flush=True)
    if run.left_out:
        print(
            f"left out: {', '.join(run.left_out)}, for the task labels alone, which --budget=full "
            "has and --tasks may name",
            flush=True,
        )
    started = time.monotonic()
    run.run(lambda line: print(line, flush=True), _JOBS.value)
    seconds = time.monotonic() - started
    run.run_folder.write_text("flags.txt", cli.flag_lines())
    again = cli.command(run.run_folder.path)
    page, verdict = comparison.write(run, again, _LANGUAGE.value)
    print(f"\n{verdict.headline}\n")
    for title, text in verdict.points:
        print(f"{title}: {text}")
    if run.failures:
        print(f"\n{len(run.failures)} parts failed; the same command tries them again")
    print(f"\nfinished in {tv.training.duration(seconds)}\nreport: {page.resolve()}")


if __name__ == "__main__":
    cli.run(main)
