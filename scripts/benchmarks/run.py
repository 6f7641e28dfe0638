"""Speed as a ratio: the same work by several libraries, in turns, on the same machine.

    scripts/benchmark --items=V1,E1 --data_dir=DIR

Every contestant is a process of its own that waits while another one works. A round gives each one
block; what counts is the median over the rounds, and the ratio within a round. Needs images of 28 x
28 pixels.
"""

import contextlib
import dataclasses
import json
import os
import pathlib
import platform
import subprocess
import sys
import tempfile
import time

import numpy as np
from absl import flags

import tfp_vae as tv
from experiments import cli
from tfp_vae import report

HERE = pathlib.Path(__file__).parent
OURS = "tfp_vae"


@dataclasses.dataclass(frozen=True)
class Item:
    """A piece of work.

    Attributes:
        title: what is done.
        contestants: name -> (environment, file, variant); ours is first.
        goals: name of a peer -> how many times its speed ours should be.
        batch_size: examples per step.
        examples: of a block.
        flops: floating-point operations per example in matrix products, 2 per multiply-add;
            training has three products for each one of the forward pass. 0 where not counted.
        ours: the name of our contestant that the ratios are of.
    """

    title: str
    contestants: dict
    goals: dict
    batch_size: int = 128
    examples: int = 38_400
    flops: int = 0
    ours: str = OURS


_MLP = 784 * 400 + 400 * 40 + 20 * 400 + 400 * 784
_DENSE = 784 * 400 + 400 * 400 + 400 * 10
# Two stride-2 convolutions to 14 x 14 x 32 and 7 x 7 x 64, dense layers, and their mirror.
_CONV = 2 * (196 * 9 * 32 + 49 * 9 * 32 * 64 + 3136 * 128) + 49 * 9 * 64 * 64 * 4 + 784 * 32

ITEMS = {
    "V1": Item(
        "training of a VAE 784-400-20, batch 128, float32",
        {
            OURS: ("", "ours.py", ""),
            "JAX, scanned epoch": ("jax", "jax_peer.py", ""),
            "PyTorch, tuned": ("torch", "torch_peer.py", "tuned"),
            "PyTorch, DataLoader": ("torch", "torch_peer.py", "usual"),
            "TFP layers": ("", "tfp_peer.py", ""),
            "pythae": ("torch", "pythae_peer.py", ""),
            "Keras fit": ("", "keras_peer.py", ""),
            "Keras fit, XLA": ("", "keras_peer.py", "xla"),
        },
        {
            "JAX, scanned epoch": 1.05,
            "PyTorch, tuned": 1.25,
            "PyTorch, DataLoader": 1.9,
            "TFP layers": 3.0,
            "pythae": 3.0,
            "Keras fit": 3.0,
        },
        flops=6 * _MLP,
    ),
    "V2": Item(
        "the same, batch 512, best precision",
        {
            OURS: ("", "ours.py", ""),
            f"{OURS}, bfloat16": ("", "ours.py", "bfloat16"),
            "JAX, scanned epoch": ("jax", "jax_peer.py", ""),
            "PyTorch, tuned": ("torch", "torch_peer.py", "tuned"),
            "PyTorch, bfloat16": ("torch", "torch_peer.py", "bfloat16"),
        },
        {"PyTorch, bfloat16": 1.0, "JAX, scanned epoch": 1.5},
        batch_size=512,
        flops=6 * _MLP,
    ),
    "V3": Item(
        "training of a convolutional VAE, batch 128",
        {
            OURS: ("", "ours.py", ""),
            "PyTorch, tuned": ("torch", "torch_peer.py", "tuned"),
            "Keras fit": ("", "keras_peer.py", ""),
        },
        {"PyTorch, tuned": 1.0, "Keras fit": 3.0},
        examples=6_400,
    ),
    "B1": Item(
        "training of a Bayesian network 784-400-400-10, local reparameterization, batch 128",
        {
            OURS: ("", "ours.py", "local"),
            "PyTorch, tuned": ("torch", "torch_peer.py", "local"),
            "TFP layers": ("", "tfp_peer.py", "local"),
        },
        {"PyTorch, tuned": 1.2, "TFP layers": 3.0},
        examples=19_200,
        flops=2 * 6 * _DENSE,
    ),
    "B1f": Item(
        "the same, flipout",
        {
            OURS: ("", "ours.py", "flipout"),
            "PyTorch, tuned": ("torch", "torch_peer.py", "flipout"),
            "TFP layers": ("", "tfp_peer.py", "flipout"),
            "bayesian-torch": ("torch", "bayesian_torch_peer.py", ""),
        },
        {"PyTorch, tuned": 1.2, "TFP layers": 3.0, "bayesian-torch": 3.0},
        examples=19_200,
        flops=2 * 6 * _DENSE,
    ),
    "E1": Item(
        "log p(x) of 1,000 images, S = 500, model of V1",
        {
            OURS: ("", "ours.py", ""),
            "PyTorch, tuned": ("torch", "torch_peer.py", ""),
            "pythae": ("torch", "pythae_peer.py", ""),
        },
        {"PyTorch, tuned": 1.2, "pythae": 10.0},
        flops=2 * 500 * (20 * 400 + 400 * 784),
    ),
}

