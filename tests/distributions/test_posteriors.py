"""Posteriors of many shapes: their closed forms, where they start, and slopes of their draws."""

import keras
import numpy as np
import pytest
import tensorflow as tf
import tensorflow_probability as tfp

import tfp_vae as tv
from tfp_vae.distributions import draws, spheres
from tfp_vae.distributions.encoders.low_rank import LowRankNormal
from tfp_vae.distributions.mixtures import NormalMixture

tfd = tfp.distributions


def _numbers(*shape, seed=0):
    return tf.constant(np.random.default_rng(seed).standard_normal(shape), tf.float32)


@pytest.mark.parametrize("name", ["iaf", "maf", "planar", "sylvester"])
def test_a_flow_starts_as_a_normal_and_has_a_slope_by_every_weight(name):
    keras.utils.set_random_seed(0)
    encoder = tv.encoders.ENCODERS[name](tv.networks.mlp([4]), 3, steps=2)
    encoder.build_for((None, 5))
    x = _numbers(6, 5)
    q = encoder(x)
    z, log_q = draws.sample_and_log_prob(q, [2], (0, 1))
    np.testing.assert_allclose(log_q(), q.base.log_prob(z), rtol=1e-5, atol=1e-5)
    rng = np.random.default_rng(0)
    for weight in encoder.trainable_variables:
        weight.assign_add(0.3 * rng.standard_normal(weight.shape))
    with tf.GradientTape() as tape:
        z, log_q = draws.sample_and_log_prob(encoder(x), [2], (0, 1))
        value = tf.reduce_sum(log_q() + tf.reduce_sum(z**2, axis=-1))
    assert np.abs(z - encoder(x).base.mean()).max() > 0.1
    slopes = tape.gradient(value, encoder.trainable_variables)
    assert all(np.any(tf.convert_to_tensor(slope)) for slope in slopes)


def test_a_mixture_of_equal_parts_is_one_part():
    loc, scale = _numbers(4, 3), tf.exp(_numbers(4, 3, seed=1))
    twice = [tf.stack([each, each], axis=1) for each in (loc, scale)]
    q = NormalMixture(_numbers(4, 2, seed=2), *twice, reparameterized=True)
    one = tfd.MultivariateNormalDiag(loc, scale)
    z = _numbers(5, 4, 3, seed=3)
    np.testing.assert_allclose(q.log_prob(z), one.log_prob(z), rtol=1e-5)
    # And a draw moves with it as that of one.
    with tf.GradientTape() as tape:
        tape.watch(twice)
        drawn, _ = draws.from_noise(q, tf.fill([5, 4], 0.3), z)
    by_loc, by_scale = tape.gradient(drawn, twice)
    np.testing.assert_allclose(tf.reduce_sum(by_loc, axis=1), 5 * np.ones((4, 3)), rtol=1e-4)
    total = tf.reduce_sum(z, axis=0)
    np.testing.assert_allclose(tf.reduce_sum(by_scale, axis=1), total, rtol=1e-3, atol=1e-3)


def test_draws_of_a_mixture_have_the_slopes_of_their_expectation(base_seed):
    logits, loc = _numbers(1, 3), 1.5 * _numbers(1, 3, 2, seed=1)
    scale = tf.exp(0.3 * _numbers(1, 3, 2, seed=2))
    parameters = logits, loc, scale

    def expected(logits, loc, scale):  # of z_1^2 z_2
        second = loc[..., 0] ** 2 + scale[..., 0] ** 2
        return tf.reduce_sum(tf.nn.softmax(logits) * second * loc[..., 1])

    rows = [tf.repeat(each, 40_000, axis=0) for each in parameters]
    with tf.GradientTape(persistent=True) as tape:
        tape.watch((parameters, rows))
        known = expected(*parameters)
        q = NormalMixture(*rows, reparameterized=True)
        z = draws.sample(q, [], (base_seed, 1))
        value = z[:, 0] ** 2 * z[:, 1]
    for found, exact in zip(
        tape.gradient(value, rows), tape.gradient(known, parameters), strict=True
    ):
        error = np.std(found, axis=0) / np.sqrt(len(found)) + 1e-4
        assert np.all(np.abs(np.mean(found, axis=0) - exact[0]) < 5 * error)


def test_a_low_rank_normal_is_that_of_its_covariance_with_its_kl():
    loc, scale, u = _numbers(4, 3), tf.exp(_numbers(4, 3, seed=1)), _numbers(4, 2, 3, seed=2)
    covariance = tf.linalg.diag(scale**2) + tf.matmul(u, u, transpose_a=True)
    full = tfd.MultivariateNormalTriL(loc, tf.linalg.cholesky(covariance))
    ours, z = LowRankNormal(loc, scale, u), 2 * _numbers(5, 4, 3, seed=3)
    np.testing.assert_allclose(ours.log_prob(z), full.log_prob(z), rtol=1e-4, atol=1e-4)
    prior = tfd.MultivariateNormalDiag(_numbers(3, seed=4), tf.exp(_numbers(3, seed=5)))
    exact = tfd.kl_divergence(full, prior)
    np.testing.assert_allclose(draws.kl_divergence(ours, prior), exact, rtol=1e-4, atol=1e-4)
    np.testing.assert_allclose(ours.stddev(), full.stddev(), rtol=1e-4)


