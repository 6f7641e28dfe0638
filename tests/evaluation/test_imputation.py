"""Imputers fill in what is missing, leave the rest, and are chosen by what they are good for."""

import numpy as np
import pytest

import tfp_vae as tv
from tfp_vae.data import Kind, Split, observed_pixels
from tfp_vae.evaluation import choose_imputer, imputed
from tfp_vae.evaluation.imputation import IMPUTERS


@pytest.fixture(scope="module", params=["dynamic", "eight_bit", "unit_interval"])
def digits(request):
    return tv.data.load("digits", kind=request.param)


@pytest.mark.parametrize("name", IMPUTERS)
def test_what_is_observed_stays_and_the_rest_is_filled_in(digits, name):
    split = digits.validation.take(20)
    seen = observed_pixels(20, split.shape, "block", 0.5)
    found = imputed(digits.train, split, seen, name, num_reference=100)
    values = found.values()
    np.testing.assert_allclose(values[seen], split.values()[seen], atol=1e-6)
    assert values.min() >= 0 and values.max() <= 1 and np.isfinite(values).all()
    np.testing.assert_array_equal(found.labels, split.labels)
    assert found.kind == (Kind.UNIT_INTERVAL if split.kind.is_binary else split.kind)
    assert np.any(values[~seen] != split.values()[~seen])
    if name in ("mean", "neighbours_5"):  # hidden values change nothing
        other = Split(np.where(seen, split.values(), 1 - split.values()), split.kind)
        again = imputed(digits.train, other, seen, name, num_reference=100)
        np.testing.assert_allclose(again.values(), values, atol=1e-6)


def test_the_mean_is_that_of_the_training_data():
    train = Split(np.array([[0.0, 4.0], [2.0, 8.0]]), Kind.REAL, targets=np.zeros(2))
    test = Split(np.array([[1.0, 1.0], [5.0, 5.0]]), Kind.REAL, targets=np.ones(2))
    seen = np.array([[True, False], [False, True]])
    found = imputed(train, test, seen, "mean")
    np.testing.assert_array_equal(found.values(), [[1, 6], [1, 5]])
    np.testing.assert_array_equal(found.targets, [1, 1])
    np.testing.assert_array_equal(imputed(train, test, seen, "zero").values(), [[1, 0], [0, 5]])


def test_the_nearest_neighbour_of_a_training_example_is_itself():
    values = np.random.default_rng(0).normal(size=(50, 6))
    train = Split(values, Kind.REAL)
    seen = observed_pixels(50, (6,), "random", 0.5)
    np.testing.assert_allclose(
        imputed(train, train, seen, "neighbours_1").values(), train.values(), atol=1e-6
    )
    # The reference examples are the first ones.
    few = imputed(train, train, seen, "neighbours_1", num_reference=20).values()
    np.testing.assert_allclose(few[:20], train.values()[:20], atol=1e-6)
    assert np.abs(few[20:] - train.values()[20:]).max() > 0.1


def test_normal_imputation_of_normal_values_is_the_conditional_mean(base_seed):
    rng = np.random.default_rng(base_seed)
    count = 3000
    loadings = rng.normal(size=(6, 2))
    x = rng.normal(size=(count, 2)) @ loadings.T + 0.5 * rng.normal(size=(count, 6)) + 3
    seen = observed_pixels(count, (6,), "random", 0.5, base_seed)
    split = Split(x, Kind.REAL)
    found = imputed(split, split, seen, "normal", num_reference=count).values()
    covariance = loadings @ loadings.T + 0.25 * np.eye(6)
    exact = x.copy()
    for row, here in zip(exact, seen, strict=True):
        inner = covariance[np.ix_(here, here)]
        outer = covariance[np.ix_(~here, here)]
        row[~here] = 3 + outer @ np.linalg.solve(inner, row[here] - 3)
    # Three regression weights per value, each known to about the residual over sqrt(count).
    spread = np.sqrt(np.mean((exact - x)[~seen] ** 2))
    assert np.sqrt(np.mean((found - exact)[~seen] ** 2)) < 3 * spread * np.sqrt(4 / count)
    np.testing.assert_allclose(found[seen], x[seen], rtol=1e-6)


def test_with_nothing_observed_the_normal_is_its_mean():
    x = np.random.default_rng(0).normal(size=(40, 3))
    split = Split(x, Kind.REAL)
    for name in ("normal", "mean", "neighbours_5"):
        found = imputed(split, split.take(2), np.False_, name).values()
        np.testing.assert_allclose(found, np.tile(x.mean(0), (2, 1)), atol=1e-5)


def test_the_best_score_on_validation_data_chooses():
    # Two tight clusters: the mean is far from both, a neighbour is right.
    rng = np.random.default_rng(0)
    centres = np.where(rng.random((300, 1)) < 0.5, -5.0, 5.0)
    x = (centres + 0.1 * rng.normal(size=(300, 8))).astype(np.float32)
    train, validation = Split(x[:200], Kind.REAL), Split(x[200:], Kind.REAL)
    seen = observed_pixels(100, (8,), "random", 0.5)

    def score(split):
        return -float(np.mean((split.values() - validation.values()) ** 2))

    names = ["mean", "neighbours_20", "zero"]
    best, scores = choose_imputer(train, validation, seen, score, names)
    assert best == "neighbours_20" and list(scores) == names
    assert scores["neighbours_20"] > -0.02 and scores["mean"] < -5
    worst, _ = choose_imputer(train, validation, seen, lambda split: -score(split), names)
    assert worst in ("mean", "zero")
    first, _ = choose_imputer(train, validation, seen, lambda split: 1.0, names)
    assert first == "mean"
    assert set(choose_imputer(train, validation, seen, score)[1]) == set(IMPUTERS)


def test_misuse_is_refused():
    split = Split(np.zeros((5, 3)), Kind.REAL)
    with pytest.raises(ValueError, match=r"Unknown imputer.*Expected one of.*Received 'best'"):
        imputed(split, split, np.True_, "best")
    with pytest.raises(ValueError, match=r"wrong shape.*Expected \(3,\).*Received \(2,\)"):
        imputed(split, Split(np.zeros((5, 2)), Kind.REAL), np.True_, "mean")
    with pytest.raises(ValueError, match=r"mask does not fit.*Expected.*Received"):
        imputed(split, split, np.ones((4, 3), bool), "mean")
    for names, score in (([], 0.0), (["mean"], np.nan)):
        with pytest.raises(ValueError, match=r"No imputer.*Expected.*Received"):
            choose_imputer(split, split, np.True_, lambda _, score=score: score, names)
