"""Speed as a ratio: the same work by several libraries, in turns, on the same machine.

    scripts/benchmark --items=V1,E1 --data_dir=DIR

Every contestant is a process of its own that waits while another one works. A round gives each one
block; what counts is the median over the rounds, and the ratio within a round. The items of images
need ones of 28 x 28 pixels.
"""

import contextlib
import os
import pathlib
import platform
import tempfile
import time

import numpy as np
from absl import flags
from contestants import ITEMS, OURS, Contestant, Item
from convolutions import measure_convolutions
from growth import growth_figure, measure_growth, measure_noise, measure_numbers, measure_start
from precision import PRECISION_TABLE, measure_precision

import tfp_vae as tv
from experiments import cli, data_flags, folder_flags, start
from tfp_vae import report

flags.set_default(data_flags.DATASET, "mnist")
flags.set_default(folder_flags.RUN_DIR, "runs/benchmark")
EVERY = [*ITEMS, "R1", "N1", "C1", "S1", "G1", "P1"]
TABLE = {"x": (1030, 8), "test_index": (20, 103)}  # shapes of the set "concrete"
_ITEMS = flags.DEFINE_list("items", EVERY, f"Which of {', '.join(EVERY)}.")
_ROUNDS = flags.DEFINE_integer("rounds", 7, "Blocks of each contestant.", lower_bound=2)
_AGAINST = flags.DEFINE_string(
    "against", None, "Another checkout of this project that takes part in the races of images."
)
_UCI_DIR = flags.DEFINE_string(
    "uci_dir",
    os.environ.get("TFP_VAE_UCI_DIR"),
    "Folder with concrete.npz for U1; without it drawn numbers of the same shape.",
)
_UCI_STEPS = flags.DEFINE_integer(
    "uci_steps", 10_000, "Training steps of the networks of U1.", lower_bound=1
)


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


def images() -> "tv.data.Data":
    """Returns the images, which the flags name."""
    loaded = data_flags.load(data_flags.source(), tv.data.Kind.DYNAMIC)
    train = loaded.train
    if train.shape != (28, 28, 1) or train.stored.dtype != np.uint8:
        raise ValueError(
            "The models are for images of bytes. Expected shape (28, 28, 1). Received "
            f"{train.shape}, {train.stored.dtype}."
        )
    return loaded


def splits() -> dict:
    """Returns the arrays of a UCI set, or of one of its shape."""
    if _UCI_DIR.value:
        arrays = tv.data.uci("uci/concrete", _UCI_DIR.value)
        return dict(zip(("x", "y", "test_index"), arrays, strict=True))
    rng = np.random.default_rng(0)
    x = rng.normal(size=TABLE["x"]).astype(np.float32)
    y = np.sin(x).sum(axis=1) + 0.1 * rng.normal(size=len(x)).astype(np.float32)
    count, size = TABLE["test_index"]
    return {
        "x": x,
        "y": y,
        "test_index": rng.permuted(np.tile(np.arange(len(x)), (count, 1)), axis=1)[:, :size],
    }


def measure(name: str, item: Item, data: dict, rounds: int) -> list[dict]:
    """Returns a row for every contestant of an item."""
    print(f"\n{name}: {item.title}", flush=True)
    with contextlib.ExitStack() as stack:
        folder = pathlib.Path(stack.enter_context(tempfile.TemporaryDirectory()))
        if item.data == "images":
            part = {key: values[: item.examples] for key, values in data.items()}
            part["batch_size"] = item.batch_size
        else:
            part = {**data, "steps": _UCI_STEPS.value}
        np.savez(folder / "data.npz", **part)
        running, rows = [], []
        contestants = {known: (*who, None) for known, who in item.contestants.items()}
        if _AGAINST.value and item.data == "images":
            contestants[f"{OURS}, other checkout"] = (*item.contestants[OURS], _AGAINST.value)
        for contestant, (environment, file, variant, checkout) in contestants.items():
            arguments = [name, variant, str(folder / "data.npz")]
            try:
                started = Contestant(contestant, environment, file, arguments, checkout)
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
        first = next((each for each in running if each.name == OURS), None)
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
                "peak_bytes": each.results[-1]["peak_bytes"],
                "device": each.results[-1].get("device"),
                "parameters": each.results[-1].get("parameters"),
            }
            if (
                first and item.data == "splits"
            ):  # whoever trains a part would take that much longer for all
                whole = first.results[-1]["examples"]
                row["seconds"] = whole / row["per_second"]
            rows.append(row)
    return rows


