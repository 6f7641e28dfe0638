"""What XLA compiled is kept for the next process, apart by what it was compiled for."""

import os
import pathlib
import subprocess
import sys

import pytest

from experiments import compiled_folder

ROOT = pathlib.Path(__file__).parents[2]
# More than one step, so that updates and noise of a read program are looked at too.
TRAINING = """
import experiments

experiments.start()
import keras
import numpy as np
import tfp_vae as tv

keras.utils.set_random_seed(0)
vae = tv.VAE(
    prior=tv.priors.StandardNormal(2),
    encoder=tv.encoders.Gaussian(tv.networks.mlp([4]), 2),
    decoder=tv.decoders.Bernoulli(tv.networks.mlp([4]), (4, 4, 1)),
)
vae.compile(optimizer="adam", jit_compile=True)
train = np.random.default_rng(0).integers(0, 2, (32, 4, 4, 1)).astype(np.float32)
print(vae.fit(train, batch_size=16, epochs=2, verbose=0).history)
"""


@pytest.mark.all_only
@pytest.mark.slow
@pytest.mark.dear(reason="new processes: what is kept is kept for another one")
def test_a_second_process_reads_what_the_first_compiled_and_trains_alike(request, tmp_path):
    def train(**variables):
        environment = {k: v for k, v in os.environ.items() if k != "TF_XLA_FLAGS"} | variables
        command = [sys.executable, "-c", TRAINING]
        done = subprocess.run(
            command,
            env=environment,
            cwd=ROOT,
            capture_output=True,
            text=True,
            check=True,
            timeout=600,
        )
        return done.stdout

    folder = tmp_path / "kept"
    first = train(TFP_VAE_XLA_CACHE=str(folder))
    files = {path: path.stat().st_mtime_ns for path in folder.rglob("*.pb")}
    assert files
    assert {path.parent for path in files} == {compiled_folder(str(folder))}
    assert train(TFP_VAE_XLA_CACHE=str(folder)) == first
    assert {path: path.stat().st_mtime_ns for path in folder.rglob("*.pb")} == files
    if request.config.getoption("whole"):
        assert train(TFP_VAE_XLA_CACHE="") == first


def test_what_was_compiled_otherwise_lies_elsewhere(tmp_path, monkeypatch):
    monkeypatch.setenv("XLA_FLAGS", "")
    usual = compiled_folder(str(tmp_path))
    assert usual.parent == tmp_path
    assert compiled_folder(str(tmp_path)) == usual
    found = {usual}
    monkeypatch.setenv("XLA_FLAGS", "--xla_cpu_enable_fast_math=true")
    found.add(compiled_folder(str(tmp_path)))
    monkeypatch.setattr("importlib.metadata.version", lambda name: "0.0")
    found.add(compiled_folder(str(tmp_path)))
    monkeypatch.setattr("platform.machine", lambda: "another")
    found.add(compiled_folder(str(tmp_path)))
    assert len(found) == 4
