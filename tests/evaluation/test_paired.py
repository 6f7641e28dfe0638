"""Two errors of a comparison: intervals cover, equal models stay equal, metrics are recomputed."""

import numpy as np
import pytest

from tfp_vae import report
from tfp_vae.evaluation import calibration, paired
from tfp_vae.evaluation.ood import detection
from tfp_vae.studies import uci

SEEDS, EXAMPLES, RESAMPLES = 3, 150, 400
# Standard deviations of examples that all models share, of a model's own, and of seed and example.
SPREADS = {"examples": 0.9, "own": 0.45, "both": 0.4}
# Standard deviations over seeds by model, in turns: all alike, or some twelve times as much, or one
# thirty times as much.
OVER_SEEDS = {"equal": (0.06,), "unequal": (0.01, 0.12, 0.12), "one": (0.3, *[0.01] * 6)}


def population(rng, models, kind="equal", gap=0.0):
    """Returns values [M, S, N] of models with mean 0 but the last, which has `gap`."""
    x = SPREADS["examples"] * rng.standard_normal(EXAMPLES)
    x = x + SPREADS["own"] * rng.standard_normal((models, 1, EXAMPLES))
    over_seeds = np.resize(OVER_SEEDS[kind], models)[:, None, None]
    x = x + over_seeds * rng.standard_normal((models, SEEDS, 1))
    x = x + SPREADS["both"] * rng.standard_normal((models, SEEDS, EXAMPLES))
    x[-1] += gap
    return x


def samples(values):
    """Returns what `paired.sample` makes of a mean, all at once."""
    counts = paired._counts(EXAMPLES, 0, RESAMPLES)
    found = values.astype(np.float32) @ counts.T / EXAMPLES
    return {
        str(model): paired.Sample(
            dict(enumerate(each[:, 0].tolist())), dict(enumerate(each[:, 1:])), 0.02
        )
        for model, each in enumerate(found.astype(np.float64))
    }


@pytest.mark.parametrize("kind", OVER_SEEDS)
def test_intervals_over_three_seeds_and_examples_cover_95_percent(kind, base_seed):
    rng, ones, gaps = np.random.default_rng(base_seed), [], []
    for _ in range(300):
        found = samples(population(rng, 3, kind))
        ones.append([i.lower <= 0 <= i.upper for i in map(paired.interval, found.values())])
        gaps.append([pair.lower <= 0 <= pair.upper for pair in paired.pairs(found, -1)])
    error = 3 * np.sqrt(0.95 * 0.05 / len(gaps))
    covered = np.concatenate([np.mean(ones, axis=0), np.mean(gaps, axis=0)])  # each by itself
    assert np.all(np.abs(covered - 0.95) < 0.02 + error), covered


def ranked(values, direction=-1):
    """Returns the models that are best within error by the paired rule, and by overlap."""
    found = samples(values)
    estimates = {
        name: report.Estimate(each.mean, each.lower, each.upper, each.n)
        for name, each in ((name, paired.interval(one)) for name, one in found.items())
    }
    pairs = [
        {"a": p.a, "b": p.b, "difference": p.difference, "adjusted": p.adjusted}
        for p in paired.pairs(found, direction)
    ]
    by_pairs = report.best_by_pairs(pairs, estimates, direction)
    return by_pairs, report.best_within_error(estimates, direction)


@pytest.mark.parametrize("kind", OVER_SEEDS)
def test_seven_equal_models_are_rarely_told_apart(kind, base_seed):
    rng = np.random.default_rng(base_seed + 1)
    wrong = np.mean([len(ranked(population(rng, 7, kind))[0]) < 7 for _ in range(150)])
    assert wrong < 0.05 + 3 * np.sqrt(0.05 * 0.95 / 150), wrong


def test_a_worse_model_is_found_more_often_than_by_intervals_that_overlap(base_seed):
    rng = np.random.default_rng(base_seed + 2)
    found = [ranked(population(rng, 7, gap=0.3)) for _ in range(40)]
    paired_power, overlap_power = (np.mean(["6" not in each[i] for each in found]) for i in (0, 1))
    assert paired_power > overlap_power + 0.3, (paired_power, overlap_power)


def test_if_one_model_differs_fewer_pairs_can_be_equal():
    assert paired._may_be_equal(3, 3) == [3, 1, 1]
    assert paired._may_be_equal(7, 21)[:3] == [21, 15, 15]
    assert paired._may_be_equal(7, 20)[:2] == [20, 19]  # not all pairs: Holm's counts


