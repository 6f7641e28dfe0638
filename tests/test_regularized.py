"""Penalties on codes against NumPy, and where they are known or nothing."""

import math

import numpy as np
import pytest
import tensorflow as tf
from scipy.special import logsumexp
from scipy.stats import norm

import tfp_vae as tv
from tfp_vae.distributions.base import tfd
from tfp_vae.objectives import BOUNDS, ELBO, Latent, Terms, WeightTerms, batch_mean, dip, info, wae
from tfp_vae.objectives import beta_tc as tc

B, D, N = 6, 3, 50
NAMES = ("beta_tc", "dip", "info", "wae")


@pytest.fixture(scope="module")
def codes():
    rng = np.random.default_rng(3)
    loc = rng.standard_normal((B, D)).astype(np.float32)
    scale = rng.uniform(0.2, 0.9, (B, D)).astype(np.float32)
    z = loc + scale * rng.standard_normal((2, B, D)).astype(np.float32)
    return loc, scale, z


def _terms(codes, size=N):
    loc, scale, z = map(tf.constant, codes)
    q, p = (
        tfd.MultivariateNormalDiag(loc, scale),
        tfd.MultivariateNormalDiag(tf.zeros(D), tf.ones(D)),
    )
    latent = Latent("z", z, q, p)
    return Terms(-tf.reduce_sum(z**2, axis=-1), (latent,), weights=WeightTerms(num_data=size))


def _penalty(bound, terms):
    return float(bound.loss(terms, 0) - ELBO().loss(terms, 0))


def test_penalties_are_nothing_where_they_should_be(codes):
    terms = _terms(codes)
    for bound in (BOUNDS["beta_tc"](1.0), BOUNDS["dip"](2, 0.0), BOUNDS["info"](0.0, 1.0)):
        assert _penalty(bound, terms) == pytest.approx(0, abs=1e-6)
    np.testing.assert_allclose(BOUNDS["wae"]()(terms), ELBO()(terms))


def test_rows_of_stratified_weights_sum_to_one_and_the_mean_over_batches_is_q():
    weights = np.exp(tc.log_weights(B, N))
    np.testing.assert_allclose(weights.sum(axis=1), 1, rtol=1e-5)
    np.testing.assert_allclose(np.diag(weights), 1 / N, rtol=1e-5)
    np.testing.assert_allclose(np.exp(tc.log_weights(B, N, "mws")), 1 / (N * B), rtol=1e-5)
    # Of a finite mixture of N parts, by all that a batch around example 0 can be: the mean of the
    # weights of each part is 1 / N.
    size, batch, rng = 5, 3, np.random.default_rng(0)
    weights, total, count = np.exp(tc.log_weights(batch, size)), np.zeros(size), 20_000
    for _ in range(count):
        others = rng.permutation(np.arange(1, size))[: batch - 1]
        total[[0, *others]] += weights[0]
    np.testing.assert_allclose(total / count, 1 / size, atol=0.01)


def test_the_penalty_of_beta_tc_is_that_of_numpy(codes):
    loc, scale, z = codes
    for estimate in tc.ESTIMATES:
        log_w, values = tc.log_weights(B, N, estimate).numpy(), []
        for draw in z:
            log_q = norm.logpdf(draw[:, np.newaxis], loc, scale)
            joint = logsumexp(log_q.sum(-1) + log_w, axis=1)
            each = logsumexp(log_q + log_w[..., np.newaxis], axis=1)
            values.append(np.mean(joint - each.sum(-1)))
        found = _penalty(BOUNDS["beta_tc"](4.0, estimate), _terms(codes))
        assert found == pytest.approx(3 * np.mean(values), rel=1e-4)


def test_a_batch_of_all_data_gives_the_total_correlation_of_known_normals(base_seed):
    rng = np.random.default_rng([base_seed, 2])
    correlation, noise, count = 0.8, 0.5, 1500
    covariance = [[1, correlation], [correlation, 1]]
    loc = rng.multivariate_normal([0, 0], covariance, count).astype(np.float32)
    z = loc + noise * rng.standard_normal((count, 2)).astype(np.float32)
    log_q = tfd.Normal(loc, noise).log_prob(z[:, np.newaxis])
    found = float(tc.total_correlation(log_q, count))
    whole = np.array(covariance) + noise**2 * np.eye(2)
    expected = 0.5 * (np.log(np.diag(whole)).sum() - np.linalg.slogdet(whole)[1])
    assert found == pytest.approx(expected, abs=0.08)


