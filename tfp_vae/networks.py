"""Networks: tensor to tensor, no probability.

Each function returns a stock `keras.Sequential`, so anything that Keras can build, save and export
may stand in its place: a conditional distribution takes any Keras layer as its network.
"""

import math
from collections.abc import Iterable, Sequence
from typing import Any

import keras

from tfp_vae import keras_private
from tfp_vae.arguments import check_choice, check_number, is_count

ACTIVATIONS = ("relu", "tanh", "leaky_relu", "elu", "gelu", "softplus", "silu")

CONVOLUTIONS = (
    keras.layers.Conv1D,
    keras.layers.Conv2D,
    keras.layers.Conv3D,
    keras.layers.Conv1DTranspose,
    keras.layers.Conv2DTranspose,
    keras.layers.Conv3DTranspose,
    keras.layers.DepthwiseConv1D,
    keras.layers.DepthwiseConv2D,
    keras.layers.SeparableConv1D,
    keras.layers.SeparableConv2D,
)
_RECTIFIERS = ("relu", "leaky_relu", "elu", "gelu", "silu", "selu", "relu6")


def initializer(activation: str | None) -> str:
    """Returns the name of the Keras initializer for a kernel in front of an activation.

    He et al. (2015) keep the variance of the signal through rectifiers, Glorot & Bengio (2010)
    through the rest. With the wrong one a deep network starts almost constant in its input.
    """
    return "he_normal" if activation in _RECTIFIERS else "glorot_uniform"


def mlp(hidden: Sequence[int], activation: str = "relu") -> keras.Sequential:
    """Returns a multilayer perceptron, [B, ...] -> [B, hidden[-1]].

    Args:
        hidden: width of each hidden layer; an empty list gives a network that only flattens, which
            makes the conditional distribution around it linear.
        activation: a name in `ACTIVATIONS`.

    Raises:
        ValueError: for a width below 1 or an unknown activation.
    """
    _check(hidden, activation, "hidden")
    initial = initializer(activation)
    dense = [keras.layers.Dense(n, activation, kernel_initializer=initial) for n in hidden]
    return keras.Sequential([keras.layers.Flatten(), *dense], name="mlp")


@keras.saving.register_keras_serializable(package="tfp_vae")
class Skip(keras.Layer):
    """A network that gets its input, such as z, again in front of every layer with weights.

    What a layer is given has the input beside it, along the last axis; in front of a convolution
    each number of the input is a constant plane. So the last layer reads z without a way through
    those before, and a deep decoder has less cause to do without z (Dieng et al., "Avoiding latent
    variable collapse with generative skip models", AISTATS 2019).

    Args:
        network: a `keras.Sequential`, [B, D] -> [B, ...].
    """

    def __init__(self, network: keras.Sequential, **kwargs: Any):
        super().__init__(**kwargs)
        if not isinstance(network, keras.Sequential):
            raise ValueError(
                "Skips go around the layers of a chain. Expected a keras.Sequential. Received a "
                f"{type(network).__name__}."
            )
        self.chain = list(network.layers)

    def build(self, input_shape: Any) -> None:
        """Builds the layers, for inputs [B, D]."""
        self.call(keras.KerasTensor((None, *input_shape[1:])))
        self.built = True

    def call(self, inputs: Any) -> Any:
        """Returns what the last layer gives with the input beside it: a projection follows."""
        x, begun = inputs, False
        for layer in self.chain:
            if hasattr(layer, "units") or hasattr(layer, "filters"):
                x = _beside(x, inputs) if begun else x
                begun = True
            x = layer(x)
        return _beside(x, inputs) if begun else x

    def get_config(self) -> dict:
        """Returns the constructor's arguments, as JSON."""
        chain = [keras.saving.serialize_keras_object(layer) for layer in self.chain]
        return {**super().get_config(), "network": chain}

    @classmethod
    def from_config(cls, config: dict) -> "Skip":
        """Returns the layer of `get_config`."""
        chain = [keras.saving.deserialize_keras_object(layer) for layer in config["network"]]
        return cls(**{**config, "network": keras.Sequential(chain)})


def _beside(x: Any, inputs: Any) -> Any:
    """Returns features [B, ..., F] with the input [B, D] beside them, [B, ..., F + D]."""
    space = x.shape[1:-1]
    planes = keras.ops.reshape(inputs, (-1, *[1] * len(space), inputs.shape[-1]))
    planes = keras.ops.tile(planes, (1, *space, 1))
    return keras.ops.concatenate([x, keras.ops.cast(planes, x.dtype)], axis=-1)


