"""SIGKILL at any moment, also while a checkpoint is written, costs nothing that was saved.

A forked child trains and is killed at a random moment; the next one goes on; at the end everything
equals a training that nobody killed.
"""

import concurrent.futures
import contextlib
import os
import pickle
import random
import signal
import subprocess
import sys
import time

import pytest

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
    cases.EPOCHS = 20
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


class _Training:
    """A process that forks trainings of one kind, which are killed."""

    def __init__(self, folder, kind, mode):
        folder.mkdir()
        self._folder, self._stderr = folder, (folder / "stderr").open("w")
        command = [sys.executable, "-c", CHILD, str(folder), os.path.dirname(__file__), kind, mode]
        self._server = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._stderr,
            text=True,
        )

    def close(self):
        self._server.stdin.close()
        self._server.kill()
        self._server.wait()
        self._server.stdout.close()
        self._stderr.close()

    def _said(self):
        return (self._folder / "stderr").read_text()[-3000:]

    def _answer(self):
        line = self._server.stdout.readline()
        while line and not (line.strip().isdigit() or line.startswith("over")):
            line = self._server.stdout.readline()  # what the training says
        assert line, self._said()
        return line

    def start(self, name):
        (self._folder / "begun").unlink(missing_ok=True)
        print(name, file=self._server.stdin, flush=True)
        return int(self._answer())

    def wait(self):
        return int(self._answer().split()[1])

    def whole(self):
        """Trains without a kill."""
        self.start("whole")
        assert self.wait() == 0, self._said()

    def killed(self, kills, rng):
        """Trains, is killed some times at random moments, goes on to the end; returns kills."""
        done = 0
        while not (self._folder / "parts" / "done").exists():
            pid = self.start("parts")
            while not (self._folder / "begun").exists() and os.path.exists(f"/proc/{pid}"):
                time.sleep(0.01)
            if done < kills:
                time.sleep(rng.uniform(0, 4))
                os.kill(pid, signal.SIGKILL)
                done += 1
                self.wait()
            else:
                assert self.wait() == 0, self._said()
        return done

    def results(self):
        """Returns what both trainings ended with."""
        return [
            pickle.loads((self._folder / name / "done").read_bytes()) for name in ("whole", "parts")
        ]


@pytest.mark.all_only
@pytest.mark.slow
@pytest.mark.dear(reason="starts a training anew after every kill")
@pytest.mark.parametrize(
    ("kinds", "kills"),
    [(("vae",), 2), pytest.param(("vae", "bnn"), 13, marks=pytest.mark.all_only)],
    ids=["two", "thirteen"],
)
def test_kills_at_random_moments_leave_the_result_as_it_would_have_been(kinds, kills, tmp_path):
    def run(kind):
        with contextlib.closing(_Training(tmp_path / kind, kind, "graph")) as training:
            training.whole()
            assert training.killed(kills, random.Random(kind)) == kills
            return training.results()

    with concurrent.futures.ThreadPoolExecutor() as pool:  # both wait more than they compute
        found = list(pool.map(run, kinds))
    for whole, parts in found:
        for one, other in zip(whole[0], parts[0], strict=True):
            assert one.tobytes() == other.tobytes()
        assert whole[1:] == parts[1:]
