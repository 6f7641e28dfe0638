"""What can differ on a GPU: tests by part, and the benchmark, in one JSON.

scripts/gpu_check --out=gpu.json --data_dir=DIR
"""

import json
import os
import pathlib
import subprocess
import sys
import tempfile
import xml.etree.ElementTree as ET

from absl import flags
from contestants import ITEMS

from experiments import cli, start
from tfp_vae import files, report

ROOT = pathlib.Path(__file__).parents[2]
# What a GPU computes in another way: {part: files of tests, or parts of them}.
PARTS = {
    "noise": ("tests/test_randomness.py", "tests/layers/test_estimators.py"),
    "xla": (
        "tests/models/test_graphs.py",
        "tests/models/test_loop.py",
        "tests/layers/test_layers_in_keras.py::test_stock_training_compiles_with_xla",
    ),
    "convolutions": (
        "tests/test_networks.py",
        "tests/models/test_conditional.py::test_it_learns_when_compiled_with_xla",
        "tests/models/test_loop.py::test_convolutions_are_left_to_xla_on_a_gpu_alone",
    ),
    "precision": (
        "tests/models/test_precision.py",
        "tests/layers/test_layers_in_keras.py::test_half_precision_trains_in_stock_keras",
    ),
    "mirrored": (
        "tests/training/test_devices.py::test_two_replicas_take_the_steps_of_one_device",
        "tests/training/test_devices.py::test_a_short_batch_leaves_out_what_replicas_cannot_share",
    ),
}
_RACES = [name for name, item in ITEMS.items() if item.data == "images"]
_CPU = flags.DEFINE_bool("cpu", False, "Try the script itself where there is no GPU.")
_PARTS = flags.DEFINE_list("parts", [*PARTS], f"Which of {', '.join(PARTS)}.")
_ITEMS = flags.DEFINE_list("items", _RACES, f"Of the benchmark: {', '.join(_RACES)}, or none.")
_ROUNDS = flags.DEFINE_integer("rounds", 7, "Blocks of each contestant.", lower_bound=2)
_DATA_DIR = flags.DEFINE_string("data_dir", None, "Folder of prepared MNIST.")
_OUT = flags.DEFINE_string("out", "gpu_check.json", "File that receives what was found.")
# Several processes share the card, and none may take all of its memory.
SHARED = {"TF_FORCE_GPU_ALLOW_GROWTH": "true", "XLA_PYTHON_CLIENT_PREALLOCATE": "false"}


def gpus() -> list[str]:
    """Returns the names of the GPUs that TensorFlow sees."""
    import tensorflow as tf

    found = tf.config.list_physical_devices("GPU")
    details = [tf.config.experimental.get_device_details(each) for each in found]
    return [each.get("device_name", "unknown") for each in details]


def counted(text: str) -> dict:
    """Returns how many tests of a JUnit file passed, failed and were skipped, and which failed."""
    cases = list(ET.fromstring(text).iter("testcase"))
    failed = [
        f"{case.get('classname')}::{case.get('name')}"
        for case in cases
        if case.find("failure") is not None or case.find("error") is not None
    ]
    skipped = sum(case.find("skipped") is not None for case in cases)
    return {
        "passed": len(cases) - len(failed) - skipped,
        "failed": len(failed),
        "skipped": skipped,
        "seconds": sum(float(case.get("time", 0)) for case in cases),
        "failures": failed,
    }


def run_tests(part: str, folder: pathlib.Path) -> dict:
    """Returns what came out of the tests of a part; pytest says the rest on the terminal."""
    file = folder / f"{part}.xml"
    command = [sys.executable, "-m", "pytest", "-q", "-n0", "-p", "no:cacheprovider", "--release"]
    done = subprocess.run(
        [*command, f"--junitxml={file}", *PARTS[part]],
        cwd=ROOT,
        env=os.environ | SHARED,
        check=False,
    )
    if not file.exists():
        return {"failed": 1, "error": f"pytest ended with status {done.returncode}"}
    return counted(file.read_text(encoding="utf-8"))


def run_benchmark(items: list[str], folder: pathlib.Path) -> dict:
    """Returns what scripts/benchmarks/run.py writes, or its error."""
    program = ROOT / "scripts" / "benchmarks" / "run.py"
    data = [f"--data_dir={_DATA_DIR.value}"] if _DATA_DIR.value else []
    done = subprocess.run(
        [
            *(sys.executable, str(program), f"--items={','.join(items)}"),
            *(f"--rounds={_ROUNDS.value}", f"--run_dir={folder / 'benchmark'}", *data),
        ],
        cwd=ROOT,
        env=os.environ | SHARED,
        check=False,
    )
    file = folder / "benchmark" / "benchmark.json"
    if done.returncode or not file.exists():
        return {"error": f"the benchmark ended with status {done.returncode}"}
    return json.loads(file.read_text(encoding="utf-8"))


def main() -> None:
    """Looks for a GPU, tests, measures, writes."""
    parts = cli.chosen(_PARTS, PARTS)
    items = cli.chosen(_ITEMS, _RACES) if _ITEMS.value else []
    out = pathlib.Path(_OUT.value)
    if out.is_dir() or not out.absolute().parent.is_dir():
        raise ValueError(
            f"--out does not fit. Expected a file in a folder that there is. Received {out}."
        )
    start()
    found = gpus()
    if not found and not _CPU.value:
        raise ValueError(
            "There is no GPU. Expected one that TensorFlow sees, or --cpu to try the script itself."
            " Received none."
        )
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        tests = {part: run_tests(part, folder) for part in parts}
        benchmark = run_benchmark(items, folder) if items else None
    values = {
        "gpus": found,
        "tests": tests,
        "benchmark": benchmark,
        "versions": report.versions(),
    }
    with files.replacing(out) as temporary:
        temporary.write_text(json.dumps(values, indent=2) + "\n", encoding="utf-8")
    failed = sum(each["failed"] for each in tests.values())
    print(f"{', '.join(found) or 'no GPU'}: {failed} tests failed; {out.resolve()}")
    sys.exit(1 if failed or "error" in (benchmark or {}) else 0)


if __name__ == "__main__":
    cli.run(main)