def conv_encoder(
    filters: Sequence[int] = (32, 64), units: int = 128, activation: str = "relu"
) -> keras.Sequential:
    """Returns stride-2 3x3 convolutions and a dense layer, [B, H, W, C] -> [B, units].

    Raises:
        ValueError: for a number of filters or units below 1 or an unknown activation.
    """
    _check(filters, activation, "filters", units)
    initial = {"kernel_initializer": initializer(activation)}
    layers = [
        keras.layers.Conv2D(n, 3, strides=2, padding="same", activation=activation, **initial)
        for n in filters
    ]
    layers += [keras.layers.Flatten(), keras.layers.Dense(units, activation, **initial)]
    return keras.Sequential(layers, name="conv_encoder")


def conv_classifier(
    num_classes: int,
    filters: Sequence[int] = (16, 32),
    units: int = 128,
    activation: str = "relu",
    dropout: float = 0.5,
) -> keras.Sequential:
    """Returns 5x5 convolutions with pooling and a dense layer, [B, H, W, C] -> logits [B, K].

    Pooling and dropout are for few labels, where strides alone generalise worse.

    Args:
        num_classes: K.
        filters: of each convolution, which halves height and width.
        units: width of the dense layer.
        activation: a name in `ACTIVATIONS`.
        dropout: rate before each dense layer.

    Raises:
        ValueError: for a number of classes, filters or units below 1, an unknown activation, or a
            rate that is not in [0, 1).
    """
    _check(filters, activation, "filters", num_classes, units)
    check_number("dropout", dropout, 0, below=1)
    initial = {"kernel_initializer": initializer(activation)}
    layers = []
    for n in filters:
        layers.append(keras.layers.Conv2D(n, 5, padding="same", activation=activation, **initial))
        layers.append(keras.layers.MaxPool2D(padding="same"))
    layers += [
        keras.layers.Flatten(),
        keras.layers.Dropout(dropout),
        keras.layers.Dense(units, activation, **initial),
        keras.layers.Dropout(dropout),
        keras.layers.Dense(num_classes),
    ]
    return keras.Sequential(layers, name="conv_classifier")


def conv_decoder(
    shape: Sequence[int],
    filters: Sequence[int] = (64, 32),
    units: int = 128,
    activation: str = "relu",
) -> keras.Sequential:
    """Returns the mirror of `conv_encoder`, [B, D] -> [B, H, W, filters[-1]].

    Args:
        shape: (H, W) or (H, W, C) of the images; sizes that are not multiples of 2^len(filters) are
            reached by cropping.
        filters: filters of each stride-2 transposed convolution, from the latent side on.
        units: width of the dense layer next to the latents.
        activation: a name in `ACTIVATIONS`.

    Raises:
        ValueError: for a number of filters or units below 1 or an unknown activation.
    """
    _check(filters, activation, "filters", units)
    sizes = _listed(shape)
    if not filters or len(sizes) < 2 or not all(is_count(size) for size in sizes):
        raise ValueError(
            "A convolutional decoder needs filters and images. Expected at least one number of "
            f"filters and a shape (H, W, C). Received {list(filters)} and {shape!r}."
        )
    initial = {"kernel_initializer": initializer(activation)}
    height, width = shape[0], shape[1]
    stride = 2 ** len(filters)
    low = (math.ceil(height / stride), math.ceil(width / stride), filters[0])
    layers = [
        keras.layers.Dense(units, activation, **initial),
        keras.layers.Dense(math.prod(low), activation, **initial),
        keras.layers.Reshape(low),
    ]
    layers += [
        keras.layers.Conv2DTranspose(
            n, 3, strides=2, padding="same", activation=activation, **initial
        )
        for n in filters
    ]
    extra = (low[0] * stride - height, low[1] * stride - width)
    if any(extra):
        layers.append(keras.layers.Cropping2D(((0, extra[0]), (0, extra[1]))))
    return keras.Sequential(layers, name="conv_decoder")


# Layers that hand on what they get as far as its range goes.
_PLAIN = (
    keras.layers.Flatten,
    keras.layers.Reshape,
    keras.layers.Dropout,
    keras.layers.InputLayer,
    keras.layers.Identity,
)
_ACTIVATION_LAYERS = (
    keras.layers.Softmax,
    keras.layers.ReLU,
    keras.layers.LeakyReLU,
    keras.layers.ELU,
    keras.layers.PReLU,
)
# Nothing is lost by these, whatever the likelihood.
_HARMLESS = ("linear", "log_softmax")


