"""A decoder whose pixels depend on each other: masked convolutions over x, given z."""

import math
from collections.abc import Sequence
from typing import Any

import keras
import tensorflow as tf

from tfp_vae import networks
from tfp_vae.arguments import check_count
from tfp_vae.distributions import heads
from tfp_vae.distributions.base import registered, tfd
from tfp_vae.distributions.decoders import Decoder
from tfp_vae.distributions.own import Own
from tfp_vae.distributions.sequential import one_by_one
from tfp_vae.randomness import fold_in


@registered
class PixelDecoder(Decoder):
    """p(x|z) = product over pixels of p(pixel | those before it, z) (Gulrajani et al., 2017).

    Features of z, `context` numbers for each pixel, are added to what masked convolutions see of
    the pixels before. The field that they see should be smaller than the image: a decoder that sees
    all of x needs no z. Channels of a pixel are independent given the pixels before.

    Draws are made one pixel after the other. E[x|z] has no closed form: `mean` is the mean of each
    pixel given z and the pixels before it in a draw.

    Args:
        network: Keras layer or model, [B, D] -> [B, F] or [B, H, W, F].
        event_shape: (H, W, C).
        head: what p of one value is, from `tfp_vae.heads`.
        reach: how many rows and columns before a pixel it sees.
        filters: of the masked convolutions.
        context: numbers of z for each pixel.

    Raises:
        ValueError: for examples that are no images, or a head that is set to an optimum of x.
    """

    def __init__(
        self,
        network: keras.Layer,
        event_shape: Sequence[int],
        head: heads.Head,
        reach: int = 3,
        filters: int = 32,
        context: int = 8,
        **kwargs: Any,
    ):
        super().__init__(network, event_shape, head, **kwargs)
        if len(self.event_shape) != 3:
            raise ValueError(
                "Pixels depend on those before them in images. Expected examples of shape (H, W, "
                f"channels). Received shape {self.event_shape}."
            )
        if self.head.profiles:
            raise ValueError(
                "The scale of this likelihood is that of a batch, where pixels are drawn one by "
                "one. Expected heads.Bernoulli, another of discrete values, or scale='trained'. "
                f"Received a {type(self.head).__name__}."
            )
        self.reach, self.filters = check_count("reach", reach), check_count("filters", filters)
        self.context = check_count("context", context)
        self.masked = networks.masked_convolutions(self.filters, self.reach)
        self.beside = keras.layers.Conv2D(self.filters, 1, dtype=self.dtype_policy)
        size = self.event_shape[2] * self.head.num_features
        self.last = keras.layers.Conv2D(size, 1, dtype=self.dtype_policy)

    @property
    def output_size(self) -> int:
        """Numbers of z for each pixel."""
        return math.prod(self.event_shape[:2]) * self.context

    def build(self, input_shape: Any) -> None:
        """Builds all networks."""
        super().build(input_shape)
        height, width, channels = self.event_shape
        self.beside.build((None, height, width, self.context))
        shape: tuple = (None, height, width, channels)
        for layer in self.masked:
            layer.build(shape)
            shape = (None, height, width, self.filters)
        self.last.build(shape)

    def split(self, outputs: tf.Tensor) -> "list[tf.Tensor]":
        """Reshapes the projection to numbers of every pixel, [..., H, W, context]."""
        lead = tf.shape(outputs)[: -3 if self._spatial else -1]
        shape = [*self.event_shape[:2], self.context]
        return [tf.reshape(outputs, tf.concat([lead, shape], 0))]

    def distribution(self, features: tf.Tensor) -> "Pixels":
        """Returns p(x|z) of numbers of every pixel [..., H, W, context]."""
        return Pixels(self, features)

    def profiled(
        self, distribution: tfd.Distribution, x: tf.Tensor, weight: "tf.Tensor | None" = None
    ) -> tfd.Distribution:
        """Returns `distribution`: nothing is set to an optimum."""
        return distribution

    def features_of(self, x: tf.Tensor, context: tf.Tensor) -> tf.Tensor:
        """Returns features of the head for every value, given those before and z.

        Args:
            x: [N, H', W, C], H' rows of images.
            context: [N, H', W, context].
        """
        beside = self.beside(context)
        first, *others = self.masked
        # A sum in front of the activation: what z says and what is seen.
        seen = first.convolution_op(
            tf.cast(x, first.compute_dtype), tf.cast(first.kernel, first.compute_dtype)
        )
        found = first.activation(seen + tf.cast(first.bias, seen.dtype) + beside)
        for layer in others:
            found = found + layer(found)
        found = tf.cast(self.last(found), tf.float32)
        tail = [self.event_shape[2], self.head.num_features]
        return tf.reshape(found, tf.concat([tf.shape(found)[:-1], tail], 0))

    def get_config(self) -> dict:
        """Returns the constructor's arguments, as JSON."""
        own = {"reach": self.reach, "filters": self.filters, "context": self.context}
        return {**super().get_config(), **own}