def test_the_penalty_of_dip_is_that_of_numpys_covariance(codes):
    loc, scale, _ = codes
    for kind in dip.KINDS:
        found = np.cov(loc.T) + (kind == 2) * np.diag((scale**2).mean(axis=0))
        off = (found**2).sum() - (np.diag(found) ** 2).sum()
        expected = 3 * off + 5 * ((np.diag(found) - 1) ** 2).sum()
        bound = BOUNDS["dip"](kind, 3.0, 5.0)
        assert _penalty(bound, _terms(codes)) == pytest.approx(expected, rel=1e-4)


def test_mmd_of_normals_is_in_closed_form_and_nothing_of_equal_laws(base_seed):
    rng = np.random.default_rng([base_seed, 3])
    dims, count, shift = 3, 2000, np.array([1.0, 0.5, 0.0])
    first = rng.standard_normal((count, dims)).astype(np.float32)
    ratio = (dims / (dims + 2)) ** (dims / 2)
    expected = 2 * ratio * (1 - math.exp(-(shift**2).sum() / (2 * (dims + 2))))
    moved = (first + shift).astype(np.float32)
    assert float(info.mmd_to_normal(moved)) == pytest.approx(expected, abs=0.02)
    assert abs(float(info.mmd_to_normal(first))) < 0.003


def test_the_sliced_distance_of_moved_normals_is_their_squared_distance_over_d():
    rng = np.random.default_rng(5)
    z = rng.standard_normal((2000, 4)).astype(np.float32)
    shift = np.array([2.0, 0, 0, 0], np.float32)
    directions = wae.unit_directions(2000, 4, 7)
    np.testing.assert_allclose(tf.norm(directions, axis=-1), 1, rtol=1e-5)
    assert float(wae.sliced_to_normal(z + shift, directions[:200])) == pytest.approx(1, abs=0.3)
    assert float(wae.sliced_to_normal(z, directions[:200])) < 0.01
    assert not np.allclose(directions, wae.unit_directions(2000, 4, 8))


def test_wae_trains_no_kl(codes):
    terms = _terms(codes)
    _, _, z = codes
    for discrepancy in wae.DISCREPANCIES:
        bound = BOUNDS["wae"](discrepancy, 2.0, 8)
        directions = wae.unit_directions(8, D, 3)
        each = [
            info.mmd_to_normal(tf.constant(draw))
            if discrepancy == "mmd"
            else wae.sliced_to_normal(tf.constant(draw), directions)
            for draw in z
        ]
        expected = 2 * np.mean(each) - float(batch_mean(terms.reconstruction()))
        assert float(bound.loss(terms, 3)) == pytest.approx(expected, rel=1e-4)


@pytest.mark.parametrize("name", NAMES)
def test_a_penalty_trains_in_stock_fit_with_the_elbo_beside_it(name, make_vae):
    decoder = tv.decoders.Normal
    vae = make_vae((4,), hidden=(4,), objective=BOUNDS[name](), decoder=decoder)
    vae.compile(optimizer="sgd", run_eagerly=True)
    x = np.random.default_rng(0).standard_normal((16, 4)).astype(np.float32)
    found = vae.fit(x, batch_size=16, epochs=1, verbose=0).history
    assert np.isfinite([found["loss"], found["elbo"]]).all()
    assert vae.num_data == 16


def test_penalties_that_cannot_be_are_refused_in_one_line(make_vae):
    for make, message in (
        (lambda: BOUNDS["beta_tc"](-1.0), r"beta.*-1"),
        (lambda: BOUNDS["beta_tc"](estimate="msw"), r"mss, mws.*msw"),
        (lambda: BOUNDS["dip"](3), r"kind.*1, 2.*3"),
        (lambda: BOUNDS["info"](alpha=2.0), r"alpha <= 1.*alpha=2.0"),
        (lambda: BOUNDS["wae"](weight=0.0), r"weight.*> 0.*0.0"),
    ):
        with pytest.raises(ValueError, match=message):
            make()
    vae = tv.VAE(
        tv.priors.PRIORS["mixture"](2, components=2),
        tv.encoders.FullGaussian(tv.networks.mlp([]), 2),
        tv.decoders.Normal(tv.networks.mlp([]), (4,)),
    )
    with pytest.raises(ValueError, match=r"standard normal.*StandardNormal.*Received a Mixture"):
        BOUNDS["wae"]().check(vae)
    with pytest.raises(ValueError, match=r"independent dimensions.*encoders.Gaussian.*TriL"):
        BOUNDS["dip"]().loss(vae.terms(np.ones((2, 4)), None, vae(np.ones((2, 4), "f"))), 0)
