"""Grey levels, as the cells of a logistic variable."""

import tensorflow as tf

from tfp_vae.data import Kind
from tfp_vae.data.kinds import GREY_LEVELS
from tfp_vae.distributions import discretized
from tfp_vae.distributions.base import SCALE_FLOOR, positive, tfd
from tfp_vae.distributions.heads.base import HEADS, Head, registered
from tfp_vae.distributions.portable import log_share


@HEADS.register("discretized_logistic", "one of 256 grey levels, with a location and a scale each")
@registered
class DiscretizedLogistic(Head):
    """Logistic mass of each of the 256 grey levels, with a scale of every value from the network.

    Salimans et al., "PixelCNN++", ICLR 2017, eq. 2, with one component. The values are on the grid
    {0, 1/255, ..., 1}; loc and scale are in the same unit.
    """

    kinds = frozenset({Kind.EIGHT_BIT})
    preferred_kind = Kind.EIGHT_BIT
    num_features = 2
    is_discrete = True

    def parameters(self, features: tf.Tensor) -> tf.Tensor:
        """Returns (loc, scale), [..., 2] -> [..., 2]."""
        # The network starts near 0; the middle of the grid and a wide scale are a better start.
        scale = positive(features[..., 1] - 2.0, SCALE_FLOOR)
        return tf.stack([features[..., 0] + 0.5, scale], axis=-1)

    def distribution(self, parameters: tf.Tensor) -> tfd.Distribution:
        """Returns a `DiscretizedLogistic`."""
        return discretized.DiscretizedLogistic(parameters[..., 0], parameters[..., 1], GREY_LEVELS)

    def portable_log_prob(self, parameters: tf.Tensor, x: tf.Tensor) -> tf.Tensor:
        """Returns the log-probability of the level."""
        loc, scale = parameters[..., 0], parameters[..., 1]
        step = 1.0 / (GREY_LEVELS - 1)
        centred, half = (x - loc) / scale, 0.5 * step / scale
        below_upper = -tf.math.softplus(-centred - half)
        above_lower = -tf.math.softplus(centred - half)
        inner = below_upper + above_lower + tf.math.log(2 * half) + log_share(2 * half)
        outer = tf.where(x > 1 - 0.5 * step, above_lower, inner)
        return tf.where(x < 0.5 * step, below_upper, outer)

    def portable_mean(self, parameters: tf.Tensor) -> tf.Tensor:
        """Returns the sum over borders of P(x > border), as the distribution's own mean does."""
        loc, scale = parameters[..., 0], parameters[..., 1]
        step = 1.0 / (GREY_LEVELS - 1)

        def add(i, total):  # counted, where `tf.foldl` reads the borders from a list of tensors
            border = (tf.cast(i, tf.float32) + 0.5) * step
            return i + 1, total + tf.sigmoid((loc - border) / scale)

        start = tf.constant(0), tf.zeros_like(loc)
        return step * tf.while_loop(lambda i, _: i < GREY_LEVELS - 1, add, start)[1]

    def steps(self) -> dict:
        """Returns the mean by name, the number of levels and the least scale."""
        return {"mean": "discretized_logistic", "levels": GREY_LEVELS, "floor": SCALE_FLOOR}

    def tables(self, parameters: tf.Tensor) -> tf.Tensor:
        """Returns the probabilities of the 256 levels, in the precision of the parameters."""
        borders = (tf.range(GREY_LEVELS - 1, dtype=parameters.dtype) + 0.5) / (GREY_LEVELS - 1)
        loc, scale = parameters[..., :1], parameters[..., 1:]
        below = tf.sigmoid((borders - loc) / scale)
        ends = tf.zeros_like(loc), tf.ones_like(loc)
        return tf.concat([below, ends[1]], axis=-1) - tf.concat([ends[0], below], axis=-1)
