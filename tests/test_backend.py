"""Keras computes with TensorFlow, or one error says what to set before anything fails."""

import json
import os
import pathlib
import subprocess
import sys

import pytest

from tfp_vae import backend

ROOT = pathlib.Path(__file__).parents[1]


@pytest.fixture
def settings(monkeypatch, tmp_path):
    """Returns a function that writes Keras' settings, with Keras not imported yet."""
    monkeypatch.setattr(sys, "modules", {k: v for k, v in sys.modules.items() if k != "keras"})
    monkeypatch.delenv("KERAS_BACKEND", raising=False)
    monkeypatch.setenv("KERAS_HOME", str(tmp_path))

    def write(text):
        (tmp_path / "keras.json").write_text(text)

    return write


@pytest.mark.parametrize("name", ["jax", "torch", "numpy", "nonsense"])
def test_another_backend_is_refused_by_name_wherever_it_is_said(name, settings, monkeypatch):
    settings(json.dumps({"backend": name}))
    with pytest.raises(ImportError, match=rf"KERAS_BACKEND=tensorflow.*'{name}' of .*json"):
        backend.check()
    monkeypatch.setenv("KERAS_BACKEND", name)
    with pytest.raises(ImportError, match=f"Received '{name}' of the variable KERAS_BACKEND"):
        backend.check()


@pytest.mark.parametrize("text", ['{"backend": "tensorflow"}', "{}", "[]", "{", "\udcff"])
def test_settings_that_name_no_other_backend_are_fine(text, settings, tmp_path):
    (tmp_path / "keras.json").write_bytes(text.encode(errors="surrogateescape"))
    backend.check()
    (tmp_path / "keras.json").unlink()
    backend.check()


def test_what_keras_was_imported_with_counts_and_not_the_variable(monkeypatch):
    import keras

    monkeypatch.setenv("KERAS_BACKEND", "jax")
    backend.check()
    monkeypatch.setattr(keras.config, "backend", lambda: "torch")
    with pytest.raises(ImportError, match="Received 'torch' of Keras, which is imported"):
        backend.check()


def test_a_program_says_it_in_one_line():
    more = {"KERAS_BACKEND": "jax", "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-m", "experiments.runs", "-h"]
    done = subprocess.run(command, env=os.environ | more, capture_output=True, text=True)
    assert done.returncode == 2 and not done.stdout
    assert done.stderr.startswith("error: tfp_vae computes with TensorFlow. Expected")
    assert done.stderr.count("\n") == 1
