"""Predictive distributions: mixtures over functions drawn from the posterior."""

import keras
import numpy as np
import pytest
import tensorflow as tf
import tensorflow_probability as tfp
from scipy import special, stats

import tfp_vae as tv
from tfp_vae.data import Kind, Split
from tfp_vae.models.predictive import Predictive

tfd = tfp.distributions

LIKELIHOODS = {
    "categorical": lambda: tv.likelihoods.Categorical(3),
    "shared": tv.likelihoods.Normal,
    "per_example": lambda: tv.likelihoods.Normal("per_example"),
    "fixed": lambda: tv.likelihoods.Normal(0.7),
    "poisson": tv.likelihoods.Poisson,
}
X = np.random.default_rng(0).normal(size=(25, 3)).astype(np.float32)


def _network(kind, layer="DenseFlipout", **options):
    likelihood = LIKELIHOODS[kind]()
    dense = getattr(tv.layers, layer)
    layers = [
        dense(5, activation="relu", initial_scale=1.0),
        tv.layers.MonteCarloDropout(0.3),
        dense(likelihood.num_features, initial_scale=1.0, bayesian_bias=True),
    ]
    bnn = tv.BayesianNetwork(keras.Sequential(layers), likelihood, **options)
    bnn.build((None, 3))
    if isinstance(likelihood, tv.likelihoods.Normal):
        likelihood.target_mean.assign(4.0)
        likelihood.target_scale.assign(2.0)
    return bnn


def _parameters(predictive):
    """Returns what the components are made of, float64 [B, S, ...]."""
    parts = predictive.components_distribution
    if predictive.is_categorical:
        return np.float64(parts.logits_parameter().numpy())
    if isinstance(parts, tfd.Normal):
        return np.stack([np.float64(parts.loc.numpy()), np.float64(parts.scale.numpy())])
    return np.float64(parts.log_rate.numpy())


def test_probabilities_are_averaged_and_not_logits(base_seed):
    predictive = _network("categorical", seed=base_seed).predictive(X, 200)
    logits = _parameters(predictive)
    assert logits.shape == (25, 200, 3)
    each = special.softmax(logits, axis=-1)
    probs = each.mean(axis=1)
    np.testing.assert_allclose(predictive.probs, probs, rtol=1e-5, atol=1e-7)
    np.testing.assert_allclose(predictive.log_probs, np.log(probs), rtol=1e-4, atol=1e-6)
    assert np.max(np.abs(probs - special.softmax(logits.mean(axis=1), axis=-1))) > 0.01
    for label in range(3):
        found = predictive.log_prob(np.full(25, label))
        np.testing.assert_allclose(found, np.log(probs[:, label]), rtol=1e-4, atol=1e-5)


def test_entropy_is_aleatoric_and_mutual_information(base_seed):
    predictive = _network("categorical", seed=base_seed).predictive(X, 200)
    each = special.softmax(_parameters(predictive), axis=-1)
    total, aleatoric = stats.entropy(each.mean(1), axis=-1), stats.entropy(each, axis=-1).mean(1)
    np.testing.assert_allclose(predictive.total, total, rtol=1e-4)
    np.testing.assert_allclose(predictive.aleatoric, aleatoric, rtol=1e-4)
    np.testing.assert_allclose(predictive.epistemic, total - aleatoric, rtol=1e-3, atol=1e-5)
    assert np.all(predictive.epistemic > 0)
    assert np.all(predictive.total <= np.log(3) + 1e-5)


@pytest.mark.parametrize("kind", ["shared", "per_example", "fixed", "poisson"])
def test_variance_is_the_mean_variance_and_the_variance_of_the_mean(kind, base_seed):
    predictive = _network(kind, seed=base_seed).predictive(X, 300)
    if kind == "poisson":
        mean = variance = np.exp(_parameters(predictive))
    else:
        mean, scale = _parameters(predictive)
        variance = scale**2
        if kind == "fixed":
            np.testing.assert_allclose(scale, 0.7, rtol=1e-6)
        assert (np.ptp(scale) > 0.1) == (kind == "per_example")
    np.testing.assert_allclose(predictive.mean(), mean.mean(1), rtol=1e-4)
    np.testing.assert_allclose(predictive.aleatoric, variance.mean(1), rtol=1e-4)
    np.testing.assert_allclose(predictive.epistemic, mean.var(1), rtol=1e-3)
    np.testing.assert_allclose(predictive.total, variance.mean(1) + mean.var(1), rtol=1e-3)
    np.testing.assert_allclose(predictive.variance(), predictive.total, rtol=1e-3)


