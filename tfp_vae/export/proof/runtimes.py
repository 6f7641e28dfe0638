"""Runs an export in its own runtimes: a program of its own that does not know `tfp_vae`.

    python -P runtimes.py FILE FORM FOLDER NAME,... RESULTS [--check=serving] [--effort=NUMBER]

FILE is that of a format, of which only what `STAND_ALONE` names is run: a way to load artefacts.
FORM says with which of the recorded examples they are asked, NAME which artefacts. Each is loaded,
its answers are compared with those that the Keras model gave when it was exported, at batches of 1,
3 and 128 examples, 1 and 128 are timed, and its operators are listed. Every cell of the table is
one line of JSON in RESULTS, written as soon as it is known, so that a runtime that crashes takes
only what comes after with it.

Two numbers agree if |answer - expected| <= TOLERANCE (1 + |expected|): 1e-5 for numbers around 1,
one in 1e5 of a log-likelihood of -100 nats, which is about what float32 keeps of a sum of hundreds.
"""

import __future__

import argparse
import ast
import importlib.util
import json
import pathlib
import statistics
import sys
import time

import numpy as np

TOLERANCE = 1e-5
SMALL, LARGE = 1, 128
SECONDS = 0.2  # of timing per cell and batch size
_LEAST, _MOST = 3, 200  # runs that are timed


def loader(file: "str | pathlib.Path"):
    """Returns `load` of the file of a format, without running the rest of the file.

    Raises:
        ValueError: if the file does not name it.
    """
    tree = ast.parse(pathlib.Path(file).read_text(encoding="utf-8"), str(file))
    by_name = {}
    for node in tree.body:
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name):
            by_name[node.targets[0].id] = node
        elif isinstance(node, ast.FunctionDef):
            by_name[node.name] = node
    names = ast.literal_eval(by_name["STAND_ALONE"].value) if "STAND_ALONE" in by_name else ()
    if "load" not in names:
        raise ValueError(
            f"{file} is not a stand-alone format. Expected STAND_ALONE with 'load'. Received "
            f"{names!r}."
        )
    body = ast.Module([by_name[name] for name in names], [])
    flags = __future__.annotations.compiler_flag  # the types that they name are not there
    found = {}
    exec(compile(body, str(file), "exec", flags), found)
    return found["load"]


