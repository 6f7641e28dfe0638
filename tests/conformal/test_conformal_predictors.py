"""Intervals of predictors: quantiles of mixtures, and what a calibration makes of them."""

from contextlib import nullcontext

import keras
import numpy as np
import pytest
import tensorflow as tf
from scipy import optimize, stats

import tfp_vae as tv
from tfp_vae.conformal import Conformal, Seen
from tfp_vae.data import Kind, Split
from tfp_vae.export.signatures.answers import answers_of, subject_of
from tfp_vae.models import Predictive
from tfp_vae.probability import tfp

tfd = tfp.distributions
LOC = np.array([[-2.0, 3.0], [0.0, 0.1], [1e4, 1e4 + 5]], np.float32)
SCALE = np.array([[0.5, 2.0], [1.0, 0.2], [3.0, 3.0]], np.float32)


@pytest.mark.all_only
def test_quantiles_of_a_mixture_are_those_by_root_finding():
    predictive = Predictive.of(tfd.Normal(LOC, SCALE))
    levels = np.float32([0.001, 0.05, 0.5, 0.9])
    found = predictive.quantile(levels[:, None])
    for p, quantile in zip(levels, found, strict=True):
        expected = [
            optimize.brentq(
                lambda y, r=r, p=p: stats.norm.cdf(y, LOC[r], SCALE[r]).mean() - p, -1e5, 1e5
            )
            for r in range(3)
        ]
        np.testing.assert_allclose(quantile, expected, rtol=2e-6, atol=2e-4)
    low, high = predictive.interval(0.9)
    np.testing.assert_allclose(predictive.cdf(high) - predictive.cdf(low), 0.9, atol=1e-3)
    assert predictive.quantile(0.5).shape == (3,)


def test_quantiles_of_counts_are_the_least_counts_that_reach_the_level():
    head = tv.likelihoods.Poisson()
    rates = np.array([[0.1, 0.1], [3.0, 40.0], [900.0, 1000.0]])
    predictive = Predictive.of(tfd.Poisson(np.float32(rates)), head)
    counts = np.arange(2000)[:, None, None]
    cdf = stats.poisson.cdf(counts, rates).mean(axis=-1)
    for p in (0.01, 0.4, 0.95):
        np.testing.assert_array_equal(predictive.quantile(p), np.argmax(cdf >= p, axis=0))


def test_own_sets_of_classes_are_the_smallest_that_have_the_probability():
    probs = np.array([[[0.5, 0.3, 0.2]], [[0.95, 0.04, 0.01]]], np.float32)
    predictive = Predictive.of(tfd.Categorical(probs=probs))
    np.testing.assert_array_equal(
        predictive.class_set(0.6), [[True, True, False], [True, False, False]]
    )
    with pytest.raises(ValueError, match=r"Classes have no intervals.*class_set"):
        predictive.interval(0.9)
    with pytest.raises(ValueError, match="Only classes"):
        Predictive.of(tfd.Normal(LOC, SCALE)).class_set(0.9)


def _network(likelihood):
    network = keras.Sequential([tv.layers.DenseFlipout(likelihood.num_features)])
    model = tv.BayesianNetwork(network, likelihood, num_predictive_samples=4)
    model.build((None, 2))
    return model


@pytest.fixture(scope="module")
def numbers():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(800, 2)).astype(np.float32)
    return x, Split(x, Kind.REAL, beside={"targets": 7 + 3 * rng.standard_t(2, 800)})


@pytest.mark.all_only
def test_intervals_of_an_untrained_network_cover_once_it_is_calibrated(numbers):
    x, split = numbers
    model = _network(tv.likelihoods.Normal())
    held_out, new = split.select(slice(400), "validation"), split.select(slice(400, None), "test")
    with pytest.warns(UserWarning, match="never fitted"):
        own = model.predictive(new, 4).interval(0.9)
    assert np.mean((own.low <= new.targets) & (new.targets <= own.high)) < 0.5
    for score in ("absolute", "scaled", "quantile"):
        with pytest.warns(UserWarning, match="never fitted"):
            tv.conformal.calibrate(model, held_out, score, num_samples=4)
            predictive = model.predictive(x[400:], 4)
        low, high = predictive.interval(0.9)
        assert abs(np.mean((low <= new.targets) & (new.targets <= high)) - 0.9) < 0.07, score
    np.testing.assert_allclose(predictive.interval(0.9, own=True).high, own.high, rtol=1e-5)


