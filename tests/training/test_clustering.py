"""A training that starts as a VAE and goes on from clusters."""

import keras
import numpy as np
import pytest
import tensorflow as tf

import tfp_vae as tv
from tfp_vae.distributions import draws


def _model(prior):
    keras.utils.set_random_seed(0)
    encoder = tv.encoders.Gaussian(tv.networks.mlp([4]), 2)
    decoder = tv.decoders.Normal(tv.networks.mlp([4]), (2,))
    return tv.VAE(prior, encoder, decoder, data_kind="real")


@pytest.fixture
def split():
    rng = np.random.default_rng(0)
    x = 5.0 * rng.integers(0, 2, (60, 2)) + 0.3 * rng.standard_normal((60, 2))
    return tv.data.Split(x.astype(np.float32), "real")


def _begin(model, callback, epoch, epochs=4):
    callback.set_model(model)
    callback.set_params({"epochs": epochs})
    callback.on_epoch_begin(epoch)


def test_a_mixture_is_one_normal_until_it_starts_at_clusters_of_latents(split):
    model = _model(tv.priors.Mixture(2, 4))
    start = tv.training.StartClusters(split, 2)
    start.set_model(model)
    start.set_params({"epochs": 4})
    start.on_train_begin()
    _begin(model, start, 0)
    z = tf.random.stateless_normal([5, 2], (0, 1))
    standard = tv.priors.StandardNormal(2)().log_prob(z)
    np.testing.assert_allclose(draws.log_prob(model.prior(), z), standard, rtol=1e-4)
    model.prior.loc.assign_add(tf.ones([4, 2]))  # trained
    _begin(model, start, 1)
    assert np.all(np.array(model.prior.loc) == 1)
    # A training that goes on knows what it has done.
    again, known = tv.training.StartClusters(split, 2), start.get_state()
    again.set_state(known)
    _begin(model, again, 1)
    assert np.all(np.array(model.prior.loc) == 1)
    model.encoder.projection.bias.assign([0, 0, -3, -3])
    _begin(model, start, 2)
    found = np.array(model.prior.loc)
    assert len(np.unique(found.round(2), axis=0)) == 4
    model.prior.loc.assign_add(tf.ones([4, 2]))
    for callback in (start, again):  # once, or where the other left off
        callback.set_state(start.get_state())
        _begin(model, callback, 3)
        np.testing.assert_array_equal(model.prior.loc, found + 1)


def test_clusters_need_components_and_epochs_after_the_start(split):
    start = tv.training.StartClusters(split, 3)
    with pytest.raises(ValueError, match=r"priors.Mixture. Received StandardNormal"):
        start.check(_model(tv.priors.StandardNormal(2)), 9)
    with pytest.raises(ValueError, match=r"start of 3 epochs. Expected more.*Received 3"):
        start.check(_model(tv.priors.Mixture(2, 2)), 3)
    data = tv.data.Data("some", split, split, split)
    with pytest.raises(ValueError, match=r"how many clusters.*or data with classes"):
        tv.methods.VAERecipe("vade").build(data)
