"""Linear-normal models of one and of two latents: bounds against the exact log p(x)."""

import math

import keras
import numpy as np
import ppca
import pytest
import tensorflow as tf
from scipy import stats

import tfp_vae as tv
from tfp_vae import objectives
from tfp_vae.data import Kind, Split
from tfp_vae.distributions.base import SCALE_FLOOR, inverse_positive


def _linear():
    return tv.networks.mlp([])


def _set(gaussian, kernel, bias, scale):
    """Makes a `Gaussian` without hidden layers N(x kernel + bias, diag(scale)^2)."""
    kernel, raw = np.asarray(kernel), [inverse_positive(float(s), SCALE_FLOOR) for s in scale]
    both = np.concatenate([kernel, np.zeros_like(kernel)], axis=1)
    gaussian.projection.set_weights([both, np.concatenate([bias, raw])])


@pytest.fixture(scope="module")
def two_levels():
    """Returns a model of z2 -> z1 -> x with its exact posterior, examples, and log p of them.

    z2 ~ N(0, 1), z1 ~ N(a z2 + c, diag(t)^2), x ~ N(W z1 + b, s^2), with orthogonal columns of W.
    """
    keras.utils.set_random_seed(0)
    rng = np.random.default_rng(0)
    a, c, t, b, s = np.array([1.2, -0.7]), np.array([0.3, 0.1]), np.array([0.5, 0.8]), 0.4, 0.6
    w = np.linalg.qr(rng.standard_normal((3, 2)))[0] * [1.5, 0.8]
    latents = [
        tv.LatentVariable("z2", tv.priors.StandardNormal(1), tv.encoders.Gaussian(_linear(), 1)),
        tv.LatentVariable(
            "z1", tv.priors.ConditionalNormal(_linear(), 2), tv.encoders.Gaussian(_linear(), 2)
        ),
    ]
    decoder = tv.decoders.Normal(_linear(), (3,), scale=s)
    model = tv.VAE(latents=latents, decoder=decoder, data_kind=Kind.REAL, seed=3)
    _set(model.prior.head, a[np.newaxis], c, t)
    model.decoder.projection.set_weights([w.T, np.full(3, b)])
    # z2 given x, with z1 integrated out; then z1 given both.
    within = w @ np.diag(t**2) @ w.T + s**2 * np.eye(3)
    slope, centre = w @ a, w @ c + b
    gain = np.linalg.solve(within, slope)
    precision = 1 + slope @ gain
    kernel = gain[:, np.newaxis] / precision
    _set(model.encoders[0], kernel, [-centre @ gain / precision], [precision**-0.5])
    below = 1 / t**2 + np.sum(w**2, axis=0) / s**2
    kernel = np.concatenate([w / s**2, (a / t**2)[np.newaxis]]) / below
    _set(model.encoder, kernel, (c / t**2 - np.sum(w, axis=0) * b / s**2) / below, below**-0.5)
    exact = stats.multivariate_normal(centre, within + np.outer(slope, slope))
    x = exact.rvs(20, random_state=1).astype(np.float32)
    return model, Split(x, Kind.REAL, name="test"), exact.logpdf(x)


def test_two_levels_with_their_exact_posterior_have_log_p_in_every_draw(two_levels):
    model, split, exact = two_levels
    bounds = model.bounds(split, 7)
    np.testing.assert_allclose(bounds.log_evidence, exact, rtol=1e-4, atol=1e-4)
    np.testing.assert_allclose(bounds.effective_sample_size, 7, rtol=1e-3)
    # KLs in closed form leave the noise of the likelihood, and of the draws of z2 above.
    first, second = (model.elbo(split, 2000, seed=seed) for seed in (1, 2))
    noise = np.std(first - second) / np.sqrt(2)
    assert np.all(np.abs((first + second) / 2 - exact) < 5 * noise)


def test_two_levels_train_and_come_back_from_a_file(two_levels, tmp_path):
    model, split, exact = two_levels
    again = type(model).from_config(model.get_config())
    again.compile(optimizer="adam", run_eagerly=True)
    history = again.fit(split, batch_size=20, epochs=1, verbose=0).history
    assert {"elbo", "kl", "kl_z2", "kl_z1", "active_units_z2", "active_units_z1"} <= set(history)
    np.testing.assert_allclose(history["kl"], np.add(history["kl_z2"], history["kl_z1"]), rtol=1e-5)
    again.save(tmp_path / "model.keras")
    loaded = tv.load(tmp_path / "model.keras")
    assert [latent.name for latent in loaded.latents] == ["z2", "z1"]
    found, kept = (objectives.elbo(_terms(each, split.values(), 3)) for each in (loaded, again))
    np.testing.assert_array_equal(found, kept)
    assert np.mean(found) < np.mean(exact)
    drawn = loaded.generate(4, seed=1)
    assert {name: z.shape for name, z in drawn["z"].items()} == {"z2": (4, 1), "z1": (4, 2)}


@pytest.fixture(scope="module")
def one_level():
    """Returns PPCA as a VAE, examples and log p(x)."""
    rng = np.random.default_rng(0)
    x = (rng.standard_normal((50, 2)) @ rng.standard_normal((2, 4))).astype(np.float32)
    x += 0.3 * rng.standard_normal(x.shape).astype(np.float32)
    pca = ppca.fit(x, 2)
    return ppca.vae_at_the_optimum(pca), x[:10], pca.score_samples(x[:10])


def _terms(model, x, count):
    return model.terms(tf.constant(x), None, model(x, num_samples=count, seed=3))


def _bound(log_w):
    """Returns L_S of log weights [S, B]."""
    log_w = tf.constant(log_w, tf.float32)
    nothing = objectives.KnownLatent("z", tf.zeros_like(log_w), tf.zeros_like(log_w))
    return np.float64(objectives.importance_weighted_bound(objectives.Terms(log_w, (nothing,))))


def test_the_importance_weighted_bound_of_an_exact_posterior_is_log_p(one_level):
    model, x, exact = one_level
    for count in (1, 5):
        found = objectives.importance_weighted_bound(_terms(model, x, count))
        np.testing.assert_allclose(found, exact, rtol=1e-4, atol=2e-3)


def test_the_importance_weighted_bound_starts_at_the_elbo_and_rises_with_its_draws(one_level):
    model, x, exact = one_level
    kernel, bias = model.encoder.projection.get_weights()
    # Too wide, and off: no longer p(z|x).
    model.encoder.projection.set_weights([0.9 * kernel, bias + np.array([0.1, 0.1, 0.3, 0.3])])
    count = 4096
    terms = _terms(model, x, count)
    model.encoder.projection.set_weights([kernel, bias])
    log_w, elbo = np.float64(terms.log_weights()), np.float64(objectives.elbo(terms))
    found = {}
    for k in (1, 4, 64, 1024):
        # Groups of k draws, beside the examples.
        groups = log_w.reshape(count // k, k, -1).swapaxes(0, 1).reshape(k, -1)
        found[k] = _bound(groups).reshape(count // k, -1)
    # The KL of the ELBO is in closed form, that of L_1 is drawn.
    error = log_w.std(axis=0) / math.sqrt(count)
    assert np.all(np.abs(found[1].mean(axis=0) - elbo) < 5 * error)
    means = np.stack([each.mean(axis=0) for each in found.values()])
    # Of the same draws the bound rises without exception (Jensen), up to log p(x).
    assert np.all(np.diff(means, axis=0) > 0)
    error = found[64].std(axis=0) / math.sqrt(count // 64)
    assert np.all(found[64].mean(axis=0) < exact + 5 * error)
    np.testing.assert_allclose(means[-1], exact, atol=0.05)
