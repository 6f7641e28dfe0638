"""Heads of counts, levels and heavy tails: beside SciPy, and beside sums by hand."""

import numpy as np
import pytest
import tensorflow as tf
from scipy import special, stats

import tfp_vae as tv
from tfp_vae.data import Split

COUNTS = np.arange(4000.0, dtype=np.float32)


def split_of(targets, **others):
    return Split(np.zeros((len(targets), 1)), "real", targets=np.array(targets), **others)


@pytest.mark.parametrize("concentration", [0.05, 1.0, 7.9, 8.1, 300.0])
def test_a_negative_binomial_sums_to_one_and_is_that_of_scipy(concentration):
    head = tv.heads.NegativeBinomial()
    parameters = np.log(np.array([12.0, concentration], np.float32))
    found = head.distribution(parameters).log_prob(COUNTS).numpy().astype(np.float64)
    expected = stats.nbinom.logpmf(COUNTS, concentration, concentration / (concentration + 12.0))
    np.testing.assert_allclose(found[:200], expected[:200], atol=2e-5, rtol=2e-5)
    assert np.exp(found).sum() == pytest.approx(1.0, abs=1e-5)


@pytest.mark.parametrize("mean", [0.3, 6.0])
def test_a_negative_binomial_of_large_concentration_is_a_poisson(mean):
    parameters = tf.constant([np.log(mean), np.log(1e9)], tf.float32)
    found = np.exp(tv.heads.NegativeBinomial().distribution(parameters).log_prob(COUNTS[:40]))
    np.testing.assert_allclose(found, stats.poisson.pmf(COUNTS[:40], mean), atol=1e-6)


def test_zeros_are_inflated_by_their_share_alone():
    head = tv.heads.ZeroInflatedNegativeBinomial()
    parameters = tf.constant([np.log(4.0), np.log(2.0), special.logit(0.3)], tf.float32)
    expected = 0.7 * stats.nbinom.pmf(COUNTS[:50], 2.0, 2.0 / 6.0) + 0.3 * (COUNTS[:50] == 0)
    found = np.exp(head.distribution(parameters).log_prob(COUNTS[:50]))
    np.testing.assert_allclose(found, expected, rtol=1e-4)


def test_levels_in_an_order_have_cumulative_logits():
    head = tv.heads.Ordinal(4)
    labels = np.repeat(np.arange(4), [9, 4, 0, 27])
    head.build()
    head.adapt(Split(np.zeros((40, 1)), "real", labels))
    features = np.array([[0.0], [1.3], [-30.0]], np.float32)
    thresholds = head.thresholds.numpy()
    np.testing.assert_allclose(special.expit(thresholds), np.cumsum([10, 5, 1]) / 44, rtol=1e-5)
    below = special.expit(thresholds - features.astype(np.float64))
    below = np.concatenate([np.zeros((3, 1)), below, np.ones((3, 1))], axis=1)
    found = np.exp(head(features)).astype(np.float64)
    np.testing.assert_allclose(found[:2], np.diff(below)[:2], rtol=1e-5)
    np.testing.assert_allclose(found.sum(axis=-1), 1.0, rtol=1e-6)
    assert np.isfinite(head(features)).all()


@pytest.mark.parametrize("name", ["LogNormal", "StudentT"])
def test_units_of_targets_move_log_p_by_their_factor_alone(name):
    y = np.exp(np.random.default_rng(0).normal(size=50))
    features = tf.constant([[0.3]])
    found = []
    for factor in (1.0, 1000.0):
        head = getattr(tv.likelihoods, name)()
        head.build()
        head.adapt(split_of(factor * y))
        value = tf.constant([2.0 * factor])
        found.append(head.distribution(head(features)).log_prob(value).numpy() + np.log(factor))
    np.testing.assert_allclose(*found, rtol=1e-4)


def test_moments_of_counts_say_where_the_concentration_starts():
    rng = np.random.default_rng(1)
    head = tv.heads.NegativeBinomial()
    head.build()
    head.adapt(split_of(rng.negative_binomial(3.0, 3 / 8, 20_000)))
    mean, concentration = np.exp(head(tf.zeros([1, 1])))[0]
    assert (mean, concentration) == (pytest.approx(5.0, rel=0.05), pytest.approx(3.0, rel=0.1))
    head.raw_concentration.assign(1e9)
    assert np.exp(head(tf.zeros([1, 1])))[0, 1] == pytest.approx(
        concentration * np.exp(10), rel=0.01
    )


def test_targets_that_have_no_probability_are_refused():
    with pytest.raises(ValueError, match=r"not positive.*Received 0 at index 1"):
        tv.heads.LogNormal().check(split_of([1.0, 0.0]))
    with pytest.raises(ValueError, match=r"not counts.*Received 1.5 at index 0"):
        tv.heads.NegativeBinomial().check(split_of([1.5, 0.0]))
    with pytest.raises(ValueError, match=r"df.*> 2.*Received 2"):
        tv.heads.StudentT(df=2)
