"""What speed and tables are measured by: races that there are, a known law, rows that fit."""

import importlib.util
import json
import pathlib
import sys

import numpy as np
import pandas as pd
import pytest

import tfp_vae as tv

FOLDER = pathlib.Path(__file__).parents[1] / "scripts" / "benchmarks"


def _module(name, as_name):
    spec = importlib.util.spec_from_file_location(as_name, FOLDER / f"{name}.py")
    found = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(found)
    return found


@pytest.fixture(scope="module")
def races():
    return _module("contestants", "benchmark_contestants")


@pytest.fixture(scope="module")
def tables():
    return _module("tables", "benchmark_tables")


def test_every_race_has_ours_first_goals_for_who_is_in_it_and_files_that_there_are(races):
    for name, item in races.ITEMS.items():
        assert next(iter(item.contestants)) == races.OURS, name
        assert {*item.goals} <= {*item.contestants} - {races.OURS}, name
        assert item.data == "splits" or item.examples % item.batch_size == 0, name
        for environment, file, _ in item.contestants.values():
            assert (FOLDER / file).is_file(), file
            known = not environment or (FOLDER / f"{environment}.txt").is_file()
            assert known, environment
    for name in ("PM", "PV", "PF"):  # beside the same step without a learned prior
        assert "standard" in {variant for *_, variant in races.ITEMS[name].contestants.values()}


def test_a_law_of_its_own_rows_has_their_negative_entropy(tables):
    rows = tables.known(40_000, 1)
    slope, rate, chance = np.array([0.9, -0.5, 0.0]), np.array([1.0, 4.0, 9.0]), [0.2, 0.5, 0.9]
    normal = np.log(2 * np.pi * np.e) + 0.5 * np.log(9 * (1 - slope**2))
    counts = np.arange(80)
    log_factorial = np.cumsum(np.log(np.maximum(counts, 1)))
    poisson = counts * np.log(rate[:, np.newaxis]) - rate[:, np.newaxis] - log_factorial
    counted = -np.sum(np.exp(poisson) * poisson, axis=1)
    member = -np.array([p * np.log(p) + (1 - p) * np.log1p(-p) for p in chance])
    entropy = tables.SHARES @ (normal + counted + member - np.log(tables.SHARES))
    assert tables.Law(rows).log_prob(rows) == pytest.approx(-entropy, abs=0.03)
    moved = rows.assign(size=rows["size"] + 3)
    assert tables.Law(rows).log_prob(moved) < -entropy - 3
    assert tables.Law(moved).log_prob(rows) < -entropy - 3
    strange = rows.assign(group="d")
    assert tables.Law(rows).log_prob(strange) == -np.inf


def test_drawn_rows_become_values_that_the_columns_can_have(tables):
    rows = pd.DataFrame({"n": [0, 3, 1, 2], "p": [0.5, 2.0, 1.5, 4.0], "c": ["a", "b", "a", "b"]})
    schema = tv.data.Schema.infer(rows, {"n": "count", "p": "positive"})
    drawn = pd.DataFrame({"n": [-1.2, 2.6], "p": [-3.0, 1.0], "c": ["b", "z"]})
    values = tables.encoded(schema, drawn)
    assert values[:, 0].tolist() == [0, 3] and values[0, 1] > 0 and values[1, 1] == 1
    assert values[0, 2] == 1 and np.isnan(values[1, 2])
    assert drawn["n"].tolist() == [-1.2, 2.6]  # as it was


def test_numbers_of_few_values_are_marks_in_their_order(tables):
    frame = pd.DataFrame(
        {"mark": [2.0, 1.0, 17.5, 1.0], "sex": [0, 1, 0, 1], "c": list("abca"), "n": range(4)}
    )
    assert tables.scales(frame) == {"mark": ("1", "2", "17.5"), "n": ("0", "1", "2", "3")}
    schema = tv.data.Schema.infer(frame, tables.scales(frame))
    assert schema.decode(schema.encode(frame))["mark"].tolist() == frame["mark"].tolist()


def test_a_table_whose_package_is_not_installed_is_told(tables, tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("TFP_VAE_PEERS", str(tmp_path / "nowhere"))
    monkeypatch.setattr(sys, "argv", ["tables.py", "--synthesis=penguins", "--anomalies="])
    tables.main()
    said = capsys.readouterr().out
    assert "synthesis of penguins: No table 'penguins'" in said and "--setup" in said


def test_anomalies_are_asked_of_all_and_who_is_not_installed_is_named(
    tables, tmp_path, monkeypatch, capsys
):
    monkeypatch.setenv("TFP_VAE_PEERS", str(tmp_path / "nowhere"))
    # Ours are tried in tests/studies; this is what the script adds.
    ours = {"vae": {"auc": 0.75}}
    monkeypatch.setattr(tables.tables, "anomalies", lambda name, seed, plan, folder: ours)
    arguments = ["--synthesis=", "--anomalies=wine", "--seeds=2", f"--run_dir={tmp_path / 'run'}"]
    monkeypatch.setattr(sys, "argv", ["tables.py", *arguments])
    tables.main()
    found = json.loads((tmp_path / "run" / "tables.json").read_text())["anomalies"]["wine"]
    assert [*found] == ["vae", "pyod's VAE", "pyod's AutoEncoder"]
    assert found["vae"] == {"auc": 0.75, "auc_se": 0.0}
    for peer in tables.DETECTORS:
        assert found[f"pyod's {peer}"]["said"].endswith("scripts/benchmark --setup")
    said = capsys.readouterr().out
    assert "vae: auc 0.750" in said and "pyod's VAE: not installed" in said


def test_a_peer_that_gives_up_is_no_figure(tables, tmp_path, monkeypatch):
    python = tmp_path / tables.ENVIRONMENT / "bin" / "python"
    python.parent.mkdir(parents=True)
    python.write_text("#!/bin/sh\necho first >&2\necho no torch >&2\nexit 3\n")
    python.chmod(0o755)
    monkeypatch.setenv("TFP_VAE_PEERS", str(tmp_path))
    assert tables.ask("pyod_peer.py", "in.npz") == {"said": "gave up: no torch"}
