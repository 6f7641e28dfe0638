"""Metrics of predictive distributions, their distance, and pruning by signal to noise."""

import keras
import numpy as np
import pytest
import tensorflow as tf
import tensorflow_probability as tfp
from scipy import stats

import tfp_vae as tv
from tfp_vae import evaluation
from tfp_vae.data import Kind, Split
from tfp_vae.evaluation.divergence import total_variation
from tfp_vae.evaluation.predictive import probability_transform
from tfp_vae.models import Predictive

tfd = tfp.distributions


def _normal(loc, scale):
    """Returns the predictive [B] of components [B, S]."""
    return Predictive.of(tfd.Normal(tf.constant(loc, tf.float32), tf.constant(scale, tf.float32)))


def _classes(probs):
    return Predictive.of(tfd.Categorical(logits=tf.math.log(tf.constant(probs, tf.float32))))


# Total variation.


@pytest.mark.all_only
def test_total_variation_of_two_normals_is_the_closed_form():
    distances = np.array([0.0, 0.1, 1.0, 3.0, 20.0])
    for scale in (0.01, 1.0, 100.0):
        first = _normal(np.full((5, 1), 7 * scale), scale)
        second = _normal((7 + distances[:, np.newaxis]) * scale, scale)
        expected = 2 * stats.norm.cdf(distances / 2) - 1
        for one, other in ((first, second), (second, first)):
            np.testing.assert_allclose(total_variation(one, other), expected, atol=1e-4)
    # Scales 1 and s cross at +-x with x^2 = 2 log(s) / (1 - s^-2).
    crossing = np.sqrt(2 * np.log(3) / (1 - 1 / 9))
    expected = 2 * (stats.norm.cdf(crossing) - stats.norm.cdf(crossing / 3))
    found = total_variation(_normal([[0.0]], 1.0), _normal([[0.0]], 3.0))
    np.testing.assert_allclose(found, expected, atol=1e-4)


def test_total_variation_of_a_narrow_normal_and_a_very_wide_one_is_just_below_one():
    found = total_variation(_normal([[0.0]], 0.01), _normal([[0.3]], 30.0))
    assert 0.99 < float(found[0]) < 1  # a hundredth of the steps over the wide one


def test_total_variation_looks_at_the_mixture_and_not_at_its_parts():
    first, second = _normal([[-1.0, 1.0]], 0.5), _normal([[1.0, -1.0, 1.0, -1.0]], 0.5)
    np.testing.assert_allclose(total_variation(first, second), 0, atol=1e-5)
    apart = total_variation(first, _normal([[-1.0, -1.0]], 0.5))
    np.testing.assert_allclose(apart, 0.5 * (2 * stats.norm.cdf(2) - 1), atol=1e-4)


def test_total_variation_of_classes_is_half_the_sum_of_differences():
    first = _classes([[[0.5, 0.3, 0.2], [0.1, 0.7, 0.2]], [[1.0, 0.0, 0.0]] * 2])
    second = _classes([[[0.2, 0.2, 0.6]], [[0.0, 0.5, 0.5]]])
    # The means are (0.3, 0.5, 0.2) and (0.2, 0.2, 0.6): 0.1, 0.3 and 0.4 apart.
    np.testing.assert_allclose(total_variation(first, second), [0.4, 1.0], atol=1e-6)
    np.testing.assert_allclose(total_variation(first, first), 0, atol=1e-7)
    with pytest.raises(ValueError, match=r"different things.*Expected two.*Received one of each"):
        total_variation(first, _normal([[0.0]], 1.0))


# Metrics.


def test_probability_transform_is_the_distribution_function_of_the_mixture():
    predictive = _normal([[0.0, 2.0], [1.0, 1.0]], 1.0)
    found = probability_transform(predictive, np.array([1.0, 3.0], np.float32))
    np.testing.assert_allclose(found, [0.5, stats.norm.cdf(2)], rtol=1e-5)


