"""Runs an export in its own runtimes: a program of its own that does not know `tfp_vae`.

    python -P runtimes.py FOLDER FORMAT RESULTS [--check=answers|serving]

For each artefact of the format: loads it, compares its answers with those that the Keras model gave
when it was exported, at batches of 1, 3 and 128 examples, times 1 and 128, and lists its operators.
Every cell of the table is one line of JSON in RESULTS, written as soon as it is known, so that a
runtime that crashes takes only what comes after with it.

Two numbers agree if |answer - expected| <= TOLERANCE (1 + |expected|): 1e-5 for numbers around 1,
one in 1e5 of a log-likelihood of -100 nats, which is about what float32 keeps of a sum of hundreds.
"""

import argparse
import importlib.util
import json
import pathlib
import statistics
import sys
import time

import numpy as np

TOLERANCE = 1e-5
SMALL, LARGE = 1, 128
_SECONDS = 0.2  # of timing per cell and batch size
_LEAST, _MOST = 3, 200  # runs that are timed


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


# Each runtime: a path in, {signature: function(inputs) -> outputs} and operators out.


def load_savedmodel(path: pathlib.Path, names):
    """Returns the signatures of a SavedModel and its operators."""
    import tensorflow as tf

    loaded = tf.saved_model.load(str(path))

    def runner(name):
        function = loaded.signatures[name]

        def run(inputs):
            answers = function(**{key: tf.constant(value) for key, value in inputs.items()})
            return {key: value.numpy() for key, value in answers.items()}

        return run

    graphs = [loaded.signatures[name].graph.as_graph_def() for name in names]
    nodes = [node for graph in graphs for node in graph.node]
    nodes += [
        n for graph in graphs for function in graph.library.function for n in function.node_def
    ]
    # Any operation of TensorFlow will do, but for those that run code of Python or keep a state.
    found = {node.op for node in nodes}
    outside = sorted(op for op in found if "PyFunc" in op or op in _STATEFUL)
    return {name: runner(name) for name in names}, found, outside, loaded


_STATEFUL = frozenset(
    "RandomUniform RandomStandardNormal TruncatedNormal Multinomial RngReadAndSkip "
    "StatefulStandardNormalV2 StatefulUniform".split()
)


def load_onnx(path: pathlib.Path, names):
    """Returns the signature of an ONNX file and its operators."""
    import onnx
    import onnxruntime

    proto = onnx.load(str(path))
    onnx.checker.check_model(proto, full_check=True)
    operators = _beside("operators")
    found = operators.in_onnx(proto.graph)
    outside = operators.outside_onnx(found)
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4  # errors are raised, and need not be printed too
    options.intra_op_num_threads = 1  # clients are threads already, and LiteRT has one as well
    session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    outputs = [output.name for output in session.get_outputs()]

    def run(inputs):
        return dict(zip(outputs, session.run(outputs, inputs), strict=True))

    return {names[0]: run}, {name for _, name in found}, outside, session


def load_litert(path: pathlib.Path, names):
    """Returns the signature of a LiteRT file and its operators."""
    from ai_edge_litert import schema_py_generated as schema
    from ai_edge_litert.interpreter import Interpreter

    content = path.read_bytes()
    if content[4:8] != b"TFL3":
        raise ValueError(
            f"{path.name} is no LiteRT file. Expected TFL3. Received {content[4:8]!r}."
        )
    by_code = {
        value: key for key, value in vars(schema.BuiltinOperator).items() if isinstance(value, int)
    }
    model = schema.Model.GetRootAs(content, 0)
    found = set()
    for i in range(model.OperatorCodesLength()):
        code = model.OperatorCodes(i)
        builtin = max(code.BuiltinCode(), code.DeprecatedBuiltinCode())
        custom = code.CustomCode()
        found.add(custom.decode() if custom else by_code.get(builtin, str(builtin)))
    outside = _beside("operators").outside_litert(found)
    interpreter = Interpreter(model_content=content, num_threads=1)
    runner = interpreter.get_signature_runner(names[0])

    def run(inputs):
        return {key: np.array(value) for key, value in runner(**inputs).items()}

    return {names[0]: run}, found, outside, interpreter


