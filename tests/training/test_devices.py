"""Devices that share batches train as one device does."""

import functools
import json
import os
import pathlib
import pickle
import subprocess
import sys

import numpy as np
import pytest
from training_cases import BATCH_SIZE, SHARED_LATENTS, SHARED_MODELS, data, model

from tfp_vae import training
from tfp_vae.data import Feed, Kind

HERE = pathlib.Path(__file__).parent
LAUNCH = HERE.parents[1] / "scripts" / "launch_local"


def start(folder, kinds, strategy, workers=None, *more):
    """Runs `worker.py` and returns (what every worker saved of each kind, stderr)."""
    launch = [str(LAUNCH), f"--workers={workers}", "--grace=2"] if workers else []
    command = [
        *launch,
        sys.executable,
        str(HERE / "worker.py"),
        kinds,
        strategy,
        str(folder),
        *more,
    ]
    path = os.pathsep.join([str(HERE.parents[1]), str(HERE)])
    done = subprocess.run(
        command, env={**os.environ, "PYTHONPATH": path}, capture_output=True, text=True, timeout=600
    )
    assert done.returncode == 0, done.stderr[-3000:]
    files = [folder / f"{rank}.pickle" for rank in range(workers or 1)]
    return [pickle.loads(file.read_bytes()) for file in files], done.stderr


@functools.cache
def alone(kind):
    """Returns (weights, history) of one device."""
    found = data(Kind.UNIT_INTERVAL if kind == "grey" else Kind.DYNAMIC)
    made = model(kind, found)
    history = made.fit(
        found.train, None, BATCH_SIZE, 3, 0, validation_data=found.validation
    ).history
    return made.get_weights(), history


def assert_close(shared, single):
    """Asserts that weights and metrics are those of one device, within float32."""
    for one, other in zip(shared[0], single[0], strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-5)
    assert shared[1].keys() == single[1].keys()
    for name, values in single[1].items():
        np.testing.assert_allclose(shared[1][name], values, rtol=1e-4, err_msg=name)


@pytest.mark.slow
@pytest.mark.dear(reason="a process of its own, whose devices are set before TensorFlow starts")
@pytest.mark.all_too(reason="the one look at replicas")
@pytest.mark.parametrize(
    "kinds",
    [
        pytest.param("vae,bnn", marks=pytest.mark.all_only),
        pytest.param("grey,dreg,vimco", marks=pytest.mark.release_only),
        # Weights that are no network's: centres, pseudo-inputs, couplings, levels.
        pytest.param(",".join(SHARED_LATENTS), marks=pytest.mark.release_only, id="latents"),
        # State that a batch moves as a whole, such as a codebook; draws beside a batch.
        pytest.param(",".join(SHARED_MODELS), marks=pytest.mark.release_only, id="models"),
    ],
)
def test_two_replicas_take_the_steps_of_one_device(kinds, tmp_path):
    (found,), _ = start(tmp_path, kinds, "mirrored")
    for kind in kinds.split(","):
        *shared, replicas = found[kind]
        assert replicas == 2
        assert_close(shared, alone(kind))


@pytest.mark.release_only
@pytest.mark.slow
@pytest.mark.dear(reason="a process per worker")
@pytest.mark.parametrize(("kind", "workers"), [("vae", 4)])  # two of them, of each kind, are below
def test_workers_have_the_same_weights_which_are_those_of_one_device(kind, workers, tmp_path):
    found, _ = start(tmp_path, kind, "multiworker", workers)
    assert_workers_agree([each[kind] for each in found], kind)


@pytest.mark.slow
@pytest.mark.dear(reason="a process per worker, started twice")
@pytest.mark.release_only  # the two halves of it are the test below and that of kills
def test_a_killed_worker_brings_all_back_from_the_last_checkpoint(tmp_path):
    # What is trained after it, a network, shows that two workers agree on one, too.
    found, said = start(tmp_path, "vae,bnn", "multiworker", 2, "13")
    assert "starting all again (1 of 3)" in said
    for kind in ("vae", "bnn"):
        assert_workers_agree([each[kind] for each in found], kind)


def test_when_a_worker_is_killed_all_start_again(tmp_path):
    code = """
import json, os, pathlib, signal, sys, time
rank = json.loads(os.environ["TF_CONFIG"])["task"]["index"]
begun = pathlib.Path(sys.argv[1], f"{rank}.begun")
first = not begun.exists()
begun.touch()
if first and rank == 1:
    os.kill(os.getpid(), signal.SIGKILL)
time.sleep(60 * first)
pathlib.Path(sys.argv[1], f"{rank}.done").touch()
"""
    command = [str(LAUNCH), "--workers=2", "--grace=2", sys.executable, "-c", code, str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=50)
    assert done.returncode == 0, done.stderr
    assert "starting all again (1 of 3)" in done.stderr
    assert {path.name for path in tmp_path.glob("*.done")} == {"0.done", "1.done"}


def assert_workers_agree(found, kind):
    """Asserts that workers ended with the same, and that with what one device ends with."""
    for weights, history, replicas in found:
        assert replicas == len(found)
        assert history == found[0][1]
        for one, other in zip(weights, found[0][0], strict=True):
            np.testing.assert_array_equal(one, other)
    assert_close(found[0], alone(kind))


def test_a_batch_that_replicas_cannot_share_is_refused():
    with pytest.raises(ValueError, match=r"Expected a multiple of 3.*Received 8"):
        Feed(data().train, 8, 0, replicas=3)


@pytest.mark.parametrize(("short", "replicas"), [(4, 1), (4, 2), (4, 4), (0, 8)])
def test_a_short_batch_leaves_out_what_replicas_cannot_share(short, replicas):
    feed = Feed(data().train, 8, 0, replicas=replicas)  # 60 examples
    assert feed.short == short
    assert feed.num_batches == 7 + bool(short)


def test_who_writes_is_the_first_worker_or_the_chief(monkeypatch):
    monkeypatch.delenv("TF_CONFIG", raising=False)
    assert training.is_chief()

    def task(names, kind, index):
        cluster = {name: ["h:1"] for name in names}
        text = json.dumps({"cluster": cluster, "task": {"type": kind, "index": index}})
        monkeypatch.setenv("TF_CONFIG", text)
        return training.is_chief()

    assert task(["worker"], "worker", 0)
    assert not task(["worker"], "worker", 1)
    assert not task(["chief", "worker"], "worker", 0)
    assert task(["chief", "worker"], "chief", 0)


@pytest.mark.parametrize("text", ["{", "[]", "3"])
def test_a_damaged_list_of_workers_is_refused(text, monkeypatch):
    monkeypatch.setenv("TF_CONFIG", text)
    with pytest.raises(ValueError, match=r"TF_CONFIG is damaged.*Expected.*Received"):
        training.strategy("multiworker")


def test_workers_without_a_list_of_them_are_refused(monkeypatch):
    monkeypatch.delenv("TF_CONFIG", raising=False)
    with pytest.raises(ValueError, match=r"Expected the environment variable TF_CONFIG"):
        training.strategy("multiworker")
    with pytest.raises(ValueError, match=r"Unknown strategy.*Received 'horovod'"):
        training.strategy("horovod")
    assert training.strategy("none") is None
