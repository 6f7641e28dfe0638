"""A last layer that is integrated out: against draws, and against log p(D) by quadrature."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from scipy import special, stats

import tfp_vae as tv
from tfp_vae.layers.base import raw_scale_of

COUNT, NOISE = 12, 0.4
HEADS = {
    "normal": (lambda: tv.likelihoods.Normal(), lambda rng: rng.normal(size=5)),
    "counts": (lambda: tv.likelihoods.Poisson(), lambda rng: rng.poisson(2.0, 5)),
    "classes": (lambda: tv.likelihoods.Categorical(3), lambda rng: rng.integers(0, 3, 5)),
    "noisy classes": (
        lambda: tv.likelihoods.NoisyCategorical(3, 0.2),
        lambda rng: rng.integers(0, 3, 5),
    ),
}


def _model(likelihood, inputs, count=COUNT, **options):
    options = {"bayesian_bias": True, "initial_scale": 0.6, **options}
    layer = tv.layers.DenseDeterministic(likelihood.num_features, **options)
    model = tv.BayesianNetwork(keras.Sequential([layer]), likelihood, num_data=count)
    model.build((None, inputs))
    return model, layer


@pytest.mark.parametrize("covariance", ["diagonal", "full", 2])
@pytest.mark.parametrize("name", HEADS)
def test_deterministic_expectations_are_those_of_draws_or_below_them(name, covariance, base_seed):
    make, targets = HEADS[name]
    rng = np.random.default_rng(base_seed)
    model, layer = _model(make(), 2, covariance=covariance)
    for variable in model.trainable_variables:
        variable.assign(variable.numpy() + 0.1 * rng.normal(size=variable.shape))
    x, y = tf.constant(rng.normal(size=(5, 2)), tf.float32), targets(rng)
    found = np.asarray(model(x).log_prob(tf.cast(y, model(x).dtype)))[0]
    weights = layer.posterior.sample(100_000, seed=[base_seed, 1])
    weights = tf.reshape(weights, [-1, 3, layer.units])
    features = tf.einsum("bi,sio->sbo", tf.concat([x, tf.ones([5, 1])], 1), weights)
    likelihood = model.distribution(model.likelihood(features))
    each = np.float64(likelihood.log_prob(tf.cast(y, likelihood.dtype)))
    mean, error = each.mean(axis=0), each.std(axis=0) / np.sqrt(len(each))
    assert np.all(found < mean + 5 * error)
    if "classes" not in name:
        assert np.all(np.abs(found - mean) < 5 * error)


def test_an_activation_that_no_check_of_networks_knows_is_not_integrated_out():
    model, _ = _model(tv.likelihoods.Categorical(2), 2, activation=lambda x: tf.nn.relu(x))
    with pytest.raises(ValueError, match=r"has to be linear\. Expected activation=None"):
        model(tf.zeros([3, 2]))


def test_elbo_of_the_exact_posterior_is_the_evidence_and_of_others_below_it():
    rng = np.random.default_rng(1)
    x = rng.normal(size=(COUNT, 2)) @ [[1.0, 0.8], [0.0, 0.6]]
    y = x @ [0.7, -0.4] + NOISE * rng.normal(size=COUNT)
    covariance = np.linalg.inv(np.eye(2) + x.T @ x / NOISE**2)
    mean = covariance @ x.T @ y / NOISE**2
    evidence = stats.multivariate_normal(np.zeros(COUNT), NOISE**2 * np.eye(COUNT) + x @ x.T)
    evidence = evidence.logpdf(y) / COUNT

    def elbo(layer, model):
        layer.loc.assign(mean[:, np.newaxis])
        terms = tf.reduce_mean(model(tf.constant(x, tf.float32)).log_prob(np.float32(y)))
        return float(terms - layer.kl_divergence() / COUNT)

    options = {"bayesian_bias": False, "use_bias": False}
    model, layer = _model(tv.likelihoods.Normal(NOISE), 2, covariance="full", **options)
    layer.raw_scale.assign(layer._triangular.inverse(np.float32(np.linalg.cholesky(covariance))))
    assert elbo(layer, model) == pytest.approx(evidence, abs=1e-3 / COUNT)
    model, layer = _model(tv.likelihoods.Normal(NOISE), 2, **options)
    # The best independent scales have the precisions of the diagonal.
    scales = 1 / np.sqrt(np.diag(np.linalg.inv(covariance)))
    layer.raw_scale.assign([[raw_scale_of(float(scale))] for scale in scales])
    assert elbo(layer, model) < evidence - 1e-3 / COUNT


@pytest.mark.all_only
def test_elbo_of_classes_is_below_the_evidence_by_quadrature(base_seed):
    rng = np.random.default_rng(base_seed)
    x = rng.normal(size=(COUNT, 1))
    y = (x[:, 0] + 0.5 * rng.normal(size=COUNT) > 0).astype(int)
    model, layer = _model(
        tv.likelihoods.Categorical(2), 1, bayesian_bias=False, use_bias=False, covariance="full"
    )
    grid = np.linspace(-8, 8, 401)
    a, b = np.meshgrid(grid, grid, indexing="ij")
    logits = np.stack([a, b], axis=-1)[..., np.newaxis, :] * x  # [401, 401, N, 2]
    log_p = np.take_along_axis(logits, y[:, np.newaxis] + np.zeros((401, 401, 1, 1), int), -1)
    log_p = np.sum(log_p[..., 0] - special.logsumexp(logits, axis=-1), axis=-1)
    log_p += stats.norm.logpdf(a) + stats.norm.logpdf(b)
    evidence = (special.logsumexp(log_p) + 2 * np.log(grid[1] - grid[0])) / COUNT
    features = tf.constant(x, tf.float32)
    model.compile(optimizer=keras.optimizers.Adam(0.05))
    optimizer, best = model.optimizer, -np.inf

    @tf.function(autograph=False)
    def step():
        with tf.GradientTape() as tape:
            loss = layer.kl_divergence() / COUNT - tf.reduce_mean(model(features).log_prob(y))
        optimizer.apply(tape.gradient(loss, model.trainable_variables), model.trainable_variables)
        return -loss

    for _ in range(200):
        value = float(step())
        assert value < evidence
        best = max(best, value)
    assert best > evidence - 0.3
