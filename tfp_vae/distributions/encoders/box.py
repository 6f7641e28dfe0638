"""A posterior inside a box, for priors that end there."""

from typing import Any

import numpy as np
import tensorflow as tf

from tfp_vae.distributions import draws
from tfp_vae.distributions.base import BOX, SCALE_FLOOR, tfd
from tfp_vae.distributions.draws import Family, Noise
from tfp_vae.distributions.encoders.base import ENCODERS, Encoder, registered
from tfp_vae.distributions.own import OwnImage

_FARTHEST = 3.0  # of loc: tanh is 1 in float32 from 9 on, where no density is left


class InBox(OwnImage):
    """The distribution of tanh(a) for a normal a; no density outside of (-1, 1)^D.

    Args:
        base: of a, with event shape [D].
    """

    def __init__(self, base: tfd.Distribution, name: str = "InBox"):
        super().__init__(base, dict(locals()), name)


@draws.family(InBox)
class InBoxDraws(Family):
    """tanh of draws of the base."""

    def noise(self, distribution: InBox) -> "tuple[Noise, ...]":
        """That of the base."""
        return draws.noise_of(distribution.base)

    def transform(self, distribution: InBox, *noise: tf.Tensor) -> "tuple[tf.Tensor, Any]":
        """Returns tanh of draws of the base."""
        base, base_log_prob = draws.from_noise(distribution.base, *noise)
        return tf.tanh(base), lambda: base_log_prob() - self._volume(base)

    def _volume(self, base):
        """Returns sum_d log(1 - tanh(a_d)^2) without a difference of numbers near 1."""
        each = 2.0 * (np.log(2.0) - base - tf.math.softplus(-2.0 * base))
        return tf.reduce_sum(each, axis=-1)

    def log_prob(self, distribution: InBox, value: tf.Tensor) -> tf.Tensor:
        """Returns the log-density, -inf outside of the box."""
        is_inside = tf.abs(value) < 1.0
        inside = tf.where(is_inside, value, 0.0)
        base = 0.5 * (tf.math.log(1.0 + inside) - tf.math.log(1.0 - inside))
        found = draws.log_prob(distribution.base, base) - self._volume(base)
        return tf.where(tf.reduce_all(is_inside, axis=-1), found, -np.inf)

    def centre(self, distribution: InBox) -> tf.Tensor:
        """Returns tanh of the centre of the base."""
        return tf.tanh(draws.centre(distribution.base))


@ENCODERS.register("box", "tanh of a normal, in (-1, 1)^D")
@registered
class Box(Encoder):
    """q(z|x) is the distribution of tanh(a), a ~ N(loc(x), diag(scale(x))^2).

    loc is bent to (-3, 3) and scale to (0, 1), which is as wide as the box.
    """

    parameters_per_event = 2
    support = BOX

    def distribution(self, raw_loc: tf.Tensor, raw_scale: tf.Tensor) -> InBox:
        """Returns the normal squeezed into the box."""
        loc = _FARTHEST * tf.tanh(raw_loc / _FARTHEST)
        scale = tf.sigmoid(raw_scale) + SCALE_FLOOR
        return InBox(tfd.MultivariateNormalDiag(loc, scale))
