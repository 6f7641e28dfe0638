"""Networks: tensor to tensor, no probability.

Each function returns a stock `keras.Sequential`, so anything that Keras can build, save and export
may stand in its place: a conditional distribution takes any Keras layer as its network.
"""

import functools
import math
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import keras
import numpy as np

from tfp_vae import keras_private
from tfp_vae.arguments import check_choice, check_count, check_number, is_count

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


def check_channels_last(layers: "Iterable[keras.Layer]" = ()) -> None:
    """Raises `ValueError` if Keras' layers take the first axis of an image for its channels.

    They would read an image [H, W, C] as H channels, without a word.

    Args:
        layers: that were made already, each with a `data_format` of its own.
    """
    if (found := keras.config.image_data_format()) != "channels_last":
        raise ValueError(
            "Images have their channels last here. Expected "
            "keras.config.set_image_data_format('channels_last'), or that in keras.json, before "
            f"the layers are made. Received {found!r}."
        )
    layers = list(layers)
    if any(isinstance(layer, keras.layers.Permute) for layer in layers):
        return  # which may put them first
    for layer in layers:
        first = getattr(layer, "data_format", None) == "channels_first"
        if first and not isinstance(layer, keras.layers.Flatten):  # the order of features is free
            raise ValueError(
                "Images have their channels last here. Expected layers with "
                "data_format='channels_last', or keras.layers.Permute before them. Received "
                f"{layer.name} with 'channels_first'."
            )


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
class Gated(keras.Layer):
    """A dense layer with a gate of its own, (W x + b) * sigmoid(V x + c), [B, F] -> [B, units].

    What a unit says and whether it says it are two questions (Dauphin et al., 2017; in VAEs:
    Tomczak & Welling, "VAE with a VampPrior", AISTATS 2018). With V = 0 and c = 0 it is half of a
    linear layer.

    Args:
        units: its width.

    Raises:
        ValueError: for a width below 1.
    """

    def __init__(self, units: int, **kwargs: Any):
        super().__init__(**kwargs)
        self.units = check_count("units", units)
        self.value = keras.layers.Dense(
            units, kernel_initializer="he_normal", dtype=self.dtype_policy, name="value"
        )
        self.gate = keras.layers.Dense(units, "sigmoid", dtype=self.dtype_policy, name="gate")

    def build(self, input_shape: Any) -> None:
        """Makes W, b, V and c for inputs [B, F]."""
        self.value.build(input_shape)
        self.gate.build(input_shape)
        self.built = True

    def call(self, inputs: Any) -> Any:
        """Returns what the gates let through, [B, units]."""
        return self.value(inputs) * self.gate(inputs)

    def get_config(self) -> dict:
        """Returns the constructor's arguments, as JSON."""
        return {**super().get_config(), "units": self.units}


def gated_mlp(hidden: Sequence[int]) -> keras.Sequential:
    """Returns gated dense layers, [B, ...] -> [B, hidden[-1]]; see `Gated`.

    Args:
        hidden: width of each layer; an empty list gives a network that only flattens.

    Raises:
        ValueError: for a width below 1.
    """
    _check(hidden, "relu", "hidden")
    return keras.Sequential([keras.layers.Flatten(), *map(Gated, hidden)], name="gated_mlp")


@keras.saving.register_keras_serializable(package="tfp_vae")
class Residual(keras.Layer):
    """Two 3x3 convolutions with a way around them, [B, H, W, C] -> [B, H', W', filters].

    activation(x' + conv(activation(conv(x)))), where x' is x through a 1x1 convolution (He et al.,
    "Deep residual learning for image recognition", CVPR 2016). The first convolution has the
    strides; a transposed one multiplies height and width by them, and x is repeated for x'.

    Args:
        filters: of each convolution.
        strides: of the first, in both directions.
        transposed: whether the first is transposed.
        activation: a name in `ACTIVATIONS`.

    Raises:
        ValueError: for filters or strides below 1 or an unknown activation.
    """

    def __init__(
        self,
        filters: int,
        strides: int = 1,
        transposed: bool = False,
        activation: str = "relu",
        **kwargs: Any,
    ):
        super().__init__(**kwargs)
        self.filters = check_count("filters", filters)
        self.strides = check_count("strides", strides)
        self.transposed, self.kind = bool(transposed), activation
        check_choice("activation", activation, ACTIVATIONS)
        self.activation = keras.activations.get(activation)
        same = {"padding": "same", "dtype": self.dtype_policy}
        first = keras.layers.Conv2DTranspose if transposed else keras.layers.Conv2D
        initial = {"kernel_initializer": initializer(activation)}
        self.first = first(
            filters, 3, strides, activation=activation, name="first", **initial, **same
        )
        self.second = keras.layers.Conv2D(filters, 3, name="second", **same)
        around = 1 if transposed else strides
        self.around = keras.layers.Conv2D(filters, 1, around, name="around", **same)

    def build(self, input_shape: Any) -> None:
        """Makes the convolutions for inputs [B, H, W, C]."""
        self.call(keras.KerasTensor((None, *input_shape[1:])))
        self.built = True

    def call(self, inputs: Any) -> Any:
        """Returns features [B, H', W', filters]."""
        around = self.around(inputs)
        if self.transposed:
            for axis in (1, 2):
                around = keras.ops.repeat(around, self.strides, axis=axis)
        return self.activation(around + self.second(self.first(inputs)))

    def get_config(self) -> dict:
        """Returns the constructor's arguments, as JSON."""
        own = {"filters": self.filters, "strides": self.strides, "transposed": self.transposed}
        return {**super().get_config(), **own, "activation": self.kind}


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


