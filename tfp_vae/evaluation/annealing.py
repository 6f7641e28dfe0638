"""Annealed importance sampling: log p(x) from below, and on simulated data from above as well.

    p_b(z) ~ p(z) p(x|z)^b,  b from 0 to 1;     log w = sum_t (b[t+1] - b[t]) log p(x|z_t)

E w = p(x) whatever the moves of z are, as long as each leaves its p_b as it is (Neal, "Annealed
importance sampling", Statistics and Computing 2001): the log of a mean of w is below log p(x) in
expectation. From an exact draw of p(z|x) backwards, E w = 1 / p(x), which bounds log p(x) from
above (Grosse, Ghahramani & Adams, "Sandwiching the marginal likelihood using bidirectional Monte
Carlo", 2015). VAEs were judged so first by Wu et al., "On the quantitative analysis of
decoder-based generative models", ICLR 2017.

The moves are those of Hamiltonian Monte Carlo. Both parts of log p_b and their gradients are kept
beside z, so that the acceptance test of a move compares two values of one density, and a new b
costs no new pass through the decoder. `tfp.mcmc.sample_annealed_importance_chain` hands a kernel
the value and the gradient of the b before (docs/decisions/evaluation.md).
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf

from tfp_vae.arguments import check_choice, check_count, check_seed
from tfp_vae.data import Kind, Split
from tfp_vae.evaluation.bounds import standard_error
from tfp_vae.layers.noise import MEAN
from tfp_vae.models import VAE
from tfp_vae.models.graphs import compiled
from tfp_vae.models.memory import in_batches
from tfp_vae.models.proposals import Joint, check_spans_space
from tfp_vae.randomness import fold_in, normal, uniform

SCHEDULES = ("sigmoid", "linear")
STARTS = ("prior", "posterior")
_STEEPNESS = 4.0  # of the sigmoid (Grosse et al., 2015)
_BLOCK = 50  # steps of one call of the graph, after which the time left is told
_BATCH = 100  # examples at a time, at most
_DRAWS = 64  # that the widths of prior and posterior are measured by
_NARROWEST = 0.02  # a posterior in units of the prior, whatever the encoder says
_PLACES, _TRIES, _MOVES = 20, 2, 2  # of the schedule, sizes at each, moves with each
_TARGET = 0.7  # share of moves that are accepted
_FIRST_SIZE, _LEARNING_RATE = 0.5, 1.0
_BEGIN, _STEP, _TUNE, _SIMULATE = 0, 1, 2, 3


class Annealed(NamedTuple):
    """What annealing found of each example, float64 [N]; log p(x) in nats.

    Attributes:
        log_evidence: a bound on log p(x): in expectation below it, or above where it is reverse.
        standard_error: of the Monte Carlo noise of the chains, by the delta method.
        acceptance: share of moves that were accepted.
        effective_sample_size: (sum w)^2 / sum w^2 of the weights of the chains, in [1, chains].
    """

    log_evidence: np.ndarray
    standard_error: np.ndarray
    acceptance: np.ndarray
    effective_sample_size: np.ndarray

    def summary(self) -> dict:
        """Returns mean, its standard error over examples and what tells of the chains, as JSON."""
        monte_carlo = np.sqrt(np.sum(self.standard_error**2)) / len(self.standard_error)
        return {
            "log_evidence": float(self.log_evidence.mean()),
            "log_evidence_se": standard_error(self.log_evidence),
            "log_evidence_mc_se": float(monte_carlo),
            "acceptance": float(self.acceptance.mean()),
            "effective_sample_size_median": float(np.median(self.effective_sample_size)),
        }


class Bidirectional(NamedTuple):
    """Both bounds on data that were drawn from the model.

    Attributes:
        lower: `Annealed` from the start to p(z|x): log p(x) is above, in expectation.
        upper: `Annealed` from the z that made x backwards: log p(x) is below, in expectation.
        examples: the data, [N, ...].
        latents: what made them, all latents in one vector, top first, [N, D].
    """

    lower: Annealed
    upper: Annealed
    examples: Split
    latents: np.ndarray

    @property
    def gap(self) -> np.ndarray:
        """How far the bounds are apart, [N], nats: at least the error of either, in expectation."""
        return self.upper.log_evidence - self.lower.log_evidence


class _Point(NamedTuple):
    """Where chains are: log p_b = low + b rise, with the gradients of both parts by z."""

    z: tf.Tensor  # [K, B, D]
    low: tf.Tensor  # [K, B]
    rise: tf.Tensor
    low_slope: tf.Tensor  # [K, B, D]
    rise_slope: tf.Tensor

    def height(self, beta: tf.Tensor) -> tf.Tensor:
        return self.low + beta * self.rise

    def slope(self, beta: tf.Tensor) -> tf.Tensor:
        return self.low_slope + beta * self.rise_slope


class _Widths(NamedTuple):
    """Standard deviations of z at both ends of the path, [B, D]."""

    low: tf.Tensor
    high: tf.Tensor

    def at(self, beta: tf.Tensor) -> tf.Tensor:
        """Returns those between: for normals precisions are linear in b."""
        return tf.math.rsqrt((1 - beta) / self.low**2 + beta / self.high**2)


def temperatures(num_steps: int, schedule: str = "sigmoid") -> np.ndarray:
    """Returns b from 0 to 1, float64 [num_steps + 1].

    Args:
        num_steps: T.
        schedule: "linear", or "sigmoid", which is slow at both ends, where p_b changes most.

    Raises:
        ValueError: for no step or an unknown schedule.
    """
    check_count("num_steps", num_steps)
    check_choice("schedule", schedule, SCHEDULES)
    share = np.linspace(0, 1, num_steps + 1)
    if schedule == "linear":
        return share
    curve = 1 / (1 + np.exp(-_STEEPNESS * (2 * share - 1)))
    found = (curve - curve[0]) / (curve[-1] - curve[0])
    found[0], found[-1] = 0, 1
    return found


def ais(
    vae: VAE,
    x: "Split | np.ndarray",
    *,
    num_steps: int = 1000,
    num_chains: int = 16,
    schedule: str = "sigmoid",
    start: str = "prior",
    num_leapfrogs: int = 3,
    seed: "int | None" = None,
    batch_size: "int | None" = None,
    progress: "Callable[[int, int], None] | None" = None,
) -> Annealed:
    """Returns log p(x) of each example by annealed importance sampling, nats.

    In expectation it is below log p(x), and the gap falls with the steps. It sees what importance
    sampling from q(z|x) may miss, since its chains need no encoder: `start="posterior"` begins at
    q(z|x), which takes far fewer steps where q is good.

    Step sizes are found before, on data that are drawn from the model: sizes that looked at the
    chains which they move would make no bound. What a step moves by is measured in the widths of
    prior and q(z|x). Memory grows neither with the steps nor, beyond a few thousand latents at a
    time, with chains and examples. Several latents are moved together. Bayesian weights are at
    their posterior means.

    Args:
        vae: a VAE, conditional or not.
        x: a `Split` or an array [N, ...] of values as the model sees them.
        num_steps: T; 1 is importance sampling from the start.
        num_chains: of each example, independent of each other.
        schedule: see `temperatures`.
        start: what the chains begin with: "prior", p(z), or "posterior", q(z|x).
        num_leapfrogs: passes through the decoder, with gradient, of each step.
        seed: fixes the draws; the model's seed by default.
        batch_size: examples at a time; by default at most 100. Fewer, with a warning, where memory
            runs out.
        progress: called with (steps done, steps in all) of all batches, after every 50 steps.

    Raises:
        ValueError: for impossible numbers, if `x` does not fit the model, for discrete latents and
            a likelihood without a gradient by z.
    """
    plan = _Plan(vae, num_steps, num_chains, schedule, start, num_leapfrogs, seed, batch_size)
    split = vae.as_split(x).frozen()
    given = vae.given_of(split)
    plan.check(split, given)
    sizes = plan.step_sizes(len(split), given)
    return plan.run(split, given, plan.betas, sizes, progress)


def bdmc(
    vae: VAE,
    num_examples: int = 100,
    *,
    num_steps: int = 1000,
    num_chains: int = 16,
    schedule: str = "sigmoid",
    start: str = "prior",
    num_leapfrogs: int = 3,
    given: "np.ndarray | None" = None,
    seed: "int | None" = None,
    batch_size: "int | None" = None,
    progress: "Callable[[int, int], None] | None" = None,
) -> Bidirectional:
    """Returns log p(x) from below and from above of data drawn from the model, nats.

    Bidirectional Monte Carlo (Grosse et al., 2015): z ~ p(z), x ~ p(x|z) makes z an exact draw of
    p(z|x), which the chains of the upper bound begin with. The gap bounds the error of `ais` with
    the same numbers on such data; real data, which the model did not make, have no exact draw.

    Args:
        vae: see `ais`.
        num_examples: N, drawn from the model.
        num_steps: see `ais`.
        num_chains: see `ais`; those from above share their first z.
        schedule: see `ais`.
        start: see `ais`; the chains from above end there.
        num_leapfrogs: see `ais`.
        given: what a conditional model is conditioned on, [N, ...]; classes take turns without it.
        seed: see `ais`; fixes the data too.
        batch_size: see `ais`.
        progress: see `ais`; of both directions together.

    Raises:
        ValueError: see `ais`; for a condition that is a vector, without `given`.
    """
    plan = _Plan(vae, num_steps, num_chains, schedule, start, num_leapfrogs, seed, batch_size)
    num_examples = check_count("num_examples", num_examples)
    given = conditions(vae, num_examples, given)
    z, split = simulate(vae, num_examples, given, fold_in(plan.key, _SIMULATE, 0))
    plan.check(split, given)
    sizes = plan.step_sizes(num_examples, given)

    def half(which):
        if progress is None:
            return None
        return lambda done, total: progress(which * total + done, 2 * total)

    lower = plan.run(split, given, plan.betas, sizes, half(0))
    upper = plan.run(split, given, plan.betas[::-1], sizes, half(1), z)
    return Bidirectional(lower, upper, split, z)


def conditions(vae: VAE, count: int, given: "np.ndarray | None") -> "np.ndarray | None":
    """Returns what `count` new examples are conditioned on, [count, ...], or None.

    Raises:
        ValueError: if there is a condition and `given` is not that of so many examples.
    """
    if not vae.condition:
        return None
    given = vae.condition.default(count) if given is None else np.asarray(given)
    if given is None or len(given) != count:
        raise ValueError(
            f"Each example that is drawn has a condition. Expected {count} of them as `given`. "
            f"Received {'none' if given is None else len(given)}."
        )
    return given


def simulate(
    vae: VAE, count: int, given: "np.ndarray | None", key: tf.Tensor
) -> "tuple[np.ndarray, Split]":
    """Returns z [count, D] of p(z), all latents in one vector, and x of p(x|z) as a split.

    Bayesian weights are at their posterior means.
    """
    draw = vae.at(fold_in(key, 0), MEAN)
    latents = draw.sample(count, given)
    parts, rows = [], vae.rows_at_once
    for first in range(0, count, rows):
        here = slice(first, first + rows)
        code = vae.code([each[here] for each in latents])
        likelihood = draw.likelihood(code, None if given is None else given[here])
        parts.append(likelihood.sample(seed=fold_in(key, 1, first)).numpy())
    # Whatever kind of values it is: nothing is to be drawn or looked at any more.
    split = Split(np.concatenate(parts), Kind.REAL, name="simulated")
    return tf.concat(latents, axis=-1).numpy(), split


class _Plan:
    """The arguments of both, checked, and the graphs that they need."""

    def __init__(
        self, vae, num_steps, num_chains, schedule, start, num_leapfrogs, seed, batch_size
    ):
        check_spans_space(vae, "annealed importance sampling")
        self.vae = vae
        self.betas = temperatures(num_steps, schedule)
        self.schedule = schedule
        self.num_chains = check_count("num_chains", num_chains)
        self.start = check_choice("start", start, STARTS)
        self.num_leapfrogs = check_count("num_leapfrogs", num_leapfrogs)
        self.key = vae.caller_key(None if seed is None else check_seed(seed))
        most = _BATCH if batch_size is None else check_count("batch_size", batch_size)
        rows = vae.rows_at_once
        self.chains_at_once = min(self.num_chains, rows)
        self.batch_size = max(1, min(most, rows // self.chains_at_once))

    def check(self, split: Split, given: Any) -> None:
        """Raises `ValueError`, before the work, if the chains cannot move."""
        few = np.arange(1)
        condition = None if given is None else tf.constant(given[few])
        joint = Joint(self.vae.at(self.key, MEAN), tf.constant(split.values(few)), condition)
        joint.check_gradient(fold_in(self.key, _BEGIN))

    # What the graphs compute.

    def _joint(self, x, given):
        return Joint(self.vae.at(0, MEAN), x, given)  # no noise

    def _point(self, joint, z):
        with tf.GradientTape(persistent=True) as tape:
            tape.watch(z)
            if self.start == "prior":
                low, rise = joint.log_prior(z), joint.log_likelihood(z)
            else:
                low = joint.log_posterior(z)
                rise = joint.log_prob(z) - low
        none = tf.UnconnectedGradients.ZERO
        slopes = [tape.gradient(each, z, unconnected_gradients=none) for each in (low, rise)]
        return _Point(z, low, rise, *slopes)

    def _begin(self, joint, count, key):
        """Returns where chains begin, [count, B, D], and the widths of both ends."""
        draws = [joint.sample_prior, joint.sample_posterior]
        wide, narrow = (
            tf.math.reduce_std(draw(_DRAWS, fold_in(key, number)), axis=0)
            for number, draw in enumerate(draws)
        )
        wide = tf.where(wide > 0, wide, 1.0)
        narrow = tf.clip_by_value(narrow, _NARROWEST * wide, wide)
        which = STARTS.index(self.start)
        z = draws[which](count, fold_in(key, len(STARTS)))
        return z, _Widths((wide, narrow)[which], narrow)

    def _move(self, joint, point, beta, size, widths, count, key):
        """Returns where a move of Hamiltonian Monte Carlo leads, and which were accepted [K, B]."""
        momentum = normal(tf.shape(point.z), fold_in(key, 0), 1)
        chance = uniform(tf.concat([[2], tf.shape(point.low)], 0), fold_in(key, 1), 2)
        # Lengths vary, or a normal would come back to where it was after some of them.
        length = (size * (0.6 + 0.8 * chance[0]))[..., tf.newaxis]
        unit = length * widths.at(beta)

        def leap(number, here, momentum):
            there = self._point(joint, here.z + unit * momentum)
            share = tf.where(number + 1 < count, 1.0, 0.5)
            return number + 1, there, momentum + share * unit * there.slope(beta)

        # Momentum in units of the widths: its part of the energy is |momentum|^2 / 2.
        moved = momentum + 0.5 * unit * point.slope(beta)
        state = (tf.constant(0), point, moved)
        _, new, moved = tf.while_loop(lambda number, *_: number < count, leap, state)
        gain = new.height(beta) - point.height(beta)
        gain += 0.5 * tf.reduce_sum(tf.square(momentum) - tf.square(moved), axis=-1)
        accepted = tf.math.is_finite(gain) & (tf.math.log(chance[1]) < gain)

        def chosen(new, old):
            return tf.where(accepted if new.shape.rank == 2 else accepted[..., None], new, old)

        return _Point(*map(chosen, new, point)), tf.cast(accepted, tf.float32)

    def _anneal(self, x, given, point, widths, betas, sizes, first, count, leapfrogs, key):
        """Returns the chains, log weights and accepted moves [K, B] of `count` steps."""
        joint = self._joint(x, given)

        def step(number, point, log_w, accepted):
            before, beta = betas[number], betas[number + 1]
            log_w += (beta - before) * point.rise
            here = fold_in(key, first + number)
            moves = self._move(joint, point, beta, sizes[number], widths, leapfrogs, here)
            return number + 1, moves[0], log_w, accepted + moves[1]

        zeros = tf.zeros(tf.shape(point.low))
        state = (tf.constant(0), point, zeros, zeros)
        return tf.while_loop(lambda number, *_: number < count, step, state)[1:]

    # How they are called.

    def _walker(self, x, given, widths, key):
        """Returns a function of (point, betas, sizes, first) that takes chains some steps on."""
        anneal = compiled(self.vae, "annealing", self.start, lambda: self._anneal)
        leapfrogs = tf.constant(self.num_leapfrogs)

        def walk(point, betas, sizes, first):
            # Always as many numbers, whatever the steps: one graph, and one program of XLA.
            padded = [np.resize(betas, _BLOCK + 1), np.resize(sizes, _BLOCK)]
            padded = [tf.constant(each, tf.float32) for each in padded]
            count = tf.constant(len(sizes))
            where = tf.constant(first)
            return anneal(x, given, point, widths, *padded, where, count, leapfrogs, key)

        return walk

    def step_sizes(self, count: int, given: "np.ndarray | None") -> np.ndarray:
        """Returns the size of every step of the way up, [T], found on data of the model itself.

        Args:
            count: examples that they are for: as many at a time are looked at here, for which the
                graph is compiled anyway.
            given: what some of them are conditioned on.
        """
        key, count = fold_in(self.key, _TUNE), min(self.batch_size, count)
        given = None if given is None else np.resize(given, (count, *given.shape[1:]))
        _, split = simulate(self.vae, count, given, fold_in(key, _SIMULATE))
        x, given = tf.constant(split.values()), None if given is None else tf.constant(given)
        joint = self._joint(x, given)
        z, widths = self._begin(joint, self.chains_at_once, fold_in(key, _BEGIN))
        walk, point = self._walker(x, given, widths, fold_in(key, _STEP)), self._point(joint, z)
        shares, logs = np.linspace(0, 1, _PLACES), np.zeros(_PLACES)
        betas = np.interp(shares, np.linspace(0, 1, len(self.betas)), self.betas)
        log_size = np.log(_FIRST_SIZE)
        for place, beta in enumerate(betas):
            for number in range(_TRIES):
                first = (place * _TRIES + number) * _MOVES
                here = np.full(_MOVES, np.exp(log_size))
                point, _, moves = walk(point, np.full(_MOVES + 1, beta), here, first)
                accepted = float(tf.reduce_mean(moves)) / _MOVES
                log_size += _LEARNING_RATE * (accepted - _TARGET)
            logs[place] = log_size
        at = np.arange(1, len(self.betas)) / (len(self.betas) - 1)
        return np.exp(np.interp(at, shares, logs))

    def run(
        self,
        split: Split,
        given: "np.ndarray | None",
        betas: np.ndarray,
        sizes: np.ndarray,
        progress: "Callable[[int, int], None] | None",
        exact: "np.ndarray | None" = None,
    ) -> Annealed:
        """Returns what the chains say of all examples.

        Args:
            split: the examples.
            given: what they are conditioned on.
            betas: from 0 to 1, or from 1 to 0.
            sizes: of the steps upwards.
            progress: see `ais`.
            exact: draws of p(z|x) to begin with, [N, D], for the way down.
        """
        num_steps = len(betas) - 1
        blocks = range(0, num_steps, _BLOCK)
        groups = range(0, self.num_chains, self.chains_at_once)
        # On the way down a move at b has the size that it has on the way up.
        sizes = sizes if exact is None else np.append(sizes[-2::-1], sizes[0])
        direction = int(exact is not None)
        done, total = 0, -(-len(split) // self.batch_size) * len(groups) * num_steps

        def run(start, index):
            nonlocal done
            x = tf.constant(split.values(index))
            condition = None if given is None else tf.constant(given[index])
            joint, log_ws, accepted = self._joint(x, condition), [], 0.0
            for group in groups:
                key = fold_in(self.key, _STEP, direction, start, group)
                count = min(self.chains_at_once, self.num_chains - group)
                z, widths = self._begin(joint, count, fold_in(key, _BEGIN))
                if exact is not None:
                    z = tf.repeat(tf.constant(exact[index])[tf.newaxis], count, axis=0)
                walk = self._walker(x, condition, widths, fold_in(key, _STEP))
                point, log_w = self._point(joint, z), 0.0
                for first in blocks:
                    here = slice(first, min(first + _BLOCK, num_steps))
                    edges = betas[first : here.stop + 1]
                    point, more, moves = walk(point, edges, sizes[here], first)
                    # Sums of a thousand terms, in double.
                    log_w = log_w + more.numpy().astype(np.float64)
                    accepted = accepted + moves.numpy().sum(axis=0, dtype=np.float64)
                    done += len(sizes[here])
                    if progress is not None:
                        progress(min(done, total), total)
                log_ws.append(log_w)
            return np.concatenate(log_ws), accepted / (num_steps * self.num_chains)

        parts = [
            (log_w[:, :size], accepted[:size])
            for (log_w, accepted), size in in_batches(split, self.batch_size, run)
        ]
        log_w, acceptance = (np.concatenate(each, axis=-1) for each in zip(*parts, strict=True))
        return _result(log_w, acceptance, -1.0 if exact is not None else 1.0)


def _result(log_w: np.ndarray, acceptance: np.ndarray, sign: float) -> Annealed:
    """Returns what log weights [K, N] say; of those of the way down the negative."""
    top = log_w.max(axis=0)
    w = np.exp(log_w - top)
    size = w.sum(axis=0) ** 2 / (w**2).sum(axis=0)
    error = np.sqrt(np.maximum(1 / size - 1 / len(w), 0))
    return Annealed(sign * (top + np.log(w.mean(axis=0))), error, acceptance, size)
