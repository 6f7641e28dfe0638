"""Penalties on codes against NumPy, and where they are known or nothing."""

import math

import keras
import numpy as np
import pytest
import tensorflow as tf
from scipy.special import logsumexp
from scipy.stats import norm

import tfp_vae as tv
from tfp_vae.distributions.base import tfd
from tfp_vae.objectives import (
    BOUNDS,
    ELBO,
    Latent,
    Terms,
    WeightTerms,
    batch_mean,
    dip,
    factor,
    info,
    wae,
)
from tfp_vae.objectives import beta_tc as tc

B, D, N = 6, 3, 50
NAMES = ("beta_tc", "dip", "factor", "info", "wae")


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


def _told(weights, z):
    """Returns the logits of the discriminator by NumPy."""
    for kernel, bias in zip(weights[:-2:2], weights[1:-2:2], strict=True):
        z = z @ kernel + bias
        z = np.where(z > 0, z, 0.2 * z)
    return (z @ weights[-2] + weights[-1])[..., 0]


def test_the_penalty_of_factor_is_that_of_numpy(codes):
    bound, terms, step = BOUNDS["factor"](3.0, 5, 2), _terms(codes), 7
    assert _penalty(bound, terms) == pytest.approx(math.log(2), rel=1e-5)  # it starts undecided
    network, rng = bound.discriminator(D), np.random.default_rng(4)
    network.set_weights([rng.standard_normal(w.shape) for w in network.get_weights()])
    z, half = codes[2], B // 2
    others = factor.permuted(tf.constant(z[:, half:]), step).numpy()
    # Within each dimension the same numbers, and not the same rows.
    np.testing.assert_array_equal(np.sort(others, axis=1), np.sort(z[:, half:], axis=1))
    assert not np.array_equal(others, factor.permuted(tf.constant(z[:, half:]), step + 1))
    told = _told(network.get_weights(), z)
    real, made = told[:, :half], _told(network.get_weights(), others)
    loss = 0.5 * (np.logaddexp(0, -real).mean() + np.logaddexp(0, made).mean())
    found = float(bound.loss(terms, step) - ELBO().loss(terms, step))
    assert found == pytest.approx(3 * told.mean() + loss, rel=1e-4)
    alone = _terms([part[..., :1, :] for part in codes])  # a batch of one has no second half
    assert np.isfinite(float(bound.loss(alone, step)))


def test_nobody_trains_against_himself_in_factor(codes):
    bound = BOUNDS["factor"](3.0, 5, 2)
    network, z = bound.discriminator(D), tf.constant(codes[2])
    network.set_weights([np.ones(w.shape) for w in network.get_weights()])
    with tf.GradientTape(persistent=True) as tape:
        tape.watch(z)
        tc, loss = bound.total_correlation(z), bound.discriminator_loss(z, 0)
    judges = network.trainable_variables
    assert all(g is None for g in tape.gradient(tc, judges)) and tape.gradient(loss, z) is None
    assert np.any(tape.gradient(tc, z)) and all(np.any(g) for g in tape.gradient(loss, judges))


def test_a_discriminator_finds_the_total_correlation_of_known_normals(base_seed):
    rng, correlation, count = np.random.default_rng([base_seed, 4]), 0.8, 4000
    expected = -0.5 * math.log(1 - correlation**2)
    covariance = np.array([[1, correlation], [correlation, 1]])
    drawn = rng.multivariate_normal([0, 0], covariance, count)[np.newaxis]
    z = tf.constant(drawn, tf.float32)

    class Best(keras.Layer):
        def call(self, z):
            whole = tf.constant(np.eye(2) - np.linalg.inv(covariance), tf.float32)
            return expected + 0.5 * tf.reduce_sum(z @ whole * z, axis=-1, keepdims=True)

    bound = BOUNDS["factor"](1.0, 32, 2)
    network = bound.discriminator(2)
    adam = keras.optimizers.Adam(0.01)
    adam.build(network.trainable_variables)

    @tf.function
    def train(step):
        with tf.GradientTape() as tape:
            loss = bound.discriminator_loss(z[:, : 2 * 500], step)
        adam.apply(tape.gradient(loss, network.trainable_variables))
        return loss

    for step in range(150):
        learned = train(tf.constant(step))
    assert float(bound.total_correlation(z)) == pytest.approx(expected, abs=0.15)
    ideal = BOUNDS["factor"]()
    ideal._discriminator = keras.Sequential([keras.Input((2,)), Best()])
    assert float(ideal.total_correlation(z)) == pytest.approx(expected, abs=0.06)
    # No other tells better, but for what is learned of the draws by heart.
    assert float(learned) == pytest.approx(float(ideal.discriminator_loss(z, 0)), abs=0.05)


@pytest.mark.parametrize("bounds", [("elbo", "factor"), ("factor", "elbo")])
def test_a_discriminator_comes_and_goes_with_the_bound(make_vae, bounds):
    vae = make_vae((4,), hidden=(4,), objective=BOUNDS[bounds[0]]())
    plain = len(make_vae((4,), hidden=(4,)).trainable_variables)
    vae.compile("sgd")
    vae.objective = BOUNDS[bounds[1]]()
    more = len(vae.trainable_variables) - plain
    assert more == (8 if bounds[1] == "factor" else 0)
    vae.optimizer.build(vae.trainable_variables)
    with pytest.raises(ValueError, match=r"without the network of FactorVAE. Expected compile"):
        vae.objective = BOUNDS["factor"]()
    with pytest.raises(ValueError, match=r"bounds without a network.*a FactorVAE"):
        tv.training.Finish(BOUNDS["factor"](), 2, 1).check(vae, 3)


def test_a_resumed_training_of_factor_is_the_same_one_and_its_discriminator_is_trained(
    make_vae, tmp_path
):
    x = np.random.default_rng(0).integers(0, 2, (8, 4)).astype(np.float32)

    def trained(epochs):
        keras.utils.set_random_seed(1)
        vae = make_vae((4,), hidden=(4,), objective=BOUNDS["factor"](width=4), data_kind="static")
        vae.compile("adam", run_eagerly=True)
        if epochs:
            vae.fit(x, batch_size=8, epochs=epochs, verbose=0)
        return vae

    whole = trained(2)
    trained(1).save(tmp_path / "model.keras")
    again = tv.load(tmp_path / "model.keras")
    again.fit(x, batch_size=8, epochs=2, initial_epoch=1, verbose=0)
    for one, other in zip(whole.get_weights(), again.get_weights(), strict=True):
        np.testing.assert_allclose(one, other, atol=1e-6)
    start = trained(0)
    for each in zip(start.objective_network.weights, again.objective_network.weights, strict=True):
        assert not np.allclose(*each)


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
        (lambda: BOUNDS["factor"](-1.0), r"gamma.*>= 0.*-1.0"),
        (lambda: BOUNDS["factor"](width=0), r"width.*0"),
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
    for name in ("beta_tc", "dip"):  # before any training
        with pytest.raises(ValueError, match=r"independent dimensions.*encoders.Gaussian.*TriL"):
            BOUNDS[name]().check(vae)
    with pytest.raises(ValueError, match=r"independent dimensions.*encoders.Gaussian.*TriL"):
        BOUNDS["dip"]().loss(vae.terms(np.ones((2, 4)), None, vae(np.ones((2, 4), "f"))), 0)