def test_probability_transform_of_counts_is_the_middle_of_the_step(base_seed):
    rates = np.array([[0.5, 4.0], [2.0, 2.0], [9.0, 1.0], [0.1, 0.1], [30.0, 20.0]])
    counts = tfd.Poisson(log_rate=tf.constant(np.log(rates), tf.float32))
    predictive = Predictive.of(counts, tv.heads.Poisson())
    y = np.array([0, 2, 15, 0, 4])
    found = probability_transform(predictive, y.astype(np.float32))
    each = stats.poisson.cdf(y[:, None], rates) - 0.5 * stats.poisson.pmf(y[:, None], rates)
    np.testing.assert_allclose(found, each.mean(1), rtol=1e-4, atol=1e-6)
    assert np.all((found > 0) & (found < 1))


CLASSIFICATION = {"test_accuracy", "test_nll", "test_brier", "test_ece"}
REGRESSION = {"test_rmse", "test_log_likelihood", "test_coverage_90", "test_calibration_error"}
BOTH = {f"test_{n}_uncertainty" for n in ("total", "aleatoric", "epistemic")}


@pytest.mark.parametrize("kind", ["categorical", "normal", "poisson"])
def test_metrics_of_a_predictive_are_finite_numbers_under_their_names(kind, base_seed):
    x, y = _table(base_seed)
    if kind == "categorical":
        split, likelihood = Split(x, Kind.REAL, (y > 0).astype(int)), tv.likelihoods.Categorical(2)
    else:
        split = Split(x, Kind.REAL, targets=np.round(np.abs(y)) if kind == "poisson" else y)
        likelihood = getattr(tv.likelihoods, kind.title())()
    model = _network(likelihood)
    found = evaluation.predictive_metrics(model, split, 20)
    assert found["num_predictive_samples"] == 20
    assert BOTH | (CLASSIFICATION if kind == "categorical" else REGRESSION) <= set(found)
    assert np.all(np.isfinite(list(found.values())))
    parts = [found[f"test_{n}_uncertainty"] for n in ("aleatoric", "epistemic", "total")]
    assert parts[0] + parts[1] == pytest.approx(parts[2], rel=1e-4)
    predictive = model.predictive(split, 20)
    log_prob = float(np.mean(predictive.log_prob(split.y)))
    name, sign = ("nll", -1) if kind == "categorical" else ("log_likelihood", 1)
    assert found[f"test_{name}"] == pytest.approx(sign * log_prob, rel=1e-4)
    again = evaluation.distribution_metrics(predictive, split.y, "x_")
    assert again == {name.replace("test_", "x_"): value for name, value in found.items()}


def test_temperature_sharpens_a_timid_predictive_and_is_empty_for_regression(base_seed):
    rng = np.random.default_rng(base_seed)
    labels = rng.integers(0, 3, 400)
    shown = np.where(rng.random(400) < 0.9, labels, (labels + 1) % 3)  # right in nine of ten
    timid = _classes(0.2 + 0.4 * np.eye(3)[shown][:, np.newaxis])  # and says three of five
    found = evaluation.temperature_metrics(timid, labels, timid, labels, "x_")
    assert set(found) == {"temperature", "x_nll_scaled", "x_ece_scaled"}
    # Logits log 3 apart have to be log 18 apart, up to the share that was drawn.
    right = np.mean(shown == labels)
    expected = np.log(3) / np.log(2 * right / (1 - right))
    assert found["temperature"] == pytest.approx(expected, rel=1e-2)
    before = evaluation.distribution_metrics(timid, labels, "x_")
    assert found["x_nll_scaled"] < before["x_nll"] - 0.05
    assert found["x_ece_scaled"] < 0.01 < before["x_ece"]
    normal = _normal([[0.0]], 1.0)
    assert evaluation.temperature_metrics(normal, [0.0], normal, [0.0]) == {}


# Signal to noise.


def _table(seed, count=30):
    rng = np.random.default_rng([seed, 81])
    x = rng.normal(size=(count, 4)).astype(np.float32)
    return x, (x[:, 0] - x[:, 1] + 0.1 * rng.normal(size=count)).astype(np.float32)


def _network(likelihood=None, seed=0):
    """Returns a Bayesian network with random posteriors."""
    likelihood = likelihood or tv.likelihoods.Normal()
    dense = tv.layers.DenseReparameterization
    layers = [dense(6, "tanh", bayesian_bias=True), dense(likelihood.num_features)]
    model = tv.BayesianNetwork(keras.Sequential(layers), likelihood)
    model.build((None, 4))
    rng = np.random.default_rng([seed, 82])
    for layer in layers:
        layer.loc.assign(rng.normal(size=layer.loc.shape))
        layer.raw_scale.assign(rng.normal(-0.2, 0.1, layer.raw_scale.shape))
    return model


