"""Priors of weights: independent, zero-mean, with a scale that may depend on the fan-in.

A prior is asked for the distribution of a whole block of weights, so that `layer.prior` can be
inspected and `tfd.kl_divergence(layer.posterior, layer.prior)` means what it says.
"""

import math
from typing import Any

import keras
import tensorflow as tf

from tfp_vae.arguments import check_number, is_number
from tfp_vae.distributions.base import inverse_positive, positive, tfd

registered = keras.saving.register_keras_serializable(package="tfp_vae.weight_priors")


class WeightPrior(keras.Layer):
    """p(w) of a block of weights.

    Args:
        scale: standard deviation (or scale) of a weight: a number, or "fan_in" for
            1 / sqrt(fan-in), with which the variance of a wide layer's pre-activations does not
            depend on its width (Neal, 1996, sec. 2.1); biases then have scale 1.
        learned: whether one factor on the scale is learned with the posterior (empirical Bayes: the
            bound is maximised over it too).
    """

    def __init__(self, scale: "float | str" = 1.0, learned: bool = False, **kwargs: Any):
        super().__init__(**kwargs)
        if scale != "fan_in" and not is_number(scale, above=0):
            raise ValueError(
                f"Impossible prior scale. Expected a number > 0 or 'fan_in'. Received {scale!r}."
            )
        self.scale, self.learned = scale, bool(learned)
        self._factor = None
        if self.learned:
            self._factor = self.add_weight(
                name="factor",
                shape=(),
                initializer=keras.initializers.Constant(inverse_positive(1.0)),
                autocast=False,
                dtype="float32",
            )
        self.built = True

    def distribution(self, shape: "tuple[int, ...]", fan_in: int) -> tfd.Distribution:
        """Returns the prior of weights [F, U], or of these in one vector [F * U].

        Args:
            shape: (F, U). Rows from `fan_in` on are biases.
            fan_in: inputs of a unit; 0 if all rows are biases.
        """
        base = 1.0 if self.scale == "fan_in" else float(self.scale)
        kernel = 1 / math.sqrt(max(fan_in, 1)) if self.scale == "fan_in" else base
        rows = [kernel] * min(fan_in, shape[0]) + [base] * (shape[0] - fan_in)
        scale = tf.broadcast_to(tf.constant(rows, tf.float32)[:, tf.newaxis], shape)
        if self._factor is not None:
            scale *= positive(tf.convert_to_tensor(self._factor))
        return tfd.Independent(self.elementwise(scale), 2)

    def elementwise(self, scale: tf.Tensor) -> tfd.Distribution:
        """Returns the distribution of every weight, batch shape that of `scale`."""
        raise NotImplementedError

    def get_config(self) -> dict:
        """Returns the constructor's arguments, as JSON."""
        return {"name": self.name, "scale": self.scale, "learned": self.learned}


@registered
class Normal(WeightPrior):
    """N(0, scale^2); the KL of a normal posterior to it is in closed form."""

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


def log_prob(prior: WeightPrior, variables: list) -> tf.Tensor:
    """Returns log p of kernels [..., U], biases [U] and scalars together, a scalar in nats."""
    total = tf.zeros([])
    for variable in variables:
        values = tf.cast(tf.convert_to_tensor(variable), tf.float32)
        fan_in = math.prod(values.shape[:-1]) if values.shape.rank > 1 else 0
        matrix = tf.reshape(values, [max(fan_in, 1), values.shape[-1] if values.shape.rank else 1])
        total += prior.distribution(tuple(matrix.shape), fan_in).log_prob(matrix)
    return total


BY_NAME = {
    "normal": Normal,
    "scale_mixture": ScaleMixture,
    "student_t": StudentT,
    "horseshoe": Horseshoe,
}


def get(prior: "WeightPrior | float | str | dict") -> WeightPrior:
    """Returns a prior from itself, the scale of a normal, a name in `BY_NAME`, or a config.

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
    raise ValueError(
        f"Unusable prior. Expected a number, one of {', '.join(BY_NAME)}, or an object of "
        f"tfp_vae.layers.priors. Received {prior!r}."
    )
