"""A VAE with two latents and 4x4 binary images: log p(x) by Gauss-Hermite quadrature."""

import itertools
import math

import keras
import numpy as np
import pytest

import tfp_vae as tv
from tfp_vae.evaluation.bounds import standard_error

NODES = 96


def log_likelihood(vae, x: np.ndarray) -> np.ndarray:
    """Returns log p(x), float64 [N], by a product rule for N(0, I) in the plane."""
    nodes, weights = np.polynomial.hermite_e.hermegauss(NODES)
    z = np.array(list(itertools.product(nodes, nodes)), np.float32)
    log_weight = np.log(np.outer(weights, weights).ravel() / (2 * math.pi))
    logits = vae.decoder(z).distribution.logits.numpy().reshape(len(z), -1).astype(np.float64)
    constant = log_weight - np.logaddexp(0, logits).sum(1)
    total = []
    for part in np.array_split(x.reshape(len(x), -1).astype(np.float64), max(1, len(x) // 2048)):
        joint = part @ logits.T + constant
        top = joint.max(1, keepdims=True)
        total.append((top + np.log(np.exp(joint - top).sum(1, keepdims=True)))[:, 0])
    return np.concatenate(total)


@pytest.fixture(scope="module")
def trained():
    """A trained model and the images that it was trained on."""
    keras.utils.set_random_seed(1)
    rng = np.random.default_rng(1)
    shape = (4, 4, 1)
    slant = rng.normal(size=(2000, 1, 1, 1)) * np.linspace(-1, 1, 4)[:, None, None]
    shift = rng.normal(size=(2000, 1, 1, 1)) * np.linspace(-1, 1, 4)[None, :, None]
    x = (rng.random((2000, *shape)) < 1 / (1 + np.exp(-(slant + shift)))).astype(np.float32)
    vae = tv.VAE(
        prior=tv.priors.StandardNormal(2),
        encoder=tv.encoders.FullGaussian(tv.networks.mlp([32], "tanh"), 2),
        decoder=tv.decoders.Bernoulli(tv.networks.mlp([32], "tanh"), shape),
    )
    vae.compile(optimizer=keras.optimizers.Adam(3e-3), jit_compile=True)
    vae.fit(x, batch_size=100, epochs=30, verbose=0)
    return vae, x


@pytest.mark.all_only
def test_quadrature_agrees_with_a_finer_rule(trained, monkeypatch):
    vae, x = trained
    coarse = log_likelihood(vae, x[:50])
    monkeypatch.setitem(globals(), "NODES", 128)
    np.testing.assert_allclose(log_likelihood(vae, x[:50]), coarse, atol=1e-4)


@pytest.mark.all_only
def test_five_thousand_samples_are_within_a_hundredth_of_a_nat_of_quadrature(trained):
    vae, x = trained
    exact = log_likelihood(vae, x[:300])
    estimate = vae.log_evidence(x[:300], 5000)
    assert abs(np.mean(estimate - exact)) < 0.01


def test_bounds_rise_with_the_number_of_samples_up_to_log_likelihood(trained):
    vae, x = trained
    x = x[:500]
    exact = log_likelihood(vae, x)
    rising = [vae.elbo(x, 100)] + [vae.log_evidence(x, s) for s in (1, 10, 100)] + [exact]
    for lower, upper in itertools.pairwise(rising[1:]):
        assert np.mean(upper - lower) > -3 * standard_error(upper - lower)
    # One sample of L and the ELBO estimate the same bound.
    difference = rising[1] - rising[0]
    assert abs(np.mean(difference)) < 4 * standard_error(difference)


def test_gap_of_the_bound_shrinks_like_the_variance_of_the_weights_over_two_samples(trained):
    vae, x = trained
    x = x[:200]
    exact = log_likelihood(vae, x)
    gaps = {
        s: [np.mean(exact - vae.log_evidence(x, s, seed=i)) for i in range(40)] for s in (64, 256)
    }
    scaled = {s: (s * np.mean(g), s * np.std(g) / math.sqrt(len(g))) for s, g in gaps.items()}
    (few, few_error), (many, many_error) = scaled[64], scaled[256]
    assert few > 3 * few_error
    assert abs(few - many) < 4 * math.hypot(few_error, many_error) + 0.1 * few


def test_effective_sample_size_is_that_of_the_exact_weights(trained):
    vae, x = trained
    bounds = vae.bounds(x[:100], 5000)
    # var(w) / E(w)^2 = S / ESS - 1; the two halves of independent samples agree on it.
    again = vae.bounds(x[:100], 5000, seed=9)
    np.testing.assert_allclose(
        bounds.effective_sample_size.mean(), again.effective_sample_size.mean(), rtol=0.02
    )
    assert np.all(bounds.effective_sample_size <= 5000 * 1.001)
    assert np.all(bounds.effective_sample_size >= 1)


def _every(pixels):
    bits = np.arange(2**pixels)[:, None] >> np.arange(pixels) & 1
    return bits.reshape(-1, 4, pixels // 4, 1).astype(np.float32)


@pytest.mark.all_only
def test_probabilities_of_all_small_images_sum_to_one(make_vae):
    vae = make_vae(shape=(4, 3, 1), hidden=(8,))
    # A proposal wider than the prior: the weights are bounded, and their error is known.
    kernel, bias = vae.encoder.projection.get_weights()
    wide = np.array([0.0, 0.0, *[np.log(np.expm1(1.3))] * 2], np.float32)
    vae.encoder.projection.set_weights([0 * kernel, 0 * bias + wide])
    kernel, bias = vae.decoder.projection.get_weights()
    vae.decoder.projection.set_weights([3 * kernel, bias + 0.5])  # so that images depend on z
    bounds = vae.bounds(_every(12), 1500, batch_size=2048)
    probability = np.exp(bounds.log_evidence.astype(np.float64))
    error = np.sqrt(np.sum(probability**2 / bounds.effective_sample_size))
    assert error < 5e-3
    assert abs(probability.sum() - 1) < 4 * error
    exact = np.exp(log_likelihood(vae, _every(12)))
    assert exact.sum() == pytest.approx(1, abs=1e-6)


@pytest.mark.all_only
@pytest.mark.dear(reason="bounds of all 65,536 images")
def test_probabilities_of_all_images_sum_to_one(trained):
    vae, _ = trained
    every = _every(16)
    bounds = vae.bounds(every, 650, batch_size=2048)
    probability = np.exp(bounds.log_evidence.astype(np.float64))
    error = np.sqrt(np.sum(probability**2 / bounds.effective_sample_size))
    assert abs(probability.sum() - 1) < 1e-3
    assert error < 1e-3 / 3  # the estimator itself is good enough for the line above to mean it
    exact = np.exp(log_likelihood(vae, every))
    assert exact.sum() == pytest.approx(1, abs=1e-6)
