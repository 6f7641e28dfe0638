"""Distributions on the unit sphere in R^D, by its area: uniform, and von Mises-Fisher.

The angle t to the mean direction has the density sin(t)^(D-2) exp(k cos t) / Z(k). It is a sum over
a grid in place of Bessel functions: with it draws are functions of standard numbers that have
slopes by k, and every runtime has the operations.
"""

import math
from typing import Any

import numpy as np
import tensorflow as tf

from tfp_vae.distributions import draws
from tfp_vae.distributions.base import tfd
from tfp_vae.distributions.draws import NORMAL, UNIFORM, Family, Noise
from tfp_vae.distributions.own import OwnVectors
from tfp_vae.distributions.portable import logsumexp

CELLS = 512  # of the angle: log Z is off by 1e-3 nats at a concentration of 500
_BLOCK = 16
_TINY = 1e-24


def log_area(size: int) -> float:
    """Returns the log of the area of the unit sphere in R^size."""
    return math.log(2.0) + 0.5 * size * math.log(math.pi) - math.lgamma(0.5 * size)


def _unit(vector):
    return vector / tf.sqrt(tf.reduce_sum(tf.square(vector), axis=-1, keepdims=True) + _TINY)


class UniformSphere(OwnVectors):
    """The same density everywhere on the sphere.

    Args:
        size: D.
    """

    def __init__(self, size: int, name: str = "UniformSphere"):
        super().__init__(tf.zeros(size), {"size": size}, name)

    def _mean(self):
        return self._like


@draws.family(UniformSphere)
class UniformSphereDraws(Family):
    """The direction of normal numbers."""

    def noise(self, distribution: UniformSphere) -> "tuple[Noise, ...]":
        """A normal number per dimension."""
        return (Noise(NORMAL, tuple(distribution.event_shape)),)

    def transform(self, distribution: UniformSphere, normal: tf.Tensor) -> "tuple[tf.Tensor, Any]":
        """Returns directions."""
        value = _unit(normal)
        return value, lambda: self.log_prob(distribution, value)

    def log_prob(self, distribution: UniformSphere, value: tf.Tensor) -> tf.Tensor:
        """Returns one over the area, in logs."""
        return 0.0 * tf.reduce_sum(value, axis=-1) - log_area(value.shape[-1])


class VonMisesFisher(OwnVectors):
    """p(z) proportional to exp(k m.z) on the unit sphere.

    Args:
        direction: m, unit vectors [*batch, D], D >= 2.
        concentration: k > 0, [*batch].
    """

    def __init__(
        self, direction: tf.Tensor, concentration: tf.Tensor, name: str = "VonMisesFisher"
    ):
        self.direction, self.concentration = direction, concentration
        parameters = {"direction": direction, "concentration": concentration}
        super().__init__(direction, parameters, name)

    def log_masses(self) -> tf.Tensor:
        """Returns logs of the masses of cells of the angle, less k, not normalised, [*, CELLS]."""
        angle = (np.arange(CELLS) + 0.5) * np.pi / CELLS
        size = self.direction.shape[-1]
        base = tf.constant((size - 2) * np.log(np.sin(angle)) + np.log(np.pi / CELLS), tf.float32)
        below = tf.constant(np.cos(angle) - 1.0, tf.float32)
        return base + self.concentration[..., tf.newaxis] * below

    def log_constant(self) -> tf.Tensor:
        """Returns log p(z) - k (m.z - 1), [*batch]."""
        return -logsumexp(self.log_masses(), -1) - log_area(self.direction.shape[-1] - 1)

    def mean_cosine(self) -> tf.Tensor:
        """Returns E[m.z], [*batch]."""
        angle = (np.arange(CELLS) + 0.5) * np.pi / CELLS
        share = tf.nn.softmax(self.log_masses(), axis=-1)
        return tf.reduce_sum(share * tf.constant(np.cos(angle), tf.float32), axis=-1)

    def _mean(self):
        return self.mean_cosine()[..., tf.newaxis] * self.direction


def _summed(masses):
    """Returns cumulative sums, by blocks: runtimes round a sum of hundreds in ways of their own."""
    shape = tf.shape(masses)
    blocks = tf.reshape(masses, tf.concat([shape[:-1], [CELLS // _BLOCK, _BLOCK]], 0))
    inner = tf.cumsum(blocks, axis=-1)
    before = tf.cumsum(inner[..., -1], axis=-1, exclusive=True)
    return tf.reshape(inner + before[..., tf.newaxis], shape)


@draws.family(VonMisesFisher)
class VonMisesFisherDraws(draws.OfTensors):
    """A uniform number says the angle to the mean direction, normal ones where around it."""

    def noise(self, distribution: VonMisesFisher) -> "tuple[Noise, ...]":
        """A uniform number, and a normal one per dimension."""
        return Noise(UNIFORM, ()), Noise(NORMAL, tuple(distribution.event_shape))

    def transform(
        self, distribution: VonMisesFisher, uniform: tf.Tensor, normal: tf.Tensor
    ) -> "tuple[tf.Tensor, Any]":
        """Returns draws, the angle by the inverse of its distribution function."""
        masses = tf.nn.softmax(distribution.log_masses(), axis=-1)
        upper = _summed(masses)
        index = tf.reduce_sum(tf.cast(uniform[..., tf.newaxis] >= upper, tf.int32), axis=-1)
        index = tf.minimum(index, CELLS - 1)
        chosen = tf.one_hot(index, CELLS)
        mass = tf.reduce_sum(chosen * masses, axis=-1)
        low = tf.reduce_sum(chosen * upper, axis=-1) - mass
        share = tf.clip_by_value((uniform - low) / (mass + _TINY), 0.0, 1.0)
        angle = ((tf.cast(index, tf.float32) + share) * (math.pi / CELLS))[..., tf.newaxis]
        m = distribution.direction
        around = normal
        for _ in range(2):  # what rounding leaves of m counts where little else is left
            around -= m * tf.reduce_sum(m * around, axis=-1, keepdims=True)
            around = _unit(around)
        # A sine by a cosine, which every runtime has.
        value = tf.cos(angle) * m + tf.cos(angle - 0.5 * math.pi) * around
        # cos t - 1 without a difference of numbers near 1.
        below = -2.0 * tf.square(tf.cos(0.5 * angle[..., 0] - 0.5 * math.pi))
        k = distribution.concentration
        return value, lambda: k * below + distribution.log_constant()

    def log_prob(self, distribution: VonMisesFisher, value: tf.Tensor) -> tf.Tensor:
        """Returns the log-density by the area of the sphere, nats."""
        cosine = tf.reduce_sum(distribution.direction * value, axis=-1)
        return distribution.concentration * (cosine - 1.0) + distribution.log_constant()

    def centre(self, distribution: VonMisesFisher) -> tf.Tensor:
        """Returns the mean direction, which is on the sphere."""
        return distribution.direction


@tfd.RegisterKL(VonMisesFisher, UniformSphere)
def _kl(q: VonMisesFisher, p: UniformSphere, name: "str | None" = None) -> tf.Tensor:
    """Returns KL(q || p), nats."""
    expected = q.concentration * (q.mean_cosine() - 1.0) + q.log_constant()
    return expected + log_area(p.event_shape[0])