class Pixels(Own):
    """p(x|z) of a `PixelDecoder`.

    Args:
        decoder: that it is of.
        context: numbers of z for every pixel, [*batch, H, W, context].
    """

    draws_mean = True

    def __init__(self, decoder: PixelDecoder, context: tf.Tensor):
        self.decoder, self.context = decoder, context
        parameters = {"decoder": decoder, "context": context}
        super().__init__(parameters, "Pixels", tfd.NOT_REPARAMETERIZED)

    def _batch_shape(self):
        return self.context.shape[:-3]

    def _batch_shape_tensor(self, **_):
        return tf.shape(self.context)[:-3]

    def _event_shape(self):
        return tf.TensorShape(self.decoder.event_shape)

    def _event_shape_tensor(self):
        return tf.constant(self.decoder.event_shape, tf.int32)

    def _likelihood(self, x, context):
        features = self.decoder.features_of(x, context)
        return self.decoder.head.likelihood(features, 3)

    def _flat(self, values, lead):
        tail = tf.shape(values)[-3:]
        whole = tf.broadcast_to(values, tf.concat([lead, tail], 0))
        return tf.reshape(whole, tf.concat([[-1], tail], 0))

    def _log_prob(self, value):
        value = tf.cast(value, tf.float32)
        lead = tf.broadcast_dynamic_shape(tf.shape(value)[:-3], tf.shape(self.context)[:-3])
        x, context = self._flat(value, lead), self._flat(self.context, lead)
        x = tf.reshape(x, [-1, *self.decoder.event_shape])
        context = tf.reshape(context, [-1, *self.decoder.event_shape[:2], self.decoder.context])
        return tf.reshape(self._likelihood(x, context).log_prob(x), lead)

    def _drawn(self, context, key):
        """Returns images drawn pixel by pixel, [N, H, W, C]."""
        height, width, channels = self.decoder.event_shape
        reach, is_loop = self.decoder.reach, tf.executing_eagerly()

        def step(place, x):
            row, column = place // width, place % width
            # Of a loop here only the rows that the pixel sees.
            low, high = (max(0, row - reach), row + 1) if is_loop else (0, height)
            features = self.decoder.features_of(x[:, low:high], context[:, low:high])
            features = tf.gather(features[:, row - low], column, axis=1)[:, tf.newaxis, tf.newaxis]
            likelihood = self.decoder.head.likelihood(features, 3)
            drawn = likelihood.sample(seed=fold_in(key, place))
            here = tf.range(height * width) == place
            here = tf.reshape(here, [height, width, 1])
            return tf.where(here, drawn, x)

        start = tf.zeros([tf.shape(context)[0], height, width, channels])
        return one_by_one(height * width, step, start)

    def _sample_n(self, n, seed=None):
        lead = tf.concat([[n], tf.shape(self.context)[:-3]], 0)
        found = self._drawn(self._flat(self.context, lead), fold_in(seed))
        return tf.reshape(found, tf.concat([lead, self.decoder.event_shape], 0))

    def _mean(self):
        lead = tf.shape(self.context)[:-3]
        context = self._flat(self.context, lead)
        mean = self._likelihood(self._drawn(context, fold_in(0)), context).mean()
        return tf.reshape(mean, tf.concat([lead, self.decoder.event_shape], 0))
