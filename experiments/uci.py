"""The UCI regression table: every method on the standard splits of eight sets.

    python -m experiments.uci --data_dir=../shared/uci --run_dir=runs/uci

writes results.json (every split), metrics.json (means and standard errors), table.md and a picture.
Errors are those of published tables, and in brackets corrected for splits that share examples.
What is in results.json already is not run again. Units: those of the target; nats.
"""

import dataclasses

from absl import flags

import tfp_vae as tv
from tfp_vae import extras, peek

from . import cli, data_flags, folder_flags, start

cli.leave_out(*(flag for flag in data_flags.ALL if flag is not data_flags.DATA_DIR))
_KNOWN = [name.removeprefix("uci/") for name in peek.names("data.UCI_NAMES")]
_LEFT_OUT = peek.names("studies.uci.LEFT_OUT")
_KNOWN_METHODS = [name for name in peek.names("methods.METHODS") if name not in _LEFT_OUT]
_SETS = flags.DEFINE_list("sets", _KNOWN, "Which sets.")
_METHODS = flags.DEFINE_list("methods", [*_KNOWN_METHODS], "Which methods.")
_STEPS = flags.DEFINE_integer("steps", 10_000, "Training steps per network.", lower_bound=1)
_RATE = flags.DEFINE_float("learning_rate", 1e-2, "Of Adam, at step 0.", lower_bound=0)
_HIDDEN = flags.DEFINE_list("hidden", [], "Widths; empty: one layer of 50, protein 100.")
_SCALE = flags.DEFINE_enum("scale", "shared", ["shared", "per_example"], "Of the target.")
_LEARNED_PRIOR = flags.DEFINE_bool(
    "learned_prior", False, "The prior of vi takes its scale from the bound; otherwise N(0, 1)."
)
_MEMBERS = flags.DEFINE_integer("members", 5, "Networks per ensemble.", lower_bound=1)
_DROPOUT = flags.DEFINE_float("dropout", 0.05, "Rate of Monte Carlo dropout.", 0, 0.99)
_SEED = flags.DEFINE_integer("seed", 0, "Fixes weights, order and noise.", 0, 2**31 - 1)


def main():
    """Runs what is missing, set by set, and writes the table."""
    names = [f"uci/{name}" for name in cli.chosen(_SETS, _KNOWN)]
    methods = cli.chosen(_METHODS, _KNOWN_METHODS)
    cli.refuse_unused("vi" in methods, "vi among --methods", _LEARNED_PRIOR)
    extras.need("report", "Pictures")
    data_flags.check_folder()
    start()
    from tfp_vae.studies import uci

    settings = uci.Settings(
        steps=_STEPS.value,
        learning_rate=_RATE.value,
        members=_MEMBERS.value,
        hidden=tuple(cli.integers(_HIDDEN)) or None,
        scale=_SCALE.value,
        learned_prior=_LEARNED_PRIOR.value,
        dropout=_DROPOUT.value,
    )
    plan = dataclasses.asdict(settings) | {"seed": _SEED.value}
    run, results = tv.report.resume_table(folder_flags.RUN_DIR.value, plan)
    for name in names:
        tv.data.uci(name, data_flags.DATA_DIR.value)  # all there before any of them is trained on
    run.lock()
    progress = tv.training.Progress("set", seconds=0)
    for done, name in enumerate(names, 1):
        missing = [m for m in methods if m not in results.get(name, {})]

        def keep(method, found, name=name):
            results.setdefault(name, {})[method] = found
            run.write_json("results.json", {"settings": plan, "sets": results})
            show(uci.summary({name: {method: found}}), name, method)

        uci.evaluate(name, missing, settings, data_flags.DATA_DIR.value, _SEED.value, keep)
        progress(done, len(names))
    table = uci.summary(results)
    run.write_text("flags.txt", cli.flag_lines())
    run.write_json("metrics.json", {"table": table, "versions": tv.report.versions()})
    text = tv.report.method_table(table, ("rmse", "log_likelihood"))
    run.write_text("table.md", text)
    run.write_figure("table.png", tv.plots.method_comparison(table, "log_likelihood"))
    print(text)
    print(f"results: {run.path.resolve()}")


def show(table: dict, name: str, method: str) -> None:
    """Prints the score of a method."""
    row = table[name][method]
    print(
        f"{name} {method}: RMSE {row['rmse']:.4g} +- {row['rmse_se']:.2g}, log-likelihood "
        f"{row['log_likelihood']:.3f} +- {row['log_likelihood_se']:.3f} "
        f"({tv.training.duration(row['seconds'])})",
        flush=True,
    )


if __name__ == "__main__":
    cli.run(main)
