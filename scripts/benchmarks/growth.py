"""What a start costs, and how time and memory grow."""

import json
import os
import pathlib
import subprocess
import sys
import tempfile
import time

import numpy as np
from contestants import HERE, OURS, Contestant

_START = """
import tfp_vae as tv
data = tv.data.load("digits")
vae = tv.VAE(
    prior=tv.priors.StandardNormal(20),
    encoder=tv.encoders.Gaussian(tv.networks.mlp([400]), 20),
    decoder=tv.decoders.Bernoulli(tv.networks.mlp([400]), data.shape),
)
vae.compile(optimizer="adam")
vae.fit(data.train, epochs=1, verbose=0)
"""


def measure_start(rounds: int) -> list[dict]:
    """Returns seconds from starting Python to the end of an epoch, and to the end of imports."""
    print("\nS1: from typing the command to the end of one epoch on the digits", flush=True)
    kept = f"{OURS}, compiled by an earlier process"
    programs = {
        "import TensorFlow and TFP": "import tensorflow, tensorflow_probability",
        OURS: _START,
        kept: f"import experiments; experiments.start(){_START}",
    }
    seconds = {name: [] for name in programs}
    with tempfile.TemporaryDirectory() as folder:
        environment = {**os.environ, "TFP_VAE_XLA_CACHE": folder}

        def start(program):
            command = [sys.executable, "-c", program]
            subprocess.run(command, check=True, capture_output=True, env=environment)

        start(programs[kept])
        for _ in range(rounds):
            for name, program in programs.items():
                started = time.perf_counter()
                start(program)
                seconds[name].append(time.perf_counter() - started)
    imports = np.array(seconds["import TensorFlow and TFP"])
    return [
        {"item": "S1", "contestant": name, "seconds": float(np.median(times))}
        for name, times in seconds.items()
    ] + [{"item": "S1", "contestant": "goal", "seconds": float(np.median(1.2 * imports + 4))}]


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