@pytest.mark.parametrize("kind", ["shared", "per_example", "poisson"])
def test_log_prob_is_that_of_the_mixture(kind, base_seed):
    predictive = _network(kind, seed=base_seed).predictive(X, 50)
    if kind == "poisson":
        y = np.random.default_rng(base_seed).poisson(2.0, 25)
        each = stats.poisson.logpmf(y[:, None], np.exp(_parameters(predictive)))
    else:
        y = np.random.default_rng(base_seed).normal(4, 3, 25)
        each = stats.norm.logpdf(y[:, None], *_parameters(predictive))
    expected = special.logsumexp(each, axis=1) - np.log(50)
    found = predictive.log_prob(y.astype(np.float32))
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize(
    "layer", ["DenseReparameterization", "DenseLocalReparameterization", "DenseFlipout"]
)
def test_every_draw_is_one_function(layer, base_seed):
    bnn = _network("shared", layer, seed=base_seed)
    twice = np.concatenate([X, X[::-1]])
    mean, _ = _parameters(bnn.predictive(twice, 20, batch_size=7))
    assert mean.shape == (50, 20)
    np.testing.assert_allclose(mean[:25], mean[:24:-1], rtol=1e-5, atol=1e-6)
    assert np.all(np.std(mean, axis=1) > 0)  # and the draws are different ones


def test_same_seed_gives_the_same_answer_in_batches_of_any_size(base_seed):
    bnn, seen = _network("per_example", seed=base_seed), []
    whole = _parameters(bnn.predictive(X, 10))
    for batch_size in (1, 7, 25, 100):
        parts = _parameters(bnn.predictive(X, 10, batch_size=batch_size))
        np.testing.assert_allclose(parts, whole, rtol=1e-5, atol=1e-6)
    np.testing.assert_array_equal(_parameters(bnn.predictive(X, 10)), whole)
    np.testing.assert_array_equal(_parameters(bnn.predictive(X, 10, seed=base_seed)), whole)
    split = Split(X, Kind.REAL, targets=X[:, 0])
    np.testing.assert_array_equal(_parameters(bnn.predictive(split, 10)), whole)
    assert np.all(_parameters(bnn.predictive(X, 10, seed=base_seed + 1))[0] != whole[0])
    bnn.predictive(X, 2, batch_size=10, progress=lambda *counts: seen.append(counts))
    assert seen == [(10, 25), (20, 25), (25, 25)]


def test_first_draws_are_the_same_whatever_their_number(base_seed):
    bnn = _network("shared", seed=base_seed)
    many = _parameters(bnn.predictive(X, 12))
    np.testing.assert_allclose(_parameters(bnn.predictive(X, 5)), many[..., :5], rtol=1e-6)


@pytest.mark.parametrize("kind", ["categorical", "shared", "poisson"])
def test_one_draw_has_no_epistemic_uncertainty(kind, base_seed):
    predictive = _network(kind, seed=base_seed).predictive(X, 1)
    np.testing.assert_allclose(predictive.epistemic, 0, atol=1e-6)
    np.testing.assert_allclose(predictive.total, predictive.aleatoric, rtol=1e-4)
    y = np.zeros(25, np.float32)
    each = predictive.components_distribution.log_prob(y[:, None])[:, 0]
    np.testing.assert_allclose(predictive.log_prob(y), each, rtol=1e-5, atol=1e-6)


def test_a_network_of_points_is_one_function_however_many_draws_are_asked():
    layers = [keras.layers.Dense(3), keras.layers.Dropout(0.5)]
    bnn = tv.BayesianNetwork(keras.Sequential(layers), tv.likelihoods.Categorical(3))
    predictive = bnn.predictive(X, 30)
    assert not bnn.is_random
    assert predictive.components_distribution.batch_shape == (25, 1)
    expected = special.softmax(np.float64(layers[0](X).numpy()), axis=-1)
    np.testing.assert_allclose(predictive.probs, expected, rtol=1e-5)


def test_draws_have_the_spread_of_the_posterior(base_seed):
    bnn = tv.BayesianNetwork(
        keras.Sequential([tv.layers.DenseLocalReparameterization(1, bayesian_bias=True)]),
        tv.likelihoods.Normal(1.0),
        seed=base_seed,
    )
    predictive = bnn.predictive(X, 4000)
    layer = bnn.network.layers[0]
    inputs = np.concatenate([X, np.ones((25, 1))], axis=1)
    mean = (inputs @ layer.posterior.mean().numpy())[:, 0]
    variance = (inputs**2 @ layer.posterior.variance().numpy())[:, 0]
    assert np.all(np.abs(predictive.mean() - mean) < 5 * np.sqrt(variance / 4000))
    assert np.all(np.abs(predictive.epistemic / variance - 1) < 5 * np.sqrt(2 / 4000))
    np.testing.assert_allclose(bnn.mean_parameters(X)[:, 0], mean, rtol=1e-4, atol=1e-5)


def test_a_predictive_distribution_is_one_of_tfp(base_seed):
    components = tfd.Normal(tf.constant([[0.0, 4.0], [1.0, 1.0]]), 1.0)
    predictive = Predictive.of(components)
    assert isinstance(predictive, tfd.MixtureSameFamily)
    assert (predictive.batch_shape, predictive.event_shape) == ((2,), ())
    draws = predictive.sample(20_000, seed=[base_seed, 0]).numpy()
    error = np.sqrt(predictive.variance() / 20_000)
    assert np.all(np.abs(draws.mean(0) - [2.0, 1.0]) < 5 * error)
    np.testing.assert_allclose(predictive.variance(), [5.0, 1.0], rtol=1e-6)
    np.testing.assert_allclose(predictive.copy().mean(), predictive.mean())
    np.testing.assert_allclose(predictive[1:].mean(), [1.0])
