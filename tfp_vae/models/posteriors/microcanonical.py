"""Microcanonical Langevin: chains of constant speed (Robnik, De Luca, Silverstein & Seljak, 2023).

The momentum u is a direction; forces turn it and noise blurs it, so that the path has the density
that is asked for. Nothing is rejected: the error of the energy says how far to trust a step size.
"""

import math
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import tensorflow as tf

from tfp_vae.arguments import check_count, check_number
from tfp_vae.models.graphs import traced
from tfp_vae.randomness import fold_in, normal

# Errors of one step, in nats, from which it is taken back: so many times what the target lets them
# be, and at least 10. One such step in a thousand, where a rectifier has an edge, would throw a
# chain far out of where the probability is; so would the first step from a sharp maximum.
FAR, LEAST_FAR = 10.0, 10.0
MOST_TAKEN_BACK = 0.5  # share of a chain's steps, above which it hardly moves
_MEMORY = 149 / 151  # of the average that the step size follows: 150 steps
_SPREAD = 1.5  # of log energy errors about the target, from which steps are learned from


class Walk(NamedTuple):
    """What `walk` found.

    Attributes:
        samples: positions, [S, C, P].
        energy_error: mean squared energy error of a step per dimension, in nats^2, [C]; of the
            steps that were not taken back.
        taken_back: share of the steps after the warm-up that were, [C].
        diverged: whether a chain started outside the numbers or had more than `MOST_TAKEN_BACK` of
            its steps taken back, [C].
        step_size: of the steps after the warm-up, [C].
        length: over which a chain forgets its direction, [C].
        momentum: directions at the end, unit vectors [C, P].
    """

    samples: np.ndarray
    energy_error: np.ndarray
    taken_back: np.ndarray
    diverged: np.ndarray
    step_size: np.ndarray
    length: np.ndarray
    momentum: np.ndarray


class _State(NamedTuple):
    """Of C chains: where they are, how they go on, and what the warm-up knows so far."""

    position: tf.Tensor  # [C, P]
    momentum: tf.Tensor  # [C, P]
    log_prob: tf.Tensor  # [C]
    gradient: tf.Tensor  # [C, P]
    step_size: tf.Tensor  # [C]
    length: tf.Tensor  # [C]
    average: tf.Tensor  # [C] of error / step size^6, weighted
    weight: tf.Tensor  # [C]
    largest: tf.Tensor  # [C] step size that has not broken down
    first: tf.Tensor  # [C, P] mean of positions
    second: tf.Tensor  # [C] sum of squared deviations from it
    count: tf.Tensor  # positions in these
    energy: tf.Tensor  # [C] sum of squared errors per dimension after the warm-up
    broken: tf.Tensor  # [C] steps that were taken back after the warm-up
    diverged: tf.Tensor  # [C]


