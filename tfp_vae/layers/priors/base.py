"""What a prior of weights is: the distribution of a block of weights.

A prior is asked for that of a whole block, so that `layer.prior` can be inspected and
`tfd.kl_divergence(layer.posterior, layer.prior)` means what it says.
"""

import math
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from tfp_vae.arguments import is_number, lacks
from tfp_vae.distributions.base import inverse_positive, positive, tfd
from tfp_vae.registry import Registry

# Of the prior of a learned scale^2; it matters for groups of few weights, such as biases.
HYPER_SHAPE, HYPER_RATE = 1.0, 10.0

WEIGHT_PRIORS = Registry("tfp_vae.layers.priors", "prior of weights", first=("normal",))

registered = keras.saving.register_keras_serializable(package="tfp_vae.weight_priors")


class WeightPrior(keras.Layer):
    """p(w) of a block of weights.

    Args:
        scale: standard deviation (or scale) of a weight: a number, or "fan_in" for
            1 / sqrt(fan-in), with which the variance of a wide layer's pre-activations does not
            depend on its width (Neal, 1996, sec. 2.1); biases then have scale 1.
        learned: whether the scale is learned with the posterior (empirical Bayes: the bound is
            maximised over it too). A normal takes the best scale in closed form; others have a
            variable, one factor on the scale.
    """

    closed_form = False  # whether a learned scale is a function of the posterior
    # The distribution of TFP that can stand for this prior, and its parameters beside `scale`.
    of_tfp: "tuple[type, tuple[str, ...]] | None" = None

    def __init__(self, scale: "float | str" = 1.0, learned: bool = False, **kwargs: Any):
        super().__init__(**kwargs)
        if scale != "fan_in" and not is_number(scale, above=0):
            raise ValueError(
                f"Impossible prior scale. Expected a number > 0 or 'fan_in'. Received {scale!r}."
            )
        self.scale, self.learned = scale, bool(learned)
        self._factor = None
        if self.learned and not self.closed_form:
            self._factor = self.add_weight(
                name="factor",
                shape=(),
                initializer=keras.initializers.Constant(inverse_positive(1.0)),
                autocast=False,
                dtype="float32",
            )
        self.built = True

    def distribution(
        self, shape: "tuple[int, ...]", fan_in: int, squares: "tf.Tensor | None" = None
    ) -> tfd.Distribution:
        """Returns the prior of weights [F, U]; see `scales`."""
        return tfd.Independent(self.elementwise(self.scales(shape, fan_in, squares)), 2)

    def scales(
        self, shape: "tuple[int, ...]", fan_in: int, squares: "tf.Tensor | None" = None
    ) -> tf.Tensor:
        """Returns the scale of each weight of [F, U].

        Args:
            shape: (F, U). Rows from `fan_in` on are biases.
            fan_in: inputs of a unit; 0 if all rows are biases.
            squares: E[w^2] of each weight, [F, U], that a learned scale in closed form follows.
        """
        base = 1.0 if self.scale == "fan_in" else float(self.scale)
        kernel = 1 / math.sqrt(max(fan_in, 1)) if self.scale == "fan_in" else base
        rows = [kernel] * min(fan_in, shape[0]) + [base] * (shape[0] - fan_in)
        scale = tf.broadcast_to(tf.constant(rows, tf.float32)[:, tf.newaxis], shape)
        if self._factor is not None:
            scale *= positive(tf.convert_to_tensor(self._factor))
        elif self.learned:
            if squares is None:
                raise ValueError(
                    "A learned scale follows the weights. Expected their mean squares. Received "
                    "None."
                )
            scale = _best_scale(squares, scale, fan_in)
        return scale

    def elementwise(self, scale: tf.Tensor) -> tfd.Distribution:
        """Returns the distribution of every weight, batch shape that of `scale`."""
        raise lacks(self, "elementwise(scale)", "a tfp distribution of each weight")

    def points(self, variables: list) -> "list[tuple[tfd.Distribution, tf.Tensor]]":
        """Returns `point` of each variable, all weights of a network that have no posterior."""
        return [point(self, variable) for variable in variables]

    def get_config(self) -> dict:
        """Returns the constructor's arguments, as JSON."""
        return {"name": self.name, "scale": self.scale, "learned": self.learned}


