"""Predictive densities of real numbers: closed forms and hand-computed cases."""

import json
import math

import numpy as np
import pytest
import tensorflow_probability as tfp
from sklearn import metrics as sk_metrics

from tfp_vae.evaluation import regression, regression_metrics

MEAN = np.array([0.0, 1.0, 2.0, 3.0])
TARGETS = np.array([1.0, 1.0, 0.0, 4.0])  # errors 1, 0, -2, 1
LOG_PROB = np.array([-1.0, -2.0, -3.0, -2.0])
CDF = np.array([0.5, 0.01, 0.8, 0.3])  # inside of intervals of 0, 0.98, 0.6, 0.4


@pytest.fixture
def draw(base_seed):
    """Returns a function that draws targets, and what N(mean, (factor true scale)^2) says of them.

    Returns (mean, log_prob, cdf, targets).
    """

    def make(count, factor=1.0):
        rng = np.random.default_rng(base_seed)
        mean, scale = rng.normal(size=count), np.exp(0.3 * rng.normal(size=count))
        targets = mean + scale * rng.normal(size=count)
        model = tfp.distributions.Normal(mean, factor * scale)
        return mean, model.log_prob(targets).numpy(), model.cdf(targets).numpy(), targets

    return make


def test_figures_of_four_examples_are_those_computed_by_hand():
    value, error = regression.rmse(MEAN, TARGETS)
    assert value == pytest.approx(math.sqrt(6 / 4))
    # Squares 1, 0, 4, 1 with variance 3; se of their mean sqrt(3 / 4).
    assert error == pytest.approx(math.sqrt(3 / 4) / (2 * math.sqrt(6 / 4)))
    value, error = regression.log_likelihood(LOG_PROB)
    assert value == -2
    assert error == pytest.approx(math.sqrt(2 / 3 / 4))
    coverage, error = regression.interval_coverage(CDF, [0.3, 0.5, 0.9, 0.99])
    np.testing.assert_array_equal(coverage, [0.25, 0.5, 0.75, 1.0])
    np.testing.assert_allclose(error, np.sqrt([3 / 64, 1 / 16, 3 / 64, 0]))
    assert regression.calibration_error(CDF, [0.3, 0.5, 0.9]) == pytest.approx(0.2 / 3)


def test_errors_are_those_of_scikit_learn(draw):
    mean, log_prob, cdf, targets = draw(300)
    metrics = regression_metrics(mean, log_prob, cdf, targets)
    expected = sk_metrics.root_mean_squared_error(targets, mean)
    assert metrics["test_rmse"] == pytest.approx(expected)
    expected = sk_metrics.mean_absolute_error(targets, mean)
    assert metrics["test_mae"] == pytest.approx(expected)


def test_the_error_of_rmse_is_its_spread_over_data_sets(base_seed):
    errors = np.random.default_rng(base_seed).normal(size=(400, 500))
    found = [regression.rmse(0 * row, row) for row in errors]
    values, spreads = np.array(found).T
    # A standard deviation from 400 draws is known to 3.5 %.
    assert np.mean(spreads) == pytest.approx(values.std(ddof=1), rel=4 * 0.036)


def test_a_perfect_mean_has_rmse_zero_without_error():
    assert regression.rmse(TARGETS, TARGETS) == (0, 0)


def test_a_correct_model_covers_what_it_says_and_others_do_not(draw):
    levels = np.array([0.1, 0.5, 0.9, 0.95])
    binomial = np.sqrt(levels * (1 - levels) / 4000)

    def deviation(factor):
        coverage, _ = regression.interval_coverage(draw(4000, factor)[2], levels)
        return (coverage - levels) / binomial

    assert np.abs(deviation(1.0)).max() < 4
    assert deviation(0.7).max() < -4  # over-confident
    assert deviation(1.4).min() > 4  # under-confident


def test_calibration_error_of_a_correct_model_is_that_of_its_sample_size(base_seed):
    rng = np.random.default_rng(base_seed)
    found = [regression.calibration_error(rng.random(500)) for _ in range(400)]
    # Coverages are nearly normal around the levels: a mean size of sqrt(2/pi) sqrt(c (1 - c) / N).
    variance = regression.LEVELS * (1 - regression.LEVELS) / 500
    expected = np.sqrt(2 / np.pi * variance).mean()
    assert expected * math.sqrt(500) == pytest.approx(0.33, abs=0.005)
    error = np.std(found, ddof=1) / math.sqrt(400)
    # Normal is not binomial: a percent.
    assert np.mean(found) == pytest.approx(expected, abs=4 * error + 0.01 * expected)


def test_calibration_error_of_a_model_that_is_wrong_is_the_distance_of_the_curves():
    cdf = np.full(10, 0.5)  # every target is in the middle, inside every interval
    assert regression.calibration_error(cdf) == pytest.approx(0.5)
    assert regression.calibration_error(np.zeros(10)) == pytest.approx(0.5)


