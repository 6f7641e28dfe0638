"""Runs the .keras file of an export in a new process, which for once knows the package.

    python -m tfp_vae.export.proof.reload FOLDER RESULTS [--effort=SECONDS]

Its layers are ours, so no other runtime can load it: what is shown here is that the file alone,
without the process that wrote it, gives the same answers, the same optimizer and the same seed.
"""

import argparse
import json
import pathlib

import numpy as np
import tensorflow as tf

from tfp_vae.export.package import SEEDED
from tfp_vae.export.proof import runtimes
from tfp_vae.export.saved.loading import load
from tfp_vae.export.signatures.answers import signatures_of


def state_of(model) -> dict:
    """Returns what a reload has to bring back beside the weights, JSON-ready."""
    optimizer = getattr(model, "optimizer", None)
    return {
        "seed": model.seed,
        "num_data": model.num_data,
        "data_kind": None if model.data_kind is None else str(model.data_kind),
        "parameters": model.count_params(),
        "optimizer": None
        if optimizer is None
        else {
            "class": type(optimizer).__name__,
            "variables": len(optimizer.variables),
            "step": int(tf.convert_to_tensor(model.training_step)),
            "norm": float(
                np.sqrt(
                    sum(np.sum(np.square(np.array(v, np.float64))) for v in optimizer.variables)
                )
            ),
        },
    }


def check(folder: pathlib.Path, report, seconds: float = runtimes.SECONDS) -> None:
    """Reports a cell for every signature, and fails all of them if the state is another one."""
    manifest = json.loads((folder / "export.json").read_text(encoding="utf-8"))
    examples = runtimes.Examples(folder)
    artefact = next(a for a in manifest["artefacts"] if a["format"] == "keras")
    who = {"format": "keras", "path": artefact["path"]}
    try:
        model = load(folder / artefact["path"])
        state = state_of(model)
    except (ValueError, OSError) as error:
        for name in artefact["signatures"]:
            report({**who, "signature": name, "reason": f"does not load: {error}"})
        return
    wrong = {key: value for key, value in state.items() if manifest["state"].get(key) != value}
    num_samples = manifest["num_samples"]
    for signature in signatures_of(model, num_samples):
        if signature.name not in artefact["signatures"]:
            continue  # refused when it was exported
        result = {**who, "signature": signature.name}

        function = tf.function(signature.seeded, autograph=False).get_concrete_function(
            **{value.name: value.spec() for value in signature.seeded_inputs}
        )

        def run(inputs, function=function):
            inputs = {name: tf.constant(value) for name, value in inputs.items()}
            return {name: value.numpy() for name, value in function(**inputs).items()}

        try:
            result |= runtimes.cell(examples, SEEDED, signature.name, run, True, seconds)
        except Exception as error:
            result["reason"] = " ".join(str(error).split())[:300]
        if wrong:
            expected = {key: manifest["state"].get(key) for key in wrong}
            result["reason"] = f"another state: expected {expected}, received {wrong}"
        report(result)


def main() -> None:
    """Reads the arguments and runs."""
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", type=pathlib.Path)
    parser.add_argument("results", type=pathlib.Path)
    parser.add_argument("--effort", type=float, default=runtimes.SECONDS)
    given = parser.parse_args()
    with given.results.open("w", encoding="utf-8") as stream:

        def report(values):
            stream.write(json.dumps(values) + "\n")
            stream.flush()

        check(given.folder, report, given.effort)


if __name__ == "__main__":
    main()
