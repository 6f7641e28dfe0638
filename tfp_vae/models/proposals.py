"""Importance sampling of latents: mixtures to draw from, and weights that stream through.

    log p(x) = log E_r(z)[ p(x|z) p(z) / r(z) ]

has the right mean for any r(z) that reaches all of p(z|x), and is far too low in all luck but the
rarest where r misses a part of it. So r is a mixture with a share that reaches far (Owen & Zhou,
"Safe and effective importance sampling", JASA 2000): of q(z|x), of Student's t around modes of
p(z|x), and of the prior, which bounds the weights by p(x|z) over that share.
"""

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf

from tfp_vae.distributions import draws
from tfp_vae.distributions.base import BOX, REAL, SPHERE, tfd
from tfp_vae.randomness import fold_in, normal, uniform

DEGREES = 5  # of freedom: the tails of Student's t bound the weights where a normal is off
BINS = 32  # of samples, whose largest weights tell the tail
_LEAST_BINS, _LEAST_IN_BIN = 8, 16
_CHECKED = 32  # draws that tell whether a latent is discrete

# Shares of the mixture of `refined_proposal`.
_FROM_ENCODER, _FROM_MODES, _FROM_PRIOR = 0.3, 0.55, 0.15
_STARTS = 3  # of the search for modes: q's own centre, and the best draws of q and of the prior
_DRAWS = 64  # that a start is the best of
_MAX_STEPS = 20
_LENGTHS = (0.0, 1 / 64, 1 / 16, 1 / 4, 1 / 2, 1.0, 2.0)  # of a step, the best of which is taken
_LEAST_CURVATURE = 0.1  # of log p(x, z), in units of the prior's


class Part(NamedTuple):
    """One part of a mixture r(z), for B examples.

    Attributes:
        share: of the draws, [B] or [].
        sample: a function of (S, key) to draws [S, B, D].
        log_prob: a function of z [S, B, D] to log-densities [S, B], nats.
    """

    share: tf.Tensor
    sample: Callable[..., tf.Tensor]
    log_prob: Callable[[tf.Tensor], tf.Tensor]


class Proposal:
    """A mixture r(z) of parts whose shares, in every example, sum to one.

    Args:
        parts: the parts.
    """

    def __init__(self, parts: "list[Part]"):
        self.parts = parts

    def sample(self, count: Any, key: tf.Tensor) -> tf.Tensor:
        """Returns draws [S, B, D]: of each the part by chance, then a draw of it."""
        z = self.parts[0].sample(count, fold_in(key, 1))
        chance = uniform(tf.shape(z)[:2], fold_in(key, 0), 1)
        below = self.parts[0].share
        for number, part in enumerate(self.parts[1:], start=2):
            drawn = part.sample(count, fold_in(key, number))
            z = tf.where((chance < below)[..., tf.newaxis], z, drawn)
            below += part.share
        return z

    def log_prob(self, z: tf.Tensor) -> tf.Tensor:
        """Returns log r(z), [S, B, D] -> [S, B], nats."""
        each = [tf.math.log(part.share) + part.log_prob(z) for part in self.parts]
        return tf.reduce_logsumexp(each, axis=0)


class StudentT(NamedTuple):
    """Student's t of `DEGREES` in D dimensions, with draws that are functions of a key.

    Attributes:
        loc: [..., D].
        axes: an orthogonal matrix, [..., D, D], a column per axis.
        lengths: along the axes, [..., D].
        unit: of every dimension, [..., D], that lengths and axes are measured in.
    """

    loc: tf.Tensor
    axes: tf.Tensor
    lengths: tf.Tensor
    unit: tf.Tensor

    @classmethod
    def of_moments(cls, loc: tf.Tensor, covariance: tf.Tensor) -> "StudentT":
        """Returns the t around a mean [..., D] with the scale matrix `covariance`."""
        unit = tf.sqrt(tf.linalg.diag_part(covariance))
        matrix = covariance / (unit[..., :, tf.newaxis] * unit[..., tf.newaxis, :])
        values, axes = tf.linalg.eigh(matrix)
        return cls(loc, axes, tf.sqrt(tf.maximum(values, 1e-4)), unit)

    def sample(self, count: Any, key: tf.Tensor) -> tf.Tensor:
        """Returns draws [S, *batch, D]."""
        shape = tf.concat([[count], tf.shape(self.loc)], 0)
        standard = normal(shape, fold_in(key, 0))
        degrees = tf.concat([shape[:-1], [DEGREES]], 0)
        squares = tf.reduce_sum(tf.square(normal(degrees, fold_in(key, 1))), axis=-1, keepdims=True)
        standard *= tf.sqrt(DEGREES / squares) * self.lengths
        return self.loc + self.unit * tf.linalg.matvec(self.axes, standard)

    def log_prob(self, z: tf.Tensor) -> tf.Tensor:
        """Returns the log-density, [S, *batch, D] -> [S, *batch], nats."""
        size = z.shape[-1]
        off = (z - self.loc) / self.unit
        off = tf.linalg.matvec(self.axes, off, transpose_a=True) / self.lengths
        constant = math.lgamma((DEGREES + size) / 2) - math.lgamma(DEGREES / 2)
        constant -= size / 2 * math.log(DEGREES * math.pi)
        volume = tf.reduce_sum(tf.math.log(self.lengths) + tf.math.log(self.unit), axis=-1)
        square = tf.reduce_sum(tf.square(off), axis=-1)
        return constant - volume - (DEGREES + size) / 2 * tf.math.log1p(square / DEGREES)


