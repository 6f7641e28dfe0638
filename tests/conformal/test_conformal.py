"""Conformal regions cover, whatever the model: by counting, and by hand."""

import dataclasses

import numpy as np
import pytest
from scipy import stats

from tfp_vae.conformal import CONFORMAL, Conformal, Seen, limit, p_values, rows_needed

TRIALS, HELD_OUT, NEW = 200, 59, 40


def _numbers(rng, count):
    """Returns predictions that are wrong: the noise has another law and grows with x."""
    x = rng.uniform(-2, 2, count)
    y = x + (0.2 + np.abs(x)) * rng.standard_t(3, count)
    mean, scale = 0.7 * x + 0.3, 0.5 + 0.2 * np.abs(x)
    return Seen(mean, scale, lambda p: mean + scale * stats.norm.ppf(p)[:, None]), y


def _classes(rng, count):
    """Returns class probabilities that are too sure of themselves."""
    logits = rng.normal(size=(count, 6))
    probs = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    y = np.array([rng.choice(6, p=p) for p in probs])
    sharp = probs**3 / (probs**3).sum(axis=1, keepdims=True)
    return Seen(probs=sharp), y


def _covered(conformal, seen, y, level):
    if seen.probs is not None:
        return conformal.classes(seen, level)[np.arange(len(y)), y]
    low, high = conformal.interval(seen, level)
    return (low <= y) & (y <= high)


@pytest.mark.parametrize("score", list(CONFORMAL))
def test_coverage_over_200_splits_is_the_level_within_binomial_error(score, base_seed):
    """(n + 1) level is whole, so that the share is the level itself, not only at least it."""
    rng = np.random.default_rng([base_seed, 1])
    make = _classes if CONFORMAL[score].task == "classification" else _numbers
    shares = []
    for _ in range(TRIALS):
        seen, y = make(rng, HELD_OUT)
        conformal = Conformal.of(seen, y, score)
        shares.append(_covered(conformal, *make(rng, NEW), 0.9).mean())
    # Coverage given the held-out rows is Beta distributed; new rows add binomial noise.
    k = 0.9 * (HELD_OUT + 1)
    variance = stats.beta(k, HELD_OUT + 1 - k).var() + 0.9 * 0.1 / NEW
    assert abs(np.mean(shares) - 0.9) < 4 * np.sqrt(variance / TRIALS)
    assert np.var(shares) < 1.6 * variance


def test_groups_are_each_covered_where_one_limit_for_all_fails():
    rng = np.random.default_rng(0)
    groups = np.repeat(["easy", "hard"], 3000)
    y = np.where(groups == "easy", 0.1, 5.0) * rng.normal(size=6000)
    seen = Seen(np.zeros(6000), np.ones(6000))
    half = rng.permutation(6000)[:3000]
    rest = np.setdiff1d(np.arange(6000), half)
    one = Seen(seen.mean[half], seen.scale[half])
    by_group = Conformal.of(one, y[half], "absolute", groups=groups[half])
    for_all = Conformal.of(one, y[half], "absolute")
    new = Seen(seen.mean[rest], seen.scale[rest])

    def shares(conformal, given):
        low, high = conformal.interval(new, 0.9, given)
        inside = (low <= y[rest]) & (y[rest] <= high)
        return [inside[groups[rest] == group].mean() for group in ("easy", "hard")]

    np.testing.assert_allclose(shares(by_group, groups[rest]), 0.9, atol=0.03)
    easy, hard = shares(for_all, None)
    assert easy > 0.99 and hard < 0.85
    with pytest.raises(ValueError, match=r"Unknown group.*easy, hard.*'hardd' at index 0.*mean"):
        by_group.interval(Seen(np.zeros(1), np.ones(1)), groups=["hardd"])
    with pytest.raises(ValueError, match=r"those of groups.*easy, hard.*None"):
        by_group.interval(new)
    with pytest.raises(ValueError, match=r"knows no groups.*Received 'easy'"):
        for_all.interval(new, groups=groups[rest])


