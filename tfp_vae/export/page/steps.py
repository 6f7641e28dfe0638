"""A decoder as a list of plain steps, for a runtime that has neither Keras nor TensorFlow.

    z [D] -> step -> step -> ... -> outputs of the projection -> mean of p(x|z)

A step is a name and its numbers; the weights of all steps are one float32 array that they point
into. What the steps do is written once more in `templates/decoder.js`.
"""

import dataclasses

import keras
import numpy as np
import tensorflow as tf

from tfp_vae import layers
from tfp_vae.distributions.base import ConditionalDistribution
from tfp_vae.distributions.decoders import Decoder

_ACTIVATIONS = {
    getattr(keras.activations, name): name
    for name in (
        "linear relu relu6 leaky_relu elu selu gelu silu softplus softsign tanh sigmoid exponential"
    ).split()
}


@dataclasses.dataclass
class Steps:
    """A decoder without Keras.

    Attributes:
        steps: one JSON-ready dict per step; an array in it is [start, *shape] in `weights`.
        head: how the mean is found in the outputs of the last step, the features of each value.
    """

    steps: "list[dict]" = dataclasses.field(default_factory=list)
    head: dict = dataclasses.field(default_factory=dict)
    _parts: "list[np.ndarray]" = dataclasses.field(default_factory=list)

    @property
    def weights(self) -> np.ndarray:
        """All arrays one after the other, float32 [P]."""
        return np.concatenate([np.zeros(0, np.float32), *self._parts])

    def array(self, values) -> "list[int]":
        """Adds an array to the weights and returns where it is, [start, *shape]."""
        values = np.asarray(values, np.float32)
        if not np.isfinite(values).all():
            raise ValueError(
                "The decoder has weights that are not numbers. Expected finite weights. Received "
                f"{np.count_nonzero(~np.isfinite(values))} that are not."
            )
        start = sum(part.size for part in self._parts)
        self._parts.append(values.ravel())
        return [start, *values.shape]

    def add(self, step: str, **numbers) -> None:
        """Adds a step."""
        self.steps.append({"step": step, **numbers})

    def activate(self, layer: keras.Layer, activation) -> None:
        """Adds an activation of a layer."""
        if activation is None or activation is keras.activations.linear:
            return
        if activation not in _ACTIVATIONS:
            raise _unknown(f"{layer.name} with activation {getattr(activation, '__name__', '?')}")
        self.add("activation", function=_ACTIVATIONS[activation])


def decoder_steps(decoder: ConditionalDistribution) -> Steps:
    """Returns the steps from a latent [D] (and a condition behind it) to the mean of p(x|z).

    Bayesian weights are at their posterior means, and dropout is off.

    Raises:
        ValueError: for a likelihood, a layer or an activation that there is no step for.
    """
    if type(decoder) is not Decoder:  # one that inherits from it may do something else
        raise ValueError(
            "There is no mean to draw of this likelihood. Expected a Decoder with a head of "
            f"tfp_vae.heads. Received {type(decoder).__name__}."
        )
    head = decoder.head.steps() | {"shape": list(decoder.event_shape)}
    units = head.pop("units", None)
    steps = Steps(head=head)
    _add(decoder.network, steps)
    _add(decoder.projection, steps)
    if units is not None:  # of the first feature of every value
        features = decoder.head.num_features
        scale, shift = (np.repeat(each, features) for each in units)
        others = np.arange(len(scale)) % features > 0
        _scaled(decoder, steps, np.where(others, 1.0, scale), np.where(others, 0.0, shift))
    return steps


def _unknown(received: str) -> ValueError:
    names = ", ".join(sorted({kind.__name__ for kind in _LAYERS}))
    return ValueError(
        "The decoder has a layer that cannot be drawn without Keras. Expected a Sequential of "
        f"{names}, with an activation of {', '.join(sorted(_ACTIVATIONS.values()))}. Received "
        f"{received}."
    )


def _add(layer: keras.Layer, steps: Steps) -> None:
    # The very class: one that inherits from it may do something else.
    if type(layer) is keras.Sequential:
        for inner in layer.layers:
            _add(inner, steps)
    elif type(layer) in _LAYERS:
        _LAYERS[type(layer)](layer, steps)
    else:
        raise _unknown(f"{layer.name}, a {type(layer).__name__}")


def _only(layer: keras.Layer, **expected) -> None:
    for name, value in expected.items():
        if getattr(layer, name, value) != value:
            raise _unknown(f"{layer.name} with {name}={getattr(layer, name)!r}")


def _pair(value) -> "list[int]":
    return [value, value] if isinstance(value, int) else [int(v) for v in value]


def _dense(layer, steps):
    _only(layer, quantization_mode=None)
    steps.add("dense", kernel=steps.array(layer.kernel), bias=_bias(layer, steps))
    steps.activate(layer, layer.activation)


def _bias(layer, steps):
    return None if layer.bias is None else steps.array(layer.bias)


def _convolution(layer, steps):
    _only(layer, data_format="channels_last", groups=1)
    _check_padding(layer)
    steps.add(
        "conv",
        kernel=steps.array(layer.kernel),
        bias=_bias(layer, steps),
        **_strides(layer),
    )
    steps.activate(layer, layer.activation)


def _check_padding(layer):
    if layer.padding not in ("same", "valid"):
        raise _unknown(f"{layer.name} with padding={layer.padding!r}")


