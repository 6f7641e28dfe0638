"""The posterior of a linear VAE is known, and so is what an encoder loses: the KL to it."""

import numpy as np
import ppca
import pytest
import tensorflow as tf
import test_quadrature

import tfp_vae as tv
from tfp_vae.evaluation import likelihood_regret


@pytest.fixture(scope="module")
def linear():
    """Returns PPCA of the digits and test examples."""
    data = tv.data.load("digits", kind="unit_interval")
    train, test = (split.values().reshape(len(split), -1) for split in (data.train, data.test))
    return ppca.fit(train, 4), test[:50]


def spoiled(pca):
    """Returns the VAE with a part of its posterior means missing."""
    vae = ppca.vae_at_the_optimum(pca)
    kernel, bias = vae.encoder.projection.get_weights()
    vae.encoder.projection.set_weights([0.5 * kernel, bias])
    return vae


def exact_loss(pca, vae, x):
    """Returns KL(q(z|x) || p(z|x)) [N] of encoders that differ in the mean alone."""
    posterior, exact = vae.encoder(x), ppca.vae_at_the_optimum(pca).encoder(x)
    off = (posterior.mean() - exact.mean()).numpy() / exact.stddev().numpy()
    return 0.5 * np.sum(off**2, axis=1)


def test_an_exact_encoder_has_nothing_to_regret(linear):
    pca, x = linear
    regret = likelihood_regret(ppca.vae_at_the_optimum(pca), x)
    # What is left is how far Adam rests from the optimum.
    assert np.all(np.abs(regret) < 0.1)
    assert abs(regret.mean()) < 0.03


def test_a_spoiled_encoder_regrets_its_distance_from_the_posterior(linear):
    pca, x = linear
    vae = spoiled(pca)
    loss = exact_loss(pca, vae, x)
    assert loss.min() > 0.3
    regret = likelihood_regret(vae, x, num_elbo_samples=2000)
    # With common draws the two ELBOs differ by the loss and by off * mean(noise) in each dimension.
    error = np.sqrt(2 * loss / 2000)
    assert np.all(np.abs(regret - loss) < 0.1 + 5 * error)
    assert abs(np.mean(regret - loss)) < 0.03 + 4 * np.sqrt(np.sum(error**2)) / len(x)


@pytest.mark.all_only
def test_regret_starts_at_the_means_that_an_encoder_normalises(linear):
    """Running moments that no normal encoder has: they halve the means, and that is the loss."""
    pca, x = linear
    optimum = ppca.vae_at_the_optimum(pca)
    encoder = tv.encoders.BatchNormalizedGaussian(tv.networks.mlp([]), 4, spread=1.0)
    vae = tv.VAE(tv.priors.StandardNormal(4), encoder, optimum.decoder, data_kind="unit_interval")
    encoder.projection.set_weights(optimum.encoder.projection.get_weights())
    encoder.normalization.moving_variance.assign(tf.fill([4], 4.0))
    loss = exact_loss(pca, vae, x)
    assert loss.min() > 0.3
    regret = likelihood_regret(vae, x, num_elbo_samples=2000)
    assert abs(np.mean(regret - loss)) < 0.03 + 4 * np.sqrt(np.sum(2 * loss / 2000)) / len(x)


@pytest.mark.all_only
def test_regret_of_an_example_does_not_depend_on_those_beside_it(linear):
    pca, x = linear
    vae = spoiled(pca)
    loss = exact_loss(pca, vae, x)
    for order, batch_size in ((np.arange(50), 50), (np.arange(50)[::-1], 7)):
        regret = likelihood_regret(vae, x[order], num_elbo_samples=500, batch_size=batch_size)
        assert np.all(np.abs(regret - loss[order]) < 0.1 + 5 * np.sqrt(2 * loss[order] / 500))


def test_regret_leaves_the_model_alone_and_repeats(linear):
    pca, x = linear
    vae = spoiled(pca)
    before = [weight.numpy() for weight in vae.weights]
    first = likelihood_regret(vae, x, steps=20)
    for weight, old in zip(vae.weights, before, strict=True):
        np.testing.assert_array_equal(weight, old)
    np.testing.assert_array_equal(likelihood_regret(vae, x, steps=20), first)
    assert np.any(likelihood_regret(vae, x, steps=20, seed=5) != first)


@pytest.mark.parametrize("encoder", [tv.encoders.Gaussian, tv.encoders.FullGaussian])
def test_regret_is_between_zero_and_the_gap_of_the_bound(make_vae, binary_images, encoder):
    vae, x = make_vae(encoder=encoder), binary_images(40)
    kernel, bias = vae.decoder.projection.get_weights()
    vae.decoder.projection.set_weights([1.5 * kernel, bias])  # z matters; no encoder was trained
    # Importance sampling with such an encoder would give too small a gap.
    gap = test_quadrature.log_likelihood(vae, x) - vae.elbo(x, 4000)
    regret = likelihood_regret(vae, x, num_elbo_samples=2000)
    assert regret.min() > -0.05
    # The bound of the best q(z) of the family is still a bound. 40 x 2000 draws of terms that vary
    # by some nats leave an error of some hundredths.
    assert 0.5 * gap.mean() < regret.mean() < gap.mean() + 0.1


@pytest.mark.parametrize(
    "wrong",
    [{"steps": 0}, {"num_samples": 0.5}, {"num_elbo_samples": 0}, {"batch_size": 0}],
)
def test_impossible_numbers_are_refused(linear, wrong):
    pca, x = linear
    with pytest.raises(ValueError, match=rf"Impossible {next(iter(wrong))}.*Expected.*Received"):
        likelihood_regret(ppca.vae_at_the_optimum(pca), x, **wrong)
    with pytest.raises(ValueError, match=r"learning_rate.*Expected a number > 0.*Received 0"):
        likelihood_regret(ppca.vae_at_the_optimum(pca), x, learning_rate=0)