def walk(
    log_prob: Callable[[tf.Tensor], tf.Tensor],
    start: np.ndarray,
    num_samples: int,
    num_burnin: int,
    key: tf.Tensor,
    thinning: int = 1,
    energy_variance: "tuple[float, float]" = (0.5, 0.02),
) -> Walk:
    """Runs C chains in one vectorised program.

    A step is an isokinetic leapfrog, half a turn of u by the force, a step along u, half a turn,
    then noise on u. During the warm-up the step size follows the squared energy error per
    dimension, whose target falls; after two thirds of it the length becomes the root of the summed
    variances of the positions so far. A step that leaves the numbers, or has an error of `FAR`
    times the target, is taken back, and the chain turns round; in the warm-up (where it is the
    first target) steps are smaller from then on. A chain that can hardly move has diverged, and the
    others go on.

    Args:
        log_prob: log density in nats up to a constant, [C, P] -> [C].
        start: [C, P], P >= 2.
        num_samples: S.
        num_burnin: steps of the warm-up, thrown away.
        key: stateless seed, int32 [2].
        thinning: steps per sample.
        energy_variance: target at the start and at the end of the warm-up, per dimension.

    Raises:
        ValueError: for numbers out of range.
    """
    chains, dims = start.shape
    check_count("number of dimensions", dims, 2)
    check_count("num_samples", num_samples)
    check_count("num_burnin", num_burnin, 0)
    check_count("thinning", thinning)
    high, low = (check_number("energy_variance", value, above=0) for value in energy_variance)
    steps, settled = num_burnin + num_samples * thinning, 2 * num_burnin // 3
    far_warm, far = (max(LEAST_FAR, FAR * math.sqrt(each * dims)) for each in (high, low))

    @traced
    def value_and_gradient(position):
        with tf.GradientTape() as tape:
            tape.watch(position)
            value = log_prob(position)
        return value, tape.gradient(value, position)

    def step(index: tf.Tensor, state: _State) -> _State:
        warm = index < num_burnin
        u, before = _turn(state.momentum, state.gradient, state.step_size / 2)
        position = state.position + state.step_size[:, tf.newaxis] * u
        value, gradient = value_and_gradient(position)
        u, after = _turn(u, gradient, state.step_size / 2)
        error = before + after - (value - state.log_prob)
        sound = tf.math.is_finite(error) & (tf.abs(error) < tf.where(warm, far_warm, far))
        sound &= tf.reduce_all(tf.math.is_finite(gradient), axis=-1) & ~state.diverged
        keep = sound[:, tf.newaxis]
        u = tf.where(keep, u, -state.momentum)
        noise = normal([chains, dims], fold_in(key, 1, index))
        blur = tf.sqrt((tf.exp(2 * state.step_size / state.length) - 1) / dims)
        squared = tf.where(sound, error**2, 0.0) / dims
        state = state._replace(
            position=tf.where(keep, position, state.position),
            momentum=_unit(u + blur[:, tf.newaxis] * noise),
            log_prob=tf.where(sound, value, state.log_prob),
            gradient=tf.where(keep, gradient, state.gradient),
            broken=state.broken + tf.cast(~sound & ~warm, tf.float32),
            energy=state.energy + tf.where(warm, 0.0, squared),
        )
        done = tf.cast(index, tf.float64) / max(num_burnin, 1)
        target = math.log(high) + (math.log(low) - math.log(high)) * done
        return tf.cond(
            warm, lambda: _adapted(state, sound, squared, target, index >= settled), lambda: state
        )

    @traced
    def run(position):
        value, gradient = value_and_gradient(position)
        zeros, wide = tf.zeros([chains]), tf.zeros([chains], tf.float64)
        finite = tf.math.is_finite(value) & tf.reduce_all(tf.math.is_finite(gradient), axis=-1)
        state = _State(
            position,
            _unit(normal([chains, dims], fold_in(key, 0))),
            value,
            gradient,
            zeros + 0.01 * math.sqrt(dims),
            zeros + math.sqrt(dims),
            wide,
            wide,
            zeros + math.sqrt(dims),
            tf.zeros([chains, dims]),
            zeros,
            tf.constant(0.0),
            zeros,
            zeros,
            ~finite,
        )
        kept = tf.TensorArray(tf.float32, num_samples, element_shape=[chains, dims])

        def body(index, state, kept):
            state = step(index, state)
            # The last of the steps that belong to a sample stays in its place.
            place = tf.maximum((index - num_burnin) // thinning, 0)
            return index + 1, state, kept.write(place, state.position)

        _, state, kept = tf.while_loop(
            lambda index, *_: index < steps,
            body,
            (tf.constant(0), state, kept),
            parallel_iterations=1,
        )
        return kept.stack(), state

    samples, state = run(tf.constant(start, tf.float32))
    broken, count = state.broken.numpy(), num_samples * thinning
    energy = state.energy.numpy() / np.maximum(count - broken, 1)
    diverged = state.diverged.numpy() | (broken > MOST_TAKEN_BACK * count)
    found = (state.step_size, state.length, state.momentum)
    return Walk(
        samples.numpy(), energy, broken / count, diverged, *(each.numpy() for each in found)
    )


def _unit(vectors: tf.Tensor) -> tf.Tensor:
    return vectors / tf.norm(vectors, axis=-1, keepdims=True)


def _turn(u: tf.Tensor, gradient: tf.Tensor, time: tf.Tensor) -> "tuple[tf.Tensor, tf.Tensor]":
    """Turns directions [C, P] uphill for a time [C]; returns them and the energy they gain [C]."""
    dims = u.shape[-1]
    norm = tf.norm(gradient, axis=-1)
    uphill = gradient / tf.maximum(norm, 1e-30)[:, tf.newaxis]
    turn = time * norm / (dims - 1)
    along, left = tf.reduce_sum(uphill * u, axis=-1), tf.exp(-turn)
    # sinh and cosh of the formula times 2 exp(-turn): large forces do not overflow.
    push = (1 - left) * (1 + left + along * (1 - left))
    new = _unit(push[:, tf.newaxis] * uphill + 2 * left[:, tf.newaxis] * u)
    gain = turn - math.log(2) + tf.math.log(tf.maximum(1 + along + (1 - along) * left**2, 1e-30))
    return new, (dims - 1) * gain


def _adapted(
    state: _State, sound: tf.Tensor, squared: tf.Tensor, target: tf.Tensor, is_settled: tf.Tensor
) -> _State:
    """Returns a state whose step size has learned from one step of the warm-up."""
    size = tf.cast(state.step_size, tf.float64)
    # Weights of errors that are far from the target are small: half of the mean is in their tail.
    ratio = 2 * tf.cast(squared, tf.float64) / tf.exp(target) + 1e-8
    weight = tf.exp(-0.5 * (tf.math.log(ratio) / (6 * _SPREAD)) ** 2)
    weight = tf.where(sound, weight, 0.0)
    average = _MEMORY * state.average + weight * ratio / size**6
    total = _MEMORY * state.weight + weight
    best = tf.where(total > 0, (average / tf.maximum(total, 1e-300)) ** (-1 / 6), size)
    largest = tf.where(sound, state.largest, 0.8 * state.step_size)
    state = state._replace(
        step_size=tf.minimum(tf.cast(best, tf.float32), largest),
        largest=largest,
        average=average,
        weight=total,
    )
    # Moments by Welford's rule; the first third of the warm-up is on its way from the start.
    count = state.count + 1
    away = state.position - state.first
    first = state.first + away / count
    second = state.second + tf.reduce_sum(away * (state.position - first), axis=-1)
    spread = tf.sqrt(second / count)
    known = is_settled & (count > 1)
    return state._replace(
        count=count,
        first=first,
        second=second,
        length=tf.where(known, tf.maximum(spread, 2 * state.step_size), state.length),
    )