def test_what_seeds_have_in_common_is_taken_off_their_variance(base_seed):
    rng = np.random.default_rng(base_seed)
    values, places = 0.01 * rng.standard_normal((5, 3)), np.array([0])
    alone, _ = paired._over_seeds(values, places, places + 1)
    common, _ = paired._over_seeds(values + rng.standard_normal(3), places, places + 1)
    assert common < 10 * alone


@pytest.fixture(scope="module")
def predictions():
    rng = np.random.default_rng(3)
    log_probs = calibration.apply_temperature(2 * rng.normal(size=(80, 4)), 1.0)
    right = rng.random(80) < 0.6
    return log_probs, np.where(right, log_probs.argmax(axis=1), rng.integers(0, 4, 80))


@pytest.mark.parametrize("metric", ["accuracy", "nll", "brier", "ece", "aurc"])
def test_a_metric_of_resampled_examples_is_that_of_the_copies(predictions, metric):
    log_probs, labels = predictions
    found = paired.sample(metric, {0: calibration.parts(log_probs, labels)}, 5)
    counts = paired._counts(80, 0, 5).astype(int)
    functions = {
        "ece": calibration.expected_calibration_error,
        "aurc": lambda *each: calibration.risk_coverage(*each).area,
    }
    function = functions.get(metric) or getattr(calibration, metric)
    expected = [function(*(np.repeat(a, c, axis=0) for a in (log_probs, labels))) for c in counts]
    values = [found.values[0], *found.draws[0]]
    # Copies of an example are one step of the curve of risks there, and several here.
    tolerance = 0.02 if metric == "aurc" else 1e-6
    np.testing.assert_allclose(values, expected, atol=tolerance)
    assert values[0] == pytest.approx(expected[0], abs=1e-6)


@pytest.mark.parametrize(
    ("metric", "key"),
    [("auroc", "auroc"), ("aupr", "aupr_outside"), ("fpr95", "fpr_at_95_tpr")],
)
def test_areas_of_resampled_scores_are_those_of_the_copies(metric, key):
    rng = np.random.default_rng(4)
    inside, outside = detection.ranked(rng.integers(0, 30, 50), rng.integers(10, 40, 60))
    found = paired.sample(metric, {0: {"inside": inside, "outside": outside}}, 5)
    counts = [paired._counts(n, which, 5).astype(int) for which, n in enumerate((50, 60))]
    expected = [
        detection.areas(np.repeat(inside, a), np.repeat(outside, b))[key]
        for a, b in zip(*counts, strict=True)
    ]
    np.testing.assert_allclose([found.values[0], *found.draws[0]], expected, atol=1e-6)


def test_no_interval_is_without_a_width_and_few_examples_are_refused():
    right = {seed: {"correct": np.ones(100)} for seed in range(3)}
    found = paired.sample("accuracy", right)
    one = paired.interval(found)
    assert (one.mean, one.lower) == (1.0, pytest.approx(1 - 3 / 100))
    (pair,) = paired.pairs({"a": found, "b": found})
    assert pair.lower < pair.difference == 0 < pair.upper
    assert pair.probability == pytest.approx(0.5) and pair.adjusted == pytest.approx(1)
    with pytest.raises(ValueError, match=r"too few examples.*at least 2.*1 of seed 0"):
        paired.sample("accuracy", {0: {"correct": np.ones(1)}})


def test_models_that_share_one_seed_have_no_pair():
    found = samples(population(np.random.default_rng(0), 2))
    alone = paired.Sample({0: found["1"].values[0]}, {0: found["1"].draws[0]}, found["1"].least)
    assert paired.pairs({"a": found["0"], "b": alone}) == []


def test_errors_over_overlapping_splits_are_corrected_beside_the_convention():
    values = np.random.default_rng(0).normal(size=20).tolist()
    scores = {"rmse": values, "log_likelihood": values, "seconds": 1.0}
    row = uci.summary({"yacht": {"map": scores}})["yacht"]["map"]
    assert row["rmse_se"] == pytest.approx(np.std(values, ddof=1) / np.sqrt(20))
    assert row["rmse_se_corrected"] / row["rmse_se"] == pytest.approx(np.sqrt(1 + 20 / 9))
    table = report.method_table({"yacht": {"map": row}}, ("rmse",))
    assert f"({row['rmse_se_corrected']:.2g})" in table
