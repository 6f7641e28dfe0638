"""A posterior of its own for every example: variational inference without amortisation.

An encoder gives all examples one function; the q(z) of a single x may be better. Here each example
has the parameters of its q, which start where the encoder put them and follow the gradient of

    elbo(q) = E_q[log p(x, z) - log q(z)]

by Adam, number by number, so that the examples of a batch do not touch each other (Kim et al.,
"Semi-amortized variational autoencoders", ICML 2018; Cremer, Li & Duvenaud, "Inference
suboptimality in variational autoencoders", ICML 2018). log q has its gradient through z alone
(Roeder et al., 2017): where q meets p(z|x) the noise of the gradient is gone.
"""

import math
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf

from tfp_vae.arguments import check_choice, check_count, check_number
from tfp_vae.data import Split
from tfp_vae.distributions import draws
from tfp_vae.distributions.base import tfd
from tfp_vae.layers.noise import MEAN
from tfp_vae.models.graphs import compiled
from tfp_vae.models.memory import in_batches
from tfp_vae.models.proposals import Joint
from tfp_vae.randomness import fold_in, normal

DIAGONAL, FULL, POINT = "diagonal", "full", "point"
FAMILIES = (DIAGONAL, FULL)
_BATCH = 100
_MOMENTS = 256  # draws that the start is measured by, where q(z|x) is no normal
_STEP, _MEASURE, _START = 0, 1, 2
_DECAYS = 0.9, 0.999  # of Adam
_TINY = 1e-8


class Normals(NamedTuple):
    """Normals of B examples.

    Attributes:
        loc: [B, D].
        scale: deviations [B, D], or lower triangular factors [B, D, D].
    """

    loc: tf.Tensor
    scale: tf.Tensor

    @property
    def is_full(self) -> bool:
        """Whether there are correlations."""
        return self.scale.shape.rank > self.loc.shape.rank

    def diagonal(self) -> tf.Tensor:
        """Returns the diagonal of the factors, [B, D]."""
        return tf.linalg.diag_part(self.scale) if self.is_full else self.scale

    def times(self, values: tf.Tensor) -> tf.Tensor:
        """Returns the factors times vectors, [..., B, D]."""
        return tf.linalg.matvec(self.scale, values) if self.is_full else self.scale * values

    def backwards(self, values: tf.Tensor) -> tf.Tensor:
        """Returns the inverse of the transposed factors times vectors, [S, B, D]."""
        if not self.is_full:
            return values / self.scale
        columns = tf.transpose(values, [1, 2, 0])
        solved = tf.linalg.triangular_solve(self.scale, columns, adjoint=True)
        return tf.transpose(solved, [2, 0, 1])

    def log_prob(self, noise: tf.Tensor) -> tf.Tensor:
        """Returns the log-density at loc + scale noise, [S, B, D] -> [S, B], nats."""
        square = tf.reduce_sum(tf.square(noise) + math.log(2 * math.pi), axis=-1)
        return -0.5 * square - tf.reduce_sum(tf.math.log(self.diagonal()), axis=-1)


class Fitted(NamedTuple):
    """What fitting found, float32 arrays.

    Attributes:
        loc: [N, D].
        scale: deviations [N, D], or lower triangular factors [N, D, D]; of a point 0.
        elbo: of these, [N], nats: with the same noise as the next, which is never higher.
        start_elbo: of where it began, [N], nats.
        of_encoder: whether that was the encoder's q(z|x) itself.
    """

    loc: np.ndarray
    scale: np.ndarray
    elbo: np.ndarray
    start_elbo: np.ndarray
    of_encoder: bool


class Options(NamedTuple):
    """How to fit; see `VAE.fit_posterior`."""

    family: "str | None" = None
    num_steps: int = 300
    num_samples: int = 16
    num_elbo_samples: int = 256
    learning_rate: float = 0.1
    batch_size: int = _BATCH

    def checked(self) -> "Options":
        """Returns itself; raises `ValueError` for impossible numbers."""
        for name in ("num_steps", "num_samples", "num_elbo_samples", "batch_size"):
            check_count(name, getattr(self, name))
        check_number("learning_rate", self.learning_rate, above=0)
        if self.family not in (None, POINT):
            check_choice("family", self.family, FAMILIES)
        return self


