"""Class probabilities: closed forms, hand-computed cases, and other people's implementations."""

import json
import math

import numpy as np
import pytest
import tensorflow_probability as tfp
from sklearn import calibration as sk_calibration
from sklearn import metrics as sk_metrics

from tfp_vae.evaluation import calibration, classification_metrics

# Predicted 0, 0, 1, 2; right, wrong, right, wrong.
PROBS = np.array([[0.7, 0.2, 0.1], [0.5, 0.3, 0.2], [0.1, 0.8, 0.1], [0.3, 0.3, 0.4]])
LOG_PROBS = np.log(PROBS)
LABELS = np.array([0, 1, 1, 0])
SCORES = (
    calibration.accuracy,
    calibration.nll,
    calibration.brier,
    calibration.brier_decomposition,
    calibration.reliability_curve,
    calibration.expected_calibration_error,
    calibration.risk_coverage,
    calibration.temperature_scaling,
    classification_metrics,
)


@pytest.fixture
def draw(base_seed):
    """Returns a function that draws predictions and labels from them: the model is right."""

    def make(count, num_classes=5, spread=2.0):
        rng = np.random.default_rng(base_seed)
        log_probs = calibration.apply_temperature(spread * rng.normal(size=(count, num_classes)), 1)
        below = rng.random((count, 1)) > np.cumsum(np.exp(log_probs), axis=1)
        return log_probs, np.minimum(below.sum(axis=1), num_classes - 1)

    return make


# By hand.


def test_scores_of_four_examples_are_those_computed_by_hand():
    assert calibration.accuracy(LOG_PROBS, LABELS) == 0.5
    expected = -np.log([0.7, 0.3, 0.8, 0.3]).mean()
    assert calibration.nll(LOG_PROBS, LABELS) == pytest.approx(expected, abs=1e-12)
    # 0.09 + 0.04 + 0.01, 0.25 + 0.49 + 0.04, 0.01 + 0.04 + 0.01, 0.49 + 0.09 + 0.16
    expected = (0.14 + 0.78 + 0.06 + 0.74) / 4
    assert calibration.brier(LOG_PROBS, LABELS) == pytest.approx(expected, abs=1e-12)


def test_calibration_of_four_examples_is_that_computed_by_hand():
    # Two bins: 0.5 (an edge, which belongs to the lower bin) and 0.4 wrong; 0.7 and 0.8 right.
    curve = calibration.reliability_curve(LOG_PROBS, LABELS, num_bins=2)
    np.testing.assert_allclose(curve.confidence, [0.45, 0.75])
    np.testing.assert_array_equal(curve.accuracy, [0.0, 1.0])
    np.testing.assert_array_equal(curve.count, [2, 2])
    error = calibration.expected_calibration_error(LOG_PROBS, LABELS, num_bins=2)
    assert error == pytest.approx((0.45 + 0.25) / 2)
    # Four bins of equal mass hold one example each.
    error = calibration.expected_calibration_error(LOG_PROBS, LABELS, num_bins=4, adaptive=True)
    assert error == pytest.approx((0.3 + 0.5 + 0.2 + 0.4) / 4)


def test_risk_and_coverage_of_four_examples_are_those_computed_by_hand():
    coverage, risk, area = calibration.risk_coverage(LOG_PROBS, LABELS)
    np.testing.assert_allclose(coverage, [0.25, 0.5, 0.75, 1.0])
    np.testing.assert_allclose(risk, [0, 0, 1 / 3, 1 / 2])  # right 0.8, right 0.7, wrong, wrong
    assert area == pytest.approx((1 / 3 + 1 / 2) / 4)


def test_ties_share_their_errors_whatever_the_order():
    log_probs = np.log([[0.6, 0.4], [0.6, 0.4], [0.4, 0.6], [0.9, 0.1]])
    labels = np.array([1, 0, 1, 0])
    for order in ([0, 1, 2, 3], [2, 1, 3, 0], [3, 1, 0, 2]):
        curve = calibration.risk_coverage(log_probs[order], labels[order])
        np.testing.assert_allclose(curve.risk, [0, 1 / 6, 2 / 9, 1 / 4])
        curve = calibration.reliability_curve(log_probs[order], labels[order], 4, adaptive=True)
        np.testing.assert_array_equal(curve.count, [0, 3, 0, 1])


# Closed forms.