def _flat(model, name):
    parts = [getattr(layer.posterior, name)() for layer in model.bayesian_layers()]
    return np.concatenate([np.ravel(part) for part in parts])


def test_signal_to_noise_is_the_mean_over_the_scale_of_every_weight(base_seed):
    model = _network(seed=base_seed)
    found = evaluation.signal_to_noise(model)
    assert list(found) == [layer.name for layer in model.network.layers]
    assert [len(ratios) for ratios in found.values()] == [30, 6]  # a point bias has none
    expected = np.abs(_flat(model, "mean")) / _flat(model, "stddev")
    np.testing.assert_allclose(np.concatenate(list(found.values())), expected, rtol=1e-5)
    metrics = evaluation.weight_metrics(model)
    assert metrics["kl"] == pytest.approx(float(model.kl_divergence()))
    for layer in model.network.layers:
        found_median = metrics["signal_to_noise"][layer.name]["0.5"]
        assert found_median == pytest.approx(np.median(found[layer.name]), rel=1e-5)
        scales = metrics["posterior_scale"][layer.name]
        assert scales["0.5"] == pytest.approx(np.median(layer.posterior.stddev()), rel=1e-5)
    joint = tv.layers.DenseReparameterization(1, covariance="full")
    for layer in (keras.layers.Dense(1), joint):
        without = tv.BayesianNetwork(keras.Sequential([layer]), tv.likelihoods.Normal())
        without.build((None, 4))
        with pytest.raises(ValueError, match=r"no signal-to-noise.*mean-field.*has none"):
            evaluation.signal_to_noise(without)


@pytest.mark.parametrize("share", [0.25, 0.5, 0.9])
def test_pruning_sets_the_share_with_the_lowest_ratio_to_zero_for_certain(share, base_seed):
    model = _network(seed=base_seed)
    before = [w.numpy() for w in model.weights]
    ratio = np.abs(_flat(model, "mean")) / _flat(model, "stddev")
    pruned = evaluation.prune(model, share)
    for weight, value in zip(model.weights, before, strict=True):
        np.testing.assert_array_equal(weight, value)
    removed = _flat(pruned, "mean") == 0
    assert abs(removed.sum() - share * len(ratio)) <= 1
    assert ratio[removed].max() < ratio[~removed].min()
    assert np.all(_flat(pruned, "stddev")[removed] < 1e-5)
    for name in ("mean", "stddev"):
        np.testing.assert_array_equal(_flat(pruned, name)[~removed], _flat(model, name)[~removed])


def test_pruning_nothing_predicts_the_same(base_seed):
    model, (x, _) = _network(seed=base_seed), _table(base_seed)
    found = evaluation.prune(model, 0.0).predictive(x, 5).mean()
    np.testing.assert_array_equal(found, model.predictive(x, 5).mean())
    for share in (-0.1, 1.0):
        with pytest.raises(ValueError, match=rf"Impossible share.*< 1.*Received {share}"):
            evaluation.prune(model, share)


@pytest.mark.parametrize("kind", ["regression", "classification"])
def test_the_pruning_curve_has_the_scores_of_every_pruned_network(kind, base_seed):
    x, y = _table(base_seed)
    if kind == "regression":
        model, split = _network(seed=base_seed), Split(x, Kind.REAL, targets=y)
    else:
        model = _network(tv.likelihoods.Categorical(2), base_seed)
        split = Split(x, Kind.REAL, (y > 0).astype(int))
    found = evaluation.pruning_curve(model, split, (0.0, 0.8), num_samples=5)
    score = "rmse" if kind == "regression" else "accuracy"
    assert set(found) == {"share", score, "log_likelihood"}
    assert found["share"] == [0.0, 0.8]
    for i, share in enumerate(found["share"]):
        expected = evaluation.predictive_metrics(evaluation.prune(model, share), split, 5, "")
        assert found[score][i] == pytest.approx(expected[score], rel=1e-5)
        nll = "log_likelihood" if kind == "regression" else "nll"
        sign = 1 if kind == "regression" else -1
        assert found["log_likelihood"][i] == pytest.approx(sign * expected[nll], rel=1e-4)
