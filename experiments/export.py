"""Exports the model of a run folder to what it is to run on, and proves it there.

    python -m experiments.export --run_dir=runs/digits --formats=keras,savedmodel,onnx --verify

writes RUN_DIR/export/: the files, card.md and card.json, what TensorFlow Serving and Triton want.
--verify loads every file in its own runtime, in a new process that does not know this package,
compares its answers with the model's on test data and writes verify.json; --serve has 1, 8 and 64
clients ask at once and writes serve.json. Both fail, with exit status 2, unless all is right.
"""

from absl import flags

import tfp_vae as tv
from tfp_vae import peek

from . import cli, trained_runs

_KNOWN = peek.names("export.FORMATS")
_FORMATS = flags.DEFINE_list("formats", ["keras", "savedmodel"], f"Some of {', '.join(_KNOWN)}.")
_VERIFY = flags.DEFINE_bool("verify", False, "Run every file in its own runtime and compare.")
_SERVE = flags.DEFINE_bool("serve", False, "Measure savedmodel and onnx under 1, 8, 64 clients.")
_NUM_SAMPLES = flags.DEFINE_integer(
    "num_samples",
    peek.number("export.DEFAULT_SAMPLES"),
    "S: latents of a bound, weights of a prediction.",
    lower_bound=1,
)
_NAME = flags.DEFINE_string("name", "tfp_vae", "By which servers know the model.")
_LANGUAGE = flags.DEFINE_enum(
    "language", "en", peek.names("report.LANGUAGES"), "Of the page that --formats=web writes."
)
_LICENCE = flags.DEFINE_string("licence", None, "Of the weights, for the card.")


def main():
    """Loads, exports, verifies."""
    formats = cli.chosen(_FORMATS, _KNOWN)
    cli.refuse_unused("web" in formats, "--formats=web", _LANGUAGE)
    run = trained_runs.folder()
    model, data, source, trained = trained_runs.opened(run)
    folder = tv.export.export(
        model,
        data,
        run / "export",
        formats,
        num_samples=_NUM_SAMPLES.value,
        name=_NAME.value,
        facts=trained | {key: value for key, value in source.items() if key != "data_dir"},
        licence=_LICENCE.value,
        language=_LANGUAGE.value,
    )
    print(f"exported: {folder.resolve()}", flush=True)
    if _VERIFY.value:
        verified = tv.export.verify(folder)
        print(verified.table(), flush=True)
        verified.raise_for_failures()
    if _SERVE.value:
        served = tv.export.serve(folder)
        print(served.table(), flush=True)
        served.raise_for_failures()
    print(f"card: {(folder / 'card.md').resolve()}")


if __name__ == "__main__":
    cli.run(main)