@pytest.mark.parametrize("num_classes", [2, 3, 10])
def test_a_constant_predictor_has_nll_ln_k_and_no_calibration_error(num_classes):
    log_probs = np.full((num_classes * 7, num_classes), -math.log(num_classes))
    labels = np.arange(len(log_probs)) % num_classes
    assert calibration.nll(log_probs, labels) == pytest.approx(math.log(num_classes), abs=1e-12)
    assert calibration.brier(log_probs, labels) == pytest.approx(1 - 1 / num_classes)
    for adaptive in (False, True):
        error = calibration.expected_calibration_error(log_probs, labels, adaptive=adaptive)
        assert error == pytest.approx(0, abs=1e-12)
    # All tie, so refusing some of them does not help.
    risk = calibration.risk_coverage(log_probs, labels).risk
    np.testing.assert_allclose(risk, 1 - 1 / num_classes)
    assert calibration.temperature_scaling(log_probs, labels) == 1.0


def test_scores_stay_in_their_range_at_certainty():
    log_probs = np.array([[0.0, -np.inf], [-np.inf, 0.0]])
    right, wrong = np.array([0, 1]), np.array([1, 0])
    assert calibration.nll(log_probs, right) == 0
    assert calibration.nll(log_probs, wrong) == math.inf
    assert calibration.brier(log_probs, right) == 0
    assert calibration.brier(log_probs, wrong) == 2
    assert calibration.expected_calibration_error(log_probs, wrong) == 1
    assert calibration.risk_coverage(log_probs, wrong).area == 1


@pytest.mark.parametrize("num_bins", [1, 2, 15, 1000])
def test_the_parts_of_the_brier_score_add_up(draw, num_bins):
    log_probs, labels = draw(300)
    log_probs = calibration.apply_temperature(log_probs, 0.6)
    parts = calibration.brier_decomposition(log_probs, labels, num_bins)
    assert list(parts)[1::3] == ["resolution", "within_bin_covariance"]
    total = np.dot([1, -1, 1, 1, -1], list(parts.values()))
    assert total == pytest.approx(calibration.brier(log_probs, labels), abs=1e-8)
    assert min(parts["reliability"], parts["resolution"], parts["within_bin_variance"]) >= 0


@pytest.mark.parametrize("adaptive", [False, True])
def test_a_calibrated_model_has_the_error_of_its_sample_size_and_a_sharpened_one_more(
    draw, adaptive
):
    log_probs, labels = draw(20_000)

    def excess(log_probs):
        """Returns how many standard deviations ECE is above its expectation if calibrated."""
        confidence = np.exp(log_probs.max(axis=1))
        if adaptive:
            bins = np.argsort(np.argsort(confidence)) * 15 // len(confidence)
        else:
            bins = np.digitize(confidence, np.arange(1, 15) / 15)
        # Hits less confidences of a bin sum to nearly N(0, V): the mean size is sqrt(2 V / pi).
        variance = np.bincount(bins, confidence * (1 - confidence), 15)
        expected = np.sqrt(2 / np.pi * variance).sum() / len(labels)
        deviation = np.sqrt((1 - 2 / np.pi) * variance.sum()) / len(labels)
        error = calibration.expected_calibration_error(log_probs, labels, adaptive=adaptive)
        return (error - expected) / deviation

    assert abs(excess(log_probs)) < 4
    assert excess(calibration.apply_temperature(log_probs, 0.7)) > 10


def test_a_perfect_ranking_has_the_least_area():
    # Confidences fall from right to wrong: risk is 0 up to the share that is right.
    confidence = np.linspace(0.99, 0.51, 100)
    labels = (np.arange(100) >= 80).astype(int)
    log_probs = np.log(np.stack([confidence, 1 - confidence], axis=1))
    best = calibration.risk_coverage(log_probs, labels).area
    assert best == pytest.approx(sum((n - 80) / n for n in range(81, 101)) / 100)
    assert calibration.risk_coverage(log_probs, labels[::-1]).area > 5 * best


@pytest.mark.parametrize("true", [0.5, 1.0, 2.5])
def test_temperature_of_the_data_is_found_within_its_standard_error(draw, true):
    right, labels = draw(5000)
    given = calibration.apply_temperature(right, 1 / true)  # softmax(given / true) is right
    found = calibration.temperature_scaling(given, labels)
    # Fisher information of 1/T: the variance of the given log-probabilities under the right model.
    probs = np.exp(right)
    mean = (probs * given).sum(axis=1)
    information = ((probs * given**2).sum(axis=1) - mean**2).sum()
    assert abs(1 / found - 1 / true) < 4 / math.sqrt(information)
    best = calibration.nll(calibration.apply_temperature(given, found), labels)
    for nearby in (found * 0.99, found * 1.01):
        assert calibration.nll(calibration.apply_temperature(given, nearby), labels) > best