class Weights(NamedTuple):
    """What is known of the importance weights so far, in memory that does not grow with S.

    Attributes:
        top: the largest log weight, [B], nats.
        sums: of exp(log weight - top), [B].
        squares: of its squares, [B].
        largest: log weight of each of `BINS` parts of the samples, [BINS, B].
    """

    top: tf.Tensor
    sums: tf.Tensor
    squares: tf.Tensor
    largest: tf.Tensor

    @classmethod
    def none(cls, batch: Any) -> "Weights":
        """Returns the weights of no samples of `batch` examples."""
        zeros = tf.zeros([batch])
        largest = tf.fill([BINS, batch], tf.float32.min)
        return cls(zeros + tf.float32.min, zeros, zeros, largest)

    def add(
        self, log_w: tf.Tensor, first: Any, num_samples: Any
    ) -> "tuple[Weights, tf.Tensor, tf.Tensor]":
        """Returns the weights with some more, these relative to the new top, and its factor.

        Args:
            log_w: [S', B], nats.
            first: the number of the first of these samples.
            num_samples: S, of all; log weights of numbers from S on are ignored.
        """
        number = first + tf.range(tf.shape(log_w)[0])
        log_w = tf.where((number < num_samples)[:, tf.newaxis], log_w, tf.float32.min)
        top = tf.maximum(self.top, tf.reduce_max(log_w, axis=0))
        w, rescale = tf.exp(log_w - top), tf.exp(self.top - top)
        groups = min(log_w.shape[0] or 1, _LEAST_BINS)
        rows = tf.shape(log_w)[0] // groups
        parts = tf.reshape(log_w[: rows * groups], [groups, rows, -1])  # a few rows are left out
        share = tf.cast(number[: rows * groups : rows], tf.float32)
        share *= BINS / tf.cast(num_samples, tf.float32)
        bins = tf.minimum(tf.cast(share, tf.int32), BINS - 1)
        # Not a segment's maximum, which is a scatter: XLA does it number by number on a CPU.
        here = tf.one_hot(bins, BINS, on_value=True, off_value=False, dtype=tf.bool)
        parts = tf.reduce_max(parts, axis=1)[:, tf.newaxis]
        parts = tf.reduce_max(tf.where(here[..., tf.newaxis], parts, tf.float32.min), axis=0)
        largest = tf.maximum(self.largest, parts)
        sums = self.sums * rescale + tf.reduce_sum(w, axis=0)
        squares = self.squares * rescale**2 + tf.reduce_sum(w**2, axis=0)
        found = Weights(top, sums, squares, largest)
        for new, old in zip(found, self, strict=True):
            new.set_shape(old.shape)  # what a loop asks for; a number of samples may be unknown
        return found, w, rescale

    def log_mean(self, num_samples: Any) -> tf.Tensor:
        """Returns the log of the mean weight, [B], nats."""
        return self.top + tf.math.log(self.sums) - tf.math.log(tf.cast(num_samples, tf.float32))

    def effective_sample_size(self) -> tf.Tensor:
        """Returns (sum w)^2 / sum w^2, [B]."""
        return self.sums**2 / self.squares

    def tail_index(self, num_samples: Any) -> tf.Tensor:
        """Returns the index k of the tail of the weights, P(w > t) ~ t^(-1/k), [B]; NaN: unknown.

        The largest of many such weights has a logarithm that is Gumbel distributed with scale k,
        here by the standard deviation over the bins. From 0.5 on the weights have no variance, and
        above 0.7 the mean of them is not to be trusted (Vehtari et al., "Pareto smoothed importance
        sampling", JMLR 2024, sec. 3).
        """
        used = tf.cast(self.largest > tf.float32.min, tf.float32)
        count = tf.reduce_sum(used, axis=0)
        off = tf.where(used > 0, self.largest - self.top, 0.0)
        mean = tf.math.divide_no_nan(tf.reduce_sum(off, axis=0), count)
        square = tf.reduce_sum(used * tf.square(off - mean), axis=0)
        deviation = tf.sqrt(tf.math.divide_no_nan(square, count - 1))
        # The largest of a few normal numbers vary like those of a heavy tail.
        known = (count >= _LEAST_BINS) & (num_samples >= BINS * _LEAST_IN_BIN)
        return tf.where(known, deviation * (math.sqrt(6) / math.pi), np.nan)


