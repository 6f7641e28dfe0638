"""Scores of codes whose answer is known, and the parts of the KL of known normals."""

import functools
import math

import numpy as np
import pytest

from tfp_vae.evaluation import aggregate, label_scores
from tfp_vae.evaluation import disentanglement as scores

SIZES = (3, 4, 5)
NAMES = (
    *("mig", "sap", "disentanglement", "completeness", "informativeness"),
    *("factor_vae", "beta_vae", "irs", "modularity"),
)


def _factors():
    grid = np.meshgrid(*map(np.arange, SIZES), indexing="ij")
    return np.tile(np.stack([each.ravel() for each in grid], axis=1), (15, 1)).astype(float)


FACTORS = _factors()


def _rotation(count):
    turned, _ = np.linalg.qr(np.random.default_rng(3).standard_normal((count, count)))
    return turned


def _codes(name):
    code = (FACTORS - FACTORS.mean(axis=0)) / FACTORS.std(axis=0)
    noise = np.random.default_rng(5).standard_normal(code.shape)
    return {
        "perfect": code,
        "permuted": code[:, [2, 0, 1]],
        "scaled": code * [10.0, -0.5, 3.0],
        "rotated": code @ _rotation(3),
        "random": noise,
        "constant": np.zeros_like(code),
        "duplicated": np.concatenate([code, code], axis=1),
    }[name]


@functools.cache
def _scores(name):
    made = dict(votes=(600, 300))
    code = _codes(name)
    return {
        "mig": scores.mig(code, FACTORS),
        "sap": scores.sap(code, FACTORS, categorical=[0]),
        **scores.dci(code, FACTORS, categorical=[0], trees=4),
        "factor_vae": scores.factor_vae_score(code, FACTORS, **made),
        "beta_vae": scores.beta_vae_score(code, FACTORS, **made),
        "irs": scores.irs(code, FACTORS),
        "modularity": scores.modularity(code, FACTORS),
    }


def test_a_perfect_code_has_one_everywhere():
    found = _scores("perfect")
    assert set(found) == set(NAMES)
    for name, value in found.items():
        assert value == pytest.approx(1, abs=1e-9), name


@pytest.mark.parametrize("name", ["permuted", "scaled"])
def test_scores_are_unchanged_by_order_and_scale_of_dimensions(name):
    assert _scores(name) == pytest.approx(_scores("perfect"), abs=1e-9)


def test_a_rotated_code_keeps_what_it_tells_and_loses_what_is_told_where():
    found = _scores("rotated")
    assert found["beta_vae"] > 0.8 and found["informativeness"] > 0.85
    for name in ("mig", "sap", "disentanglement", "completeness", "irs", "modularity"):
        assert found[name] < 0.75, name
    assert found["mig"] < 0.2


def test_random_and_constant_codes_tell_nothing():
    found = _scores("random")
    for name in ("mig", "sap", "informativeness"):
        assert found[name] < 0.05, name
    assert found["disentanglement"] < 0.1 and found["completeness"] < 0.1
    assert max(found["factor_vae"], found["beta_vae"]) < 0.5  # a third is chance
    assert found["irs"] < 0.3
    found = _scores("constant")
    assert found == pytest.approx(dict.fromkeys(NAMES, 0), abs=1e-3)


def test_a_duplicated_code_loses_gaps_and_completeness_and_no_disentanglement():
    found = _scores("duplicated")
    assert found["mig"] == pytest.approx(0, abs=1e-9) == found["sap"]
    assert found["disentanglement"] == pytest.approx(1, abs=1e-9)
    assert found["completeness"] < 0.85
    for name in ("factor_vae", "beta_vae", "irs", "modularity"):
        assert found[name] > 0.99, name


def test_mig_of_a_perfect_code_is_what_bins_leave_of_the_factors_of_dsprites():
    values = np.random.default_rng(0).integers([3, 6, 40, 32, 32], size=(10_000, 5))
    for bins, expected in ((20, 0.896), (64, 0.987)):
        assert scores.mig(values, values, bins) == pytest.approx(expected, abs=0.004)


def test_udr_is_one_of_the_same_code_in_other_orders_and_small_of_rotations():
    rng = np.random.default_rng(7)
    code = rng.standard_normal((400, 4))
    same = [code[:, rng.permutation(4)] * rng.choice([-1, 2], 4) for _ in range(5)]
    turned = [code @ np.linalg.qr(rng.standard_normal((4, 4)))[0] for _ in range(5)]
    for similarity in scores.SIMILARITIES:
        high = scores.udr(same, similarity=similarity)
        low = scores.udr(turned, similarity=similarity)
        assert high.shape == (5,) and high.min() > 0.8 > low.max() + 0.15
    # A dimension without KL is not looked at.
    told = [np.array([1.0, 1.0, 1.0, 1.0, 0.0])] * 5
    wide = [np.concatenate([each, rng.standard_normal((400, 1))], axis=1) for each in same]
    assert np.allclose(scores.udr(wide, told), scores.udr(same))


