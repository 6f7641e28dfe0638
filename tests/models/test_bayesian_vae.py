"""A VAE whose decoder has a posterior over its weights: two KLs, each counted once."""

import keras
import numpy as np
import pytest
import tensorflow as tf

import tfp_vae as tv
from tfp_vae import objectives


@pytest.fixture
def make_bayesian_vae(make_vae):
    """Returns a function that builds a small VAE with two Bayesian layers in its decoder."""

    def make(**options):
        def decoder(_, shape):
            layers = [
                keras.layers.Flatten(),
                tv.layers.DenseFlipout(8, activation="relu"),
                tv.layers.DenseLocalReparameterization(8, activation="relu", bayesian_bias=True),
            ]
            return tv.decoders.Bernoulli(keras.Sequential(layers), shape)

        return make_vae(decoder=decoder, **options)

    return make


def _kl_of_weights(vae) -> float:
    return sum(float(layer.kl_divergence()) for layer in vae.decoder.network.layers[1:])


def test_bound_has_the_local_kl_and_the_global_kl_over_n(make_bayesian_vae, binary_images):
    vae, x = make_bayesian_vae(num_samples=2, num_data=40), binary_images(40)
    vae.compile()
    outputs = vae(x, seed=3)
    terms = vae.terms(tf.constant(x), None, outputs)
    assert len(vae.bayesian_layers()) == 2
    assert float(terms.weights.kl) == pytest.approx(_kl_of_weights(vae), rel=1e-6)
    assert terms.weights.num_data == 40
    loc, scale = outputs.posterior.mean().numpy(), outputs.posterior.stddev().numpy()
    kl_local = 0.5 * np.sum(scale**2 + loc**2 - 1 - 2 * np.log(scale), axis=1)
    log_likelihood = outputs.likelihood.log_prob(x).numpy().mean(axis=0)
    by_hand = log_likelihood - kl_local - _kl_of_weights(vae) / 40
    np.testing.assert_allclose(objectives.elbo(terms), by_hand, rtol=1e-4)
    loss = vae.compute_loss(x=tf.constant(x), y_pred=outputs, training=False)
    assert float(loss) == pytest.approx(-by_hand.mean(), rel=1e-5)


@pytest.mark.all_only
def test_metrics_and_loss_count_each_kl_once(make_bayesian_vae, binary_images):
    x = binary_images(40)
    vae = make_bayesian_vae(objective=objectives.ELBO(beta=3.0))
    vae.compile(optimizer=keras.optimizers.SGD(0.0))
    logs = {k: v[0] for k, v in vae.fit(x, batch_size=40, verbose=0).history.items()}
    loc, scale = vae.encoder(x).mean().numpy(), vae.encoder(x).stddev().numpy()
    kl_local = 0.5 * np.sum(scale**2 + loc**2 - 1 - 2 * np.log(scale), axis=1).mean()
    kl = kl_local + _kl_of_weights(vae) / 40
    assert logs["kl"] == pytest.approx(kl, rel=1e-4)
    assert logs["elbo"] == pytest.approx(logs["reconstruction"] - kl, rel=1e-4)
    assert logs["loss"] == pytest.approx(3 * kl - logs["reconstruction"], rel=1e-4)


def test_a_vae_with_bayesian_weights_trains_and_comes_back_from_a_file(
    make_bayesian_vae, binary_images, tmp_path
):
    vae, x = make_bayesian_vae(), binary_images(60)
    vae.compile(optimizer=keras.optimizers.Adam(1e-2))
    history = vae.fit(x, batch_size=20, epochs=6, verbose=0).history
    assert history["elbo"][-1] > history["elbo"][0]
    assert vae.num_data == 60
    vae.save(tmp_path / "model.keras")
    again = tv.load(tmp_path / "model.keras")
    assert again.num_data == 60
    for one, other in zip(vae.bounds(x[:5], 50)[:3], again.bounds(x[:5], 50)[:3], strict=True):
        np.testing.assert_array_equal(one, other)
    np.testing.assert_array_equal(vae.reconstruct(x[:5]), again.reconstruct(x[:5]))
    np.testing.assert_array_equal(vae.reconstruct(x[:5]), vae.reconstruct(x[:5]))  # no noise
    histories = [model.fit(x, batch_size=20, verbose=0).history for model in (vae, again)]
    assert histories[0]["elbo"] == pytest.approx(histories[1]["elbo"], rel=1e-5)


@pytest.mark.all_only
def test_bounds_have_the_global_kl_of_the_n_that_was_trained_on(make_bayesian_vae, binary_images):
    vae, x = make_bayesian_vae(num_data=10), binary_images(40)
    vae.compile(optimizer=keras.optimizers.SGD(0.0))
    first = vae.elbo(x[:5], 20)
    vae.fit(x, batch_size=40, verbose=0)
    gained = vae.elbo(x[:5], 20) - first
    np.testing.assert_allclose(gained, _kl_of_weights(vae) * (1 / 10 - 1 / 40), rtol=1e-3)


def test_n_is_asked_for_where_a_dataset_has_none(make_bayesian_vae, binary_images):
    vae = make_bayesian_vae()
    vae.compile(optimizer="adam")
    data = tf.data.Dataset.from_tensor_slices(binary_images(20)).batch(10)
    with pytest.raises(ValueError, match=r"N is not known.*num_data=N given to VAE"):
        vae.fit(data, verbose=0)