def last_activation(network: keras.Layer) -> "str | None":
    """Returns the name of the activation that a network ends in, or None if none is known of."""
    for layer in keras_private.last_layers(network):
        if isinstance(layer, _ACTIVATION_LAYERS):
            return type(layer).__name__.lower()
        if isinstance(layer, _PLAIN):
            continue
        name = getattr(getattr(layer, "activation", None), "__name__", None)
        is_named = name is not None and hasattr(keras.activations, name)
        return name if is_named and name not in _HARMLESS else None
    return None


def check_ends_free(network: keras.Layer, owner: str) -> None:
    """Raises `ValueError` if a network ends in an activation before a likelihood.

    A likelihood makes probabilities, rates and scales of any real numbers by itself.
    """
    name = last_activation(network)
    if name is not None:
        raise ValueError(
            f"The network of {owner} ends in the activation {name!r}, before a likelihood that "
            "takes any real numbers and has its own. Expected a last layer without activation "
            f"(activation=None). Received {name!r} at the end of {network.name}."
        )


def check_no_probabilities(network: keras.Layer, size: int, width: int, owner: str) -> None:
    """Raises `ValueError` if features in front of a projection are meant to be probabilities.

    Args:
        network: whose features a dense layer projects to parameters.
        size: values of an event.
        width: of the features.
        owner: for the error.
    """
    name = last_activation(network)
    if name == "softmax" or (name == "sigmoid" and size == width):
        raise ValueError(
            f"The network of {owner} ends in the activation {name!r}, as if its outputs were the "
            "probabilities. Expected the hidden layers alone: a layer that gives the parameters of "
            f"the distribution follows. Received {name!r} at the end of {network.name}."
        )


def output_shape(network: keras.Layer, input_shape: Any, owner: str) -> tuple:
    """Returns the shape of what a network gives for inputs (None, ...), and builds it.

    Args:
        network: any Keras layer or model, also one that has nothing but `call`.
        input_shape: (None, ...).
        owner: whose network it is, for the error.

    Raises:
        ValueError: if the network cannot take such inputs, or has several outputs.
    """
    inputs = keras.tree.flatten(getattr(network, "inputs", None) or [])
    if len(inputs) > 1:
        raise ValueError(
            f"The network of {owner} has several inputs. Expected one of shape "
            f"{tuple(input_shape)}, which the network cuts into parts itself. Received "
            f"{len(inputs)} in {network.name!r}."
        )
    try:
        outputs = network(keras.KerasTensor(input_shape))
    except ValueError as error:
        raise ValueError(
            f"The network of {owner} does not fit what it is given. Expected one that takes inputs "
            f"of shape {tuple(input_shape)}. Received {type(network).__name__} {network.name!r}: "
            f"{error}"
        ) from error
    if not isinstance(outputs, keras.KerasTensor):
        count = len(keras.tree.flatten(outputs))
        raise ValueError(
            f"The network of {owner} has several outputs. Expected one tensor; join them with "
            f"keras.layers.Concatenate. Received {count} in a {type(outputs).__name__} from "
            f"{network.name!r}."
        )
    return outputs.shape


def last_layer(network: keras.Layer, owner: str) -> keras.Layer:
    """Returns the layer whose outputs are the network's, and which has weights of its own.

    Args:
        network: a `keras.Sequential` or a functional model, built.
        owner: who asks, for the error.

    Raises:
        ValueError: if there is none: several outputs, an activation behind the last weights, or a
            model that does not say what its layers are.
    """
    layers = network.layers if isinstance(network, keras.Model) else []
    one = len(getattr(network, "outputs", None) or []) == 1
    if not one or not layers or not layers[-1].trainable_variables:
        found = layers[-1].name if one and layers else f"{type(network).__name__} {network.name}"
        raise ValueError(
            f"{owner} needs a last layer with weights of its own. Expected a keras.Sequential or a "
            f"functional model that ends in a layer such as Dense(K), without an activation layer "
            f"behind it. Received {found!r} at the end."
        )
    return layers[-1]


def _listed(sizes: Any) -> tuple:
    """Returns the sizes, or nothing where it is not a sequence of them."""
    return tuple(sizes) if isinstance(sizes, Iterable) else ()


def _check(sizes: Sequence[int], activation: str, what: str, *others: int) -> None:
    listed = isinstance(sizes, Iterable)
    if not listed or not all(is_count(size) for size in (*sizes, *others)):
        also = f" with {', '.join(map(repr, others))}" if others else ""
        raise ValueError(
            f"{what} must be positive. Expected integers >= 1, one for each layer. Received "
            f"{sizes!r}{also}."
        )
    check_choice("activation", activation, ACTIVATIONS)