def _best_scale(squares: tf.Tensor, center: tf.Tensor, fan_in: int) -> tf.Tensor:
    """Returns the best scale of every weight, [F, U]: one of the kernel and one of the bias."""
    rows, parts = min(fan_in, squares.shape[0]), []
    for part in (slice(0, rows), slice(rows, squares.shape[0])):
        group = squares[part]
        if group.shape[0]:
            count = math.prod(group.shape)
            total = tf.reduce_sum(group) + 2 * HYPER_RATE * center[part][0, 0] ** 2
            best = tf.sqrt(total / (count + 2 * HYPER_SHAPE + 2))
            parts.append(tf.fill(group.shape, best))
    return tf.concat(parts, axis=0)


def point(prior: WeightPrior, variable: Any) -> "tuple[tfd.Distribution, tf.Tensor]":
    """Returns the prior of a kernel [..., U], bias [U] or scalar and its values, as [F, U]."""
    values = tf.cast(tf.convert_to_tensor(variable), tf.float32)
    fan_in = math.prod(values.shape[:-1]) if values.shape.rank > 1 else 0
    matrix = tf.reshape(values, [max(fan_in, 1), values.shape[-1] if values.shape.rank else 1])
    return prior.distribution(tuple(matrix.shape), fan_in, matrix**2), matrix


def log_prob(prior: WeightPrior, variables: list) -> tf.Tensor:
    """Returns log p of kernels [..., U], biases [U] and scalars together, a scalar in nats."""
    total = tf.zeros([])
    for found, matrix in prior.points(variables):
        total += found.log_prob(matrix)
    return total


def get(prior: "WeightPrior | tfd.Distribution | float | str | dict") -> WeightPrior:
    """Returns a prior from itself, the scale of a normal, a name in `WEIGHT_PRIORS`, or a config.

    A zero-mean `tfd.Normal`, `tfd.StudentT` or `tfd.Horseshoe` of one weight is one too.

    Raises:
        ValueError: for anything else.
    """
    if isinstance(prior, dict) and "class_name" in prior:
        prior = keras.saving.deserialize_keras_object(prior)
    if isinstance(prior, WeightPrior):
        return prior
    if isinstance(prior, str) and prior in WEIGHT_PRIORS:
        return WEIGHT_PRIORS[prior]()
    if isinstance(prior, int | float) and not isinstance(prior, bool):
        return WEIGHT_PRIORS["normal"](prior)
    if isinstance(prior, tfd.Distribution):
        return _of_distribution(prior)
    raise ValueError(
        f"Unusable prior. Expected a number, one of {', '.join(WEIGHT_PRIORS)}, or an object of "
        f"tfp_vae.layers.priors. Received {prior!r}."
    )


def _of_distribution(prior: tfd.Distribution) -> WeightPrior:
    known = {each.of_tfp[0]: each for each in WEIGHT_PRIORS.values() if each.of_tfp}
    kind = known.get(type(prior))
    names = kind.of_tfp[1] if kind else ()
    values = {
        k: np.asarray(v) for k, v in prior.parameters.items() if k in ("loc", "scale", *names)
    }
    numbers = all(value.shape == () for value in values.values())
    if kind is None or not numbers or values.get("loc", 0) != 0:
        raise ValueError(
            "A distribution of TFP cannot stand for this prior. Expected a zero-mean Normal, "
            "StudentT or Horseshoe of one weight, or for any other a subclass of "
            "layers.priors.WeightPrior whose `elementwise` returns it, which can be saved. "
            f"Received {prior}."
        )
    return kind(**{name: float(value) for name, value in values.items() if name != "loc"})