def _strides(layer) -> dict:
    return {
        "strides": _pair(layer.strides),
        "dilation": _pair(layer.dilation_rate),
        "same": layer.padding == "same",
    }


def _transposed(layer, steps):
    _only(layer, data_format="channels_last", output_padding=None)
    _check_padding(layer)
    if _pair(layer.dilation_rate) != [1, 1]:
        raise _unknown(f"{layer.name} with dilation_rate={layer.dilation_rate}")
    kernel = np.transpose(np.asarray(layer.kernel), (0, 1, 3, 2))  # as that of a convolution
    steps.add(
        "conv_transpose",
        kernel=steps.array(kernel),
        bias=_bias(layer, steps),
        **_strides(layer),
    )
    steps.activate(layer, layer.activation)


def _means(layer, steps) -> dict:
    mean = tf.convert_to_tensor(layer.loc)
    bias = layer.bias_of(mean)  # 0.0 where there is none
    return {
        "kernel": steps.array(tf.cast(layer.kernel_of(mean), tf.float32)),
        "bias": None if isinstance(bias, float) else steps.array(tf.cast(bias, tf.float32)),
    }


def _bayesian_dense(layer, steps):
    steps.add("dense", **_means(layer, steps))
    steps.activate(layer, layer.activation)


def _bayesian_convolution(layer, steps):
    steps.add("conv", **_means(layer, steps), **_strides(layer))
    steps.activate(layer, layer.activation)


def _scaled(layer, steps, scale, shift):
    steps.add("scale", scale=steps.array(scale), shift=steps.array(shift))


def _batch_normalization(layer, steps):
    _only(layer, renorm=False, axis=-1)
    scale = 1 / np.sqrt(np.asarray(layer.moving_variance, np.float64) + layer.epsilon)
    if layer.scale:
        scale = scale * np.asarray(layer.gamma)
    shift = -np.asarray(layer.moving_mean) * scale
    if layer.center:
        shift = shift + np.asarray(layer.beta)
    _scaled(layer, steps, scale, shift)


def _layer_normalization(layer, steps):
    _only(layer, rms_scaling=False, axis=[-1])
    steps.add(
        "layer_norm",
        epsilon=float(layer.epsilon),
        scale=None if layer.gamma is None else steps.array(layer.gamma),
        shift=None if layer.beta is None else steps.array(layer.beta),
    )


def _rescaling(layer, steps):
    _scaled(layer, steps, [float(layer.scale)], [float(layer.offset)])


def _up_sampling(layer, steps):
    _only(layer, data_format="channels_last", interpolation="nearest")
    steps.add("up", size=_pair(layer.size))


def _edges(name, attribute):
    def add(layer, steps):
        _only(layer, data_format="channels_last")
        (top, bottom), (left, right) = getattr(layer, attribute)
        steps.add(name, edges=[top, bottom, left, right])

    return add


def _flatten(layer, steps):
    _only(layer, data_format="channels_last")
    steps.add("reshape", shape=[-1])


def _reshape(layer, steps):
    steps.add("reshape", shape=[int(size) for size in layer.target_shape])


def _activation_layer(layer, steps):
    steps.activate(layer, layer.activation)


def _relu(layer, steps):
    _only(layer, max_value=None, threshold=0)
    steps.add("activation", function="leaky_relu", slope=float(layer.negative_slope))


def _leaky_relu(layer, steps):
    steps.add("activation", function="leaky_relu", slope=float(layer.negative_slope))


def _elu(layer, steps):
    steps.add("activation", function="elu", slope=float(layer.alpha))


def _nothing(layer, steps):
    """Adds no step: the layer does nothing outside training."""


_LAYERS = {
    keras.layers.InputLayer: _nothing,
    keras.layers.Identity: _nothing,
    keras.layers.Dropout: _nothing,
    keras.layers.SpatialDropout2D: _nothing,
    keras.layers.GaussianNoise: _nothing,
    keras.layers.GaussianDropout: _nothing,
    keras.layers.ActivityRegularization: _nothing,
    layers.MonteCarloDropout: _nothing,
    keras.layers.Dense: _dense,
    keras.layers.Conv2D: _convolution,
    keras.layers.Conv2DTranspose: _transposed,
    **dict.fromkeys(
        (layers.DenseReparameterization, layers.DenseLocalReparameterization, layers.DenseFlipout),
        _bayesian_dense,
    ),
    **dict.fromkeys(
        (
            layers.Conv2DReparameterization,
            layers.Conv2DLocalReparameterization,
            layers.Conv2DFlipout,
        ),
        _bayesian_convolution,
    ),
    keras.layers.BatchNormalization: _batch_normalization,
    keras.layers.LayerNormalization: _layer_normalization,
    keras.layers.Rescaling: _rescaling,
    keras.layers.UpSampling2D: _up_sampling,
    keras.layers.Cropping2D: _edges("crop", "cropping"),
    keras.layers.ZeroPadding2D: _edges("pad", "padding"),
    keras.layers.Flatten: _flatten,
    keras.layers.Reshape: _reshape,
    keras.layers.Activation: _activation_layer,
    keras.layers.ReLU: _relu,
    keras.layers.LeakyReLU: _leaky_relu,
    keras.layers.ELU: _elu,
}