def test_all_scores_are_json_with_names_of_factors():
    names = ("shape", "x", "y")
    found = scores.scores(_codes("perfect")[:240], FACTORS[:240], names=names, categorical=[0])
    assert set(NAMES) <= set(found) and list(found["mig_per_factor"]) == list(names)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: scores.mig(np.ones((4, 2)), None), r"Expected factors.*Received none"),
        (lambda: scores.mig(np.ones((4, 2)), np.ones((4, 1))), r"Factor 0.*two values.*1 alone"),
        (lambda: scores.mig(np.ones((3, 2)), np.eye(4)), r"as many rows.*3 and 4"),
        (lambda: scores.mig(np.full((4, 2), np.nan), np.eye(4)), r"codes.*not finite"),
        (lambda: scores.udr([np.eye(3)] * 4), r"5 models.*Received 4"),
        (lambda: scores.udr([np.eye(3)] * 5, similarity="kendall"), r"spearman, lasso"),
        (lambda: scores.irs(np.eye(4), np.eye(4), quantile=2), r"\(0, 1\].*2"),
        (lambda: aggregate.decompose(np.ones((4, 1)), 1.0), r"D >= 2.*\(4, 1\)"),
        (lambda: aggregate.gaussian_total_correlation(np.ones((4, 1))), r"D >= 2.*\(4, 1\)"),
        (
            lambda: label_scores(np.eye(3), np.ones(3), np.eye(3), np.ones(3)),
            r"two or more.*1.* alone",
        ),
    ],
)
def test_codes_and_factors_that_do_not_fit_are_refused_in_one_line(call, message):
    with pytest.raises(ValueError, match=message):
        call()


def test_the_parts_of_the_kl_are_those_of_known_normals(base_seed, monkeypatch):
    rng = np.random.default_rng([base_seed, 1])
    covariance, noise = np.array([[1.0, 0.8], [0.8, 1.0]]), 0.5
    loc = rng.multivariate_normal(np.zeros(2), covariance, size=3000)
    found = aggregate.decompose(loc, noise, seed=base_seed, most=1000)
    whole = covariance + noise**2 * np.eye(2)
    expected = 0.5 * (np.log(np.diag(whole)).sum() - np.linalg.slogdet(whole)[1])
    assert found["total_correlation"] == pytest.approx(
        expected, abs=4 * found["total_correlation_error"] + 0.03
    )
    information = 0.5 * (np.linalg.slogdet(whole)[1] - 2 * math.log(noise**2))
    assert found["mutual_information"] == pytest.approx(
        information, abs=4 * found["mutual_information_error"] + 0.03
    )
    parts = ("mutual_information", "total_correlation", "dimension_wise_kl")
    assert sum(found[part] for part in parts) == pytest.approx(found["kl"], abs=1e-9)
    fitted = aggregate.gaussian_total_correlation(loc + noise * rng.standard_normal(loc.shape))
    assert fitted == pytest.approx(expected, abs=0.05)
    # Blocks are no part of the answer.
    monkeypatch.setattr(aggregate, "_BLOCK", 1000)
    few = aggregate.decompose(loc[:300], noise, seed=base_seed, most=50)
    monkeypatch.setattr(aggregate, "_BLOCK", 2**22)
    same = aggregate.decompose(loc[:300], noise, seed=base_seed, most=50)
    assert few.pop("kl_per_dimension") == pytest.approx(same.pop("kl_per_dimension"))
    assert few == pytest.approx(same)


def test_probes_tell_separate_classes_and_nothing_of_noise():
    rng = np.random.default_rng(11)
    labels = np.repeat([2, 5, 9], 60)
    codes = np.eye(3)[np.repeat(range(3), 60)] * 8 + rng.standard_normal((180, 3))
    found = label_scores(codes[::2], labels[::2], codes[1::2], labels[1::2])
    for name in ("linear", "neighbour", "cluster"):
        assert found[f"{name}_accuracy"] > 0.97
    assert found["cluster_nmi"] > 0.9
    noise = rng.standard_normal((180, 3))
    assert label_scores(noise[::2], labels[::2], noise[1::2], labels[1::2])["linear_accuracy"] < 0.6