# Of every item that is not a race: the columns of its table, and a row.
TABLES = {
    "R1": ("128 x 784 uniform numbers | milliseconds", "{contestant} | {milliseconds:.2f}"),
    "N1": (
        "estimator | noise | ms per step | times as long by layer",
        "{estimator} | {contestant} | {milliseconds:.2f} | {ratio:.3f}",
    ),
    "C1": (
        "forwards and back, a batch of 128 | milliseconds | GFLOP/s",
        "{contestant} | {milliseconds:.1f} | {gflops:.0f}",
    ),
    "S1": (
        "from the command on | seconds | of these from `fit` on",
        "{contestant} | {seconds:.1f} | {first_epoch}",
    ),
    "G1": (
        "grows | to | microseconds per image | peak memory, GB",
        "{grows} | {value:,} | {microseconds:.1f} | {peak_gb:.2f}",
    ),
    "P1": PRECISION_TABLE,
}
RACES = (
    "contestant | examples per second (quartiles) | ours is faster by | goal | "
    "share of the machine | nats per example | parameters",
    "{contestant} | {per_second:,.0f} ({spread[0]:,.0f} to {spread[1]:,.0f}) | {ratio:.2f} | "
    "{goal} | {share} | {figure:.2f} | {parameters}",
)
ABSENT = "{contestant} | {error} | | | | |"
WHOLE = ("100 networks | seconds", "{contestant} | {seconds:.1f}")


def table(rows: list[dict], top: float) -> str:
    """Returns the rows as Markdown tables."""

    def whole(template, row):
        more = {
            "goal": row.get("goal") or "",
            "parameters": f"{row['parameters']:,}" if row.get("parameters") else "",
            "share": f"{row['gflops'] * 1e9 / top:.0%}" if row.get("gflops") else "",
            "peak_gb": row.get("peak_bytes", 0) / 1e9,
            "first_epoch": f"{row['first_epoch']:.1f}" if "first_epoch" in row else "",
        }
        return f"| {row['item']} | {template.format(**{**row, **more})} |"

    races = [row for row in rows if row["item"] in ITEMS]
    chosen = [(RACES, races), (WHOLE, [row for row in races if "seconds" in row])]
    chosen += [(each, [r for r in rows if r["item"] == name]) for name, each in TABLES.items()]
    tables = []
    for (columns, template), found in chosen:
        lines = [f"| item | {columns} |", "| --- " * (columns.count("|") + 2) + "|"]
        lines += [whole(ABSENT if "error" in row else template, row) for row in found]
        if found:
            tables.append("\n".join(lines))
    return "\n\n".join(tables)


def main():
    """Measures the items, prints a table and writes it with the JSON."""
    unknown = [item for item in _ITEMS.value if item not in EVERY]
    if unknown:
        raise ValueError(f"Unknown items. Expected {', '.join(EVERY)}. Received {unknown}.")
    start()
    data = {"splits": splits()}
    with_images = {"G1", "P1", *(name for name, item in ITEMS.items() if item.data == "images")}
    if with_images & set(_ITEMS.value):
        whole = images()
        data["images"] = {"x": whole.train.stored, "y": whole.train.labels.astype(np.int32)}
    run = report.RunFolder(folder_flags.RUN_DIR.value, overwrite=True)
    top, rows = peak(), []
    print(
        f"{platform.processor() or platform.machine()}, {os.cpu_count()} cores, matrix products "
        f"{top / 1e9:.0f} GFLOP/s"
    )
    for name in _ITEMS.value:
        if name == "S1":
            rows += measure_start(_ROUNDS.value)
        elif name == "R1":
            rows += measure_numbers(_ROUNDS.value)
        elif name == "N1":
            rows += measure_noise(_ROUNDS.value)
        elif name == "C1":
            rows += measure_convolutions(_ROUNDS.value)
        elif name == "G1":
            rows += measure_growth(data["images"], _ROUNDS.value)
        elif name == "P1":
            rows += measure_precision(whole)
        else:
            rows += measure(name, ITEMS[name], data[ITEMS[name].data], _ROUNDS.value)
    run.create()
    if "G1" in _ITEMS.value:
        run.write_figure("growth.png", growth_figure([row for row in rows if "grows" in row]))
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
