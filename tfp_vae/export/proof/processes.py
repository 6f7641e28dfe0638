"""Runs of an export in new processes, and what they wrote before they ended, however they did."""

import json
import os
import pathlib
import subprocess
import sys
import tempfile

from tfp_vae.export.proof import runtimes

_TIMEOUT = 1800  # seconds for one format
_PACKAGE = pathlib.Path(__file__).resolve().parents[3]


def run_stand_alone(
    file: "str | pathlib.Path",
    form: str,
    folder: pathlib.Path,
    names: "list[str]",
    check: str,
    effort: float | None = None,
) -> "list[dict]":
    """Returns what `runtimes.py` says, in a process that has no way to this package.

    Args:
        file: of the format, from which the program takes `load`.
        form: of the recorded examples.
        folder: of the export.
        names: of the artefacts.
        check: "answers" or "serving".
        effort: seconds of timing, or requests; see `Format.run`.
    """
    program = str(pathlib.Path(runtimes.__file__).resolve())
    options = [f"--check={check}", *([] if effort is None else [f"--effort={effort}"])]
    return _run(["-P", program, *options, str(file), form, str(folder), ",".join(names)], [])


def run_module(module: str, folder: pathlib.Path, effort: float | None = None) -> "list[dict]":
    """Returns what a module of this package says, run as a program: [EFFORT] FOLDER RESULTS."""
    options = [] if effort is None else [f"--effort={effort}"]
    paths = [str(_PACKAGE), os.environ.get("PYTHONPATH", "")]
    return _run(["-m", module, *options, str(folder)], paths)


def _run(arguments: "list[str]", paths: "list[str]") -> "list[dict]":
    """Returns the lines of JSON that a program wrote into the file that is its last argument.

    A process that crashes is an answer too: a last entry with a `reason` and no signature.
    """
    environment = {**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3"}
    environment.pop("PYTHONPATH", None)
    if paths:
        environment["PYTHONPATH"] = os.pathsep.join(filter(None, paths))
    with tempfile.TemporaryDirectory() as temporary:
        results = pathlib.Path(temporary) / "results.jsonl"
        try:
            process = subprocess.run(
                [sys.executable, *arguments, str(results)],
                env=environment,
                capture_output=True,
                text=True,
                errors="replace",
                timeout=_TIMEOUT,
                cwd=temporary,
            )
            failure = None
            if process.returncode != 0:
                last = (process.stderr.strip().splitlines() or ["without a word"])[-1]
                failure = f"the runtime ended with status {process.returncode}: {last[:200]}"
        except subprocess.TimeoutExpired:
            failure = f"the runtime did not answer within {_TIMEOUT} seconds"
        text = results.read_text(encoding="utf-8") if results.exists() else ""
    found = [json.loads(line) for line in text.splitlines() if line.endswith("}")]
    return [*found, *([{"reason": failure}] if failure else [])]
