"""Decoders: the likelihood p(x|z), a distribution over examples given a latent.

`Decoder(network, event_shape, heads.Bernoulli())` takes any head; `Bernoulli(network, event_shape)`
is short for the same. A decoder of another form is a `ConditionalDistribution` with `kinds` and
`check_kind`, see `Decoder`.
"""

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from tfp_vae.arguments import check_type
from tfp_vae.data import Kind
from tfp_vae.distributions import heads
from tfp_vae.distributions.base import ConditionalDistribution, registered, tfd
from tfp_vae.distributions.columns import Columns as Columns
from tfp_vae.distributions.heads.normal import HALF_GREY_LEVEL


@registered
class Decoder(ConditionalDistribution):
    """p(x|z): [B, D] -> batch shape [B]; [S, B, D] -> batch shape [S, B]; event shape of the data.

    The distribution has two more attributes, for those that need other forms than TFP's: `head`,
    and `features` [..., *event_shape, F], what the head was given.

    Args:
        network: Keras layer or model, [B, D] -> [B, F] or [B, H, W, F].
        event_shape: the shape of one example, such as (28, 28, 1).
        head: what p(x|z) of one value is, from `tfp_vae.heads`.
    """

    def __init__(
        self, network: keras.Layer, event_shape: Sequence[int], head: heads.Head, **kwargs: Any
    ):
        super().__init__(network, event_shape, **kwargs)
        self.head = check_type("head", head, heads.Head, "Decoder")

    @property
    def parameters_per_event(self) -> int:
        """F, the numbers that the head needs for one value."""
        return self.head.num_features

    @property
    def kinds(self) -> "frozenset[Kind]":
        """The kinds of values that this likelihood is a density or mass function of."""
        return self.head.kinds

    def check_kind(self, kind: Kind) -> None:
        """Raises `ValueError`, naming the ways out, if this likelihood does not fit `kind`."""
        self.head.check_kind(kind)

    def build(self, input_shape: Any) -> None:
        """Builds for latents [B, D]; sample axes in front, [S, B, D], are not part of it."""
        if not self.head.built:
            self.head.build((None, *self.event_shape, self.head.num_features))
        super().build((None, input_shape[-1]))

    @property
    def has_units(self) -> bool:
        """Whether the head takes the units of real values."""
        return self.head.has_units

    def adapt(self, values: np.ndarray) -> None:
        """Lets the head take the units of training values [N, *event_shape]."""
        self.head.adapt_to(values)

    def split(self, outputs: tf.Tensor) -> list[tf.Tensor]:
        """Reshapes the projection to the numbers of every value, [..., *event_shape, F]."""
        # The leading axes are those of the batch: all but the last of a dense projection, and but
        # the last three of a spatial one, which has the features of a pixel side by side.
        lead = tf.shape(outputs)[: -3 if self._spatial else -1]
        shape = [*self.event_shape, self.parameters_per_event]
        return [tf.reshape(outputs, tf.concat([lead, shape], 0))]

    def distribution(self, features: tf.Tensor) -> tfd.Distribution:
        """Returns p(x|z) of float32 features [..., *event_shape, F]."""
        return self._with_head(self.head.likelihood(features, len(self.event_shape)), features)

    def profiled(
        self, distribution: tfd.Distribution, x: tf.Tensor, weight: "tf.Tensor | None" = None
    ) -> tfd.Distribution:
        """Returns p(x|z) at the optimum for a batch of what its head does not train."""
        if not self.head.profiles:
            return distribution
        features, axes = distribution.features, len(self.event_shape)
        return self._with_head(self.head.profiled(features, x, axes, weight), features)

    def _with_head(self, likelihood, features):
        likelihood.head, likelihood.features = self.head, features
        return likelihood

    def get_config(self) -> dict:
        """Returns the constructor's arguments, as JSON."""
        return {**super().get_config(), "head": keras.saving.serialize_keras_object(self.head)}

    @classmethod
    def from_config(cls, config: dict) -> "Decoder":
        """Returns the decoder of `get_config`."""
        config = {**config, "head": keras.saving.deserialize_keras_object(config["head"])}
        return super().from_config(config)


def Bernoulli(network: keras.Layer, event_shape: Sequence[int], **kwargs: Any) -> Decoder:
    """Returns a `Decoder` with `heads.Bernoulli`: binary values."""
    return Decoder(network, event_shape, heads.Bernoulli(), **kwargs)


def ContinuousBernoulli(network: keras.Layer, event_shape: Sequence[int], **kwargs: Any) -> Decoder:
    """Returns a `Decoder` with `heads.ContinuousBernoulli`: real values in [0, 1]."""
    return Decoder(network, event_shape, heads.ContinuousBernoulli(), **kwargs)


def Normal(
    network: keras.Layer,
    event_shape: Sequence[int],
    scale: "float | str" = "shared",
    scale_floor: float = HALF_GREY_LEVEL,
    **kwargs: Any,
) -> Decoder:
    """Returns a `Decoder` with `heads.Normal`, which has the last two arguments: real values."""
    return Decoder(network, event_shape, heads.Normal(scale, scale_floor), **kwargs)


def DiscretizedLogistic(network: keras.Layer, event_shape: Sequence[int], **kwargs: Any) -> Decoder:
    """Returns a `Decoder` with `heads.DiscretizedLogistic`: 256 grey levels."""
    return Decoder(network, event_shape, heads.DiscretizedLogistic(), **kwargs)


def Categorical(network: keras.Layer, event_shape: Sequence[int], **kwargs: Any) -> Decoder:
    """Returns a `Decoder` with `heads.Categorical`: 256 grey levels, a logit each."""
    return Decoder(network, event_shape, heads.Categorical(), **kwargs)
