"""Real values of examples, in the units that they have."""

from typing import Any

import keras
import numpy as np
import tensorflow as tf

from tfp_vae.arguments import check_number, is_number
from tfp_vae.data import Kind, Split
from tfp_vae.data.kinds import GREY_LEVELS
from tfp_vae.distributions import quadrature
from tfp_vae.distributions.base import inverse_positive, positive, spread, tfd
from tfp_vae.distributions.heads.base import HEADS, Head, registered
from tfp_vae.distributions.portable import HALF_LOG_2_PI

# Half a grey level: 8-bit images carry no information below it, and a learned scale that may
# shrink further makes the likelihood of a constant pixel unbounded (Rybkin et al., 2021).
HALF_GREY_LEVEL = 0.5 / (GREY_LEVELS - 1)
START = 0.5  # of a learned scale, in the units of the network
KEPT = 0.95  # of the running squared errors, from one training step to the next


class LocationScale(Head):
    """A head of parameters (loc, scale), [..., 2], that is a normal; base of those with units.

    Args:
        scale: a number for a fixed scale; a name in `common` to learn one for all values; the name
            in `per_value` for a scale of every value from the network, which then has two features.

    Attributes:
        per_value: what a scale of every value is called.
        common: what one scale for all values is called.
        trained: which of these is a weight that the optimizer moves.
    """

    per_value = "per_value"
    common: "tuple[str, ...]" = ("shared",)
    trained = "shared"

    def __init__(self, scale: "float | str" = "shared", **kwargs: Any):
        super().__init__(**kwargs)
        names = (*self.common, self.per_value)
        if scale not in names and not is_number(scale, above=0):
            raise ValueError(
                f"Unknown scale. Expected {', '.join(map(repr, names))} or a number > 0. Received "
                f"{scale!r}."
            )
        self.scale = scale if isinstance(scale, str) else float(scale)
        self.num_features = 2 if scale == self.per_value else 1

    def add_raw_scale(self, start: float) -> None:
        """Makes the raw value of the one scale, if the optimizer moves it."""
        if self.scale == self.trained:
            self.raw_scale = self.add_weight(
                shape=(),
                initializer=keras.initializers.Constant(start),
                dtype="float32",
                autocast=False,
                name="raw_scale",
            )

    def distribution(self, parameters: tf.Tensor) -> tfd.Distribution:
        """Returns a `Normal`."""
        return tfd.Normal(parameters[..., 0], parameters[..., 1])

    def portable_log_prob(self, parameters: tf.Tensor, x: tf.Tensor) -> tf.Tensor:
        """Returns the log-density."""
        loc, scale = parameters[..., 0], parameters[..., 1]
        return -0.5 * tf.square((x - loc) / scale) - tf.math.log(scale) - HALF_LOG_2_PI

    def portable_mean(self, parameters: tf.Tensor) -> tf.Tensor:
        """Returns loc."""
        return parameters[..., 0]

    def portable_variance(self, parameters: tf.Tensor) -> tf.Tensor:
        """Returns the square of scale."""
        return tf.square(parameters[..., 1])

    def squared_deviations(self, parameters: tf.Tensor, x: tf.Tensor) -> tf.Tensor:
        """Returns ((x - loc) / scale)^2."""
        return tf.square((x - parameters[..., 0]) / parameters[..., 1])

    def nodes(self, parameters: tf.Tensor) -> "tuple[tf.Tensor, tf.Tensor]":
        """Returns loc + scale t of the t of `standard_nodes`, and their log masses."""
        points = tf.constant(self.standard_nodes(), tf.float32)
        values = parameters[..., :1] + parameters[..., 1:] * points
        return values, tf.constant(quadrature.LOG_MASSES)

    def standard_nodes(self) -> np.ndarray:
        """Returns t of `nodes`, of location 0 and scale 1, [n]."""
        return quadrature.NORMAL

    def fisher_root(self, parameters: tf.Tensor) -> tf.Tensor:
        """Returns diag(1, sqrt(2)) / scale, [..., 2, 2]."""
        return tf.constant([[1.0, 0.0], [0.0, np.sqrt(2)]]) / tf.expand_dims(
            parameters[..., 1:], -1
        )

    def get_config(self) -> dict:
        """Returns the constructor's arguments, as JSON."""
        return {**super().get_config(), "scale": self.scale}


