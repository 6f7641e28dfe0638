"""A conditional distribution is a network followed by a head: a tensor in, a distribution out.

The network maps tensor to tensor. One matrix product projects its features to all parameters of the
distribution; the head turns them into a `tfp.distributions` object in float32, whatever the compute
dtype of the network was (in float64 where the network is computed so, as a codec does).
"""

import math
from collections.abc import Iterable, Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from tfp_vae.arguments import is_count, lacks
from tfp_vae.data import Schema, Stream
from tfp_vae.networks import check_no_probabilities, output_shape
from tfp_vae.probability import tfd

registered = keras.saving.register_keras_serializable(package="tfp_vae")

SCALE_FLOOR = 1e-4

# Where a density over latents is: all of R^D, the box (-1, 1)^D, or the unit sphere in R^D.
REAL, BOX, SPHERE = "real", "box", "sphere"


def positive(raw: tf.Tensor, floor: float = SCALE_FLOOR) -> tf.Tensor:
    """Returns softplus(raw) + floor, the one transform that makes a scale here.

    softplus grows like its argument (no overflow as in exp), and the floor bounds a log-density
    from above. The gradient is sigmoid(raw): nowhere cut off as by a hard clip.
    """
    return tf.math.softplus(raw) + floor


def inverse_positive(scale: float, floor: float = SCALE_FLOOR) -> float:
    """Returns the raw value with `positive(raw, floor) == scale`."""
    return math.log(math.expm1(scale - floor))


def spread(x: np.ndarray, axes: "tuple[int, ...]") -> np.ndarray:
    """Returns the standard deviation over `axes`, and 1 where the values do not vary."""
    scale = np.asarray(x.std(axes))
    # Rounding leaves a constant of 0.1 with a deviation of 1e-17.
    constant = scale <= 1e-7 * np.abs(x).max(axes)
    return np.where(constant | (scale == 0), 1.0, scale)


