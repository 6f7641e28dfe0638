"""What a start costs, and how time and memory grow."""

import collections
import json
import pathlib
import subprocess
import sys
import tempfile
import time

import numpy as np
from contestants import HERE, ITEMS, OURS, Contestant

_IMPORTS = "import tensorflow, tensorflow_probability"
_EXAMPLES = 1437  # of the digits that come with scikit-learn, in training
_STARTERS = (OURS, "JAX, scanned epoch", "PyTorch, tuned", "Keras fit", "Keras fit, XLA")


def measure_start(rounds: int) -> list[dict]:
    """Returns seconds from starting Python to the end of an epoch of V1, and to the end of imports.

    Each of the rows of trainings also has the seconds of this epoch alone, from `fit` on: eleven
    steps, which take less than what is traced and compiled for them.
    """
    print("\nS1: from typing the command to the end of one epoch of 1,437 images", flush=True)
    kept = f"{OURS}, compiled by an earlier process"
    race, missing = ITEMS["V1"].contestants, {}
    whole, first = collections.defaultdict(list), collections.defaultdict(list)
    rng = np.random.default_rng(0)
    with tempfile.TemporaryDirectory() as folder:
        arguments = pathlib.Path(folder) / "data.npz"
        x = rng.integers(0, 256, (_EXAMPLES, 28, 28, 1), np.uint8)
        y = rng.integers(0, 10, _EXAMPLES, np.int32)
        np.savez(arguments, x=x, y=y, batch_size=128)

        def start(name):
            environment, file, variant = race[OURS if name == kept else name]
            cache = {"TFP_VAE_XLA_CACHE": folder if name == kept else ""}
            started = time.perf_counter()
            process = Contestant(
                name, environment, file, ["V1", variant, str(arguments)], variables=cache
            )
            seconds = time.perf_counter() - started
            process.close()
            return seconds, process.first

        for name in (kept, *_STARTERS):  # for the caches of the disk, and to fill the one kept
            try:
                start(name)
            except ValueError as error:
                missing[name] = str(error)
        for _ in range(rounds):
            started = time.perf_counter()
            subprocess.run([sys.executable, "-c", _IMPORTS], check=True, capture_output=True)
            whole["import TensorFlow and TFP"].append(time.perf_counter() - started)
            for name in (OURS, kept, *_STARTERS[1:]):
                if name not in missing:
                    for times, seconds in zip((whole, first), start(name), strict=True):
                        times[name].append(seconds)
    rows = [
        {"item": "S1", "contestant": name, "seconds": float(np.median(times))}
        | ({"first_epoch": float(np.median(first[name]))} if name in first else {})
        for name, times in whole.items()
    ]
    goal = float(np.median(1.2 * np.array(whole["import TensorFlow and TFP"]) + 4))
    rows += [{"item": "S1", "contestant": name, "error": error} for name, error in missing.items()]
    return [*rows, {"item": "S1", "contestant": "goal", "seconds": goal}]


def measure_numbers(rounds: int) -> list[dict]:
    """Returns milliseconds of a batch of uniform numbers, TensorFlow's and ours, as compiled."""
    import tensorflow as tf

    from tfp_vae import randomness

    print("\nR1: uniform numbers", flush=True)
    samplers = {"TensorFlow": tf.random.stateless_uniform, OURS: randomness.uniform}
    key, times = tf.constant([1, 2]), {}
    for name, sampler in samplers.items():
        for compiled in (False, True):
            draw = tf.function(
                lambda key, sampler=sampler: tf.reduce_sum(sampler([128, 784], key)),
                autograph=False,
                jit_compile=compiled,
            )
            times[f"{name}, {'XLA' if compiled else 'graph'}"] = draw, []
            draw(key)
    for _ in range(20 * rounds):
        for draw, seconds in times.values():
            started = time.perf_counter()
            draw(key).numpy()
            seconds.append(time.perf_counter() - started)
    return [
        {"item": "R1", "contestant": name, "milliseconds": 1e3 * float(np.median(seconds))}
        for name, (_, seconds) in times.items()
    ]


def measure_noise(rounds: int) -> list[dict]:
    """Returns milliseconds of a training step by the way in which its noise is drawn."""
    print("\nN1: noise of a Bayesian network 784-400-400-10", flush=True)
    program = [sys.executable, str(HERE / "noise.py"), str(rounds)]
    found = subprocess.run(program, check=True, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    return json.loads(found.stdout.splitlines()[-1])


# What grows: examples, latent dimensions, samples, examples per step; the rest stays.
GROWTH = {
    "N": (1_000, 4_000, 16_000, 55_000),
    "latent_dim": (2, 20, 100, 400),
    "num_samples": (1, 4, 16),
    "batch_size": (32, 128, 512, 2048),
}
_USUAL = {"N": 16_000, "latent_dim": 20, "num_samples": 1, "batch_size": 128}


def measure_growth(data: dict, rounds: int) -> list[dict]:
    """Returns time per image and peak memory of our training, along what grows."""
    print("\nG1: growth", flush=True)
    rows = []
    for name, values in GROWTH.items():
        for value in values:
            sizes = {**_USUAL, name: value}
            with tempfile.TemporaryDirectory() as folder:
                path = pathlib.Path(folder) / "data.npz"
                part = {key: each[: sizes["N"]] for key, each in data.items()}
                np.savez(path, batch_size=sizes["batch_size"], **part)
                variant = f"{sizes['latent_dim']},{sizes['num_samples']}"
                contestant = Contestant(OURS, "", "ours.py", ["G1", variant, str(path)])
                for _ in range(rounds):
                    contestant.work()
                contestant.close()
            row = {
                "item": "G1",
                "grows": name,
                "value": value,
                "microseconds": 1e6 / float(np.median(contestant.rates)),
                "peak_bytes": contestant.results[-1]["peak_bytes"],
            }
            print(
                f"  {name} {value:,}: {row['microseconds']:.1f} us per image, "
                f"{row['peak_bytes'] / 1e9:.2f} GB",
                flush=True,
            )
            rows.append(row)
    return rows


def growth_figure(rows: list[dict]):
    """Returns a picture of time and memory along what grows."""
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(2, len(GROWTH), figsize=(12, 5), layout="constrained")
    for column, name in enumerate(GROWTH):
        part = [row for row in rows if row["grows"] == name]
        values = [row["value"] for row in part]
        axes[0, column].plot(values, [row["microseconds"] for row in part], "o-", color="#0c5c69")
        axes[1, column].plot(
            values, [row["peak_bytes"] / 1e9 for row in part], "o-", color="#b4581a"
        )
        axes[1, column].set_xlabel(name)
        for row in (0, 1):
            axes[row, column].set_xscale("log")
            axes[row, column].set_ylim(0, 1.1 * axes[row, column].get_ylim()[1])
            axes[row, column].set_xticks(values, [f"{value:,}" for value in values])
            axes[row, column].minorticks_off()
    axes[0, 0].set_ylabel("microseconds per image")
    axes[1, 0].set_ylabel("peak memory, GB")
    return figure
