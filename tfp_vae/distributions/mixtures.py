"""Mixtures of normals with independent dimensions, of few parameters or of hundreds of components.

    log p(z) = logsumexp_k( log w_k + log N(z; loc_k, diag(scale_k)^2) )

With p = 1 / scale^2 the log-density of all components at all values is two matrix products,

    log N = c_k - 1/2 (z^2 p')_k + (z (loc p)')_k,

where TFP's mixture has a tensor [S, B, K, D]; so it is done where that would be large.
"""

import math
from typing import Any

import tensorflow as tf

from tfp_vae.distributions import draws
from tfp_vae.distributions.base import tfd
from tfp_vae.distributions.draws import NORMAL, UNIFORM, Noise
from tfp_vae.distributions.own import Own, OwnVectors
from tfp_vae.distributions.portable import logsumexp, times

_LOG_2_PI = math.log(2 * math.pi)
_HALF = math.sqrt(0.5)
_FEW = 4096  # K D, up to which LiteRT has all operations of what is asked for any number of rows
_LITTLE = 2**15  # numbers of a tensor [S, B, K, D] that is no burden


class NormalMixture(OwnVectors):
    """sum_k w_k N(loc_k, diag(scale_k)^2), whose draws have slopes by its parameters.

    Args:
        log_weights: [*batch, K], nats, which need not sum to one.
        loc: [*batch, K, D].
        scale: [*batch, K, D].
        reparameterized: whether a draw passes gradients on to the parameters, by implicit
            differentiation (Figurnov et al., 2018), which costs [S, B, D, K] numbers.
    """

    def __init__(
        self,
        log_weights: tf.Tensor,
        loc: tf.Tensor,
        scale: tf.Tensor,
        reparameterized: bool = False,
        name: str = "NormalMixture",
    ):
        parameters = dict(locals())
        self.log_weights = log_weights - logsumexp(log_weights, -1, keepdims=True)
        self.loc, self.scale = loc, scale
        self.reparameterized = reparameterized
        kind = tfd.FULLY_REPARAMETERIZED if reparameterized else tfd.NOT_REPARAMETERIZED
        super().__init__(loc[..., 0, :], parameters, name, kind)

    def _mean(self):
        return tf.reduce_sum(tf.exp(self.log_weights)[..., tf.newaxis] * self.loc, axis=-2)

    def _variance(self):
        square = tf.square(self.loc) + tf.square(self.scale)
        square = tf.reduce_sum(tf.exp(self.log_weights)[..., tf.newaxis] * square, axis=-2)
        return square - tf.square(self._mean())

    def _stddev(self):
        return tf.sqrt(self._variance())

    def _is_small(self, value):
        """Returns whether a tensor of all values and components is made.

        Where values are known to be many, as in training, there are products, with which a step is
        nearly as fast as without components (`scripts/benchmark --items=PM`). Where nobody knows
        how many, as in a file for others, K D decides.
        """
        size = self.loc.shape[0] * self.loc.shape[1]
        rows = math.prod(value.shape[:-1]) if value.shape.is_fully_defined() else None
        return size <= _FEW if rows is None else rows * size <= _LITTLE

    def component_log_prob(self, value: tf.Tensor) -> tf.Tensor:
        """Returns log w_k + log N(z; loc_k, diag(scale_k)^2), [..., *batch, D] -> [..., K]."""
        loc, scale, value = self.loc, self.scale, tf.convert_to_tensor(value)
        if loc.shape.rank > 2 or self._is_small(value):
            standard = (tf.expand_dims(value, -2) - loc) / scale
            each = -0.5 * (tf.square(standard) + _LOG_2_PI) - tf.math.log(scale)
            return self.log_weights + tf.reduce_sum(each, axis=-1)
        # What is left of large products is small: in float64, which costs little of the whole.
        value, loc = tf.cast(value, tf.float64), tf.cast(loc, tf.float64)
        precision = 1.0 / tf.square(tf.cast(scale, tf.float64))
        square = times(tf.square(value), tf.transpose(precision))
        square += tf.reduce_sum(tf.square(loc) * precision, axis=-1)
        square -= 2.0 * times(value, tf.transpose(loc * precision))
        constant = tf.reduce_sum(tf.math.log(scale), axis=-1) + 0.5 * _LOG_2_PI * loc.shape[1]
        return self.log_weights - constant - 0.5 * tf.cast(square, constant.dtype)