def test_a_saved_model_keeps_its_calibration_and_a_new_fit_drops_it(numbers, tmp_path):
    model = _network(tv.likelihoods.Normal())
    held_out = numbers[1].take(50)
    with pytest.warns(UserWarning, match="never fitted"):
        tv.conformal.calibrate(model, held_out, num_samples=4, level=0.8)
        expected = model.predictive(held_out, 4).interval()
    model.save(tmp_path / "model.keras")
    again = tv.load(tmp_path / "model.keras")
    assert (again.conformal.score, again.conformal.level) == ("scaled", 0.8)
    with pytest.warns(UserWarning, match="never fitted"):
        np.testing.assert_allclose(again.predictive(held_out, 4).interval().low, expected.low)
    again.compile(optimizer="adam", run_eagerly=True)
    again.fit(held_out, epochs=1, verbose=0, batch_size=50)
    assert again.conformal is None


def test_calibration_of_classes_is_by_aps_and_needs_targets(numbers):
    x, _ = numbers
    rng = np.random.default_rng(1)
    split = Split(x[:200], Kind.REAL, beside={"labels": rng.integers(0, 4, 200)})
    model = _network(tv.likelihoods.Categorical(4))
    found = tv.conformal.calibrate(model, split, num_samples=4)
    assert found.score == "aps"
    sets = model.predictive(split, 4).class_set()
    share = np.mean(sets.numpy()[np.arange(200), split.labels])
    assert 0.9 <= share <= 0.92  # on the held-out rows themselves: by the order statistic
    with pytest.raises(ValueError, match=r"need targets.*Expected a Split"):
        tv.conformal.calibrate(model, x)
    assert tf.is_tensor(sets)


@pytest.mark.parametrize("score", ["scaled", "raps"])
def test_an_export_has_the_regions_of_python(score, numbers):
    x, split = numbers
    likelihood, y = tv.likelihoods.Normal(), {"targets": split.targets[:50]}
    if score == "raps":
        likelihood = tv.likelihoods.Categorical(4)
        y = {"labels": np.random.default_rng(1).integers(0, 4, 50)}
    model = _network(likelihood)
    names = [each.name for each in tv.export.signatures_of(model, 4)]
    assert names == ["predict"]
    held_out = Split(x[:50], Kind.REAL, beside=y)
    model.conformal = Conformal.of(Seen.of(_predicted(model, x[:50])), held_out.y, score)
    signature = {each.name: each for each in tv.export.signatures_of(model, 4)}["cover"]
    found = tf.function(signature.answer, autograph=False)(x=x)
    predictive = _predicted(model, x)
    if score == "raps":
        # One of the held-out scores is the threshold itself: rounding says on which side it is.
        np.testing.assert_array_equal(found["inside"][50:], predictive.class_set()[50:])
    else:
        low, high = predictive.interval()
        np.testing.assert_allclose(found["low"], low, rtol=1e-5, atol=1e-5)
        np.testing.assert_allclose(found["high"], high, rtol=1e-5, atol=1e-5)
    groups = ["a"] * 25 + ["b"] * 25
    model.conformal = Conformal.of(
        Seen.of(_predicted(model, x[:50])), held_out.y, score, groups=groups
    )
    answers, refused = answers_of(subject_of(model, 4))
    assert [each.name for each in answers] == ["predict"] and "groups" in refused["cover"]


def _predicted(model, x):
    waits = model.task == "regression"  # for units
    with pytest.warns(UserWarning, match="never fitted") if waits else nullcontext():
        return model.predictive(x, 4)