def test_temperature_at_zero_probabilities_is_that_without_the_class(draw):
    log_probs, labels = draw(500, num_classes=3)
    padded = np.concatenate([log_probs, np.full((500, 1), -np.inf)], axis=1)
    expected = calibration.temperature_scaling(log_probs, labels)
    assert calibration.temperature_scaling(padded, labels) == pytest.approx(expected)


@pytest.mark.parametrize("name, end", [("all right", 0.01), ("all wrong", 100)])
def test_a_temperature_without_a_minimum_warns_and_is_the_end_of_the_range(name, end):
    predicted = LOG_PROBS.argmax(axis=1)
    labels = predicted if name == "all right" else LOG_PROBS.argmin(axis=1)
    with pytest.warns(UserWarning, match=r"No temperature minimises.*Expected.*Received"):
        assert calibration.temperature_scaling(LOG_PROBS, labels) == end


def test_temperature_one_changes_nothing_and_two_takes_roots():
    np.testing.assert_allclose(calibration.apply_temperature(LOG_PROBS, 1.0), LOG_PROBS)
    roots = np.sqrt(PROBS) / np.sqrt(PROBS).sum(axis=1, keepdims=True)
    np.testing.assert_allclose(calibration.apply_temperature(LOG_PROBS, 2.0), np.log(roots))


def test_the_bootstrap_interval_of_a_mean_is_the_normal_one(draw, base_seed):
    log_probs, labels = draw(2000)
    low, high = calibration.bootstrap(
        calibration.accuracy, log_probs, labels, num=1000, seed=base_seed
    )
    share = calibration.accuracy(log_probs, labels)
    error = math.sqrt(share * (1 - share) / 2000)
    # A 2.5 % quantile of 1000 draws is known to 0.085 standard deviations.
    assert (share - low) / error == pytest.approx(1.96, abs=4 * 0.085)
    assert (high - share) / error == pytest.approx(1.96, abs=4 * 0.085)


def test_the_bootstrap_repeats_and_its_level_orders_intervals(draw):
    score, (log_probs, labels) = calibration.brier, draw(200)
    wide = calibration.bootstrap(score, log_probs, labels)
    assert calibration.bootstrap(score, log_probs, labels) == wide
    assert calibration.bootstrap(score, log_probs, labels, seed=1) != wide
    narrow = calibration.bootstrap(score, log_probs, labels, level=0.5)
    assert wide[0] < narrow[0] < narrow[1] < wide[1]


# Other people's implementations.


def test_scores_are_those_of_scikit_learn(draw):
    log_probs, labels = draw(500)
    probs, names = np.exp(log_probs), np.arange(5)
    expected = sk_metrics.log_loss(labels, probs, labels=names)
    assert calibration.nll(log_probs, labels) == pytest.approx(expected)
    expected = sk_metrics.brier_score_loss(labels, probs, labels=names, scale_by_half=False)
    assert calibration.brier(log_probs, labels) == pytest.approx(expected)


@pytest.mark.parametrize("adaptive", [False, True])
def test_the_reliability_curve_is_that_of_scikit_learn(draw, adaptive):
    log_probs, labels = draw(1501)  # quantiles of 1501 values are values, 100 to a bin
    curve = calibration.reliability_curve(log_probs, labels, 15, adaptive)
    confidence = np.exp(log_probs.max(axis=1))
    right = log_probs.argmax(axis=1) == labels
    strategy = "quantile" if adaptive else "uniform"
    accuracy, mean = sk_calibration.calibration_curve(
        right, confidence, n_bins=15, strategy=strategy
    )
    full = curve.count > 0
    # scikit-learn may put a value at a quantile on the other side of it: one in a hundred.
    atol = 0.015 if adaptive else 1e-12
    np.testing.assert_allclose(curve.confidence[full], mean, atol=atol)
    np.testing.assert_allclose(curve.accuracy[full], accuracy, atol=atol)
    if adaptive:
        assert set(curve.count) <= {100, 101}


