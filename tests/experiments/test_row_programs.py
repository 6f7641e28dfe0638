"""detect and predict: an answer for each row of a file, and what they refuse."""

import csv
import json

import numpy as np
import pytest

import tfp_vae as tv
from tfp_vae.models import Predictive
from tfp_vae.probability import tfp

tfd = tfp.distributions
TINY = ("--epochs=2", "--hidden=4")


def _write(path, x, columns=("a", "b", "c")):
    lines = [",".join(columns), *(",".join(f"{v:.5f}" for v in row) for row in x)]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")


def _rows(path):
    return list(csv.DictReader(path.read_text(encoding="utf-8").splitlines()))


@pytest.fixture
def table(tmp_path):
    x = np.random.default_rng(0).normal(size=(150, 3))
    x[7] = [0, 40, 0]
    _write(tmp_path / "rows.csv", x)
    return x


def test_detect_trains_once_flags_what_is_odd_and_says_why(succeeds, refused, table, tmp_path):
    options = ("--data=rows.csv", "--run_dir=run", "--out=found.csv")
    said = refused("detect", *options, "--false_positive_rate=0.001", *TINY)
    assert "at least" in said and "999 are held out" in said and "150 rows" in said
    assert not (tmp_path / "run").exists()
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "metrics.json").write_text("{}")
    assert "not empty" in refused("detect", *options[::2], "--run_dir=other", *TINY)
    succeeds("detect", *options, "--false_positive_rate=0.05", *TINY)
    rows = _rows(tmp_path / "found.csv")
    assert [int(row["row"]) for row in rows] == list(range(1, 151))
    odd = rows[7]
    assert odd["anomaly"] == "1" and float(odd["p_value"]) < 0.05
    assert odd["why"].startswith("b: 40 (expected ")
    assert 1 <= sum(row["anomaly"] == "1" for row in rows) < 30
    model = (tmp_path / "run" / "model.keras").stat().st_mtime_ns
    # New rows, in another order of columns, one of which cannot be read.
    lines = ["c,b,a", "0,0,0", "0,many,0", "0,50,0"]
    (tmp_path / "new.csv").write_text("\n".join(lines) + "\n")
    again = ("--data=new.csv", "--run_dir=run", "--out=new_found.csv")
    said = refused("detect", *again)
    assert "'b'" in said and "Received 'many' in row 2" in said
    out = succeeds("detect", *again, "--keep_going", "--false_positive_rate=0.1")
    found = _rows(tmp_path / "new_found.csv")
    assert [(row["row"], row["anomaly"]) for row in found] == [("1", "0"), ("3", "1")]
    assert "2 rows, 1 left out" in out
    assert (tmp_path / "run" / "model.keras").stat().st_mtime_ns == model
    succeeds("predict", *again, "--keep_going")
    assert [row["p_value"] for row in _rows(tmp_path / "new_found.csv")] == [
        row["p_value"] for row in found
    ]
    assert "--score" in refused("detect", *again, "--score=typicality")


@pytest.mark.all_only
def test_predict_answers_for_a_network_of_numbers(succeeds, refused, table, tmp_path):
    y = table.sum(axis=1) + 0.5
    _write(tmp_path / "train.csv", np.column_stack([table, y]), ("a", "b", "c", "y"))
    succeeds("train_bnn", "--dataset=train.csv", "--run_dir=run", "--jit=false", "--epochs=1",
             "--hidden=4", "--batch_size=64", "--num_predictive_samples=3")  # fmt: skip
    options = ("--run_dir=run", "--num_predictive_samples=3")
    succeeds("predict", *options, "--data=rows.csv", "--out=found.csv")
    rows = _rows(tmp_path / "found.csv")
    assert [int(row["row"]) for row in rows] == list(range(1, 151))
    known = json.loads((tmp_path / "run" / "conformal.json").read_text())
    factor = tv.conformal.limit(known["held_out"][""], 0.9)
    for row in rows[:5]:
        mean, sd = float(row["mean"]), float(row["sd"])
        assert float(row["high"]) == pytest.approx(mean + factor * sd, rel=1e-4, abs=1e-4)
        parts = float(row["epistemic_sd"]) ** 2 + float(row["aleatoric_sd"]) ** 2
        assert parts == pytest.approx(sd**2, rel=1e-4)
    _write(tmp_path / "other.csv", table, ("a", "b", "d"))
    said = refused("predict", "--run_dir=run", "--data=other.csv", "--out=o.csv")
    assert "'c' missing" in said and "'d' unknown" in said
    said = refused("predict", "--run_dir=run", "--data=nowhere.csv", "--out=o.csv")
    assert "no data at 'nowhere.csv'" in said
    assert "--out does not fit" in refused("predict", "--run_dir=run", "--data=rows.csv")


def test_classes_have_names_sets_and_probabilities():
    probs = np.array([[[0.7, 0.2, 0.1]], [[0.1, 0.8, 0.1]]], np.float32)
    predictive = Predictive.of(tfd.Categorical(probs=probs))
    found = tv.evaluation.answers.of_predictions(predictive, 0.75, ("a", "b", "c"))
    assert found["class"].tolist() == ["a", "b"] and found["set"].tolist() == ["a|b", "b"]
    np.testing.assert_allclose(found["p_c"], 0.1, rtol=1e-6)