def fit(
    vae: Any, x: "Split | np.ndarray", options: Options, seed: "int | None", progress: Any
) -> Fitted:
    """Returns the best normal (or point) of each example that the steps found.

    Args:
        vae: a VAE with one latent.
        x: a `Split` or an array.
        options: how.
        seed: fixes the draws; the model's seed by default.
        progress: called with (examples done, examples in all).

    Raises:
        ValueError: for impossible numbers, several latents, discrete ones, or if `x` does not fit.
    """
    options = options.checked()
    if len(vae.latents) > 1:
        raise ValueError(
            "One latent has a posterior of its own here. Expected a model with one. Received "
            f"{', '.join(latent.name for latent in vae.latents)}."
        )
    split = vae.as_split(x).frozen()
    given = vae.given_of(split)
    key = vae.caller_key(seed)
    condition = None if given is None else tf.constant(given[:1])
    joint = Joint(vae.at(0, MEAN), tf.constant(split.values(np.arange(1))), condition)
    joint.check_gradient(key)
    entry = draws.normal_of(joint.draw.posterior(joint.x, condition))
    is_full = entry is not None and entry.members(joint.draw.posterior(joint.x, condition)) is None
    family = options.family or (FULL if is_full else DIAGONAL)
    of_encoder = entry is not None and (family == FULL or not is_full)
    at_once = 1 if family == POINT else options.num_samples
    most = min(options.batch_size, max(1, vae.rows_at_once // at_once))
    numbers = (family, options.num_samples, options.num_elbo_samples)
    function = compiled(vae, "local", numbers, lambda: _Fit(vae, *numbers))
    steps, rate = tf.constant(options.num_steps), tf.constant(options.learning_rate, tf.float32)

    def run(start, index):
        condition = None if given is None else tf.constant(given[index])
        values = tf.constant(split.values(index))
        found = function(values, condition, steps, rate, fold_in(key, start))
        return [each.numpy() for each in found]

    parts = [
        [each[:size] for each in part] for part, size in in_batches(split, most, run, progress)
    ]
    loc, scale, elbo, before = (np.concatenate(each) for each in zip(*parts, strict=True))
    return Fitted(loc, scale, elbo, before, of_encoder)


def distribution(fitted: Fitted) -> tfd.Distribution:
    """Returns q(z) of the examples: batch shape [N], event shape [D]."""
    if fitted.scale.ndim == 3:
        return tfd.MultivariateNormalTriL(fitted.loc, fitted.scale)
    return tfd.MultivariateNormalDiag(fitted.loc, fitted.scale)


class _Fit:
    """The graph of one batch.

    Parameters are in units of the start, z = start.loc + start.scale (loc + scale noise), in which
    one learning rate fits all of them.
    """

    def __init__(self, vae: Any, family: str, num_samples: int, num_elbo_samples: int):
        self.vae, self.family = vae, family
        self.num_samples, self.num_elbo_samples = num_samples, num_elbo_samples
        self.__name__ = "fit_posterior"

    def __call__(
        self, x: tf.Tensor, given: Any, steps: tf.Tensor, rate: tf.Tensor, key: tf.Tensor
    ) -> "tuple[tf.Tensor, ...]":
        """Returns loc, scale, and the ELBO of these and of the start, of a batch [B, ...]."""
        joint = Joint(self.vae.at(0, MEAN), x, given)
        start = self._start(joint, fold_in(key, _START))
        zeros = tf.zeros_like(start.loc)
        values = [zeros]
        if self.family != POINT:
            values.append(zeros)  # log of the diagonal
        if self.family == FULL:
            values.append(tf.zeros_like(start.scale))
        moments = [[tf.zeros_like(each) for each in values] for _ in _DECAYS]

        def step(number, values, first, second):
            slopes = self._slopes(joint, start, values, fold_in(key, _STEP, number))
            share = tf.cast(number, tf.float32) / tf.cast(steps, tf.float32)
            here = 0.5 * rate * (1 + tf.cos(math.pi * share))
            first, second = (
                [
                    decay * m + (1 - decay) * slope**power
                    for m, slope in zip(each, slopes, strict=True)
                ]
                for decay, each, power in zip(_DECAYS, (first, second), (1, 2), strict=True)
            )
            count = tf.cast(number + 1, tf.float32)
            low, high = (1 - decay**count for decay in _DECAYS)
            values = [
                value + here * (m / low) / (tf.sqrt(v / high) + _TINY)
                for value, m, v in zip(values, first, second, strict=True)
            ]
            return number + 1, values, first, second

        state = (tf.constant(0), values, *moments)
        _, values, *_ = tf.while_loop(lambda number, *_: number < steps, step, state)
        found = self._outer(start, values)
        before, after = self._measure(joint, [start, found], fold_in(key, _MEASURE))
        better = tf.math.is_finite(after) & (after > before)

        def chosen(new, old):
            shape = tf.concat([tf.shape(better), tf.ones([new.shape.rank - 1], tf.int32)], 0)
            return tf.where(tf.reshape(better, shape), new, old)

        best = Normals(*map(chosen, found, start))
        return best.loc, best.scale, tf.where(better, after, before), before

    def _start(self, joint, key):
        if self.family == POINT:
            loc = joint.centre()[0]
            return Normals(loc, tf.ones_like(loc))
        posterior = joint.draw.posterior(joint.x, joint.given)
        entry = draws.normal_of(posterior)
        if entry is None:
            z = joint.sample_posterior(_MOMENTS, key)
            loc = tf.reduce_mean(z, axis=0)
            start = Normals(loc, tf.maximum(tf.math.reduce_std(z, axis=0), _TINY))
        else:
            start = Normals(entry.loc(posterior), entry.scale(posterior))
        if self.family == FULL and not start.is_full:
            return Normals(start.loc, tf.linalg.diag(start.scale))
        if self.family == DIAGONAL and start.is_full:
            return Normals(start.loc, tf.sqrt(tf.reduce_sum(tf.square(start.scale), axis=-1)))
        return start

    def _inner(self, values):
        """Returns the normal in units of the start; of a point without its scale."""
        if self.family == POINT:
            return Normals(values[0], tf.ones_like(values[0]))
        diagonal = tf.exp(values[1])
        if self.family == DIAGONAL:
            return Normals(values[0], diagonal)
        size = values[0].shape[-1]
        below = tf.linalg.band_part(tf.ones([size, size]), -1, 0) - tf.eye(size)
        return Normals(values[0], values[2] * below + diagonal[..., tf.newaxis] * tf.eye(size))

    def _outer(self, start, values):
        inner = self._inner(values)
        loc = start.loc + start.times(inner.loc)
        if self.family == POINT:
            return Normals(loc, tf.ones_like(loc))
        if self.family == DIAGONAL:
            return Normals(loc, start.scale * inner.scale)
        return Normals(loc, start.scale @ inner.scale)

    def _slopes(self, joint, start, values, key):
        count = 1 if self.family == POINT else -(-self.num_samples // 2)
        noise = normal(tf.concat([[count], tf.shape(start.loc)], 0), key, 1)
        noise = 0.0 * noise if self.family == POINT else tf.concat([noise, -noise], axis=0)
        noise = noise[: 1 if self.family == POINT else self.num_samples]
        with tf.GradientTape() as tape:
            tape.watch(values)
            inner = self._inner(values)
            moved = inner.loc + inner.times(noise)
            bound = joint.log_prob(start.loc + start.times(moved))
            if self.family != POINT:
                # Of -log q, whose own parameters are held: its gradient by where the draw is.
                held = tf.stop_gradient(inner.backwards(noise))
                bound += tf.reduce_sum(held * moved, axis=-1)
            total = tf.reduce_sum(tf.reduce_mean(bound, axis=0))
        slopes = tape.gradient(total, values)
        return [tf.where(tf.math.is_finite(slope), slope, 0.0) for slope in slopes]

    def _measure(self, joint, normals, key):
        """Returns the ELBO of each with the same noise, [B]; of a point log p(x, z)."""
        if self.family == POINT:
            return [joint.log_prob(each.loc[tf.newaxis])[0] for each in normals]
        batch = joint.x.shape[0]
        rows = self.vae.rows_at_once // batch if batch else 1
        chunk = max(1, min(self.num_elbo_samples, rows))
        total = -(-self.num_elbo_samples // chunk)

        def add(number, *sums):
            shape = tf.concat([[chunk], tf.shape(normals[0].loc)], 0)
            noise = normal(shape, fold_in(key, number), 1)
            found = [
                tf.reduce_mean(joint.log_prob(q.loc + q.times(noise)) - q.log_prob(noise), axis=0)
                for q in normals
            ]
            return number + 1, *(old + new for old, new in zip(sums, found, strict=True))

        zeros = [tf.zeros(tf.shape(joint.x)[:1])] * len(normals)
        _, *sums = tf.while_loop(lambda number, *_: number < total, add, (tf.constant(0), *zeros))
        return [each / total for each in sums]