def test_the_error_of_the_calibration_error_is_its_spread_over_data_sets(base_seed):
    # Far from calibration, where resampling adds no bias.
    rng = np.random.default_rng(base_seed)
    columns = rng.beta(3, 3, size=(300, 400))
    values = [regression.calibration_error(cdf) for cdf in columns]
    metrics = [regression_metrics(cdf, cdf, cdf, cdf, seed=i) for i, cdf in enumerate(columns[:40])]
    found = np.mean([m["test_calibration_error_se"] for m in metrics])
    # A standard deviation from 300 draws is known to 4 %.
    assert found == pytest.approx(np.std(values, ddof=1), rel=4 * 0.041)


def test_regression_metrics_are_json_with_the_promised_names_and_values(draw):
    mean, log_prob, cdf, targets = draw(200)
    metrics = regression_metrics(mean, log_prob, cdf, targets, prefix="val_")
    assert json.loads(json.dumps(metrics, allow_nan=False)) == metrics
    names = ["rmse", "mae", "log_likelihood", "calibration_error"]
    names += [f"coverage_{percent}" for percent in (50, 90, 95)]
    assert set(metrics) == {f"val_{name}{end}" for name in names for end in ("", "_se")}
    pair = metrics["val_rmse"], metrics["val_rmse_se"]
    assert pair == regression.rmse(mean, targets)
    pair = metrics["val_log_likelihood"], metrics["val_log_likelihood_se"]
    assert pair == regression.log_likelihood(log_prob)
    coverage, errors = regression.interval_coverage(cdf, [0.5, 0.9, 0.95])
    found = [metrics[f"val_coverage_{percent}"] for percent in (50, 90, 95)]
    np.testing.assert_array_equal(found, coverage)
    found = [metrics[f"val_coverage_{percent}_se"] for percent in (50, 90, 95)]
    np.testing.assert_array_equal(found, errors)
    assert metrics["val_calibration_error"] == regression.calibration_error(cdf)
    spread = np.abs(mean - targets).std(ddof=1) / math.sqrt(200)
    assert metrics["val_mae_se"] == pytest.approx(spread)
    assert metrics == regression_metrics(mean, log_prob, cdf, targets, prefix="val_")


def test_a_target_of_density_zero_gives_minus_infinity_and_none_in_json():
    log_prob = np.array([-np.inf, -1.0, -1.0, -1.0])
    assert regression.log_likelihood(log_prob) == (-math.inf, None)
    metrics = regression_metrics(MEAN, log_prob, CDF, TARGETS)
    assert metrics["test_log_likelihood"] is None
    json.dumps(metrics, allow_nan=False)


def test_one_example_has_no_standard_error():
    metrics = regression_metrics(MEAN[:1], LOG_PROB[:1], CDF[:1], TARGETS[:1])
    assert metrics["test_rmse"] == 1 and metrics["test_rmse_se"] is None
    assert metrics["test_calibration_error_se"] is None


def test_rounding_beyond_zero_and_one_is_forgiven():
    coverage, _ = regression.interval_coverage(np.array([-1e-8, 1 + 1e-7]), [0.99])
    assert coverage == 0


@pytest.mark.parametrize(
    "name, value, message",
    [
        ("mean", np.zeros((4, 1)), r"mean has the wrong shape.*Received \(4, 1\)"),
        ("mean", np.zeros(0), r"mean has the wrong shape.*at least one example.*Received \(0,\)"),
        ("log_prob", LOG_PROB[:3], r"log_prob has the wrong shape\. Expected \(4,\).*\(3,\)"),
        ("cdf", 0.5, r"cdf has the wrong shape\. Expected \(4,\)\. Received \(\)"),
        ("targets", TARGETS[:, None], r"targets has the wrong shape.*Received \(4, 1\)"),
        ("mean", MEAN + np.nan, r"mean is not finite\. Expected numbers\. Received 4"),
        ("targets", TARGETS - np.inf, r"targets is not finite"),
        ("log_prob", LOG_PROB + np.inf, r"log_prob is not finite"),
        ("cdf", CDF * np.nan, r"cdf is not finite"),
        ("cdf", CDF + 0.5, r"cdf is out of range\. Expected .* 0 and 1\. Received 0\.51 to 1\.3"),
        ("cdf", CDF - 0.5, r"cdf is out of range.*Received -0\.49 to 0\.3"),
    ],
)
def test_bad_arrays_are_refused(name, value, message):
    arrays = {"mean": MEAN, "log_prob": LOG_PROB, "cdf": CDF, "targets": TARGETS, name: value}
    with pytest.raises(ValueError, match=message):
        regression_metrics(**arrays)


@pytest.mark.parametrize("levels", [[], 0.5, [0.0], [0.5, 1.0], [50], [math.nan]])
@pytest.mark.parametrize("function", [regression.interval_coverage, regression.calibration_error])
def test_levels_that_are_no_shares_are_refused(function, levels):
    with pytest.raises(ValueError, match=r"Expected a list of numbers between 0 and 1\. Received"):
        function(CDF, levels)
