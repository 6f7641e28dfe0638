"""VAEs of tables beside other methods: every method is asked about the same cells and rows."""

import numpy as np
import pytest
from sklearn.datasets import load_breast_cancer

from tfp_vae import data
from tfp_vae.studies import tables

SMALL = tables.Plan(seeds=2, epochs=1, trees=2, rounds=1, num_samples=4)


@pytest.mark.all_only
def test_the_error_of_the_mean_is_that_of_the_removed_cells_and_all_methods_answer():
    found = tables.imputation(3, SMALL)
    assert list(found) == ["mean", "neighbours", "trees", "miwae"]
    x = load_breast_cancer().data
    x = (x - x.mean(axis=0)) / x.std(axis=0)
    gone = np.random.default_rng(3).random(x.shape) < 0.5
    mean = np.nanmean(np.where(gone, np.nan, x), axis=0)
    expected = np.mean(((mean - x) ** 2)[gone])
    assert found["mean"] == pytest.approx(expected, rel=1e-4)
    assert all(np.isfinite(list(found.values())))


@pytest.mark.all_only
@pytest.mark.parametrize("name", tables.SETS)
def test_every_detector_has_an_area_on_every_set(name):
    found = tables.anomalies(name, 0, SMALL)
    assert list(found) == ["isolation_forest", "pca", "lof", "vae"]
    assert all(0 <= each["auc"] <= 1 for each in found.values())
    assert ("false_alarms" in found["vae"]) == (name != "wine")  # 29 rows are too few


def test_figures_are_means_over_seeds_with_their_errors(monkeypatch):
    monkeypatch.setattr(tables, "imputation", lambda seed, plan: {"mean": 1.0 + 2 * seed})
    monkeypatch.setattr(tables, "anomalies", lambda name, seed, plan: {"pca": {"auc": 0.5}})
    said = []
    found = tables.run(SMALL, said.append)
    assert found["imputation"]["mean"] == {"mse": 2.0, "mse_se": pytest.approx(1.0)}
    same = {"auc": 0.5, "auc_se": 0.0}
    assert found["anomalies"] == {name: {"pca": same} for name in tables.SETS}
    assert len(said) == 2 and "mean 3.0000" in said[1]
    with pytest.raises(ValueError, match="seeds"):
        tables.Plan(seeds=0)


def test_why_there_is_no_figure_stays_beside_means():
    found = tables.pooled([{"auc": 0.5, "said": "not installed"}, {"auc": 1.0}, {"rate": 2.0}])
    assert found["auc"] == 0.75 and found["said"] == "not installed"
    assert found["rate"] == 2.0 and "rate_se" not in found


def test_a_threshold_of_one_half_flags_its_rate_of_the_other():
    rng = np.random.default_rng(0)
    found = [tables.false_alarms(rng.normal(size=400), seed) for seed in range(200)]
    assert np.mean(found) == pytest.approx(10 / 201, abs=0.006)  # four standard errors


def test_planted_rows_break_the_range_or_what_goes_together(monkeypatch):
    rng = np.random.default_rng(1)
    z = rng.normal(size=400)
    x = np.stack([z, z + 0.01 * rng.normal(size=400)], axis=1).astype(np.float32)
    monkeypatch.setattr(tables, "load", lambda name, **options: data.load(x))
    train, rows, strange = tables.usual_and_others("uci/yacht", 0)
    assert train.shape == (200, 2) and rows.shape == (220, 2) and strange.sum() == 20
    together = np.abs(rows[:, 0] - rows[:, 1])
    assert together[~strange].max() < 0.1 < np.median(together[strange])
    low, high = train.min(axis=0), train.max(axis=0)
    assert (rows[200:210] >= low - 0.06 * (high - low)).all()
    for column in range(2):  # of other rows each
        assert np.isin(rows[210:, column], rows[:200, column]).all()
    with pytest.raises(ValueError, match=r"Unknown set.*'uci/yachts'.*Did you mean uci/yacht"):
        tables.usual_and_others("uci/yachts", 0)


def test_of_images_one_digit_is_usual(monkeypatch):
    x = np.random.default_rng(0).random((300, 2, 2, 1)).astype(np.float32)
    known = data.load(x, labels=np.arange(300) % 10, kind="unit_interval")
    monkeypatch.setattr(tables, "load", lambda name, **options: known)
    train, rows, strange = tables.usual_and_others("mnist", 0)
    assert train.shape == (np.sum(known.train.labels == 0), 4) and rows.shape[1] == 4
    assert np.mean(strange) == np.mean(known.test.labels != 0)
