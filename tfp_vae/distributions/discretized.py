"""The discretised logistic on the grid {0, 1/(n-1), ..., 1}.

`tfd.QuantizedDistribution` defines it on the integers; the tests compare value and gradient with
it. This form is for the unit-interval grid that all our images share and stays finite in the tails:
with a = (x - loc + h) / scale, b = (x - loc - h) / scale and h half a grid step,

    sigmoid(a) - sigmoid(b) = sigmoid(a) sigmoid(-b) (1 - exp(b - a)),

whose three logarithms are bounded by linear functions of loc and have no cancellation.
"""

from typing import Any

import tensorflow as tf

from tfp_vae.probability import ParameterProperties, math, tfd


class DiscretizedLogistic(tfd.Distribution):
    """Mass of a logistic variable in the cell around each grid value; the outer cells are open.

    Args:
        loc: [...] location, in the unit of the grid.
        scale: [...] positive scale of the logistic.
        num_values: n, number of grid values.
    """

    def __init__(
        self, loc: Any, scale: Any, num_values: int = 256, name: str = "DiscretizedLogistic"
    ):
        parameters = dict(locals())
        self._loc = tf.convert_to_tensor(loc)
        self._scale = tf.convert_to_tensor(scale)
        self._num_values = num_values
        super().__init__(
            dtype=self._loc.dtype,
            reparameterization_type=tfd.NOT_REPARAMETERIZED,
            validate_args=False,
            allow_nan_stats=False,
            parameters=parameters,
            name=name,
        )

    @property
    def loc(self) -> tf.Tensor:
        """Location, [...]."""
        return self._loc

    @property
    def scale(self) -> tf.Tensor:
        """Scale, [...]."""
        return self._scale

    @property
    def num_values(self) -> int:
        """n, the number of grid values."""
        return self._num_values

    @classmethod
    def _parameter_properties(cls, dtype: Any, num_classes: "int | None" = None) -> dict:
        return {"loc": ParameterProperties(), "scale": ParameterProperties()}

    def _event_shape(self):
        return tf.TensorShape([])

    def _event_shape_tensor(self):
        return tf.constant([], tf.int32)

    def _log_prob(self, value):
        step = 1.0 / (self._num_values - 1)
        centred = (value - self._loc) / self._scale
        half = 0.5 * step / self._scale
        log_below_upper = tf.math.log_sigmoid(centred + half)  # log sigmoid(a)
        log_above_lower = tf.math.log_sigmoid(half - centred)  # log sigmoid(-b)
        # log(1 - exp(-2 half)); half > 0 always, and tiny when the scale is wide.
        inner = log_below_upper + log_above_lower + math.log1mexp(2 * half)
        lowest, highest = value < 0.5 * step, value > 1 - 0.5 * step
        return tf.where(lowest, log_below_upper, tf.where(highest, log_above_lower, inner))

    def _sample_n(self, n, seed=None):
        logistic = tfd.Logistic(self._loc, self._scale).sample(n, seed=seed)
        return self._to_grid(logistic)

    def _mean(self):
        # E[x] = step * sum over the n - 1 inner cell borders of P(x > border): exact, because the
        # grid is finite.
        step = 1.0 / (self._num_values - 1)
        borders = (tf.range(self._num_values - 1, dtype=self.dtype) + 0.5) * step
        # One border at a time: all at once would take 255 times the memory of the image.
        return step * tf.foldl(
            lambda total, border: total + tf.sigmoid((self._loc - border) / self._scale),
            borders,
            initializer=tf.zeros_like(self._loc + self._scale),
        )

    def _variance(self):
        # As the mean, by parts from the level nearest to it: all terms are positive, so that
        # nothing cancels where one level has nearly all of the mass.
        step, mean = 1.0 / (self._num_values - 1), self._mean()
        borders = (tf.range(self._num_values - 1, dtype=self.dtype) + 0.5) * step

        def add(total, border):
            beyond = tf.sigmoid((self._loc - border) * tf.sign(border - mean) / self._scale)
            return total + tf.abs(border - mean) * beyond

        spread = tf.foldl(add, borders, initializer=tf.zeros_like(mean))
        return tf.square(self._to_grid(mean) - mean) + 2 * step * spread

    def _mode(self):
        return self._to_grid(self._loc)

    def _to_grid(self, value):
        levels = self._num_values - 1
        return tf.clip_by_value(tf.round(value * levels), 0.0, levels) / levels