class ConditionalDistribution(keras.Layer):
    """p(event | input): calling it on a tensor returns a `tfp.distributions.Distribution`.

    Args:
        network: any Keras layer or model, [B, ...] -> [B, F] or, with image events, [B, H, W, F].
        event_shape: shape of one event, such as (28, 28, 1) or (20,).

    Call arguments:
        inputs: [B, ...], or with any sample axes in front, [S, B, ...].

    Returns a distribution with batch shape [B] or [S, B] and event shape `event_shape`.

    A subclass gives `parameters_per_event` and `distribution(*parameters)`.

    Attributes:
        takes_missing: whether NaN in an event is a value that is missing, without a term in log p.
        schema: what the columns of an event are, of a table; or None.
    """

    parameters_per_event = 1
    takes_missing = False
    schema: "Schema | None" = None

    def __init__(self, network: keras.Layer, event_shape: Sequence[int], **kwargs: Any):
        super().__init__(**kwargs)
        if not isinstance(network, keras.Layer):
            raise ValueError(
                f"{type(self).__name__} needs a network. Expected a Keras layer or model. Received "
                f"{network!r}."
            )
        sizes = event_shape if isinstance(event_shape, Iterable) else ()
        sizes = tuple(sizes)
        if not sizes or not all(is_count(size) for size in sizes):
            raise ValueError(
                f"{type(self).__name__} got an impossible event shape. Expected at least one axis, "
                f"each of size >= 1. Received {event_shape!r}."
            )
        self.network = network
        self.event_shape = tuple(int(size) for size in sizes)

    @property
    def output_size(self) -> int:
        """The number of parameters of one event."""
        return self.parameters_per_event * math.prod(self.event_shape)

    def build(self, input_shape: Any) -> None:
        """Builds the network and the projection for inputs of shape [B, ...]."""
        input_shape = (None, *input_shape[1:])
        features = output_shape(self.network, input_shape, type(self).__name__)
        # A network that ends in an image of the event's size gets a 1x1 convolution (a dense layer
        # over the channels); any other is flattened into one dense layer.
        self._spatial = (
            len(self.event_shape) == 3
            and len(features) == 4
            and tuple(features[1:3]) == self.event_shape[:2]
        )
        if len(features) != 2 and not self._spatial:
            spatial = ""
            if len(self.event_shape) == 3:
                spatial = f" or (B, {self.event_shape[0]}, {self.event_shape[1]}, F)"
            raise ValueError(
                f"The network of {type(self).__name__} has an output that fits no head. Expected "
                f"(B, F){spatial}. Received {tuple(features)}."
            )
        size = math.prod(self.event_shape)
        check_no_probabilities(
            self.network, size, math.prod(n or 0 for n in features[1:]), type(self).__name__
        )
        units = self.output_size
        if self._spatial:
            units //= math.prod(self.event_shape[:2])
        self.projection = keras.layers.Dense(units, name="projection", dtype=self.dtype_policy)
        self.projection.build(features)
        self.input_shape_built = input_shape
        self.built = True

    def build_for(self, input_shape: Any) -> None:
        """Builds for inputs of this shape, or raises `ValueError` if built for another one."""
        if not self.built:
            self.build(input_shape)
        elif tuple(self.input_shape_built[1:]) != tuple(input_shape[1:]):
            raise ValueError(
                f"{type(self).__name__} was built for other inputs. Expected inputs of shape "
                f"{tuple(self.input_shape_built[1:])}. Received {tuple(input_shape[1:])}."
            )

    def call(self, inputs: tf.Tensor, training: "bool | None" = None) -> tfd.Distribution:
        """Returns the distribution of the event given `inputs`."""
        sample_axes = inputs.shape.rank - len(self.input_shape_built)
        lead = tf.shape(inputs)[: sample_axes + 1]
        if sample_axes:
            inputs = tf.reshape(inputs, tf.concat([[-1], tf.shape(inputs)[sample_axes + 1 :]], 0))
        features = self.network(inputs, training=training)
        # In half precision no density is right; in double precision nothing is thrown away.
        kind = "float64" if self.compute_dtype == "float64" else "float32"
        outputs = tf.cast(self.projection(features), kind)
        if sample_axes:
            outputs = tf.reshape(outputs, tf.concat([lead, outputs.shape[1:]], 0))
        return self.distribution(*self.prepared(self.split(outputs), training))

    def prepared(self, parameters: list[tf.Tensor], training: "bool | None") -> list[tf.Tensor]:
        """Returns the parameters with what training does to them; here as they are.

        Args:
            parameters: what `split` returned.
            training: whether moments of the batch are taken, as in batch normalisation.
        """
        del training
        return parameters

    def split(self, outputs: tf.Tensor) -> list[tf.Tensor]:
        """Cuts the projection into `parameters_per_event` tensors [..., *event_shape]."""
        parts = tf.split(outputs, self.parameters_per_event, axis=-1)
        if self._spatial or len(self.event_shape) == 1:
            return parts
        shape = tf.shape(outputs)[:-1]
        return [tf.reshape(part, tf.concat([shape, self.event_shape], 0)) for part in parts]

    def distribution(self, *parameters: tf.Tensor) -> tfd.Distribution:
        """Returns the distribution with these float32 parameters, each [..., *event_shape]."""
        raise lacks(self, "distribution(*parameters)", "a tfp distribution over events")

    @property
    def has_units(self) -> bool:
        """Whether `adapt` takes numbers from the data."""
        return False

    def adapt(self, values: "np.ndarray | Stream") -> None:
        """Takes what has to be known of training values [N, *event_shape]; here nothing."""

    def profiled(
        self, distribution: tfd.Distribution, x: tf.Tensor, weight: "tf.Tensor | None" = None
    ) -> tfd.Distribution:
        """Returns `distribution` at the optimum for a batch of what is not trained; as it is here.

        Args:
            distribution: what calling gave in training, batch shape [S, B].
            x: the events, [B, *event_shape].
            weight: of each, [B], or None.
        """
        del x, weight
        return distribution

    def get_config(self) -> dict:
        """Returns the constructor's arguments, as JSON."""
        config = super().get_config()
        config["network"] = keras.saving.serialize_keras_object(self.network)
        config["event_shape"] = list(self.event_shape)
        return config

    @classmethod
    def from_config(cls, config: dict) -> "ConditionalDistribution":
        """Returns the layer of `get_config`."""
        config = dict(config)
        config["network"] = keras.saving.deserialize_keras_object(config["network"])
        return cls(**config)