def test_scores_by_hand():
    seen = Seen(
        np.array([1.0, 1.0]), np.array([2.0, 4.0]), lambda p: np.tile(4 * p[:, None] - 1, 2)
    )
    y = np.array([0.0, 4.0])
    expected = {"absolute": [1, 3], "scaled": [0.5, 0.75], "quantile": [-0.8, 1.2]}
    for name, values in expected.items():
        np.testing.assert_allclose(CONFORMAL[name]().scores(seen, y), values)
    probs = np.array([[0.5, 0.1, 0.4], [0.2, 0.7, 0.1]])
    np.testing.assert_allclose(CONFORMAL["aps"]().of_classes(probs), [[0, 0.9, 0.5], [0.7, 0, 0.9]])
    np.testing.assert_allclose(
        CONFORMAL["raps"](penalty=0.1, free=1).of_classes(probs), [[0, 1.1, 0.6], [0.8, 0, 1.1]]
    )


def test_the_limit_is_the_order_statistic_and_too_few_rows_are_counted():
    scores = np.arange(1.0, 100.0)
    assert limit(scores, 0.9) == 90 and limit(scores, 0.99) == 99 and limit(scores, 0.905) == 91
    with pytest.raises(ValueError, match=r"too few held-out rows for level 0.995.*199.*99"):
        limit(scores, 0.995)
    assert rows_needed(0.01) == 99 and rows_needed(0.1) == 9 and rows_needed(0.3) == 3
    with pytest.raises(ValueError, match=r"group 'b' and level 0.9.*at least 9.*Received 2"):
        conformal = Conformal("absolute", {"a": scores, "b": scores[:2]})
        conformal.interval(Seen(np.zeros(2), np.ones(2)), groups=["a", "b"])


def test_p_values_of_held_out_normals_are_uniform(base_seed):
    rng = np.random.default_rng([base_seed, 2])
    found = [p_values(rng.normal(size=99), rng.normal(size=1))[0] for _ in range(2000)]
    steps = np.arange(1, 101) / 100
    assert set(found) <= set(steps)
    # One new row for each set of held-out ones: 2000 independent p-values.
    spread = np.array(found) - rng.uniform(size=2000) / 100
    assert stats.kstest(spread, "uniform").pvalue > 1e-4
    np.testing.assert_allclose(p_values([1.0, 2.0, 3.0], [2.0, 0.0, 9.0]), [0.75, 1.0, 0.25])
    with pytest.raises(ValueError, match=r"not a number.*NaN at 1"):
        p_values([1.0], [0.0, np.nan])


@pytest.mark.parametrize(
    "changed",
    [
        *({key: None} for key in ("score", "held_out", "options", "level")),
        *({"held_out": value} for value in ({"": ["x"]}, {"": []}, {"": [[1.0]]}, [1.0])),
        *({"held_out": {"": [float("nan")]}}, {"score": ["a"]}, {"options": {"none": 1}}),
        *({"options": {"base": "x"}}, {"level": 2}),
    ],
)
def test_a_damaged_calibration_is_refused(changed):
    known = {"score": "absolute", "held_out": {"": [0.5, 1.0]}, "options": {}, "level": 0.9}
    assert Conformal.from_json(known).level == 0.9
    with pytest.raises(ValueError, match=r"calibration is damaged. Expected .* Received \w+"):
        Conformal.from_json(known | changed)


def test_a_calibration_comes_back_from_json_and_refuses_scores_of_other_tasks():
    seen, y = _numbers(np.random.default_rng(0), 50)
    found = Conformal.of(seen, y, "quantile", base=0.5, level=0.8)
    again = Conformal.from_json(found.to_json())
    np.testing.assert_array_equal(found.interval(seen), again.interval(seen))
    assert again.made == CONFORMAL["quantile"](0.5) and again.level == 0.8
    with pytest.raises(ValueError, match=r"APS is a score of classif.*absolute, scaled, quantile"):
        Conformal.of(seen, y, "aps")
    with pytest.raises(ValueError, match="Impossible base"):
        Conformal.of(seen, y, "quantile", base=1)
    with pytest.raises(dataclasses.FrozenInstanceError):
        found.level = 0.5