def resnet(
    filters: Sequence[int] = (32, 64), units: int = 128, activation: str = "relu"
) -> keras.Sequential:
    """Returns stride-2 residual convolutions and a dense layer, [B, H, W, C] -> [B, units].

    Raises:
        ValueError: for a number of filters or units below 1 or an unknown activation.
    """
    _check(filters, activation, "filters", units)
    layers = [Residual(n, 2, activation=activation) for n in filters]
    dense = keras.layers.Dense(units, activation, kernel_initializer=initializer(activation))
    return keras.Sequential([*layers, keras.layers.Flatten(), dense], name="resnet")


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
    make = functools.partial(
        keras.layers.Conv2DTranspose,
        kernel_size=3,
        strides=2,
        padding="same",
        activation=activation,
        kernel_initializer=initializer(activation),
    )
    return _upwards(shape, filters, units, activation, make, "conv_decoder")


def resnet_decoder(
    shape: Sequence[int],
    filters: Sequence[int] = (64, 32),
    units: int = 128,
    activation: str = "relu",
) -> keras.Sequential:
    """Returns the mirror of `resnet`, [B, D] -> [B, H, W, filters[-1]].

    Arguments and errors are those of `conv_decoder`.
    """
    make = functools.partial(Residual, strides=2, transposed=True, activation=activation)
    return _upwards(shape, filters, units, activation, make, "resnet_decoder")


def _upwards(
    shape: Sequence[int],
    filters: Sequence[int],
    units: int,
    activation: str,
    make: Callable[[int], keras.Layer],
    name: str,
) -> keras.Sequential:
    """Returns dense layers, a layer for each number of filters that doubles the size, and a cut."""
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
        *(make(n) for n in filters),
    ]
    extra = (low[0] * stride - height, low[1] * stride - width)
    if any(extra):
        layers.append(keras.layers.Cropping2D(((0, extra[0]), (0, extra[1]))))
    return keras.Sequential(layers, name=name)


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


def held(layer: keras.Layer, values: Any) -> Any:
    """Returns what a built layer makes of values with its weights held: no gradient reaches them.

    Args:
        layer: that is called.
        values: [B, ...], through which gradients flow.
    """
    stop = keras.ops.stop_gradient
    trained = [stop(weight) for weight in layer.trainable_variables]
    others = [keras.ops.convert_to_tensor(weight) for weight in layer.non_trainable_variables]
    return layer.stateless_call(trained, others, values)[0]


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


