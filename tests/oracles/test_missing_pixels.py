"""log p of what is observed, and the mean of what is not, where both have a closed form."""

import itertools
import math

import numpy as np
import ppca
import pytest
from scipy import stats

import tfp_vae as tv
from tfp_vae.data import observed_pixels
from tfp_vae.evaluation import marginal

S = 2000


@pytest.fixture(scope="module")
def linear():
    """Returns the linear VAE of the digits, mean and covariance of its p(x), and test examples."""
    data = tv.data.load("digits", kind="unit_interval")
    train, test = (split.values().reshape(len(split), -1) for split in (data.train, data.test))
    pca = ppca.fit(train, 5)
    vae = ppca.vae_at_the_optimum(pca)
    loadings = vae.decoder.projection.get_weights()[0].T.astype(np.float64)
    return vae, loadings, pca.mean_, pca.noise_variance_, test[:40]


def conditional(loadings, mean, noise, x, seen):
    """Returns log p(x_obs), E[x|x_obs] and the standard deviations of E[x|z] given x_obs."""
    covariance = loadings @ loadings.T + noise * np.eye(len(mean))
    here = np.flatnonzero(seen)
    inner = covariance[np.ix_(here, here)]
    log_prob = stats.multivariate_normal(mean[here], inner).logpdf(x[here]) if here.size else 0.0
    # E[z|x_obs] and Cov[z|x_obs] of z ~ N(0, I).
    gain = loadings[here].T @ np.linalg.inv(inner)
    z_mean = gain @ (x[here] - mean[here])
    z_covariance = np.eye(loadings.shape[1]) - gain @ loadings[here]
    spread = np.sqrt(np.einsum("ij,jk,ik->i", loadings, z_covariance, loadings))
    return log_prob, mean + loadings @ z_mean, spread


def log_error(size, num_samples=S):
    """Returns the standard error of log p(x_obs), by the delta method."""
    return np.sqrt(np.maximum(1 / size - 1 / num_samples, 0))


def assert_within(off, size):
    """Asserts that differences [N] are within their errors, bias included.

    The delta method and the effective sample size itself hold where that size is not small.
    """
    trusted = size > 50
    assert trusted.mean() > 0.7
    assert np.all((np.abs(off) < 5 * log_error(size) + 1 / size + 1e-3)[trusted])
    assert np.all(np.abs(off) < 3)


def spoil(vae):
    kernel, bias = vae.encoder.projection.get_weights()
    vae.encoder.projection.set_weights([0.93 * kernel, bias])


@pytest.mark.parametrize("encoder", ["exact", "spoiled"])
@pytest.mark.parametrize(("pattern", "missing"), [("random", 0.5), ("random", 0.9), ("block", 0.5)])
def test_the_marginal_is_that_of_the_normal_and_the_mean_its_conditional(
    linear, base_seed, encoder, pattern, missing
):
    vae, *parameters, x = linear
    before = vae.encoder.projection.get_weights()
    if encoder == "spoiled":
        spoil(vae)
    shape = (8, 8, 1) if pattern == "block" else (64,)
    seen = observed_pixels(len(x), shape, pattern, missing, base_seed).reshape(len(x), 64)
    found = marginal(vae, np.where(seen, x, np.nan), seen, S, seed=base_seed)
    vae.encoder.projection.set_weights(before)
    exact, means, spreads = map(
        np.array,
        zip(*(conditional(*parameters, *pair) for pair in zip(x, seen, strict=True)), strict=True),
    )
    size = found.effective_sample_size
    assert np.median(size) > 100
    error = log_error(size)
    off = found.log_evidence - exact
    assert_within(off, size)
    assert abs(np.mean(off)) < 4 * np.sqrt(np.mean(error**2) / len(x)) + np.mean(1 / size) + 1e-4
    np.testing.assert_array_equal(found.imputed[seen], x[seen])
    away, error = (found.imputed - means)[~seen], (spreads / np.sqrt(size)[:, np.newaxis])[~seen]
    # In units of the standard error; the pixels of an example have few errors between them, and
    # those that are black in every digit have none.
    assert np.all(np.abs(away) < 7 * error + 1e-5)
    varied = error > 1e-5
    assert np.mean((away[varied] / error[varied]) ** 2) < 3