@HEADS.register("normal", "a real number")
@registered
class Normal(LocationScale):
    """N(loc, scale^2) for every value; for real and unit-interval data.

    Of real examples the network works in standard deviations around the mean, per column of a table
    or channel of an image: a model's `adapt` finds both and they are saved. log p(x) is that of the
    values as they are. Values in [0, 1] need no units and have none.

    The scale that is "shared" is no weight. Given everything else, the best one has a closed form:
    its square is the mean squared error. So each training step has that of its batch, and all else,
    such as evaluation and exports, has the one of squared errors that are summed with weights
    falling by `KEPT` a step (Rybkin et al., "Simple and effective VAE training with calibrated
    decoders", 2021, sec. 3.2). It is always at its optimum, while a scale that an optimizer moves
    is behind the network by as many steps as the logarithm of it is learning rates away.

    Gradients stop at it: they are those of the profile likelihood, max over the scale, as the
    derivative by the scale is 0 at the optimum of the ELBO. Of other bounds, whose best scale
    differs, a gradient through the squared error would lead to neither.

    Args:
        scale: a number for a fixed scale, in the units of the data; "shared" for one scale of all
            values, in closed form; "trained" for one that is a weight; "per_pixel" for a scale of
            every value from the network.
        scale_floor: least learned scale, half a grey level of 8-bit images by default; of real
            examples in standard deviations.
    """

    kinds = frozenset({Kind.UNIT_INTERVAL, Kind.REAL})
    preferred_kind = Kind.UNIT_INTERVAL
    per_value = "per_pixel"
    common = ("shared", "trained")
    trained = "trained"

    def __init__(
        self, scale: "float | str" = "shared", scale_floor: float = HALF_GREY_LEVEL, **kwargs: Any
    ):
        super().__init__(scale, **kwargs)
        self.scale_floor = check_number("scale_floor", scale_floor, above=0)
        self.profiles = scale == "shared"

    def build(self, input_shape: Any = None) -> None:
        """Makes the units of the last axis of an example and, if shared, the scale."""
        shape = tuple(input_shape or ())[1:-1][-1:]
        options = {"shape": shape, "dtype": "float32", "autocast": False, "trainable": False}
        self.unit_mean = self.add_weight(name="unit_mean", initializer="zeros", **options)
        self.unit_scale = self.add_weight(name="unit_scale", initializer="ones", **options)
        self.add_raw_scale(inverse_positive(self.scale_floor + START, self.scale_floor))
        if self.profiles:
            # Sum of squared errors and of their weights, the same in all replicas.
            options |= {"shape": (2,), "aggregation": "only_first_replica"}
            self.running = self.add_weight(name="running", initializer="zeros", **options)
        self.built = True

    def _loc_and_scale(self, features):
        unit = tf.convert_to_tensor(self.unit_scale)
        loc = self.unit_mean + unit * features[..., 0]
        if self.profiles:
            return loc, unit * self._scale_of(tf.convert_to_tensor(self.running))
        if self.scale == self.trained:
            return loc, unit * positive(self.raw_scale, self.scale_floor)
        if self.scale == self.per_value:
            return loc, unit * positive(features[..., 1], self.scale_floor)
        return loc, tf.constant(self.scale, tf.float32)

    def _scale_of(self, sums: tf.Tensor, otherwise: float = START) -> tf.Tensor:
        """Returns the root of squared errors [2] over their weight, or `otherwise` without any."""
        mean = tf.math.divide_no_nan(sums[0], sums[1])
        mean = tf.where(sums[1] > 0, mean, tf.square(otherwise))
        return tf.sqrt(tf.maximum(mean, self.scale_floor**2))

    def profiled(
        self, features: tf.Tensor, x: tf.Tensor, axes: int, weight: "tf.Tensor | None" = None
    ) -> tfd.Distribution:
        """Returns `likelihood` with the scale of the batch, and adds it to the running one."""
        if not self.profiles:
            return super().profiled(features, x, axes, weight)
        loc, known = self._loc_and_scale(features)  # [S, B, *event]
        unit = tf.convert_to_tensor(self.unit_scale)
        squares = tf.square((tf.cast(x, tf.float32) - tf.stop_gradient(loc)) / unit)
        squares = tf.reduce_mean(squares, axis=[0, *range(2, 2 + axes)])  # [B]
        weight = tf.ones_like(squares) if weight is None else tf.cast(weight, tf.float32)
        weight = tf.reshape(weight, [-1])
        sums = tf.stack([tf.reduce_sum(weight * squares), tf.reduce_sum(weight)])
        replica = tf.distribute.get_replica_context()
        if replica is not None and replica.num_replicas_in_sync > 1:
            sums = replica.all_reduce(tf.distribute.ReduceOp.SUM, sums)
        sums = tf.stop_gradient(sums)
        self.running.assign(KEPT * tf.convert_to_tensor(self.running) + sums)
        # A batch without weight teaches nothing.
        scale = tf.where(sums[1] > 0, unit * self._scale_of(sums), known)
        return tfd.Independent(tfd.Normal(loc, scale), axes)

    def without_profile(self) -> Head:
        """Returns a head whose one scale is a weight, if this one has that of the errors."""
        return Normal("trained", self.scale_floor) if self.profiles else self

    def adapt(self, split: Split) -> None:
        """Takes the units of the training targets."""
        self.adapt_to(split.targets)

    def adapt_to(self, values: np.ndarray) -> None:
        """Takes mean and standard deviation of the last axis of values [N, *event]."""
        values = np.asarray(values, np.float64)
        axes = tuple(range(max(1, values.ndim - len(self.unit_mean.shape))))
        self.unit_mean.assign(values.mean(axes))
        self.unit_scale.assign(spread(values, axes))

    def parameters(self, features: tf.Tensor) -> tf.Tensor:
        """Returns (loc, scale), [..., 1 or 2] -> [..., 2]."""
        loc, scale = self._loc_and_scale(features)
        return tf.stack([loc, scale + tf.zeros_like(loc)], axis=-1)

    def likelihood(self, features: tf.Tensor, axes: int = 0) -> tfd.Distribution:
        """Returns `Independent(Normal)`, of one scale where there is one."""
        return tfd.Independent(tfd.Normal(*self._loc_and_scale(features)), axes)

    def steps(self) -> dict:
        """Returns the first feature as it is, in the units of the data."""
        mean, scale = (np.asarray(x) for x in (self.unit_mean, self.unit_scale))
        if not np.any(mean) and np.all(scale == 1):
            return {"mean": "linear"}
        return {"mean": "linear", "units": [scale.ravel().tolist(), mean.ravel().tolist()]}

    def get_config(self) -> dict:
        """Returns the constructor's arguments, as JSON."""
        return {**super().get_config(), "scale_floor": self.scale_floor}
