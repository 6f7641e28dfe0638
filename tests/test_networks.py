"""Networks: tensor to tensor, of the shapes that heads can use."""

import keras
import numpy as np
import pytest
import tensorflow as tf

import tfp_vae as tv
from tfp_vae import methods, networks


@pytest.mark.parametrize("hidden", [[], [7], [400, 400], [3, 4, 5, 6]], ids=str)
@pytest.mark.parametrize("activation", networks.ACTIVATIONS)
def test_mlp_flattens_and_has_the_widths_asked_for(hidden, activation):
    network = networks.mlp(hidden, activation)
    output = network(np.ones((2, 4, 3, 1), np.float32))
    assert output.shape == (2, hidden[-1] if hidden else 12)
    dense = [layer.units for layer in network.layers if isinstance(layer, keras.layers.Dense)]
    assert dense == hidden


@pytest.mark.parametrize("shape", [(28, 28, 1), (8, 8, 1), (15, 9, 3), (5, 5, 1)], ids=str)
def test_convolutional_decoders_end_at_the_size_of_the_image(shape):
    for encode, decode in (
        (networks.conv_encoder, networks.conv_decoder),
        (networks.resnet, networks.resnet_decoder),
    ):
        z = keras.KerasTensor((None, 3))
        assert decode(shape, (6, 4), 16)(z).shape == (None, *shape[:2], 4)
        assert encode((4, 6), 16)(keras.KerasTensor((None, *shape))).shape == (None, 16)


def test_signal_keeps_its_variance_through_a_deep_relu_network():
    # Glorot initial weights would lose half of it at every layer: 2^-8 here.
    x = np.random.default_rng(0).normal(size=(500, 100)).astype(np.float32)
    output = networks.mlp([300] * 8, "relu")(x).numpy()
    assert np.mean(output**2) > 0.25 * np.mean(x**2)


@pytest.mark.parametrize(
    "make",
    [
        lambda: networks.mlp([0]),
        lambda: networks.mlp([2.5]),
        lambda: networks.mlp([3], "swishy"),
        lambda: networks.conv_encoder([-1]),
        lambda: networks.conv_decoder((8, 8, 1), [4], units=0),
        lambda: networks.gated_mlp([4, 0]),
        lambda: networks.Gated(1.5),
        lambda: networks.Residual(4, strides=0),
        lambda: networks.Residual(4, activation="swishy"),
        lambda: networks.resnet_decoder((8,), [4]),
    ],
    ids=[
        "no_units",
        "half_a_unit",
        "unknown_activation",
        "negative_filters",
        "no_dense_units",
        "no_gates",
        "half_a_gate",
        "no_strides",
        "unknown_residual",
        "no_image",
    ],
)
def test_impossible_networks_are_refused(make):
    with pytest.raises(ValueError, match=r"Expected.*Received"):
        make()


def test_a_conv_classifier_gives_logits_and_drops_out_in_training_only():
    network = networks.conv_classifier(3, (2, 4), units=6)
    x = np.random.default_rng(0).random((5, 7, 6, 1), np.float32)
    logits = network(x)
    assert logits.shape == (5, 3)
    np.testing.assert_array_equal(network(x), logits)
    assert np.any(network(x, training=True) != logits)


@pytest.mark.parametrize(
    ("arguments", "received"),
    [((0,), "0"), ((3, (2,), 6, "relu", 1), "1")],
)
def test_an_impossible_conv_classifier_is_refused(arguments, received):
    with pytest.raises(ValueError, match=f"Expected.*Received.*{received}"):
        networks.conv_classifier(*arguments)


def test_a_gated_layer_multiplies_by_its_gates_which_are_a_half_without_weights():
    x = np.random.default_rng(0).normal(size=(5, 3)).astype(np.float32)
    layer = networks.Gated(4)
    layer(x)
    w, b, v, c = (np.random.default_rng(1).normal(size=each.shape) for each in layer.get_weights())
    layer.set_weights([w, b, v, c])
    expected = (x @ w + b) / (1 + np.exp(-(x @ v + c)))
    np.testing.assert_allclose(layer(x), expected, rtol=1e-5, atol=1e-6)
    layer.set_weights([w, b, 0 * v, 0 * c])
    np.testing.assert_allclose(layer(x), (x @ w + b) / 2, rtol=1e-5, atol=1e-6)


def test_a_residual_layer_without_its_convolutions_is_the_way_around_them():
    x = np.random.default_rng(0).random((2, 3, 5, 2), np.float32)
    for transposed, strides, expected in (
        (False, 2, x[:, ::2, ::2]),
        (True, 2, x.repeat(2, axis=1).repeat(2, axis=2)),
    ):
        layer = networks.Residual(2, strides, transposed)
        layer(x)
        layer.second.set_weights([np.zeros((3, 3, 2, 2)), np.zeros(2)])
        layer.around.set_weights([np.eye(2)[None, None], np.zeros(2)])
        np.testing.assert_allclose(layer(x), expected, rtol=1e-6)


@pytest.mark.parametrize("network", list(methods.VAE_NETWORKS))
def test_every_weight_of_a_recipe_has_a_gradient_and_comes_back_from_a_file(network, tmp_path):
    images = np.random.default_rng(0).random((8, 5, 4, 1), np.float32)
    split = tv.data.Split(images, "unit_interval", name="train")
    options = {"hidden": (6,), "filters": (3, 4), "activation": "tanh", "skip": True}
    recipe = methods.VAERecipe(latent_dim=2, network=network, **options)
    vae = recipe.build(tv.data.Data("noise", split, split, split))
    x = split.values()
    with tf.GradientTape() as tape:
        draw = vae.at(0)
        (latent,) = draw.infer(x, 1)
        value = tf.reduce_sum(draw.likelihood(latent.value).log_prob(x))
    weights = vae.trainable_variables
    for weight, gradient in zip(weights, tape.gradient(value, weights), strict=True):
        assert gradient is not None and np.any(gradient != 0), weight.path
    vae.save(tmp_path / "model.keras")
    again = tv.load(tmp_path / "model.keras")
    np.testing.assert_array_equal(again.encode(x), vae.encode(x))
    z = np.ones((2, 2), np.float32)
    np.testing.assert_array_equal(again.decoder(z).features, vae.decoder(z).features)


@pytest.fixture
def channels_first():
    keras.config.set_image_data_format("channels_first")
    yield
    keras.config.set_image_data_format("channels_last")


def _classifier(*layers):
    network = keras.Sequential([*layers, keras.layers.Flatten(), keras.layers.Dense(2)])
    return tv.BayesianNetwork(network, tv.likelihoods.Categorical(2), weight_prior=1.0)


@pytest.mark.parametrize(
    "make",
    [_classifier, lambda: tv.layers.Conv2DReparameterization(2, 3)],
    ids=["model", "layer"],
)
def test_channels_first_are_refused_by_name_before_any_work(make, channels_first):
    with pytest.raises(ValueError, match=r"channels last here.*Received 'channels_first'"):
        make()


def test_a_layer_that_takes_the_first_axis_for_channels_is_refused_in_fit():
    images, labels = np.zeros((4, 6, 6, 3), np.float32), np.arange(4) % 2
    convolution = keras.layers.Conv2D(2, 3, data_format="channels_first", name="first")
    model = _classifier(convolution)
    model.compile("sgd")
    with pytest.raises(ValueError, match=r"Received first with 'channels_first'"):
        model.fit(images, labels)
    networks.check_channels_last([keras.layers.Permute((3, 1, 2)), convolution])
