"""The linear VAE with a normal likelihood is probabilistic PCA, whose log p(x) is known."""

import keras
import numpy as np
import ppca
import pytest
import tensorflow as tf
import tensorflow_probability as tfp

import tfp_vae as tv
from tfp_vae.evaluation.bounds import standard_error


@pytest.fixture(scope="module")
def digits():
    data = tv.data.load("digits", kind="unit_interval")
    return tuple(split.values().reshape(len(split), -1) for split in (data.train, data.test))


@pytest.mark.always(reason="the ELBO against a closed form")
def test_elbo_equals_log_likelihood_at_the_analytic_optimum(digits):
    train, test = digits
    pca = ppca.fit(train, 5)
    vae = ppca.vae_at_the_optimum(pca)
    exact = pca.score_samples(test)
    # With the exact posterior every log weight is log p(x): one sample is as good as many.
    for num_samples in (1, 7, 300):
        bounds = vae.bounds(test, num_samples)
        np.testing.assert_allclose(bounds.log_evidence, exact, rtol=1e-5, atol=2e-3)
        np.testing.assert_allclose(bounds.effective_sample_size, num_samples, rtol=1e-3)
    # The closed-form KL leaves the noise of E_q[log p(x|z)] alone, which has standard deviation
    # sqrt(sum_d (s_d^2 ...)) / sqrt(S); measured from two halves of the samples.
    first, second = (vae.elbo(test, 2000, seed=seed) for seed in (1, 2))
    noise = np.std(first - second) / np.sqrt(2)
    assert np.all(np.abs((first + second) / 2 - exact) < 5 * noise)
    assert abs(np.mean(first) - np.mean(exact)) < 4 * noise / np.sqrt(len(test))


def test_full_covariance_posterior_is_exact_for_a_rotated_optimum(digits, base_seed):
    train, test = digits
    pca = ppca.fit(train, 3)
    turned = np.linalg.qr(np.random.default_rng(base_seed).normal(size=(3, 3)))[0]
    loadings = (pca.components_.T * np.sqrt(pca.explained_variance_ - pca.noise_variance_)) @ turned
    precision = loadings.T @ loadings + pca.noise_variance_ * np.eye(3)
    to_latent = loadings @ np.linalg.inv(precision)
    factor = np.linalg.cholesky(pca.noise_variance_ * np.linalg.inv(precision))

    vae = ppca.linear_vae(
        64, 3, scale=float(np.sqrt(pca.noise_variance_)), encoder=tv.encoders.FullGaussian
    )
    raw = factor.copy()
    raw[np.diag_indices(3)] = [tv.distributions.base.inverse_positive(s) for s in np.diag(factor)]
    triangle = tfp.math.fill_triangular_inverse(raw).numpy()
    vae.encoder.projection.set_weights(
        [
            np.concatenate([to_latent, np.zeros((64, 6))], axis=1),
            np.concatenate([-pca.mean_ @ to_latent, triangle]),
        ]
    )
    vae.decoder.projection.set_weights([loadings.T, pca.mean_])
    bounds = vae.bounds(test, 10)
    np.testing.assert_allclose(bounds.log_evidence, pca.score_samples(test), rtol=1e-5, atol=2e-3)


@pytest.mark.slow
@pytest.mark.all_only  # training ends at a known optimum in test_discriminant_analysis.py, too
@pytest.mark.dear(reason="trains to the optimum, within a hundredth of a nat")
def test_trained_linear_vae_reaches_the_log_likelihood_of_ppca(digits):
    train, test = digits[0][:500], digits[1]
    pca = ppca.fit(train, 5)
    vae = ppca.linear_vae(64, 5, num_samples=8)
    steps = 4000
    rate = keras.optimizers.schedules.CosineDecay(1e-2, steps)
    vae.compile(optimizer=keras.optimizers.Adam(rate), jit_compile=True, steps_per_execution=500)
    whole = tf.data.Dataset.from_tensors(train).repeat(steps)
    vae.fit(whole, epochs=1, verbose=0)
    for examples in (train, test):
        bound = vae.elbo(examples, 1000)
        assert abs(np.mean(bound) - pca.score(examples)) < 0.01


@pytest.mark.all_only
def test_elbo_is_below_log_likelihood_away_from_the_optimum(digits):
    train, test = digits
    pca = ppca.fit(train, 5)
    vae = ppca.vae_at_the_optimum(pca)
    kernel, bias = vae.encoder.projection.get_weights()
    vae.encoder.projection.set_weights([0.5 * kernel, bias])
    gap = pca.score_samples(test) - vae.elbo(test, 200)
    assert gap.mean() > 10 * standard_error(gap)