def test_calibration_error_and_brier_score_are_those_of_tfp(draw):
    log_probs, labels = draw(500)
    logits, labels = log_probs.astype(np.float32), labels.astype(np.int32)
    expected = tfp.stats.expected_calibration_error(15, logits, labels)
    error = calibration.expected_calibration_error(logits, labels)
    assert error == pytest.approx(float(expected), abs=1e-6)
    expected = 1 + tfp.stats.brier_score(labels, logits).numpy().mean()
    assert calibration.brier(logits, labels) == pytest.approx(expected, abs=1e-6)


def test_the_brier_parts_are_those_of_tfp_where_a_bin_is_a_predicted_class(base_seed):
    # Three kinds of predictions, whose columns are in different bins: no spread within bins.
    rng = np.random.default_rng(base_seed)
    rows = np.array([[0.8, 0.15, 0.05], [0.3, 0.5, 0.2], [0.1, 0.25, 0.65]])
    log_probs = np.log(rows[rng.integers(3, size=399)]).astype(np.float32)
    # Balanced: otherwise TFP 0.25 takes the base rate of the wrong class for the resolution.
    labels = rng.permutation(np.arange(399, dtype=np.int32) % 3)
    parts = calibration.brier_decomposition(log_probs, labels)
    uncertainty, resolution, reliability = tfp.stats.brier_decomposition(labels, log_probs)
    assert parts["uncertainty"] == pytest.approx(1 + float(uncertainty), abs=1e-5)
    assert parts["resolution"] == pytest.approx(float(resolution), abs=1e-5)
    assert parts["reliability"] == pytest.approx(float(reliability), abs=1e-5)
    assert parts["within_bin_variance"] == pytest.approx(0, abs=1e-12)
    assert parts["within_bin_covariance"] == pytest.approx(0, abs=1e-12)


@pytest.mark.parametrize("score", SCORES[:-1], ids=lambda f: f.__name__)
def test_the_order_of_the_examples_does_not_matter(draw, score, base_seed):
    log_probs, labels = draw(200, num_classes=3)
    log_probs = np.log(np.round(np.exp(log_probs), 1) + 0.01)  # ties
    log_probs = calibration.apply_temperature(log_probs, 1.0)
    order = np.random.default_rng(base_seed).permutation(200)
    results = [score(log_probs, labels), score(log_probs[order], labels[order])]
    if score is calibration.brier_decomposition:
        results = [tuple(parts.values()) for parts in results]
    first, second = (np.hstack(r if isinstance(r, tuple) else (r,)) for r in results)
    np.testing.assert_allclose(first, second, atol=1e-9)


def test_rounding_to_float32_moves_no_example_over_an_edge():
    shares = np.arange(8, 15) / 15
    log_probs = np.log(np.stack([shares, 1 - shares], axis=1))
    expected = np.array([0] * 7 + [1] * 7 + [0])
    for dtype in (np.float64, np.float32):
        curve = calibration.reliability_curve(log_probs.astype(dtype), np.zeros(7, int))
        np.testing.assert_array_equal(curve.count, expected)


# Everything at once.


def test_classification_metrics_are_json_with_the_promised_names_and_values(draw):
    log_probs, labels = draw(400)
    metrics = classification_metrics(log_probs, labels, prefix="val_")
    assert json.loads(json.dumps(metrics, allow_nan=False)) == metrics
    means = {f"val_{name}" for name in ("accuracy", "error", "nll", "brier")}
    errors = {
        f"val_{name}{end}" for name in ("ece", "ece_adaptive") for end in ("", "_low", "_high")
    }
    parts = calibration.brier_decomposition(log_probs, labels)
    assert set(metrics) == (
        means
        | {f"{name}_se" for name in means}
        | errors
        | {"val_aurc"}
        | {f"val_brier_{name}" for name in parts}
    )
    share = calibration.accuracy(log_probs, labels)
    assert metrics["val_accuracy"] == share
    assert metrics["val_accuracy_se"] == pytest.approx(math.sqrt(share * (1 - share) / 399))
    assert metrics["val_error"] == pytest.approx(100 * (1 - share))
    assert metrics["val_error_se"] == pytest.approx(100 * metrics["val_accuracy_se"])
    for name in ("nll", "brier"):
        assert metrics[f"val_{name}"] == getattr(calibration, name)(log_probs, labels)
    losses = -log_probs[np.arange(400), labels]
    assert metrics["val_nll_se"] == pytest.approx(losses.std(ddof=1) / 20)
    assert metrics["val_aurc"] == calibration.risk_coverage(log_probs, labels).area
    for name, adaptive in (("val_ece", False), ("val_ece_adaptive", True)):

        def error(log_probs, labels, adaptive=adaptive):
            return calibration.expected_calibration_error(log_probs, labels, adaptive=adaptive)

        assert metrics[name] == error(log_probs, labels)
        low, high = calibration.bootstrap(error, log_probs, labels)
        assert (metrics[f"{name}_low"], metrics[f"{name}_high"]) == pytest.approx((low, high))


