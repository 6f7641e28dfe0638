"""An encoder that is a function: all mass at one point."""

from typing import Any

import keras
import tensorflow as tf

from tfp_vae.distributions.base import registered
from tfp_vae.distributions.codes.masses import Point
from tfp_vae.distributions.encoders.base import Encoder


@registered
class Deterministic(Encoder):
    """z = f(x), for models that are not on the bound: beside a density log q would be infinite.

    Args:
        network: Keras layer or model, [B, ...] -> [B, F].
        latent_dim: D.
    """

    is_point = True

    def __init__(self, network: keras.Layer, latent_dim: int, **kwargs: Any):
        super().__init__(network, latent_dim, **kwargs)

    def distribution(self, value: tf.Tensor) -> Point:
        """Returns a `Point` at z, [..., D]."""
        return Point(value)
