"""Parts that keep latents from carrying nothing: least KLs, and z in front of every layer."""

import keras
import numpy as np
import pytest
import tensorflow as tf
import tensorflow_probability as tfp

import tfp_vae as tv
from tfp_vae.distributions.base import inverse_positive

tfd = tfp.distributions


def standard_kl(posterior):
    """KL to N(0, I) of each dimension, [B, D]."""
    return tfd.kl_divergence(tfd.Normal(posterior.mean(), posterior.stddev()), tfd.Normal(0.0, 1.0))


@pytest.mark.parametrize("lead", [(), (2,)], ids=["rows", "samples in front"])
def test_the_kl_of_a_batch_is_at_least_that_of_the_normalised_means(lead, base_seed):
    rng = np.random.default_rng(base_seed)
    x = rng.normal(size=(*lead, 7, 3)).astype(np.float32)
    encoder = tv.encoders.BatchNormalizedGaussian(tv.networks.mlp([4]), 2, spread=0.7)
    encoder.build((None, 3))
    encoder.shift.assign([0.5, -1.0])
    least = (0.7**2 + np.array([0.5, -1.0]) ** 2) / 2
    for size in (1e-2, 1.0, 1e2):  # whatever the network says
        found = standard_kl(encoder(size * x, training=True)).numpy().reshape(-1, 2).mean(axis=0)
        assert np.all(found >= least - 1e-4)
    kernel, bias = encoder.projection.get_weights()
    kernel[:, 2:], bias[2:] = 0, inverse_positive(1.0)
    encoder.projection.set_weights([kernel, bias])
    found = standard_kl(encoder(x, training=True)).numpy().reshape(-1, 2).mean(axis=0)
    np.testing.assert_allclose(found, least, rtol=1e-3)
    trained = encoder(x, training=True).mean()
    loc = encoder.projection(encoder.network(x.reshape(-1, 3))).numpy()[:, :2]
    encoder.normalization.moving_mean.assign(loc.mean(axis=0))  # where they run to
    encoder.normalization.moving_variance.assign(loc.var(axis=0))
    np.testing.assert_allclose(encoder(x).mean(), trained, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("least", [0.01, 0.3, 4.0])
def test_the_least_kl_of_restricted_scales_is_what_was_asked_for(least):
    encoder = tv.encoders.DeltaGaussian(tv.networks.mlp([]), 1, least_kl=least)
    loc, raw = np.meshgrid(np.linspace(-1, 1, 21), np.linspace(-20, 20, 81))
    grid = (tf.constant(each.reshape(-1, 1), tf.float32) for each in (loc, raw))
    found = standard_kl(encoder.distribution(*grid)).numpy()
    assert found.min() == pytest.approx(least, rel=1e-3)


@pytest.mark.parametrize("network", ["dense", "conv"])
def test_a_decoder_with_skips_reads_z_through_dead_hidden_layers_and_is_saved(network, tmp_path):
    shape = (4, 5, 1)
    images = np.zeros((4, *shape), np.float32)
    data = tv.data.Data("zeros", *[tv.data.Split(images, "static", name="train")] * 3)
    recipe = tv.methods.VAERecipe(
        latent_dim=2,
        network="mlp" if network == "dense" else "conv",
        hidden=(4, 3) if network == "dense" else (4,),
        filters=(2,),
        skip=True,
    )
    vae = recipe.build(data)
    for weight in vae.decoder.network.weights:
        weight.assign(tf.zeros_like(weight))
    z = tf.Variable([[1.0, -2.0]])
    with tf.GradientTape() as tape:
        value = tf.reduce_sum(vae.decoder(z).features ** 2)
    assert np.all(np.abs(tape.gradient(value, z)) > 1e-3)
    widths = [w.shape[0] for w in vae.decoder.network.weights if len(w.shape) == 2]
    assert widths == ([2, 5] if network == "dense" else [2, 6])  # the first has z once
    vae.save(tmp_path / "skip.keras")
    again = tv.load(tmp_path / "skip.keras")
    np.testing.assert_array_equal(again.decoder(z).features, vae.decoder(z).features)


def test_skips_go_around_a_chain_alone():
    with pytest.raises(ValueError, match=r"Expected a keras.Sequential. Received a Dense"):
        tv.networks.Skip(keras.layers.Dense(3))
