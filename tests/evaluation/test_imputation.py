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


def test_iterative_imputation_of_normal_values_is_near_the_conditional_mean():
    rng = np.random.default_rng(0)
    loadings = rng.normal(size=(1, 6))
    x = (rng.normal(size=(2000, 1)) @ loadings + 0.3 * rng.normal(size=(2000, 6))).astype("float32")
    covariance = loadings.T @ loadings + 0.09 * np.eye(6)
    seen = np.arange(6) < 4
    found = imputed(
        Split(x[:1500], Kind.REAL), Split(x[1500:], Kind.REAL), seen, "iterative"
    ).values()
    slope = np.linalg.solve(covariance[:4, :4], covariance[:4, 4:])
    error = np.sqrt(np.mean((found[:, 4:] - x[1500:, :4] @ slope) ** 2))
    assert error < 0.1 * x[:, 4:].std()


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


def test_iterative_imputation_is_left_out_where_it_would_take_hours():
    wide = Split(np.random.default_rng(0).normal(size=(30, 101)), Kind.REAL)
    with pytest.raises(ValueError, match=r"take hours.*Expected at most 100.*Received 101"):
        imputed(wide, wide, np.arange(101) < 50, "iterative")
    _, scores = choose_imputer(wide, wide, np.arange(101) < 50, lambda split: 0.0)
    assert set(scores) == set(IMPUTERS) - {"iterative"}


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
