"""Detection metrics against counting, and what their errors claim."""

import json

import numpy as np
import pytest
from scipy import stats

from tfp_vae.evaluation.ood.detection import auroc_standard_error, detection_metrics

NAMES = ("auroc", "aupr_outside", "aupr_inside", "fpr_at_95_tpr")


def few(inside, outside):
    return detection_metrics(inside, outside, num=2)


def test_a_score_that_knows_nothing_has_half(base_seed):
    rng = np.random.default_rng(base_seed)
    found = few(rng.normal(size=3000), rng.normal(size=1000))
    error = np.sqrt(4001 / (12 * 3000 * 1000))  # of the Mann-Whitney statistic without ties
    assert abs(found["auroc"] - 0.5) < 4 * error
    assert found["auroc_se"] == pytest.approx(error, rel=0.1)
    assert found["aupr_outside"] == pytest.approx(0.25, abs=0.04)
    assert found["aupr_inside"] == pytest.approx(0.75, abs=0.04)
    assert found["fpr_at_95_tpr"] == pytest.approx(0.95, abs=0.04)


def test_a_score_that_separates_is_perfect_and_its_negative_is_the_worst():
    inside, outside = np.arange(50.0), np.arange(60.0, 90.0)
    found = detection_metrics(inside, outside)
    assert [found[name] for name in NAMES] == pytest.approx([1, 1, 1, 0], abs=1e-12)
    for name, value in (("low", 1), ("high", 1), ("se", 0)):
        assert found[f"auroc_{name}"] == pytest.approx(value, abs=1e-12)
    worst = few(-inside, -outside)
    assert worst["auroc"] == pytest.approx(0, abs=1e-12) and worst["fpr_at_95_tpr"] == 1


def test_a_constant_score_has_half():
    found = few(np.ones(30), np.ones(10))
    assert found["auroc"] == 0.5 and found["auroc_se"] == 0
    assert (found["aupr_outside"], found["aupr_inside"]) == (0.25, 0.75)
    assert found["fpr_at_95_tpr"] == 1


def test_auroc_is_the_mann_whitney_probability_ties_included(base_seed):
    rng = np.random.default_rng(base_seed)
    inside, outside = rng.integers(0, 12, 200), rng.integers(2, 15, 150)
    by_counting = np.mean(
        (outside[:, None] > inside) + 0.5 * (outside[:, None] == inside), dtype=float
    )
    found = few(inside, outside)
    assert found["auroc"] == pytest.approx(by_counting, abs=1e-12)
    statistic = stats.mannwhitneyu(outside, inside).statistic
    assert found["auroc"] == pytest.approx(statistic / (200 * 150), abs=1e-12)


def test_swapping_the_sets_turns_the_figures_round(base_seed):
    rng = np.random.default_rng(base_seed)
    inside, outside = rng.integers(0, 30, 80) / 3, rng.integers(9, 40, 50) / 3
    found, swapped = few(inside, outside), few(outside, inside)
    assert swapped["auroc"] == pytest.approx(1 - found["auroc"], abs=1e-12)
    assert swapped["auroc_se"] == pytest.approx(found["auroc_se"], rel=1e-9)
    turned = few(-outside, -inside)
    assert turned["auroc"] == pytest.approx(found["auroc"], abs=1e-12)
    assert turned["aupr_outside"] == pytest.approx(found["aupr_inside"], abs=1e-12)
    assert turned["aupr_inside"] == pytest.approx(found["aupr_outside"], abs=1e-12)


def test_fpr_at_95_tpr_by_hand():
    # To catch 19 of 20, the threshold is 7.5, and 8, 9 and 10 of the ten inside are above it.
    outside = [3.5, 7.5, *range(11, 29)]
    assert few(np.arange(1, 11), outside)["fpr_at_95_tpr"] == pytest.approx(0.3)
    # 18 of 19 are less than 95 %: all have to be caught, at 3.5.
    assert few(np.arange(1, 11), outside[:-1])["fpr_at_95_tpr"] == pytest.approx(0.7)


def test_average_precision_by_hand():
    # From the top: outside (1/1), inside, outside (2/3); each of the two counts half.
    assert few([2.0, 0.0], [3.0, 1.0])["aupr_outside"] == pytest.approx((1 + 2 / 3) / 2)


def test_only_the_order_counts_and_infinite_scores_have_a_place():
    rng = np.random.default_rng(0)
    inside, outside = rng.normal(size=60), rng.normal(1, 1, size=40)
    found = detection_metrics(inside, outside, num=20)
    assert detection_metrics(np.exp(inside), np.exp(outside), num=20) == found
    outside[outside.argmax()] = np.inf
    inside[inside.argmin()] = -np.inf
    extreme = detection_metrics(inside, outside, num=20)
    # They were at most the ends already, or moved there.
    assert extreme["auroc"] >= found["auroc"]
    assert np.isfinite(list(extreme.values())).all()


@pytest.mark.parametrize("decimals", [8, 0])
def test_standard_error_is_the_spread_over_new_examples(base_seed, decimals):
    rng = np.random.default_rng(base_seed)
    areas, errors = [], []
    for _ in range(400):
        inside = np.round(rng.normal(size=60), decimals)
        outside = np.round(rng.normal(1, 1.5, size=40), decimals)
        statistic = stats.mannwhitneyu(outside, inside).statistic
        areas.append(statistic / (60 * 40))
        errors.append(auroc_standard_error(inside, outside))
    # A standard deviation of 400 is known to 3.5 %.
    assert np.mean(errors) == pytest.approx(np.std(areas, ddof=1), rel=0.15)


@pytest.mark.all_only
def test_bootstrap_interval_is_as_wide_as_the_standard_error_says_and_repeats(base_seed):
    rng = np.random.default_rng(base_seed)
    inside, outside = rng.normal(size=400), rng.normal(1, 1, size=300)
    found = detection_metrics(inside, outside, prefix="noise_", num=300)
    assert detection_metrics(inside, outside, prefix="noise_", num=300) == found
    width = found["noise_auroc_high"] - found["noise_auroc_low"]
    assert width == pytest.approx(2 * 1.96 * found["noise_auroc_se"], rel=0.25)
    for name in NAMES:
        low, value, high = (found[f"noise_{name}{end}"] for end in ("_low", "", "_high"))
        assert low < value < high
    assert found["noise_num_inside"] == 400 and found["noise_num_outside"] == 300
    assert json.loads(json.dumps(found, allow_nan=False)) == found


def test_scores_that_cannot_be_ranked_are_refused():
    for inside in ([], [[1.0]], [1.0, np.nan]):
        with pytest.raises(ValueError, match=r"inside scores.*Expected numbers.*Received shape"):
            detection_metrics(inside, [1.0])
    with pytest.raises(ValueError, match=r"No interval.*Expected num >= 2.*Received 1"):
        detection_metrics([1.0], [2.0], num=1)
    assert detection_metrics([1.0], [2.0], num=2)["auroc_se"] is None