def test_the_kl_of_independent_numbers_is_that_of_tfp_with_its_gradient():
    loc, scale = _numbers(4, 3), tf.exp(_numbers(4, 3, seed=1))
    wide, count = tf.exp(_numbers(3, seed=2)), tf.constant([[0.5, 2.0, 9.0]])
    normal = tfd.Independent(tfd.Normal(loc, scale), 1)
    pairs = {
        "numbers": (normal.distribution, tfd.Normal(0.3, wide)),
        "vectors": (normal, tfd.Independent(tfd.Normal(tf.zeros([4, 3]), wide), 1)),
        "matrices": (
            tfd.Independent(normal.distribution, 2),
            tfd.Independent(tfd.Normal(loc + 1, scale), 2),
        ),
        "others": (
            tfd.Independent(tfd.Gamma(count, 1.0), 2),
            tfd.Independent(tfd.Gamma(count + 1, 2.0), 2),
        ),
    }
    for name, (q, p) in pairs.items():
        found = []
        for divergence in (draws.kl_divergence, tfd.kl_divergence):
            with tf.GradientTape() as tape:
                tape.watch([loc, scale])
                value = divergence(q, p)
            none = tf.UnconnectedGradients.ZERO
            slopes = tape.gradient(value, [loc, scale], unconnected_gradients=none)
            found.append([value, *slopes])
        for ours, theirs in zip(*found, strict=True):
            np.testing.assert_allclose(ours, theirs, rtol=1e-5, atol=1e-6, err_msg=name)
    for q in (normal.distribution, normal):
        with pytest.raises(NotImplementedError):
            draws.kl_divergence(q, tfd.Independent(tfd.StudentT(5.0, loc, wide), 1))


def test_a_density_on_a_sphere_is_that_of_tfp_and_on_the_circle_has_its_kl(base_seed):
    for size in (2, 3, 5):
        m = _numbers(4, size)
        m /= tf.norm(m, axis=-1, keepdims=True)
        k = tf.constant([0.5, 3.0, 20.0, 90.0])
        ours, theirs = spheres.VonMisesFisher(m, k), tfd.VonMisesFisher(m, k)
        z = ours.sample(2000, seed=(base_seed, size))
        np.testing.assert_allclose(tf.norm(z, axis=-1), 1.0, rtol=1e-5)
        np.testing.assert_allclose(ours.log_prob(z), theirs.log_prob(z), rtol=1e-3, atol=2e-3)
        cosine = tf.reduce_sum(m * z, axis=-1).numpy()
        error = cosine.std(axis=0) / np.sqrt(len(cosine)) + 1e-4
        assert np.all(np.abs(cosine.mean(axis=0) - ours.mean_cosine()) < 5 * error)
        prior = spheres.UniformSphere(size)
        kl = np.mean(ours.log_prob(z) - prior.log_prob(z), axis=0)
        np.testing.assert_allclose(draws.kl_divergence(ours, prior), kl, rtol=0.1, atol=0.01)


@pytest.mark.all_only
def test_latents_on_a_sphere_are_not_asked_for_proposals_in_space(binary_images):
    encoder = tv.encoders.VonMisesFisher(tv.networks.mlp([4]), 3)
    decoder = tv.decoders.Bernoulli(tv.networks.mlp([4]), (4, 4, 1))
    model = tv.VAE(tv.priors.VonMisesFisher(3), encoder, decoder, data_kind="static")
    x = binary_images(3)
    assert model.bounds(x, 4, proposal="auto").proposal == "encoder"
    with pytest.raises(ValueError, match=r"Proposals in R\^D.*Received latents on a sphere"):
        model.bounds(x, 4, proposal="refined")
    with pytest.raises(ValueError, match=r"for a posterior of each example"):
        model.fit_posterior(x)
    with pytest.raises(ValueError, match=r"for annealed importance sampling"):
        tv.evaluation.ais(model, x)
    with pytest.raises(ValueError, match=r"on all of R\^D.*Received VonMisesFisher, on the unit"):
        tv.VAE(tv.priors.StandardNormal(3), encoder, decoder)
    with pytest.raises(ValueError, match=r"sphere. Expected an integer >= 2. Received 1"):
        tv.priors.VonMisesFisher(1)


@pytest.mark.all_only
@pytest.mark.dear(reason="three trainings to their optimum")
def test_on_a_banana_with_known_evidence_a_richer_posterior_has_a_higher_bound(base_seed):
    x = tf.ones([1, 1])

    def log_joint(z):  # a density: log p(x) = 0
        first, second = z[..., 0], z[..., 1]
        off = (second - 0.7 * first - 0.5 * first**2) / 0.3
        return -0.5 * (first**2 + off**2) - np.log(2 * np.pi * 0.3)

    found = {}
    for name in ("diagonal", "full", "sylvester", "iaf", "maf"):
        keras.utils.set_random_seed(base_seed)
        encoder = tv.encoders.ENCODERS[name](tv.networks.mlp([]), 2)
        encoder.build_for((None, 1))
        optimizer = keras.optimizers.Adam(0.02)
        optimizer.build(encoder.trainable_variables)

        def bound(count, key, encoder=encoder):
            z, log_q = draws.sample_and_log_prob(encoder(x), [count], key)
            return tf.reduce_mean(log_joint(z) - log_q())

        @tf.function(autograph=False)
        def step(key, encoder=encoder, optimizer=optimizer, bound=bound):
            with tf.GradientTape() as tape:
                loss = -bound(200, key)
            variables = encoder.trainable_variables
            optimizer.apply(tape.gradient(loss, variables), variables)

        for number in range(400):
            step(tf.constant([base_seed, number]))
        found[name] = float(bound(20_000, (base_seed, 10**6)))
    assert found["diagonal"] + 0.1 < found["full"]
    flows = [found[name] for name in ("sylvester", "iaf", "maf")]
    assert found["full"] + 0.05 < min(flows) and max(flows) < 0.02
