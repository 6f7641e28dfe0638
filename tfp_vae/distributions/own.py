"""Distributions of our own: what they share, beside the `Family` that draws and scores them."""

from typing import Any

import tensorflow as tf

from tfp_vae.distributions import draws
from tfp_vae.distributions.base import tfd


def key_of(seed: Any) -> tf.Tensor:
    """Returns what TFP was given as a seed as a key; a new one of None."""
    if seed is None:
        return tf.random.uniform([2], maxval=2**31 - 1, dtype=tf.int32)
    return tf.convert_to_tensor(seed, tf.int32)


class Own(tfd.Distribution):
    """A distribution of float32 numbers whose draws and densities are those of its `Family`.

    Args:
        parameters: of the constructor, by name.
        name: of the distribution.
        kind: of reparameterisation.
    """

    def __init__(self, parameters: dict, name: str, kind: Any = tfd.FULLY_REPARAMETERIZED):
        super().__init__(
            dtype=tf.float32,
            reparameterization_type=kind,
            validate_args=False,
            allow_nan_stats=True,
            parameters=parameters,
            name=name,
        )

    def _sample_n(self, n, seed=None):
        return draws.sample(self, [n], seed)

    def _log_prob(self, value):
        return draws.log_prob(self, value)


class OwnVectors(Own):
    """A distribution of vectors.

    Args:
        like: [*batch, D], as a draw.
        parameters: of the constructor, by name.
        name: of the distribution.
        kind: of reparameterisation.
    """

    def __init__(
        self, like: tf.Tensor, parameters: dict, name: str, kind: Any = tfd.FULLY_REPARAMETERIZED
    ):
        self._like = like
        super().__init__(parameters, name, kind)

    def _batch_shape(self):
        return self._like.shape[:-1]

    def _batch_shape_tensor(self, **_):
        return tf.shape(self._like)[:-1]

    def _event_shape(self):
        return self._like.shape[-1:]

    def _event_shape_tensor(self):
        return tf.shape(self._like)[-1:]


class OwnImage(Own):
    """What a map makes of a distribution, whose shapes it has.

    Args:
        base: of what is mapped.
        parameters: of the constructor, by name.
        name: of the distribution.
    """

    def __init__(self, base: tfd.Distribution, parameters: dict, name: str):
        self.base = base
        super().__init__(parameters, name, base.reparameterization_type)

    def _batch_shape(self):
        return self.base.batch_shape

    def _batch_shape_tensor(self, **_):
        return draws.batch_shape(self.base)

    def _event_shape(self):
        return self.base.event_shape

    def _event_shape_tensor(self):
        return self.base.event_shape_tensor()