@draws.family(NormalMixture)
class NormalMixtureDraws(draws.OfTensors):
    """A uniform number picks the component, a normal one per dimension the place in it."""

    has_slopes_of_noise = False

    def noise(self, distribution: NormalMixture) -> "tuple[Noise, ...]":
        """A uniform number, and a normal one per dimension."""
        return Noise(UNIFORM, ()), Noise(NORMAL, tuple(distribution.event_shape))

    def transform(
        self, distribution: NormalMixture, uniform: tf.Tensor, normal: tf.Tensor
    ) -> "tuple[tf.Tensor, Any]":
        """Returns draws of the components that the uniform numbers pick."""
        upper = tf.cumsum(tf.exp(distribution.log_weights), axis=-1)
        count = upper.shape[-1]
        index = tf.reduce_sum(tf.cast(uniform[..., tf.newaxis] >= upper, tf.int32), axis=-1)
        chosen = tf.one_hot(tf.minimum(index, count - 1), count)  # [*samples, *batch, K]

        def of_chosen(values):
            if values.shape.rank == 2:
                # One matrix for all: two axes are all that every runtime multiplies alike.
                rows = tf.matmul(tf.reshape(chosen, [-1, count]), values)
                return tf.reshape(rows, tf.concat([tf.shape(chosen)[:-1], values.shape[-1:]], 0))
            return tf.reduce_sum(chosen[..., tf.newaxis] * values, axis=-2)

        value = of_chosen(distribution.loc) + of_chosen(distribution.scale) * normal
        if distribution.reparameterized:
            parameters = distribution.log_weights, distribution.loc, distribution.scale
            value = _with_slopes(tf.stop_gradient(value), *parameters)
        return value, lambda: self.log_prob(distribution, value)

    def log_prob(self, distribution: NormalMixture, value: tf.Tensor) -> tf.Tensor:
        """Returns the log-density, in nats."""
        return logsumexp(distribution.component_log_prob(value), -1)

    def components(self, distribution: NormalMixture) -> "draws.Components | None":
        """Returns weights, centres and scales."""
        parts = distribution.log_weights, distribution.loc, distribution.scale
        return draws.Components(*parts)


def _conditional(value, log_weights, loc, scale):
    """Returns the distribution functions F_d(z_d | z_<d), [..., D], and what they are made of.

    Of each dimension the weights of the components given those before it, [..., D, K], the
    distribution functions of the components, and their standardised values.
    """
    standard = (value[..., tf.newaxis, :] - loc) / scale  # [..., K, D]
    each = -0.5 * (tf.square(standard) + _LOG_2_PI) - tf.math.log(scale)
    before = tf.cumsum(each, axis=-1, exclusive=True) + log_weights[..., tf.newaxis]
    weights = tf.nn.softmax(before, axis=-2)
    below = 0.5 * tf.math.erfc(-_HALF * standard)
    return tf.reduce_sum(weights * below, axis=-2), weights, below, standard, tf.exp(each)


@tf.custom_gradient
def _with_slopes(value, log_weights, loc, scale):
    """Returns draws as they are; their slopes are those at fixed F_d(z_d | z_<d).

    With u = F(z; parameters), du = 0 gives dz = -(dF/dz)^-1 dF/dparameters; dF/dz is triangular.
    """

    def slopes(upstream):
        parameters = log_weights, loc, scale
        with tf.GradientTape() as tape:
            tape.watch(parameters)
            found, weights, below, standard, density = _conditional(value, *parameters)
        # dF_d/dz_j for j < d: the weights of d move with z_j; for j = d the density.
        score = -standard / scale  # d log N_k / dz_j, [..., K, D]
        moved = weights * (below - found[..., tf.newaxis, :])
        jacobian = tf.matmul(moved, score, transpose_a=True)  # [..., D, D]
        size = value.shape[-1]
        lower = tf.constant([[float(j < d) for j in range(size)] for d in range(size)])
        diagonal = tf.maximum(tf.reduce_sum(weights * density, axis=-2), 1e-30)
        jacobian = jacobian * lower + diagonal[..., tf.newaxis] * tf.eye(size)
        solved = tf.linalg.triangular_solve(jacobian, upstream[..., tf.newaxis], adjoint=True)
        slopes = tape.gradient(found, parameters, output_gradients=-solved[..., 0])
        return (tf.zeros_like(upstream), *slopes)

    return tf.identity(value), slopes


class AnyMixture(Own):
    """A mixture of the members of a batch, whatever they are.

    TFP's own becomes another class where the members are not its composite tensors.

    Args:
        log_weights: [K], nats, which need not sum to one.
        components: batch shape [K], event shape [D].
    """

    def __init__(
        self, log_weights: tf.Tensor, components: tfd.Distribution, name: str = "AnyMixture"
    ):
        parameters = dict(locals())
        self.mixture_distribution = tfd.Categorical(logits=log_weights)
        self.components_distribution = components
        super().__init__(parameters, name, tfd.NOT_REPARAMETERIZED)

    def _batch_shape(self):
        return tf.TensorShape([])

    def _batch_shape_tensor(self, **_):
        return tf.constant([], tf.int32)

    def _event_shape(self):
        return self.components_distribution.event_shape

    def _event_shape_tensor(self):
        return self.components_distribution.event_shape_tensor()


@draws.family(AnyMixture)
class AnyMixtureDraws(draws.Mixture):
    """As those of TFP's mixture."""