@pytest.mark.all_only
def test_with_nothing_missing_it_is_the_log_likelihood(linear):
    vae, *parameters, x = linear
    everything = np.ones_like(x, bool)
    exact = [conditional(*parameters, *pair)[0] for pair in zip(x, everything, strict=True)]
    found = marginal(vae, x, everything, 50)
    np.testing.assert_allclose(found.log_evidence, exact, rtol=1e-5, atol=2e-3)
    np.testing.assert_array_equal(found.imputed, x)
    np.testing.assert_allclose(found.effective_sample_size, 50, rtol=1e-3)


def test_with_everything_missing_it_is_zero_and_the_mean_is_that_of_the_model(linear, base_seed):
    vae, loadings, mean, _, x = linear
    found = marginal(vae, np.full_like(x, np.nan), np.zeros_like(x, bool), S, seed=base_seed)
    np.testing.assert_allclose(found.log_evidence, 0, atol=1e-5)
    np.testing.assert_allclose(found.effective_sample_size, S, rtol=1e-4)
    error = np.sqrt(np.sum(loadings**2, axis=1) / S)
    assert np.all(np.abs(found.imputed - mean) < 5 * error + 1e-5)


# Binary pixels with two latents: log p(x_obs) by Gauss-Hermite quadrature.


def by_quadrature(vae, x, seen):
    """Returns log p(x_obs) [N] and E[x|x_obs] [N, P], float64."""
    nodes, weights = np.polynomial.hermite_e.hermegauss(96)
    z = np.array(list(itertools.product(nodes, nodes)), np.float32)
    log_weight = np.log(np.outer(weights, weights).ravel() / (2 * math.pi))
    logits = vae.decoder(z).distribution.logits.numpy().reshape(len(z), -1).astype(np.float64)
    x, seen = (each.reshape(len(x), -1).astype(np.float64) for each in (x, seen))
    joint = (x * seen) @ logits.T - seen @ np.logaddexp(0, logits).T + log_weight
    top = joint.max(1, keepdims=True)
    posterior = np.exp(joint - top)
    total = posterior.sum(1, keepdims=True)
    return (top + np.log(total))[:, 0], posterior / total @ (1 / (1 + np.exp(-logits)))


@pytest.mark.all_only
@pytest.mark.parametrize(
    ("missing", "encoder"),
    [
        pytest.param(0.25, tv.encoders.Gaussian, marks=pytest.mark.all_only),
        (0.75, tv.encoders.FullGaussian),
        pytest.param(0.25, tv.encoders.FullGaussian, marks=pytest.mark.all_only),
        pytest.param(0.75, tv.encoders.Gaussian, marks=pytest.mark.all_only),
    ],
)
def test_binary_pixels_agree_with_quadrature_whatever_the_encoder(
    make_vae, binary_images, base_seed, encoder, missing
):
    vae, x = make_vae(encoder=encoder), binary_images(60)  # no encoder was trained
    kernel, bias = vae.decoder.projection.get_weights()
    vae.decoder.projection.set_weights([2 * kernel, bias])
    seen = observed_pixels(60, (4, 4, 1), "random", missing, base_seed)
    found = marginal(vae, x, seen, S, seed=base_seed)
    exact, means = by_quadrature(vae, x, seen)
    size = found.effective_sample_size
    assert np.median(size) > 100
    off = found.log_evidence - exact
    assert_within(off, size)
    assert abs(off.mean()) < 4 * np.sqrt(np.mean(log_error(size) ** 2) / 60) + np.mean(1 / size)
    away = (found.imputed.reshape(60, -1) - means)[~seen.reshape(60, -1)]
    # No probability varies by more than 1/2.
    limit = 5 * 0.5 / np.sqrt(np.repeat(size, (~seen).reshape(60, -1).sum(1)))
    assert np.all(np.abs(away) < limit)
