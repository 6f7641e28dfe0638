"""Claims of the tests of TFP's layers, edward2 and pythae that apply; BUILD.md has the table."""

import keras
import numpy as np
import pytest
import tensorflow as tf

import tfp_vae as tv

DENSE = ["DenseReparameterization", "DenseLocalReparameterization", "DenseFlipout"]


@pytest.mark.parametrize("name", DENSE)
def test_loss_and_kl_have_gradients_in_every_epoch_and_a_subclass_is_a_layer(name):
    class Subclass(getattr(tv.layers, name)):
        pass

    layer = Subclass(2, kl_weight=0.1)
    model = keras.Sequential(
        [keras.layers.Conv2D(3, 2, padding="same"), keras.layers.Flatten(), layer]
    )
    x, y = np.ones((3, 4, 4, 1), np.float32), np.ones((3, 2), np.float32)
    for _ in range(2):  # built inside the first tape, before the second
        with tf.GradientTape(persistent=True) as tape:
            loss = tf.reduce_mean((model(x, training=True) - y) ** 2)
            (penalty,) = model.losses
        sources = [layer.loc.value, layer.raw_scale.value]
        for target in (loss, penalty):
            assert all(np.any(gradient) for gradient in tape.gradient(target, sources))
    assert np.any(model(x).numpy() != model(x).numpy())  # two passes are two draws


@pytest.mark.parametrize("name", DENSE)
def test_no_kl_is_in_the_loss_before_a_call_and_one_scalar_after(name):
    layer = getattr(tv.layers, name)(2, bayesian_bias=True, kl_weight=1.0)
    assert not layer.losses
    layer(np.ones((2, 3, 4), np.float32))
    (penalty,) = layer.losses  # of kernel and bias together
    assert penalty.shape == () and float(penalty) == pytest.approx(float(layer.kl_divergence()))


def test_layers_of_all_estimators_and_dropout_stand_in_one_network():
    layers = [getattr(tv.layers, name)(6, "relu", kl_weight=1.0) for name in DENSE]
    model = keras.Sequential([*layers, tv.layers.MonteCarloDropout(0.5), keras.layers.Dense(1)])
    x = np.random.default_rng(0).normal(size=(9, 3)).astype(np.float32)
    assert model(x).shape == (9, 1) and len(model.losses) == 3
    alone = keras.Sequential([tv.layers.MonteCarloDropout(0.5)])
    alone.run_eagerly = True
    assert np.any(alone.predict_on_batch(x) != alone.predict_on_batch(x))


def test_a_series_has_one_draw_for_all_its_steps_another_at_the_next_call_and_gradients():
    layer = tv.layers.Bayesian(keras.layers.LSTM(3, return_sequences=True), kl_weight=1.0)
    steps = np.ones((2, 4, 2), np.float32)
    for _ in range(2):
        with tf.GradientTape(persistent=True) as tape:
            found = layer(steps, training=True)
            loss, (penalty,) = tf.reduce_sum(found**2), layer.losses
        cell = layer.layer.cell
        sources = [cell.kernel.value, cell.recurrent_kernel.value, layer.raw_scale.value]
        for target in (loss, penalty):
            assert all(np.any(gradient) for gradient in tape.gradient(target, sources))
    assert found.shape == (2, 4, 3) and penalty.shape == ()
    np.testing.assert_array_equal(found[0], found[1])  # which other noise would tell apart
    assert np.any(found.numpy() != layer(steps, training=True).numpy())


@pytest.mark.parametrize("optimizer", ["adagrad", "adam", "adadelta", "sgd", "rmsprop"])
def test_a_step_of_training_moves_weights_and_one_of_evaluation_or_prediction_none(
    make_vae, binary_images, optimizer
):
    vae, x = make_vae(), binary_images(6)
    vae.compile(optimizer=optimizer, run_eagerly=True)

    def weights():
        return [variable.numpy() for variable in vae.trainable_variables]

    start = weights()
    vae.test_on_batch(x)
    vae.predict_on_batch(x)
    for before, after in zip(start, weights(), strict=True):
        np.testing.assert_array_equal(before, after)
    vae.train_on_batch(x)
    assert any(np.any(a != b) for a, b in zip(start, weights(), strict=True))


@pytest.mark.parametrize("count", [4, 5, 2])
def test_so_many_examples_are_generated_as_are_asked_for(make_vae, monkeypatch, count):
    monkeypatch.setattr(tv.VAE, "rows_at_once", 3)
    found = make_vae().generate(count, seed=0)
    assert found["sample"].shape == found["mean"].shape == (count, 4, 4, 1)
    assert found["z"].shape == (count, 2)


def test_networks_that_do_not_fit_are_refused_before_training():
    def parts(**others):
        given = {
            "prior": tv.priors.StandardNormal(2),
            "encoder": tv.encoders.Gaussian(tv.networks.mlp([4]), 2),
            "decoder": tv.decoders.Bernoulli(tv.networks.mlp([4]), (4, 4, 1)),
        }
        return given | others

    wrong_input = keras.Sequential([keras.Input((7,)), keras.layers.Dense(4)])
    for others, way_out in (
        ({"encoder": tv.encoders.Gaussian(tv.networks.mlp([4]), 3)}, "latent size"),
        ({"encoder": keras.layers.Dense(4)}, r"encoders\.Gaussian\(network, D\)"),
        ({"prior": tv.distributions.base.tfd.Normal(0.0, 1.0)}, r"subclass of priors\.Prior"),
        ({"decoder": keras.layers.Dense(4)}, r"decoders\.Bernoulli\(network, shape\)"),
        ({"decoder": tv.decoders.Bernoulli(wrong_input, (4, 4, 1))}, "Expected"),
        ({"objective": "elbo"}, "subclass of objectives.Bound"),
    ):
        with pytest.raises(ValueError, match=way_out):
            tv.VAE(**parts(**others))
