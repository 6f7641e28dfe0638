"""Binary latents."""

from typing import Any

import keras
import tensorflow as tf

from tfp_vae.arguments import check_count
from tfp_vae.distributions.codes.base import CODES, LogitEncoder, registered
from tfp_vae.distributions.codes.books import Bits


@CODES.register("bernoulli", "binary")
@registered
class Bernoulli(LogitEncoder):
    """q(z|x) of T independent binary variables: z [B, T] of zeros and ones.

    See `Categorical`; one logit for each variable.

    Args:
        network: Keras layer or model, [B, ...] -> [B, F].
        places: T.
        enumerate: whether all 2^T codes are summed over.
    """

    def __init__(self, network: keras.Layer, places: int, enumerate: bool = False, **kwargs: Any):
        places = check_count("places", places)
        super().__init__(network, places, places, enumerate, **kwargs)

    @property
    def book(self) -> Bits:
        """0 and 1."""
        return Bits(self.places)

    @property
    def output_size(self) -> int:
        """T logits of a one."""
        return self.places

    def logits(self, raw: tf.Tensor) -> tf.Tensor:
        """Returns logits of 0 and 1, [..., T] -> [..., T, 2]."""
        return tf.stack([tf.zeros_like(raw), raw], axis=-1)
