"""Lists run folders: the flags that differ, and what came out, sorted.

    python -m experiments.runs --run_dir=runs --sort=test_log_likelihood
    python -m experiments.runs --run_dir=runs --format=html --out=runs.html

Unfinished and damaged runs are in the table too, with what is wrong with them. A metric with an
error shows it; CSV has all digits.
"""

import pathlib

from absl import flags

import tfp_vae as tv
from tfp_vae import extras, files, peek

from . import cli

_RUN_DIR = flags.DEFINE_list("run_dir", ["runs"], "Folders that hold runs, at any depth.")
_SORT = flags.DEFINE_string("sort", None, "Flag or metric: the best first, or the smallest.")
_REVERSE = flags.DEFINE_bool("reverse", False, "The other way round.")
_METRICS = flags.DEFINE_list("metrics", None, "Metrics to show: names or patterns (test_*, *).")
_FORMAT = flags.DEFINE_enum("format", "text", peek.names("report.runs.FORMATS"), "Of the table.")
_OUT = flags.DEFINE_string("out", None, "File that receives the table; without it the terminal.")
_LANGUAGE = flags.DEFINE_enum("language", "en", peek.names("report.LANGUAGES"), "Of the page.")


def main():
    """Looks, sorts, writes."""
    cli.refuse_unused(_FORMAT.value == "html", "--format=html", _LANGUAGE)
    if _FORMAT.value == "html":
        extras.need("report", "Pages")
    out = None if _OUT.value is None else pathlib.Path(_OUT.value)
    if out is not None and (out.is_dir() or not out.absolute().parent.is_dir()):
        raise ValueError(
            f"--out does not fit. Expected a file in a folder that there is. Received {out}."
        )
    found = tv.report.find_runs(_RUN_DIR.value)
    if not found:
        raise ValueError(
            f"There is nothing to list. Expected folders of runs below {', '.join(_RUN_DIR.value)}."
            " Received none."
        )
    table = tv.report.tabulate(
        found, metrics=_METRICS.value, sort=_SORT.value, reverse=_REVERSE.value
    )
    text = (
        table.html(_LANGUAGE.value) if _FORMAT.value == "html" else getattr(table, _FORMAT.value)()
    )
    if out is None:
        print(text, end="")
        return
    with files.replacing(out) as temporary:
        temporary.write_text(text, encoding="utf-8")
    print(f"{len(found)} run{'s' * (len(found) != 1)}: {out.resolve()}")


if __name__ == "__main__":
    cli.run(main)
