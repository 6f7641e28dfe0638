"""Lists run folders: the flags that differ, and what came out, sorted.

    python -m experiments.runs --run_dir=runs --sort=test_log_likelihood
    python -m experiments.runs --run_dir=runs --format=html --out=runs.html
    python -m experiments.runs --run_dir=runs --picture=pace.png

Unfinished and damaged runs are in the table too, with what is wrong with them. A metric with an
error shows it; CSV has all digits. The picture has what each run had reached after how many
minutes, which tells what to train in the time there is.
"""

import pathlib

from absl import flags

import tfp_vae as tv
from tfp_vae import extras, files, peek

from . import cli, start

_RUN_DIR = flags.DEFINE_list("run_dir", ["runs"], "Folders that hold runs, at any depth.")
_SORT = flags.DEFINE_string("sort", None, "Flag or metric: the best first, or the smallest.")
_REVERSE = flags.DEFINE_bool("reverse", False, "The other way round.")
_METRICS = flags.DEFINE_list("metrics", None, "Metrics to show: names or patterns (test_*, *).")
_FORMAT = flags.DEFINE_enum("format", "text", peek.names("report.runs.FORMATS"), "Of the table.")
_OUT = flags.DEFINE_string("out", None, "File that receives the table; without it the terminal.")
_LANGUAGE = flags.DEFINE_enum("language", "en", peek.names("report.LANGUAGES"), "Of the page.")
_PICTURE = flags.DEFINE_string("picture", None, "PNG: the validation ELBO against the time.")


def main():
    """Looks, sorts, writes."""
    cli.refuse_unused(_FORMAT.value == "html", "--format=html", _LANGUAGE)
    if _FORMAT.value == "html":
        extras.need("report", "Pages")
    if _PICTURE.value is not None:
        extras.need("report", "Pictures")
    out, picture = _file(_OUT), _file(_PICTURE)
    if picture is not None and picture.suffix.lower() != ".png":
        raise ValueError(f"--picture is a PNG. Expected a name as pace.png. Received {picture}.")
    found = tv.report.find_runs(_RUN_DIR.value)
    if not found:
        raise ValueError(
            f"There is nothing to list. Expected folders of runs below {', '.join(_RUN_DIR.value)}."
            " Received none."
        )
    table = tv.report.tabulate(
        found, metrics=_METRICS.value, sort=_SORT.value, reverse=_REVERSE.value
    )
    if picture is not None:
        start()  # pictures of models need TensorFlow, and come with this one
        from tfp_vae.plots.pace import pace

        curves = tv.report.paces(table)
        figure = pace(curves)
        with files.replacing(picture) as temporary:
            figure.savefig(temporary, dpi=120, bbox_inches="tight", format="png")
    text = (
        table.html(_LANGUAGE.value) if _FORMAT.value == "html" else getattr(table, _FORMAT.value)()
    )
    if out is None:
        print(text, end="")
    else:
        with files.replacing(out) as temporary:
            temporary.write_text(text, encoding="utf-8")
        print(f"{len(found)} run{'s' * (len(found) != 1)}: {out.resolve()}")
    if picture is not None:
        print(f"{len(curves)} run{'s' * (len(curves) != 1)} in the picture: {picture.resolve()}")


def _file(flag: "flags.FlagHolder") -> "pathlib.Path | None":
    """Returns the path that a flag names, where a file can be written to it."""
    if flag.value is None:
        return None
    path = pathlib.Path(flag.value)
    if path.is_dir() or not path.absolute().parent.is_dir():
        raise ValueError(
            f"--{flag.name} does not fit. Expected a file in a folder that there is. "
            f"Received {path}."
        )
    return path


if __name__ == "__main__":
    cli.run(main)