@keras.saving.register_keras_serializable(package="tfp_vae")
class MaskedDense(keras.layers.Dense):
    """A dense layer in which no number sees a place after its own (MADE, Germain et al., 2015).

    Inputs of T places have I numbers each, side by side. Hidden units have ranks 0, 1, ..., T - 1
    in turn: one of rank r sees the places before the r-th. What the last layer gives for a place
    sees the places before it alone.

    Args:
        units: numbers that it gives, for the last layer a multiple of T.
        places: T.
        where: "first", "hidden", "last" or, for a layer that is first and last, "only".
        **kwargs: of `keras.layers.Dense`.

    Raises:
        ValueError: for numbers that are not the same for all places.
    """

    def __init__(self, units: int, places: int, where: str = "hidden", **kwargs: Any):
        super().__init__(check_count("units", units), **kwargs)
        self.places = check_count("places", places)
        self.where = check_choice("where", where, ("first", "hidden", "last", "only"))

    def build(self, input_shape: Any) -> None:
        """Makes weights and mask for inputs [B, I]."""
        self.mask = self._mask(input_shape[-1])
        super().build(input_shape)

    def _mask(self, inputs: int) -> np.ndarray:
        has_places = self.where in ("first", "only"), self.where in ("last", "only")
        ranks = []
        for size, is_placed in zip((inputs, self.units), has_places, strict=True):
            if is_placed and size % self.places:
                raise ValueError(
                    f"Each place has as many numbers. Expected a multiple of places={self.places}. "
                    f"Received {size}."
                )
            number = np.arange(size)
            ranks.append(number * self.places // size + 1 if is_placed else number % self.places)
        seen, own = ranks[0][:, np.newaxis], ranks[1]
        return (seen < own if has_places[1] else seen <= own).astype(np.float32)

    def call(self, inputs: Any, training: "bool | None" = None) -> Any:
        """Returns [B, units]."""
        kernel = keras.ops.cast(self.kernel, inputs.dtype) * self.mask
        found = keras.ops.matmul(inputs, kernel) + keras.ops.cast(self.bias, inputs.dtype)
        return found if self.activation is None else self.activation(found)

    def get_config(self) -> dict:
        """Returns the constructor's arguments, as JSON."""
        return {**super().get_config(), "places": self.places, "where": self.where}


def masked_mlp(
    places: int, outputs: int, hidden: Sequence[int] = (256,), activation: str = "relu"
) -> keras.Sequential:
    """Returns a masked perceptron, [B, T I] -> [B, T outputs]; what is for place t sees those < t.

    Args:
        places: T.
        outputs: numbers for each place.
        hidden: widths; an empty list gives one layer.
        activation: a name in `ACTIVATIONS`.

    Raises:
        ValueError: for a width below 1 or an unknown activation.
    """
    _check(hidden, activation, "hidden", outputs)
    initial = initializer(activation)
    layers = [
        MaskedDense(
            width, places, "hidden" if level else "first",
            activation=activation, kernel_initializer=initial,
        )
        for level, width in enumerate(hidden)
    ]  # fmt: skip
    last = MaskedDense(places * outputs, places, "last" if hidden else "only")
    return keras.Sequential([*layers, last], name="masked_mlp")


@keras.saving.register_keras_serializable(package="tfp_vae")
class MaskedConv2D(keras.layers.Conv2D):
    """A convolution in which no pixel sees one after it, row by row (van den Oord et al., 2016).

    Args:
        filters: of the convolution.
        kernel_size: odd, in both directions.
        strict: whether a pixel does not see itself either ("mask A").
        **kwargs: of `keras.layers.Conv2D`.

    Raises:
        ValueError: for an even kernel, or strides.
    """

    def __init__(self, filters: int, kernel_size: Any, strict: bool = False, **kwargs: Any):
        size = kernel_size[0] if isinstance(kernel_size, tuple | list) else kernel_size
        if not is_count(size) or size % 2 == 0 or kwargs.pop("padding", "same") != "same":
            raise ValueError(
                "A masked kernel has a middle. Expected an odd kernel_size and padding='same'. "
                f"Received kernel_size={kernel_size!r}."
            )
        super().__init__(filters, size, padding="same", **kwargs)
        self.strict = bool(strict)
        self.mask = np.zeros((size, size, 1, 1), np.float32)
        self.mask[: size // 2] = 1.0
        self.mask[size // 2, : size // 2 + (not strict)] = 1.0

    def convolution_op(self, inputs: Any, kernel: Any) -> Any:
        """Returns the convolution with what may be seen of the kernel."""
        return super().convolution_op(inputs, kernel * keras.ops.cast(self.mask, kernel.dtype))

    def get_config(self) -> dict:
        """Returns the constructor's arguments, as JSON."""
        return {**super().get_config(), "strict": self.strict}


def masked_convolutions(filters: int, reach: int, activation: str = "relu") -> "list[MaskedConv2D]":
    """Returns masked convolutions after which a pixel sees `reach` rows and columns before it.

    The first does not see the pixel itself and has half of the reach, each other one more.

    Args:
        filters: of each.
        reach: how far, in pixels; 2 reach + 1 is the width of what is seen.
        activation: a name in `ACTIVATIONS`.

    Raises:
        ValueError: for filters or a reach below 1 or an unknown activation.
    """
    _check([filters], activation, "filters", reach)
    options: dict[str, Any] = {
        "activation": activation,
        "kernel_initializer": initializer(activation),
    }
    first = (reach + 1) // 2
    layers = [MaskedConv2D(filters, 2 * first + 1, strict=True, **options)]
    return layers + [MaskedConv2D(filters, 3, **options) for _ in range(reach - first)]
