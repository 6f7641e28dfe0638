"""Networks: tensor to tensor, of the shapes that heads can use."""

import keras
import numpy as np
import pytest

from tfp_vae import networks


@pytest.mark.parametrize("hidden", [[], [7], [400, 400], [3, 4, 5, 6]], ids=str)
@pytest.mark.parametrize("activation", networks.ACTIVATIONS)
def test_mlp_flattens_and_has_the_widths_asked_for(hidden, activation):
    network = networks.mlp(hidden, activation)
    output = network(np.ones((2, 4, 3, 1), np.float32))
    assert output.shape == (2, hidden[-1] if hidden else 12)
    dense = [layer.units for layer in network.layers if isinstance(layer, keras.layers.Dense)]
    assert dense == hidden


@pytest.mark.parametrize("shape", [(28, 28, 1), (8, 8, 1), (15, 9, 3), (5, 5, 1)], ids=str)
def test_conv_decoder_ends_at_the_size_of_the_image(shape):
    decoded = networks.conv_decoder(shape, (6, 4), 16)(np.ones((2, 3), np.float32))
    assert decoded.shape == (2, *shape[:2], 4)
    encoded = networks.conv_encoder((4, 6), 16)(np.ones((2, *shape), np.float32))
    assert encoded.shape == (2, 16)


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
    ],
    ids=["no_units", "half_a_unit", "unknown_activation", "negative_filters", "no_dense_units"],
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