LOADERS = {
    "savedmodel": ("seeded", load_savedmodel),
    "onnx": ("portable", load_onnx),
    "litert": ("portable", load_litert),
    "litert_quantised": ("portable", load_litert),
}


# What a cell says.


def compare(answers: dict, expected: dict) -> "tuple[float, float]":
    """Returns the largest |difference| and the largest share of what is tolerated.

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
        difference = np.abs(answer.astype(np.float64) - wanted.astype(np.float64))
        worst = max(worst, float(difference.max(initial=0.0)))
        tolerated = TOLERANCE * (1 + np.abs(wanted.astype(np.float64)))
        share = max(share, float((difference / tolerated).max(initial=0.0)))
    return worst, share


def loss(answers: dict, expected: dict) -> dict:
    """Returns what a quantised artefact loses: {output: mean |difference| and related}.

    `relative` is the root mean square error over the standard deviation of the expected numbers;
    `agreement` the share of examples with the same most probable class.
    """
    found = {}
    for name, wanted in expected.items():
        error = np.asarray(answers[name], np.float64) - wanted
        spread = float(wanted.std())
        found[name] = {
            "mean_abs": float(np.abs(error).mean()),
            "mean": float(error.mean()),
            "relative": float(np.sqrt(np.mean(error**2))) / spread if spread else None,
        }
        if name == "probs":
            same = np.argmax(answers[name], axis=-1) == np.argmax(wanted, axis=-1)
            found[name]["agreement"] = float(same.mean())
    return found


def milliseconds(run, inputs: dict) -> float:
    """Returns the median time of a call, without the first, which compiles and allocates."""
    run(inputs)
    times, started = [], time.perf_counter()
    while len(times) < _LEAST or (time.perf_counter() - started < _SECONDS and len(times) < _MOST):
        before = time.perf_counter()
        run(inputs)
        times.append(1000 * (time.perf_counter() - before))
    return statistics.median(times)


def cell(examples: Examples, form: str, name: str, run, exact: bool) -> dict:
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
        f"milliseconds_{batch}": milliseconds(run, examples.inputs(form, name, batch))
        for batch in (SMALL, LARGE)
    }
    return {"max_abs_difference": worst, "tolerance_share": share, "loss": lost, **times}


def run_format(folder: pathlib.Path, name: str, report) -> None:
    """Reports a cell for every signature of every artefact of a format."""
    manifest = json.loads((folder / "export.json").read_text(encoding="utf-8"))
    examples = Examples(folder)
    for artefact in manifest["artefacts"]:
        if artefact["format"] != name:
            continue
        form, load = LOADERS[name]
        path, names = folder / artefact["path"], artefact["signatures"]
        try:
            runs, found, outside, _ = load(path, names)
        except Exception as error:  # whatever a damaged file makes its runtime raise
            for signature in names:
                report({**_who(artefact, signature), "reason": f"does not load: {_line(error)}"})
            continue
        for signature in names:
            result = {**_who(artefact, signature), "operators": sorted(found)}
            try:
                result |= cell(examples, form, signature, runs[signature], artefact["exact"])
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
    parser.add_argument("folder", type=pathlib.Path)
    parser.add_argument("format", choices=LOADERS)
    parser.add_argument("results", type=pathlib.Path)
    parser.add_argument("--check", choices=("answers", "serving"), default="answers")
    given = parser.parse_args()
    with given.results.open("w", encoding="utf-8") as stream:

        def report(values):
            stream.write(json.dumps(values) + "\n")
            stream.flush()

        if given.check == "answers":
            run_format(given.folder, given.format, report)
        else:
            _beside("clients").serve(given.folder, given.format, report, LOADERS, Examples)
    known = [name for name in sys.modules if name.split(".")[0] == "tfp_vae"]
    if known:
        raise RuntimeError(f"This process was to know nothing of the package. Received {known}.")


if __name__ == "__main__":
    main()