flags.adopt_module_key_flags(cli)
flags.set_default(cli.DATASET, "mnist")
flags.set_default(cli.RUN_DIR, "runs/benchmark")
_ITEMS = flags.DEFINE_list("items", [*ITEMS], f"Which of {', '.join(ITEMS)}.")
_ROUNDS = flags.DEFINE_integer("rounds", 7, "Blocks of each contestant.", lower_bound=2)


class Contestant:
    """A process that works when told to."""

    def __init__(self, name, environment, file, arguments):
        python = sys.executable
        if environment:
            python = pathlib.Path(os.environ.get("TFP_VAE_PEERS", "")) / environment / "bin/python"
        if not pathlib.Path(python).exists():
            raise ValueError(
                f"{name} has no environment. Expected scripts/benchmark --setup before. Received "
                f"no {python}."
            )
        self.name, self.results = name, []
        self.errors = tempfile.TemporaryFile("w+")
        self.process = subprocess.Popen(
            [str(python), str(HERE / file), *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self.errors,
            text=True,
        )
        self._answer()

    def _answer(self) -> dict:
        line = self.process.stdout.readline()
        if not line:
            self.errors.seek(0)
            last = self.errors.read().strip().splitlines()[-1:] or ["nothing"]
            raise ValueError(f"{self.name} gave up. Expected an answer. Received: {last[0]}")
        return json.loads(line)

    def work(self) -> dict:
        """Lets it run one block."""
        self.process.stdin.write("go\n")
        self.process.stdin.flush()
        self.results.append(self._answer())

    def close(self):
        """Ends the process."""
        self.process.stdin.close()
        self.process.wait()
        self.errors.close()

    @property
    def rates(self) -> np.ndarray:
        """Examples per second, by round."""
        return np.array([each["examples"] / each["seconds"] for each in self.results])


def peak() -> float:
    """Returns the floating-point operations per second of a large matrix product, float32."""
    import tensorflow as tf

    size, best = 2048, np.inf
    factor = tf.random.stateless_normal([size, size], [0, 0])
    for _ in range(10):
        started = time.perf_counter()
        tf.matmul(factor, factor).numpy()
        best = min(best, time.perf_counter() - started)
    return 2 * size**3 / best


def measure(name: str, item: Item, data: dict, rounds: int) -> list[dict]:
    """Returns a row for every contestant of an item."""
    print(f"\n{name}: {item.title}", flush=True)
    with contextlib.ExitStack() as stack:
        folder = pathlib.Path(stack.enter_context(tempfile.TemporaryDirectory()))
        part = {key: values[: item.examples] for key, values in data.items()}
        np.savez(folder / "data.npz", batch_size=item.batch_size, **part)
        running, rows = [], []
        for contestant, (environment, file, variant) in item.contestants.items():
            arguments = [name.rstrip("f"), variant, str(folder / "data.npz")]
            try:
                started = Contestant(contestant, environment, file, arguments)
            except ValueError as error:
                print(f"  {error}", flush=True)
                rows.append({"item": name, "contestant": contestant, "error": str(error)})
                continue
            stack.callback(started.close)
            running.append(started)
        for number in range(rounds):
            for each in running[:: 1 if number % 2 else -1]:  # there and back, in fairness
                each.work()
            print(f"  round {number + 1} of {rounds}", end="\r", flush=True)
        first = next((each for each in running if each.name == item.ours), None)
        for each in running:
            ratios = first.rates / each.rates if first else np.full(rounds, np.nan)
            row = {
                "item": name,
                "contestant": each.name,
                "per_second": float(np.median(each.rates)),
                "spread": [float(q) for q in np.quantile(each.rates, [0.25, 0.75])],
                "ratio": float(np.median(ratios)),
                "goal": item.goals.get(each.name),
                "figure": each.results[-1]["figure"],
                "gflops": item.flops * float(np.median(each.rates)) / 1e9,
            }
            rows.append(row)
    return rows


def table(rows: list[dict], top: float) -> str:
    """Returns the rows as a Markdown table."""
    lines = [
        "| item | contestant | examples per second (quartiles) | ours is faster by | goal | "
        "share of the machine | nats per example |",
        "| --- | --- | --- | --- | --- | --- | --- |",
    ]
    for row in rows:
        if "error" in row:
            lines.append(f"| {row['item']} | {row['contestant']} | {row['error']} | | | | |")
            continue
        low, high = row["spread"]
        goal = "" if row["goal"] is None else f"{row['goal']:g}"
        share = f"{row['gflops'] * 1e9 / top:.0%}" if row["gflops"] else ""
        lines.append(
            f"| {row['item']} | {row['contestant']} | {row['per_second']:,.0f} ({low:,.0f} to "
            f"{high:,.0f}) | {row['ratio']:.2f} | {goal} | {share} | {row['figure']:.1f} |"
        )
    return "\n".join(lines)


def main():
    """Measures the items, prints a table and writes it with the JSON."""
    unknown = [item for item in _ITEMS.value if item not in ITEMS]
    if unknown:
        raise ValueError(f"Unknown items. Expected {', '.join(ITEMS)}. Received {unknown}.")
    loaded = cli.load(cli.source(), tv.data.Kind.DYNAMIC).train
    if loaded.shape != (28, 28, 1) or loaded.stored.dtype != np.uint8:
        raise ValueError(
            "The models are for images of bytes. Expected shape (28, 28, 1). Received "
            f"{loaded.shape}, {loaded.stored.dtype}."
        )
    data = {"x": loaded.stored, "y": loaded.labels.astype(np.int32)}
    run = report.RunFolder(cli.RUN_DIR.value, overwrite=True)
    top, rows = peak(), []
    print(
        f"{platform.processor() or platform.machine()}, {os.cpu_count()} cores, matrix products "
        f"{top / 1e9:.0f} GFLOP/s"
    )
    for name in _ITEMS.value:
        rows += measure(name, ITEMS[name], data, _ROUNDS.value)
    run.create()
    found = {
        "peak_gflops": top / 1e9,
        "cores": os.cpu_count(),
        "rows": rows,
        "versions": report.versions(),
    }
    run.write_json("benchmark.json", found)
    run.write_text("benchmark.md", table(rows, top) + "\n")
    print(f"\n{table(rows, top)}\nresults: {run.path.resolve()}")


if __name__ == "__main__":
    cli.run(main)
