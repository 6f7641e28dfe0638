"""Units that models take from data, and ends of networks that would spoil a likelihood."""

import keras
import numpy as np
import pytest

import tfp_vae as tv

RNG = np.random.default_rng(0)
MEAN, SCALE = np.array([5.0, -1000.0, 1e6]), np.array([1.0, 100.0, 1e4])
X = (RNG.normal(size=(40, 3)) * SCALE + MEAN).astype(np.float32)
dense = keras.layers.Dense


def vae(scale="shared", *before):
    model = tv.VAE(
        prior=tv.priors.StandardNormal(2),
        encoder=tv.encoders.Gaussian(keras.Sequential([*before, dense(4, "relu")]), 2),
        decoder=tv.decoders.Normal(tv.networks.mlp([4]), (3,), scale),
    )
    model.compile("sgd", run_eagerly=True)
    return model


def network(*layers, likelihood=None):
    likelihood = tv.likelihoods.Normal() if likelihood is None else likelihood
    model = tv.BayesianNetwork(keras.Sequential(layers), likelihood)
    model.build((None, 3))
    model.compile(keras.optimizers.SGD(0.0), run_eagerly=True)
    return model


@pytest.mark.parametrize("scale", ["shared", "per_pixel"])
def test_a_density_in_units_of_the_data_has_the_log_of_their_scale(scale):
    model = vae(scale, tv.layers.Standardize())
    model.check_training(tv.data.Split(X, "real", name="train"), 20)
    assert model.waiting() == []
    z = np.zeros((1, 2), np.float32)
    data, head = model.at_mean().likelihood(z), model.decoder.head
    here = data.log_prob(X).numpy()
    unit_mean, unit = np.array(head.unit_mean), np.array(head.unit_scale)
    np.testing.assert_allclose(unit_mean, X.mean(0), rtol=1e-5)
    head.unit_mean.assign(np.zeros(3))
    head.unit_scale.assign(np.ones(3))
    there = model.at_mean().likelihood(z).log_prob((X - unit_mean) / unit).numpy()
    np.testing.assert_allclose(here, there - np.log(unit).sum(), rtol=1e-3)


def test_standardize_in_an_encoder_sees_examples_and_leaves_what_stands_beside():
    layer = tv.layers.Standardize()
    model = tv.ConditionalVAE(
        prior=tv.priors.StandardNormal(2),
        encoder=tv.encoders.Gaussian(keras.Sequential([layer, dense(4)]), 2),
        decoder=tv.decoders.Normal(tv.networks.mlp([4]), (3,)),
        num_classes=2,
    )
    model.adapt(tv.data.Split(X, "real", np.arange(40) % 2))
    np.testing.assert_allclose(layer.mean, [*X.mean(0), 0, 0], rtol=1e-5)
    np.testing.assert_allclose(layer.scale, [*X.std(0), 1, 1], rtol=1e-5)


def test_images_in_the_unit_interval_have_no_units():
    model = vae()
    model.adapt(tv.data.Split(np.clip(RNG.random((9, 3)), 0, 1), "unit_interval"))
    np.testing.assert_array_equal(model.decoder.head.unit_scale, np.ones(3))


def test_a_decoder_does_not_standardize_latents():
    with pytest.raises(ValueError, match=r"no data to standardize with.*the decoder"):
        tv.VAE(
            tv.priors.StandardNormal(2),
            tv.encoders.Gaussian(tv.networks.mlp([4]), 2),
            tv.decoders.Normal(keras.Sequential([tv.layers.Standardize(), dense(4)]), (3,)),
        )


def test_a_model_that_was_never_fitted_says_so_when_it_is_asked():
    with pytest.warns(UserWarning, match=r"This VAE was never fitted: decoder.* has no units"):
        vae().predict(X, verbose=0)


@pytest.mark.parametrize("way", ["set_weights", "assign", "load_weights"])
def test_weights_from_elsewhere_keep_their_units_in_fit(way, tmp_path):
    old = network(tv.layers.Standardize(), dense(1))
    old.adapt(tv.data.Split(X, "real", targets=X[:, 1]))
    new = network(tv.layers.Standardize(), dense(1))
    if way == "load_weights":
        old.save_weights(tmp_path / "a.weights.h5")
        new = network(tv.layers.Standardize(), dense(1))
        new.load_weights(tmp_path / "a.weights.h5", skip_mismatch=False)
    elif way == "set_weights":
        new.set_weights(old.get_weights())
    else:
        for weight, value in zip(new.weights, old.weights, strict=True):
            weight.assign(value)
    expected = new.predict(X, verbose=0)
    new.fit(X * 0.1 + 3, X[:, 1] * 0.01, verbose=0)
    np.testing.assert_array_equal(new.predict(X, verbose=0), expected)
    assert new.num_data == 40


ENDS = {
    "softmax": lambda: network(dense(3, "softmax"), likelihood=tv.likelihoods.Categorical(3)),
    "Softmax()": lambda: network(
        dense(3), keras.layers.Softmax(), likelihood=tv.likelihoods.Categorical(3)
    ),
    "flipout": lambda: network(
        tv.layers.DenseFlipout(3, "softmax"), likelihood=tv.likelihoods.Categorical(3)
    ),
    "relu": lambda: network(dense(1, "relu")),
    "softplus": lambda: network(dense(1, "softplus")),
    "sigmoid, reshaped": lambda: network(dense(1, "sigmoid"), keras.layers.Reshape((1,))),
    "nested": lambda: network(keras.Sequential([dense(1, "relu")])),
    "functional": lambda: network(_functional()),
    "encoder": lambda: _built(tv.encoders.Gaussian(keras.Sequential([dense(4, "softmax")]), 2)),
    "decoder": lambda: _built(tv.decoders.Bernoulli(keras.Sequential([dense(6, "sigmoid")]), (6,))),
}


def _functional():
    inputs = keras.Input((3,))
    return keras.Model(inputs, keras.layers.Activation("relu")(dense(1)(inputs)))


def _built(distribution):
    distribution.build((None, 3))


@pytest.mark.parametrize("end", list(ENDS))
def test_a_network_that_ends_in_an_activation_is_refused_by_name(end):
    with pytest.raises(ValueError, match=r"ends in the activation.*Expected.*Received"):
        ENDS[end]()


def test_ends_without_activation_and_hidden_rectifiers_are_taken():
    network(dense(4, "relu"), dense(1))
    _built(tv.encoders.Gaussian(tv.networks.mlp([4]), 2))
    _built(tv.decoders.Bernoulli(tv.networks.mlp([4]), (6,)))


def test_networks_of_several_outputs_or_inputs_are_refused_by_name():
    inputs = [keras.Input((3,)), keras.Input((3,))]
    outputs = [dense(3)(inputs[0]), dense(3)(inputs[0])]
    for several, message in (
        (keras.Model(inputs[0], outputs), "has several outputs.*Received 2"),
        (keras.Model(inputs[0], {"a": outputs[0]}), "has several outputs.*dict"),
        (keras.Model(inputs, dense(3)(keras.layers.Add()(inputs))), "has several inputs"),
    ):
        with pytest.raises(ValueError, match=message):
            _built(tv.encoders.Gaussian(several, 2))
