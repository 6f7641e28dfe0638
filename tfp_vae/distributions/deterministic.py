"""An encoder that is a function, all mass at one point, and a prior that is none."""

from typing import Any

import keras
import tensorflow as tf

from tfp_vae.distributions.base import registered
from tfp_vae.distributions.codes.masses import Point
from tfp_vae.distributions.encoders.base import Encoder
from tfp_vae.distributions.priors.standard_normal import StandardNormal


@registered
class Deterministic(Encoder):
    """z = f(x), for models that are not on the bound: beside a density log q would be infinite.

    Args:
        network: Keras layer or model, [B, ...] -> [B, F].
        latent_dim: D.
    """

    is_point = draws_once = True

    def __init__(self, network: keras.Layer, latent_dim: int, **kwargs: Any):
        super().__init__(network, latent_dim, **kwargs)

    def distribution(self, value: tf.Tensor) -> Point:
        """Returns a `Point` at z, [..., D]."""
        return Point(value)


@registered
class Nowhere(StandardNormal):
    """Stands where a model has no p(z): nothing is drawn from it, and nothing was trained to be it.

    Args:
        latent_dim: D.
    """

    is_nowhere = True
