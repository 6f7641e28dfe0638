"""SIGKILL at any moment, also while a checkpoint is written, costs nothing that was saved.

A forked child trains and is killed at a random moment; the next one goes on; at the end everything
equals a training that nobody killed.
"""

import os
import pickle
import random
import signal
import subprocess
import sys
import time

import pytest

KILLS = 25
# Forks must come before TensorFlow starts threads: the parent imports it and computes nothing.
CHILD = """
import os, pathlib, pickle, sys, time
sys.path.insert(0, sys.argv[2])
import training_cases as cases
from tfp_vae import files, training

folder = pathlib.Path(sys.argv[1])

def run(where, jit, slow):
    if slow:  # a write is under way for half of the time
        fsync = os.fsync
        os.fsync = lambda handle: (time.sleep(0.02), fsync(handle))
    found = cases.data()
    cases.EPOCHS = 40
    made = cases.model(sys.argv[3], found, jit)
    (folder / "begun").touch()
    wait = lambda batch, logs: time.sleep(0.05)
    pause = cases.keras.callbacks.LambdaCallback(on_train_batch_end=wait)
    done = cases.train(made, found, where, *[pause] * slow, patience=99, steps=2)
    (where / "done").write_bytes(pickle.dumps(done))

jit = sys.argv[4] == "xla"
for line in sys.stdin:
    name = line.strip()
    pid = os.fork()
    if not pid:
        run(folder / name, jit, name == "parts")
        os._exit(0)
    print(pid, flush=True)
    print("over", os.waitpid(pid, 0)[1], flush=True)
"""


@pytest.mark.slow
@pytest.mark.parametrize(("kind", "mode"), [("vae", "graph"), ("bnn", "graph")])
def test_kills_at_random_moments_leave_the_result_as_it_would_have_been(kind, mode, tmp_path):
    here = os.path.dirname(__file__)
    rng = random.Random(0)
    kills = 0
    with (
        (tmp_path / "stderr").open("w") as stderr,
        subprocess.Popen(
            [sys.executable, "-c", CHILD, str(tmp_path), here, kind, mode],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=stderr,
            text=True,
        ) as server,
    ):

        def answer():
            line = server.stdout.readline()
            while line and not (line.strip().isdigit() or line.startswith("over")):
                line = server.stdout.readline()  # what the training says
            assert line, (tmp_path / "stderr").read_text()[-3000:]
            return line

        def start(name):
            (tmp_path / "begun").unlink(missing_ok=True)
            print(name, file=server.stdin, flush=True)
            return int(answer())

        def wait():
            return int(answer().split()[1])

        start("whole")
        assert wait() == 0, (tmp_path / "stderr").read_text()[-3000:]
        while not (tmp_path / "parts" / "done").exists():
            pid = start("parts")
            while not (tmp_path / "begun").exists() and os.path.exists(f"/proc/{pid}"):
                time.sleep(0.01)
            if kills < KILLS // 2 + 1:
                time.sleep(rng.uniform(0, 5))
                os.kill(pid, signal.SIGKILL)
                kills += 1
                wait()
            else:
                assert wait() == 0, (tmp_path / "stderr").read_text()[-3000:]
        server.stdin.close()
    results = [pickle.loads((tmp_path / name / "done").read_bytes()) for name in ("whole", "parts")]
    assert kills > KILLS // 2
    for one, other in zip(results[0][0], results[1][0], strict=True):
        assert one.tobytes() == other.tobytes()
    assert results[0][1:] == results[1][1:]
