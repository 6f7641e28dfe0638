"""The export program: from a run folder to files that their own runtimes have answered from."""

import functools
import json

import pytest

import tfp_vae as tv
from tfp_vae.models import VAE


@pytest.fixture
def run(tmp_path, make_vae):
    """Returns the run folder of a model of the digits that was never trained."""
    folder = tmp_path / "run"
    folder.mkdir()
    data = tv.data.load("digits", kind="dynamic")
    model: VAE = make_vae(data.shape)
    model.adapt(data.train)
    model.save(folder / "model.keras")
    metrics = {"dataset": "digits", "data_dir": None, "kind": "dynamic", "test_elbo": -30.5}
    (folder / "metrics.json").write_text(json.dumps(metrics))
    return folder


@pytest.mark.always(reason="a program that people run, from its flags to its files")
def test_export_leaves_what_it_promises(succeeds, run):
    out = succeeds("export", "--run_dir=run", "--num_samples=3", "--name=digits", "--licence=MIT")
    folder = run / "export"
    assert {path.name for path in folder.iterdir()} == {
        *("card.md", "card.json", "export.json", "examples.npz"),
        *("keras", "savedmodel", "models.config", "request.json"),
    }
    assert f"exported: {folder}" in out
    assert tv.export.load(folder / "keras/model.keras").count_params() > 0
    card = json.loads((folder / "card.json").read_text())
    assert card["data"]["dataset"] == "digits"
    assert card["metrics"]["test_elbo"] == -30.5
    assert card["licence"]["weights"] == "MIT"
    assert card["num_samples"] == 3


def test_a_run_that_cannot_be_exported_is_refused_before_anything_is_written(refused, run):
    assert "There is no model" in refused("export", "--run_dir=none")
    assert "Received 'pickle'" in refused("export", "--run_dir=run", "--formats=pickle")
    assert "letters, digits" in refused("export", "--run_dir=run", "--name=a-b")
    metrics = json.loads((run / "metrics.json").read_text())
    (run / "metrics.json").write_text(json.dumps({**metrics, "method": "swag"}))
    assert "posterior of swag is not in model.keras" in refused("export", "--run_dir=run")


@pytest.mark.all_only
def test_a_failed_verification_is_an_exit_status(program, run, monkeypatch):
    cell = {"format": "keras", "signature": "encode", "size": 1, "passed": False, "reason": "worn"}
    monkeypatch.setattr(tv.export, "verify", lambda _: tv.export.Verification([cell]))
    status, out, err = program("export", "--run_dir=run", "--formats=keras", "--verify")
    assert status == 2
    assert "FAILED: worn" in out
    assert err.startswith("error: 1 of 1 cells failed") and "keras encode: worn" in err


@pytest.mark.all_only
@pytest.mark.slow
@pytest.mark.dear(reason="new processes of runtimes")
@pytest.mark.parametrize(
    "formats",
    [
        ("savedmodel",),
        # LiteRT, as slow to convert as all of these, is verified in tests/export.
        pytest.param(("keras", "savedmodel", "onnx"), marks=pytest.mark.all_only),
    ],
    ids=",".join,
)
def test_every_runtime_and_many_clients_agree_in_new_processes(succeeds, run, monkeypatch, formats):
    # What is timed here needs no more than a call, and 64 clients no more than a request each.
    monkeypatch.setattr(tv.export, "verify", functools.partial(tv.export.verify, seconds=0.0))
    monkeypatch.setattr(tv.export, "serve", functools.partial(tv.export.serve, requests=64))
    chosen = f"--formats={','.join(formats)}"
    out = succeeds("export", "--run_dir=run", chosen, "--verify", "--serve")
    folder = run / "export"
    verified = json.loads((folder / "verify.json").read_text())
    assert verified["passed"]
    assert {cell["format"] for cell in verified["cells"]} == {*formats}
    served = json.loads((folder / "serve.json").read_text())
    assert served["passed"]
    rows = [row for row in served["rows"] if "clients" in row]
    assert {(row["format"], row["clients"]) for row in rows} == {
        (name, count) for name in formats if name != "keras" for count in (1, 8, 64)
    }
    assert not any(row["wrong"] for row in rows)
    assert "max |diff|" in out and "p99 ms" in out
