"""Priors of weights: independent, zero-mean, with a scale that may depend on the fan-in.

A prior is asked for the distribution of a whole block of weights, so that `layer.prior` can be
inspected and `tfd.kl_divergence(layer.posterior, layer.prior)` means what it says.
"""

import math
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from tfp_vae.arguments import check_number, is_number
from tfp_vae.distributions.base import inverse_positive, positive, tfd

# Of the prior of a learned scale^2; it matters for groups of few weights, such as biases.
HYPER_SHAPE, HYPER_RATE = 1.0, 10.0

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
        raise NotImplementedError

    def get_config(self) -> dict:
        """Returns the constructor's arguments, as JSON."""
        return {"name": self.name, "scale": self.scale, "learned": self.learned}


@registered
class Normal(WeightPrior):
    """N(0, scale^2); the KL of a normal posterior to it is in closed form.

    With `learned`, scale^2 = (sum_i E[w_i^2] + 2 b) / (n + 2 a + 2) over the n weights of a group,
    the kernel or the bias of a layer, where the bound is highest under an inverse-gamma prior of
    scale^2 with shape a = `HYPER_SHAPE` and rate b = `HYPER_RATE` times the square of the argument
    `scale` (Wu et al., "Deterministic variational inference for robust Bayesian neural networks",
    ICLR 2019, eq. 13, who have 1 and 10 with scale 1). The KL is that to the prior with this scale.
    """

    closed_form = True

    def elementwise(self, scale: tf.Tensor) -> tfd.Distribution:
        """Returns a `Normal`."""
        return tfd.Normal(tf.zeros_like(scale), scale)


@registered
class ScaleMixture(WeightPrior):
    """pi N(0, scale^2) + (1 - pi) N(0, (ratio scale)^2): few large weights, many small ones.

    Blundell et al., "Weight uncertainty in neural networks", ICML 2015, eq. 7.

    Args:
        scale: of the wide component, see `WeightPrior`.
        ratio: narrow over wide scale, in (0, 1).
        weight: pi, in (0, 1).
        learned: see `WeightPrior`.
    """

    def __init__(
        self,
        scale: "float | str" = 1.0,
        ratio: float = 0.0025,
        weight: float = 0.5,
        learned: bool = False,
        **kwargs: Any,
    ):
        super().__init__(scale, learned, **kwargs)
        self.ratio = check_number("ratio", ratio, above=0, below=1)
        self.weight = check_number("weight", weight, above=0, below=1)

    def elementwise(self, scale: tf.Tensor) -> tfd.Distribution:
        """Returns a `MixtureSameFamily` of two normals."""
        scales = tf.stack([scale, self.ratio * scale], axis=-1)
        return tfd.MixtureSameFamily(
            tfd.Categorical(probs=[self.weight, 1 - self.weight]),
            tfd.Normal(tf.zeros_like(scales), scales),
        )

    def get_config(self) -> dict:
        """Returns the constructor's arguments, as JSON."""
        return super().get_config() | {"ratio": self.ratio, "weight": self.weight}


@registered
class StudentT(WeightPrior):
    """Student's t with `df` degrees of freedom: a normal with heavier tails.

    Args:
        scale: see `WeightPrior`; the standard deviation is sqrt(df / (df - 2)) times that.
        df: degrees of freedom, > 0.
        learned: see `WeightPrior`.
    """

    def __init__(
        self, scale: "float | str" = 1.0, df: float = 3.0, learned: bool = False, **kwargs: Any
    ):
        super().__init__(scale, learned, **kwargs)
        self.df = check_number("df", df, above=0)

    def elementwise(self, scale: tf.Tensor) -> tfd.Distribution:
        """Returns a `StudentT`."""
        return tfd.StudentT(self.df, tf.zeros_like(scale), scale)

    def get_config(self) -> dict:
        """Returns the constructor's arguments, as JSON."""
        return super().get_config() | {"df": self.df}


@registered
class Horseshoe(WeightPrior):
    """The horseshoe: a pole at 0 and Cauchy-like tails (Carvalho, Polson & Scott, 2009)."""

    def elementwise(self, scale: tf.Tensor) -> tfd.Distribution:
        """Returns a `Horseshoe`."""
        return tfd.Horseshoe(scale)


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
    for variable in variables:
        found, matrix = point(prior, variable)
        total += found.log_prob(matrix)
    return total


BY_NAME = {
    "normal": Normal,
    "scale_mixture": ScaleMixture,
    "student_t": StudentT,
    "horseshoe": Horseshoe,
}


def get(prior: "WeightPrior | tfd.Distribution | float | str | dict") -> WeightPrior:
    """Returns a prior from itself, the scale of a normal, a name in `BY_NAME`, or a config.

    A zero-mean `tfd.Normal`, `tfd.StudentT` or `tfd.Horseshoe` of one weight is one too.

    Raises:
        ValueError: for anything else.
    """
    if isinstance(prior, dict) and "class_name" in prior:
        prior = keras.saving.deserialize_keras_object(prior)
    if isinstance(prior, WeightPrior):
        return prior
    if isinstance(prior, str) and prior in BY_NAME:
        return BY_NAME[prior]()
    if isinstance(prior, int | float) and not isinstance(prior, bool):
        return Normal(prior)
    if isinstance(prior, tfd.Distribution):
        return _of_distribution(prior)
    raise ValueError(
        f"Unusable prior. Expected a number, one of {', '.join(BY_NAME)}, or an object of "
        f"tfp_vae.layers.priors. Received {prior!r}."
    )


_OF_TFP = {
    tfd.Normal: (Normal, ()),
    tfd.StudentT: (StudentT, ("df",)),
    tfd.Horseshoe: (Horseshoe, ()),
}


def _of_distribution(prior: tfd.Distribution) -> WeightPrior:
    kind, names = _OF_TFP.get(type(prior), (None, ()))
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