def _beside(name):
    """Returns a module of this folder, by path: the package around it is not imported."""
    path = pathlib.Path(__file__).with_name(f"{name}.py")
    spec = importlib.util.spec_from_file_location(f"_{name}", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


class Examples:
    """The recorded inputs and answers of an export."""

    def __init__(self, folder: pathlib.Path):
        with np.load(folder / "examples.npz", allow_pickle=False) as stored:
            self.arrays = {name: stored[name] for name in stored.files}

    def batches(self, form: str, signature: str) -> "list[int]":
        """Returns the batch sizes that were recorded, ascending."""
        start = f"{form}/{signature}/"
        return sorted({int(n.split("/")[2]) for n in self.arrays if n.startswith(start)})

    def inputs(self, form: str, signature: str, batch: int) -> dict:
        """Returns the inputs by name."""
        return self._part(f"{form}/{signature}/{batch}/in/")

    def outputs(self, form: str, signature: str, batch: int) -> dict:
        """Returns the expected answers by name."""
        return self._part(f"{form}/{signature}/{batch}/out/")

    def _part(self, start):
        return {n.removeprefix(start): a for n, a in self.arrays.items() if n.startswith(start)}


# What a cell says.


def compare(answers: dict, expected: dict) -> "tuple[float, float]":
    """Returns the largest |difference| and the largest share of what is tolerated.

    Of a variance the root is compared: it has the unit of `loc`, and the rounding of numbers of
    that size, from which it was found.

    Raises:
        ValueError: for answers of other names, shapes or types, and for NaN or infinity.
    """
    if sorted(answers) != sorted(expected):
        raise ValueError(f"Expected the outputs {sorted(expected)}. Received {sorted(answers)}.")
    worst, share = 0.0, 0.0
    for name, wanted in expected.items():
        answer = np.asarray(answers[name])
        if answer.shape != wanted.shape or answer.dtype != wanted.dtype:
            raise ValueError(
                f"{name}: expected {wanted.dtype}{list(wanted.shape)}. Received "
                f"{answer.dtype}{list(answer.shape)}."
            )
        if not np.isfinite(answer).all():
            raise ValueError(f"{name}: expected finite numbers. Received NaN or infinity.")
        answer, wanted = answer.astype(np.float64), wanted.astype(np.float64)
        worst = max(worst, float(np.abs(answer - wanted).max(initial=0.0)))
        size = np.abs(wanted)
        if name.endswith("_variance") and "loc" in expected:
            answer, wanted = (np.sign(part) * np.sqrt(np.abs(part)) for part in (answer, wanted))
            size = np.abs(wanted) + np.abs(expected["loc"].astype(np.float64))
        difference, tolerated = np.abs(answer - wanted), TOLERANCE * (1 + size)
        share = max(share, float((difference / tolerated).max(initial=0.0)))
    return worst, share


def loss(answers: dict, expected: dict) -> dict:
    """Returns what a quantised artefact loses: {output: mean |difference| and related}.

    `relative` is the root mean square error over the standard deviation of the expected numbers,
    None where these differ by rounding alone, such as the variance of noise of one scale;
    `agreement` the share of examples with the same most probable class.
    """
    found = {}
    for name, wanted in expected.items():
        error = np.asarray(answers[name], np.float64) - wanted
        spread = float(wanted.std(dtype=np.float64))
        if spread <= TOLERANCE * (1 + float(np.abs(wanted).max())):
            spread = 0.0
        found[name] = {
            "mean_abs": float(np.abs(error).mean()),
            "mean": float(error.mean()),
            "relative": float(np.sqrt(np.mean(error**2))) / spread if spread else None,
        }
        if name == "probs":
            same = np.argmax(answers[name], axis=-1) == np.argmax(wanted, axis=-1)
            found[name]["agreement"] = float(same.mean())
    return found


def milliseconds(run, inputs: dict, seconds: float = SECONDS) -> float:
    """Returns the median time of a call, without the first, which compiles and allocates."""
    run(inputs)
    times, started = [], time.perf_counter()
    while len(times) < _LEAST or (time.perf_counter() - started < seconds and len(times) < _MOST):
        before = time.perf_counter()
        run(inputs)
        times.append(1000 * (time.perf_counter() - before))
    return statistics.median(times)


def cell(
    examples: Examples, form: str, name: str, run, exact: bool, seconds: float = SECONDS
) -> dict:
    """Returns differences and times of one signature of one artefact."""
    worst, share, lost = 0.0, 0.0, None
    batches = examples.batches(form, name)
    if not batches:
        raise ValueError(f"Expected recorded answers of {form} {name}. Received none.")
    for batch in batches:
        answers = run(examples.inputs(form, name, batch))
        expected = examples.outputs(form, name, batch)
        found = compare(answers, expected)
        worst, share = max(worst, found[0]), max(share, found[1])
        if not exact and batch == batches[-1]:
            lost = loss(answers, expected)
    times = {
        f"milliseconds_{batch}": milliseconds(run, examples.inputs(form, name, batch), seconds)
        for batch in (SMALL, LARGE)
    }
    return {"max_abs_difference": worst, "tolerance_share": share, "loss": lost, **times}


def run_format(
    folder: pathlib.Path, names, form: str, load, report, seconds: float = SECONDS
) -> None:
    """Reports a cell for every signature of every artefact called one of `names`.

    Args:
        folder: of the export.
        names: a format and variants of it.
        form: of the examples, "portable" or "seeded".
        load: (path, names) -> (functions by signature, operators, those that are not allowed).
        report: takes a cell.
        seconds: of timing per cell and batch size.
    """
    manifest = json.loads((folder / "export.json").read_text(encoding="utf-8"))
    examples = Examples(folder)
    for artefact in manifest["artefacts"]:
        if artefact["format"] not in names:
            continue
        path, signatures = folder / artefact["path"], artefact["signatures"]
        try:
            runs, found, outside = load(path, signatures)
        except Exception as error:  # whatever a damaged file makes its runtime raise
            for signature in signatures:
                report({**_who(artefact, signature), "reason": f"does not load: {_line(error)}"})
            continue
        for signature in signatures:
            result = {**_who(artefact, signature), "operators": sorted(found)}
            try:
                result |= cell(
                    examples, form, signature, runs[signature], artefact["exact"], seconds
                )
            except Exception as error:
                result["reason"] = _line(error)
            if outside:
                result["reason"] = f"operators outside the portable set: {', '.join(outside)}"
            report(result)


def _who(artefact, signature):
    return {key: artefact[key] for key in ("format", "path")} | {"signature": signature}


def _line(error: Exception) -> str:
    return " ".join(str(error).split())[:300] or type(error).__name__


def main() -> None:
    """Reads the arguments and runs."""
    parser = argparse.ArgumentParser()
    parser.add_argument("file", type=pathlib.Path)
    parser.add_argument("form", choices=("portable", "seeded"))
    parser.add_argument("folder", type=pathlib.Path)
    parser.add_argument("names", type=lambda text: text.split(","))
    parser.add_argument("results", type=pathlib.Path)
    parser.add_argument("--check", choices=("answers", "serving"), default="answers")
    parser.add_argument("--effort", type=float, default=None)
    given = parser.parse_args()
    what = given.folder, given.names, given.form, loader(given.file)
    effort = () if given.effort is None else (given.effort,)
    with given.results.open("w", encoding="utf-8") as stream:

        def report(values):
            stream.write(json.dumps(values) + "\n")
            stream.flush()

        if given.check == "answers":
            run_format(*what, report, *effort)
        else:
            _beside("clients").serve(*what, report, Examples, *effort)
    known = [name for name in sys.modules if name.split(".")[0] == "tfp_vae"]
    if known:
        raise RuntimeError(f"This process was to know nothing of the package. Received {known}.")


if __name__ == "__main__":
    main()