def test_an_infinite_nll_warns_and_is_none():
    log_probs = np.array([[0.0, -np.inf], [-np.inf, 0.0], [0.0, -np.inf]])
    with pytest.warns(UserWarning, match=r"NLL is infinite.*Expected.*Received 1 labels"):
        metrics = classification_metrics(log_probs, np.array([0, 1, 1]))
    assert metrics["test_nll"] is None and metrics["test_nll_se"] is None
    json.dumps(metrics, allow_nan=False)


def test_one_example_has_no_standard_error():
    metrics = classification_metrics(LOG_PROBS[:1], LABELS[:1])
    assert metrics["test_accuracy"] == 1 and metrics["test_accuracy_se"] is None
    json.dumps(metrics, allow_nan=False)


# Bad input.


@pytest.mark.parametrize("score", SCORES, ids=lambda f: f.__name__)
@pytest.mark.parametrize(
    "log_probs, labels, message",
    [
        (LOG_PROBS[0], LABELS, r"wrong shape\. Expected \[N, K\].*Received shape \(3,\)"),
        (LOG_PROBS[:0], LABELS[:0], r"at least one example.*Received shape \(0, 3\)"),
        (np.zeros((4, 1)), LABELS, r"two classes\. Received shape \(4, 1\)"),
        (LOG_PROBS, LABELS[:3], r"do not fit.*Expected shape \(4,\).*Received shape \(3,\)"),
        (LOG_PROBS, np.eye(4), r"do not fit.*Received shape \(4, 4\)"),
        (LOG_PROBS, LABELS * 1.0, r"Expected integers\. Received float64"),
        (LOG_PROBS, LABELS + 2, r"out of range\. Expected 0 to 2\. Received 2 to 3"),
        (LOG_PROBS, LABELS - 1, r"out of range\. Expected 0 to 2\. Received -1 to 0"),
        (np.where(PROBS == 0.8, np.nan, LOG_PROBS), LABELS, r"Expected no NaN\. Received 1 rows"),
        (PROBS, LABELS, r"not normalised\. Expected rows .* one within 0\.001\. Received a sum of"),
        (LOG_PROBS + 0.002, LABELS, r"Received a sum of 1\.002 in row"),
        (LOG_PROBS + 1e4, LABELS, r"Received a sum of inf in row 0"),
        (LOG_PROBS - np.inf, LABELS, r"Received a sum of 0 in row 0"),
    ],
)
def test_what_are_no_probabilities_and_labels_is_refused(score, log_probs, labels, message):
    with pytest.raises(ValueError, match=message):
        score(log_probs, labels)


@pytest.mark.parametrize("temperature", [0.0, -1.0, math.inf, math.nan])
def test_a_temperature_that_is_not_positive_is_refused(temperature):
    with pytest.raises(ValueError, match=r"Expected a number > 0\. Received"):
        calibration.apply_temperature(LOG_PROBS, temperature)


def test_temperature_scaling_refuses_labels_of_probability_zero():
    log_probs = np.array([[0.0, -np.inf], [math.log(0.5)] * 2])
    with pytest.raises(ValueError, match=r"Expected every label to have p > 0.*Received 1 labels"):
        calibration.temperature_scaling(log_probs, np.array([1, 0]))


@pytest.mark.parametrize("score", SCORES[3:6], ids=lambda f: f.__name__)
def test_no_bins_are_refused(score):
    with pytest.raises(ValueError, match=r"Expected num_bins >= 1\. Received 0"):
        score(LOG_PROBS, LABELS, num_bins=0)


@pytest.mark.parametrize("options", [{"num": 1}, {"level": 0.0}, {"level": 95}])
def test_a_bootstrap_without_an_interval_is_refused(options):
    with pytest.raises(ValueError, match=r"Expected num >= 2 and 0 < level < 1\. Received num"):
        calibration.bootstrap(calibration.nll, LOG_PROBS, LABELS, **options)
