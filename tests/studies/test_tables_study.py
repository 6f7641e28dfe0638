"""VAEs of tables beside other methods: every method is asked about the same cells and rows."""

import numpy as np
import pytest
from sklearn.datasets import load_breast_cancer

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
    assert all(0 <= area <= 1 for area in found.values())


def test_figures_are_means_over_seeds_with_their_errors(monkeypatch):
    monkeypatch.setattr(tables, "imputation", lambda seed, plan: {"mean": 1.0 + 2 * seed})
    monkeypatch.setattr(tables, "anomalies", lambda name, seed, plan: {"pca": 0.5})
    said = []
    found = tables.run(SMALL, said.append)
    assert found["imputation"]["mean"] == {"mse": 2.0, "mse_se": pytest.approx(1.0)}
    same = {"auc": 0.5, "auc_se": 0.0}
    assert found["anomalies"] == {name: {"pca": same} for name in tables.SETS}
    assert len(said) == 2 and "mean 3.0000" in said[1]
    with pytest.raises(ValueError, match="seeds"):
        tables.Plan(seeds=0)