class Joint:
    """The densities of a batch over all latents in one vector z [S, B, D], nats.

    Args:
        draw: the model under one draw of its weights.
        x: examples [B, ...].
        given: what a conditional model is conditioned on, [B, ...], or None.
    """

    def __init__(self, draw: Any, x: tf.Tensor, given: Any) -> None:
        self.draw, self.x, self.given = draw, x, given
        self.sizes = [latent.latent_dim for latent in draw.model.latents]

    def _levels(self, z):
        found: list[tf.Tensor] = []
        for value in tf.split(z, self.sizes, axis=-1):
            yield value, tuple(found)
            found.append(value)

    def log_prior(self, z: tf.Tensor) -> tf.Tensor:
        """Returns log p(z), [S, B]."""
        return tf.add_n(
            [draws.log_prob(self.draw.prior(self.given, above), v) for v, above in self._levels(z)]
        )

    def log_posterior(self, z: tf.Tensor) -> tf.Tensor:
        """Returns log q(z|x), [S, B]."""
        levels = self._levels(z)
        return tf.add_n(
            [draws.log_prob(self.draw.posterior(self.x, self.given, a), v) for v, a in levels]
        )

    def log_likelihood(self, z: tf.Tensor) -> tf.Tensor:
        """Returns log p(x|z), [S, B]."""
        code = self.draw.model.code(tf.split(z, self.sizes, axis=-1))
        return self.draw.likelihood(code, self.given).log_prob(self.x)

    def log_prob(self, z: tf.Tensor) -> tf.Tensor:
        """Returns log p(x, z), [S, B]."""
        return self.log_likelihood(z) + self.log_prior(z)

    def sample_prior(self, count: Any, key: tf.Tensor) -> tf.Tensor:
        """Returns draws of p(z), [S, B, D]."""
        found: list[tf.Tensor] = []
        for level in range(len(self.sizes)):
            prior = self.draw.prior(self.given, tuple(found))
            found.append(sample_each(prior, count, tf.shape(self.x)[0], fold_in(key, level)))
        return tf.concat(found, axis=-1)

    def sample_posterior(self, count: Any, key: tf.Tensor) -> tf.Tensor:
        """Returns draws of q(z|x), [S, B, D]."""
        found: list[tf.Tensor] = []
        for level in range(len(self.sizes)):
            posterior = self.draw.posterior(self.x, self.given, tuple(found))
            shape = [] if found else [count]
            found.append(draws.sample(posterior, shape, fold_in(key, level)))
        return tf.concat(found, axis=-1)

    def check_gradient(self, key: tf.Tensor) -> None:
        """Raises `ValueError` unless latents are continuous and log p(x|z) has a gradient by them.

        Args:
            key: of the draws of the prior that are looked at, int32 [2].
        """
        z = self.sample_prior(_CHECKED, key)
        names = [latent.name for latent in self.draw.model.latents]
        for name, values in zip(names, tf.split(z, self.sizes, axis=-1), strict=True):
            # Draws of a density are all different; no family says which of both it is.
            columns = np.asarray(values).reshape(_CHECKED, -1).T
            few = any(1 < len(set(column)) <= _CHECKED // 2 for column in columns)
            if not values.dtype.is_floating or few:
                raise ValueError(
                    "Latents are moved along gradients here. Expected continuous latents. Received "
                    f"a discrete {name}, for which there is log_evidence."
                )
        with tf.GradientTape() as tape:
            tape.watch(z)
            value = self.log_likelihood(z)
        if tape.gradient(value, z) is None:
            raise ValueError(
                "Latents are moved along gradients here. Expected log p(x|z) with a gradient by z. "
                f"Received a {type(self.draw.model.decoder).__name__} without one, for which there "
                "is log_evidence."
            )

    def centre(self) -> tf.Tensor:
        """Returns the centre of q(z|x), [1, B, D]."""
        found: list[tf.Tensor] = []
        for latent in self.draw.model.latents:
            posterior = self.draw.posterior(self.x, self.given, tuple(found))
            found.append(latent.encoder.centre(posterior))
        return tf.concat(found, axis=-1)[tf.newaxis]


def sample_each(prior: tfd.Distribution, count: Any, batch: Any, key: tf.Tensor) -> tf.Tensor:
    """Returns draws [S, B, D] of a prior that is one for all examples or one for each."""
    shape = {0: [count, batch], 1: [count], 2: []}[prior.batch_shape.rank]
    return draws.sample(prior, shape, key)


class Modes(NamedTuple):
    """Modes of p(z|x) that were found, and their width.

    Attributes:
        log_share: of each among them, [K, B], by the mass that its width and height make.
        shape: Student's t around them, batch shape [K, B].
    """

    log_share: tf.Tensor
    shape: StudentT

    def sample(self, count: Any, key: tf.Tensor) -> tf.Tensor:
        """Returns draws [S, B, D]."""
        every = self.shape.sample(count, fold_in(key, 0))  # [S, K, B, D]
        chance = uniform(tf.concat([[count], tf.shape(every)[2:3]], 0), fold_in(key, 1), 1)
        upper = tf.cumsum(tf.exp(self.log_share), axis=0)
        index = tf.reduce_sum(tf.cast(chance[:, tf.newaxis] >= upper[:-1], tf.int32), axis=1)
        chosen = tf.one_hot(index, self.log_share.shape[0], axis=1)  # [S, K, B]
        return tf.reduce_sum(every * chosen[..., tf.newaxis], axis=1)

    def log_prob(self, z: tf.Tensor) -> tf.Tensor:
        """Returns log-densities, [S, B, D] -> [S, B]."""
        return tf.reduce_logsumexp(self.shape.log_prob(z[:, tf.newaxis]) + self.log_share, axis=1)


def spans_space(model: Any) -> bool:
    """Returns whether latents have densities in R^D, as the proposals here; on a sphere not."""
    return all(latent.prior.support in (REAL, BOX) for latent in model.latents)


def check_spans_space(model: Any, what: str) -> None:
    """Raises `ValueError` for a model off the bound, or with latents on a sphere, or codes.

    Args:
        model: with latents.
        what: is asked for, in words.
    """
    if not model.on_bound:
        model.bounds()  # which says why not
    if not spans_space(model):
        spheres = all(latent.prior.support == SPHERE for latent in model.latents)
        raise ValueError(
            f"Proposals in R^D miss a sphere and codes. Expected latents with densities in R^D for "
            f"{what}. Received latents {'on a sphere' if spheres else 'of codes'}."
        )


def find_modes(joint: Joint, key: tf.Tensor) -> Modes:
    """Climbs from several starts to modes of p(z|x), by Newton's steps with a search along each.

    The matrix of second derivatives is made definite by the absolute values of its eigenvalues
    (Dauphin et al., "Identifying and attacking the saddle point problem", NeurIPS 2014), so that
    every step goes up; a step is as long as is best among seven lengths.

    Args:
        joint: log p(x, z) of a batch.
        key: of the draws that starts are the best of.
    """
    prior = joint.sample_prior(_DRAWS, fold_in(key, 0))
    unit = tf.math.reduce_std(prior, axis=0)
    unit = tf.where(unit > 0, unit, 1.0)
    z = tf.concat([joint.centre(), _best(joint, prior)], axis=0)
    z = tf.concat([z, _best(joint, joint.sample_posterior(_DRAWS, fold_in(key, 1)))], axis=0)
    size = z.shape[-1]

    def curvature(z):  # [K, B, D] -> gradient and -second derivatives in units of the prior
        tiled = tf.repeat(z, size, axis=0)
        direction = tf.tile(tf.eye(size), [_STARTS, 1])[:, tf.newaxis]
        with tf.GradientTape() as outer:
            outer.watch(tiled)
            with tf.GradientTape() as inner:
                inner.watch(tiled)
                value = joint.log_prob(tiled)
            gradient = inner.gradient(value, tiled)
            along = tf.reduce_sum(gradient * direction, axis=-1)
        none = tf.UnconnectedGradients.ZERO
        second = outer.gradient(along, tiled, unconnected_gradients=none)
        second = tf.transpose(tf.reshape(second, [_STARTS, size, -1, size]), [0, 2, 1, 3])
        gradient = tf.reshape(gradient, [_STARTS, size, -1, size])[:, 0] * unit
        matrix = -second * unit[:, :, tf.newaxis] * unit[:, tf.newaxis, :]
        matrix = 0.5 * (matrix + tf.linalg.matrix_transpose(matrix))
        known = tf.reduce_all(tf.math.is_finite(matrix), axis=[-2, -1], keepdims=True)
        values, axes = tf.linalg.eigh(tf.where(known, matrix, tf.eye(size)))
        gradient = tf.where(tf.math.is_finite(gradient), gradient, 0.0)
        return gradient, tf.maximum(tf.abs(values), _LEAST_CURVATURE), axes

    def climb(number, z, height, gain):
        del gain
        gradient, values, axes = curvature(z)
        step = tf.linalg.matvec(axes, gradient, transpose_a=True) / values
        step = unit * tf.linalg.matvec(axes, step)
        lengths = tf.reshape(tf.constant(_LENGTHS), [-1, 1, 1, 1])
        tried = z + lengths * step  # [T, K, B, D]
        heights = joint.log_prob(tf.reshape(tried, [len(_LENGTHS) * _STARTS, -1, size]))
        heights = tf.reshape(heights, tf.shape(tried)[:-1])
        heights = tf.where(tf.math.is_finite(heights), heights, tf.float32.min)
        best = tf.one_hot(tf.argmax(heights, axis=0), len(_LENGTHS), axis=0)
        z = tf.reduce_sum(tried * best[..., tf.newaxis], axis=0)
        found = tf.reduce_max(heights, axis=0)
        # Gains below the resolution of the sum do not count.
        enough = 1e-2 + 1e-6 * tf.abs(found)
        return number + 1, z, found, tf.reduce_any(found - height > enough)

    start = (tf.constant(0), z, tf.fill(tf.shape(z)[:-1], tf.float32.min), tf.constant(True))
    _, z, height, _ = tf.while_loop(
        lambda number, z, height, gain: gain & (number < _MAX_STEPS), climb, start
    )
    _, values, axes = curvature(z)
    shape = StudentT(z, axes, tf.math.rsqrt(values), tf.broadcast_to(unit, tf.shape(z)))
    mass = height - 0.5 * tf.reduce_sum(tf.math.log(values), axis=-1)
    share = 0.5 * tf.nn.softmax(mass, axis=0) + 0.5 / _STARTS
    return Modes(tf.math.log(share), shape)


def _best(joint: "Joint", z: tf.Tensor) -> tf.Tensor:
    """Returns the draw with the largest log p(x, z) of each example, [S, B, D] -> [1, B, D]."""
    height = joint.log_prob(z)
    height = tf.where(tf.math.is_finite(height), height, tf.float32.min)
    best = tf.one_hot(tf.argmax(height, axis=0), tf.shape(z)[0], axis=0)
    return tf.reduce_sum(z * best[..., tf.newaxis], axis=0, keepdims=True)


def rows_of_search(size: int) -> int:
    """Returns how many latents of D = `size` the search for modes decodes for one example."""
    return max(_DRAWS, _STARTS * max(size, len(_LENGTHS)))


def refined_proposal(joint: Joint, modes: Modes) -> Proposal:
    """Returns the mixture of q(z|x), of Student's t around modes of p(z|x), and of the prior.

    Args:
        joint: the densities of the batch, with the weights of a Bayesian model at their means.
        modes: see `find_modes`.
    """
    return Proposal(
        [
            Part(tf.constant(_FROM_MODES), modes.sample, modes.log_prob),
            Part(tf.constant(_FROM_ENCODER), joint.sample_posterior, joint.log_posterior),
            Part(tf.constant(_FROM_PRIOR), joint.sample_prior, joint.log_prior),
        ]
    )
