"""Bias and variance of every gradient estimator: where the gradient is known, and on a model.

    estimates(LINEAR_NORMAL, objectives.IWAE("dreg"), draws=4)     # {place: [repeats]}
    exact(LINEAR_NORMAL, objectives.IWAE(), draws=4)               # {place: number}

The exact gradient of E[F] of K draws is a sum over all K-tuples of nodes: all values of binary
latents, or those of Gauss-Hermite quadrature.
"""

import abc
import dataclasses
import itertools
import math
import types
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from tfp_vae import objectives, plots, report, training
from tfp_vae.arguments import check_count
from tfp_vae.data import Split
from tfp_vae.models import VAE
from tfp_vae.objectives import LatentTerms, Tap, Terms
from tfp_vae.objectives.weighted import WeightedBound
from tfp_vae.randomness import fold_in

Places = dict[str, tf.Tensor]
_MOST_TUPLES = 70_000  # of nodes


class FormulaLatent(LatentTerms):
    """A latent whose densities are functions: of draws and the places of the encoder.

    Args:
        value: draws, [S, B, D].
        places: by name, [B] each.
        log_q: (draws, places) -> [S, B].
        log_p: (draws, places) -> [S, B].
        tap: of the draws.
    """

    name = "z"

    def __init__(
        self,
        value: tf.Tensor,
        places: Places,
        log_q: Callable,
        log_p: Callable,
        tap: "Tap | None" = None,
        held: "Places | None" = None,
    ):
        self.value, self.places, self.tap = value, places, tap
        self._log_q, self._log_p = log_q, log_p
        self._held = places if held is None else held

    @property
    def log_q(self) -> tf.Tensor:
        """Log q(z|x), [S, B]."""
        return self._log_q(self.value, self._held)

    @property
    def log_p(self) -> tf.Tensor:
        """Log p(z), [S, B]."""
        return self._log_p(self.value, self.places)

    def _other(self, value, held):
        return FormulaLatent(value, self.places, self._log_q, self._log_p, self.tap, held)

    def stopped(self) -> "FormulaLatent":
        """Returns the latent with the places held in log q."""
        return self._other(self.value, {k: tf.stop_gradient(v) for k, v in self.places.items()})

    def fixed(self) -> "FormulaLatent":
        """Returns the latent with its draws held."""
        return self._other(tf.stop_gradient(self.value), self._held)


class Problem(abc.ABC):
    """A model of one example with few places to derive by, whose gradient is known.

    Attributes:
        name: of the problem.
        encoder: places of q(z|x), with their values.
        model: places of p(z) and p(x|z), with their values.
        is_reparameterized: whether z has a path to the places of the encoder.
        nodes_per_draw: of the exact sum.
    """

    name: str
    encoder: "dict[str, float]"
    model: "dict[str, float]"
    is_reparameterized: bool
    nodes_per_draw: int

    @abc.abstractmethod
    def draws(self, places: Places, noise: np.random.Generator, samples: int) -> tf.Tensor:
        """Returns draws of z, [samples, B, D], for places [B]."""

    @abc.abstractmethod
    def log_q(self, z: tf.Tensor, places: Places) -> tf.Tensor:
        """Returns log q(z|x), [S, B]."""

    @abc.abstractmethod
    def log_p(self, z: tf.Tensor, places: Places) -> tf.Tensor:
        """Returns log p(z), [S, B]."""

    @abc.abstractmethod
    def log_likelihood(self, z: tf.Tensor, places: Places) -> tf.Tensor:
        """Returns log p(x|z), [S, B]."""

    @abc.abstractmethod
    def nodes(self, places: Places) -> "tuple[tf.Tensor, tf.Tensor]":
        """Returns all z, [nodes, B, D], and the logs of their shares under q, [nodes, B]."""

    def terms(self, z: tf.Tensor, places: Places) -> Terms:
        """Returns the terms of draws z [S, B, D], with a tap."""
        tap = Tap()
        z = tap(z)
        latent = FormulaLatent(z, places, self.log_q, self.log_p, tap)
        return Terms(self.log_likelihood(z, places), (latent,))


def _normal(value, loc, log_scale):
    return -0.5 * tf.square((value - loc) * tf.exp(-log_scale)) - log_scale - 0.9189385332


class LinearNormal(Problem):
    """z ~ N(prior, 1), x|z ~ N(z + shift, 1) at x = 2; q(z|x) = N(loc, exp(log_scale)^2).

    With the places `EXACT` q(z|x) is p(z|x), and log p(x) is log N(2; 0, 2).
    """

    name = "linear_normal"
    is_reparameterized = True
    nodes_per_draw = 16
    X = 2.0
    EXACT = types.MappingProxyType(
        {"loc": 1.0, "log_scale": 0.5 * math.log(0.5), "shift": 0.0, "prior": 0.0}
    )
    LOG_EVIDENCE = -0.25 * X**2 - 0.5 * math.log(4 * math.pi)

    def __init__(self, loc=0.6, log_scale=-0.2, shift=0.2, prior=0.1):
        self.encoder = {"loc": loc, "log_scale": log_scale}
        self.model = {"shift": shift, "prior": prior}

    def _moved(self, places, noise):
        return (places["loc"] + tf.exp(places["log_scale"]) * noise)[..., tf.newaxis]

    def draws(self, places: Places, noise: np.random.Generator, samples: int) -> tf.Tensor:
        """Returns loc + scale noise."""
        shape = samples, len(places["loc"])
        return self._moved(places, noise.standard_normal(shape).astype(np.float32))

    def log_q(self, z: tf.Tensor, places: Places) -> tf.Tensor:
        """Returns the normal log-density."""
        return _normal(z[..., 0], places["loc"], places["log_scale"])

    def log_p(self, z: tf.Tensor, places: Places) -> tf.Tensor:
        """Returns that of a normal of scale 1."""
        return _normal(z[..., 0], places["prior"], 0.0)

    def log_likelihood(self, z: tf.Tensor, places: Places) -> tf.Tensor:
        """Returns that of x."""
        return _normal(self.X, z[..., 0] + places["shift"], 0.0)

    def nodes(self, places: Places) -> "tuple[tf.Tensor, tf.Tensor]":
        """Returns the nodes of Gauss-Hermite quadrature."""
        at, weights = np.polynomial.hermite_e.hermegauss(self.nodes_per_draw)
        shares = np.log(weights / weights.sum())[:, np.newaxis].astype(np.float32)
        return self._moved(places, at[:, np.newaxis].astype(np.float32)), tf.constant(shares)


class Binary(Problem):
    """Three binary latents: p(z_d = 1) = sigmoid(prior), x|z ~ N(weight (z_1 + 2 z_2 - z_3), 1)."""

    name = "binary"
    is_reparameterized = False
    nodes_per_draw = 8
    X = 1.5
    LOADINGS = np.array([1.0, 2.0, -1.0], np.float32)

    def __init__(self, first=0.5, second=-0.3, third=-0.8, prior=-0.4, weight=0.9):
        self.encoder = {"first": first, "second": second, "third": third}
        self.model = {"prior": prior, "weight": weight}

    def _logits(self, places):
        return tf.stack([places[name] for name in self.encoder], axis=-1)  # [B, 3]

    def draws(self, places: Places, noise: np.random.Generator, samples: int) -> tf.Tensor:
        """Returns 0 or 1 with the probabilities of q."""
        probability = tf.sigmoid(self._logits(places)).numpy()
        uniform = noise.random((samples, *probability.shape))
        return tf.constant((uniform < probability).astype(np.float32))

    def log_q(self, z: tf.Tensor, places: Places) -> tf.Tensor:
        """Returns the log mass."""
        logits = self._logits(places)
        return tf.reduce_sum(z * logits - tf.nn.softplus(logits), axis=-1)

    def log_p(self, z: tf.Tensor, places: Places) -> tf.Tensor:
        """Returns the log mass under the prior."""
        logits = places["prior"][:, tf.newaxis]
        return tf.reduce_sum(z * logits - tf.nn.softplus(logits), axis=-1)

    def log_likelihood(self, z: tf.Tensor, places: Places) -> tf.Tensor:
        """Returns the normal log-density of x."""
        return _normal(self.X, places["weight"] * tf.linalg.matvec(z, self.LOADINGS), 0.0)

    def nodes(self, places: Places) -> "tuple[tf.Tensor, tf.Tensor]":
        """Returns all eight values and their masses."""
        every = np.array(list(itertools.product((0.0, 1.0), repeat=3)), np.float32)
        z = tf.constant(every[:, np.newaxis])
        return z, self.log_q(z, places)


PROBLEMS = (LinearNormal(), Binary())


def estimates(
    problem: Problem, bound: "objectives.Bound", draws: int, repeats: int = 4000, seed: int = 0
) -> "dict[str, np.ndarray]":
    """Returns independent estimates of the gradient of the bound, {place: float64 [repeats]}.

    All at once: each repeat is an example with places of its own.

    Args:
        problem: what is derived.
        bound: with its estimator.
        draws: K.
        repeats: how many.
        seed: of the draws.
    """
    values = problem.encoder | problem.model
    places = {name: tf.fill([repeats], np.float32(value)) for name, value in values.items()}
    with tf.GradientTape() as tape:
        tape.watch(places)
        z = problem.draws(places, np.random.default_rng([seed, draws]), draws)
        loss = bound.loss(problem.terms(z, places), 0)
    found = tape.gradient(loss, places, unconnected_gradients="zero")
    return {name: -repeats * np.asarray(each, np.float64) for name, each in found.items()}


def exact(problem: Problem, bound: WeightedBound, draws: int) -> "dict[str, float]":
    """Returns the gradient of E[F] of K draws by the sum over all K-tuples of nodes.

    Raises:
        ValueError: if there are too many tuples.
    """
    check_count("draws", draws)
    count = problem.nodes_per_draw**draws
    if count > _MOST_TUPLES:
        raise ValueError(
            f"There are too many tuples of nodes. Expected at most {_MOST_TUPLES:,}. Received "
            f"{problem.nodes_per_draw}^{draws}."
        )
    values = problem.encoder | problem.model
    places = {name: tf.fill([1], np.float32(value)) for name, value in values.items()}
    each = np.indices([problem.nodes_per_draw] * draws).reshape(draws, -1)
    with tf.GradientTape() as tape:
        tape.watch(places)
        z, log_shares = problem.nodes(places)
        log_weights = problem.terms(z, places).log_weights()[:, 0]
        share = tf.exp(tf.reduce_sum(tf.gather(log_shares[:, 0], each), axis=0))
        rows = tf.gather(log_weights, each)
        found = bound.local(rows, tf.fill(rows.shape, -math.log(draws)))
        value = tf.reduce_sum(share * found)
    return {name: float(g[0]) for name, g in tape.gradient(value, places).items()}


def table_of_problem(
    problem: Problem,
    kind: type,
    draws: "Sequence[int]",
    repeats: int = 4000,
    seed: int = 0,
) -> "list[dict]":
    """Returns a row of each estimator and number of draws: bias, variance, signal to noise.

    Args:
        problem: with an exact gradient.
        kind: of `objectives.BOUNDS`.
        draws: the numbers K.
        repeats: estimates of each.
        seed: of draws.

    Returns:
        Rows with `bias`, the largest distance of a mean from the exact gradient over the places of
        the encoder, in standard errors; `sd`, root of the summed variances; `snr`, the length of
        the exact gradient by `sd`. Of the places of the model likewise.
    """
    rows = []
    for count in draws:
        known = None
        if problem.nodes_per_draw**count <= _MOST_TUPLES:
            known = exact(problem, kind(), count)
        for name in objectives.GRADIENTS:
            if not _applies(kind, name, problem, count):
                continue
            found = estimates(problem, kind(gradient=name), count, repeats, seed)
            parts = {}
            for part, places in (("encoder", problem.encoder), ("model", problem.model)):
                parts |= _row(part, [found[p] for p in places], known, list(places))
            rows.append({"problem": problem.name, "draws": count, "gradient": name, **parts})
    return rows


def _applies(kind, name, problem, count):
    try:
        bound = kind(gradient=name)
    except ValueError:
        return False
    path = not issubclass(objectives.GRADIENTS[name], objectives.gradients.Score)
    if kind.name == "tvo" and name == "score":
        return count > 1
    return count >= bound.gradient.least_samples and (problem.is_reparameterized or not path)


def _row(part, values, known, places):
    mean = np.array([v.mean() for v in values])
    error = np.array([v.std() / math.sqrt(len(v)) for v in values])
    sd = math.sqrt(sum(v.var() for v in values))
    truth = mean if known is None else np.array([known[p] for p in places])
    # Where an estimator does not vary, float32 does.
    off = float(np.max(np.abs(mean - truth) / np.maximum(error, 1e-5)))
    return {
        f"{part}_bias": None if known is None else off,
        f"{part}_sd": sd,
        f"{part}_snr": float(np.linalg.norm(truth) / max(sd, 1e-9)),
    }


# On a trained model.


def table_of_model(
    model: VAE,
    split: Split,
    kind: type,
    draws: "Sequence[int]",
    repeats: int = 100,
    seed: int = 0,
    progress: Any = None,
) -> "list[dict]":
    """Returns a row of each estimator that the model allows and number of draws.

    The gradient by all weights of one batch, `repeats` times with other draws of z.

    Args:
        model: a VAE; its objective is another one meanwhile.
        split: the examples of the batch.
        kind: of `objectives.BOUNDS`.
        draws: the numbers K.
        repeats: estimates of each.
        seed: of draws.
        progress: called with (done, all), or None.

    Returns:
        Rows as those of `table_of_problem`; `bias` is the distance of the mean from that of the
        plain estimator, in standard errors of both, and None for the plain one and without it.
    """
    before, samples = model.objective, model.num_samples
    rows: list[dict] = []
    plain: tuple[int, dict] = (0, {})
    tried = [(count, name) for count in draws for name in objectives.GRADIENTS]
    try:
        for number, (count, name) in enumerate(tried):
            if progress is not None and number:
                progress(number, len(tried))
            model.num_samples = count
            try:
                model.objective = kind(gradient=name)
                model.objective.check(model)
            except ValueError:
                continue
            found = _moments(model, split, count, repeats, seed)
            if name == "path":
                plain = count, found
            row: dict[str, Any] = {"problem": "run", "draws": count, "gradient": name}
            beside = plain[1] if plain[0] == count and name != "path" else {}
            for part, (mean, variance) in found.items():
                row |= _row_of_model(part, mean, variance, repeats, beside.get(part))
            rows.append(row)
    finally:
        model.objective, model.num_samples = before, samples
    return rows


def _row_of_model(part, mean, variance, repeats, plain):
    total = float(variance.sum())
    # The mean of so many estimates is longer than the gradient by the noise that is left.
    signal = max(float(np.sum(mean**2)) - total / repeats, 0.0)
    off = None
    if plain is not None:
        other, its = plain
        both = (variance + its) / repeats
        known = both > 1e-12 * max(float(both.max()), 1e-30)
        z = (mean - other)[known] ** 2 / both[known]
        # The mean of squared t values is about 1 without a bias.
        off = float(np.sqrt(z.mean())) if z.size else 0.0
    return {
        f"{part}_bias": off,
        f"{part}_sd": math.sqrt(total),
        f"{part}_snr": math.sqrt(signal / total) if total else None,
    }


def _moments(model, split, count, repeats, seed):
    """Returns {part: (mean, variance)} of the gradients by the weights of the part."""
    inside = {id(v) for v in model.encoder_weights()}
    variables = model.trainable_variables
    x, y = tf.constant(split.values()), tf.constant(split.y) if model.supervised else None
    x, y = model.to_keras(x, y)

    def one(number):
        key = fold_in(seed, 7, number)
        with tf.GradientTape() as tape:
            outputs = model.call(x, training=False, num_samples=count, seed=key)
            with model.at(key):
                loss = model.objective.loss(model.terms(x, y, outputs), 0)
        found = tape.gradient(loss, variables)
        return [
            tf.zeros([math.prod(v.shape)]) if g is None else tf.reshape(-g, [-1])
            for g, v in zip(found, variables, strict=True)
        ]

    @tf.function(autograph=False)
    def all_of_them():
        zeros = [tf.zeros([math.prod(v.shape)]) for v in variables]

        def more(number, sums, squares):
            found = one(number)
            sums = [a + g for a, g in zip(sums, found, strict=True)]
            squares = [a + g * g for a, g in zip(squares, found, strict=True)]
            return number + 1, sums, squares

        return tf.while_loop(
            lambda number, *_: number < repeats, more, (tf.constant(0), zeros, list(zeros))
        )[1:]

    # One concrete function: each estimator has another graph, which is no retracing.
    sums, squares = all_of_them.get_concrete_function()()
    found = {}
    for part, chosen in (("encoder", True), ("model", False)):
        here = [i for i, v in enumerate(variables) if (id(v) in inside) == chosen]
        mean, square = (
            np.concatenate([np.asarray(part[i], np.float64) for i in here]) / repeats
            for part in (sums, squares)
        )
        found[part] = mean, np.maximum(square - mean**2, 0.0) * repeats / (repeats - 1)
    return found


LEGEND = (
    "bias: how far the mean of estimates is from the exact gradient, of the run from the mean of",
    "  path, in standard errors: below about 3 there is none to be seen; - where neither is known",
    "sd: root of the summed variances; snr: length of the gradient by sd, 0 where it is not seen",
)


def text(rows: "list[dict]") -> str:
    """Returns the rows as a table of text, and what its columns are."""
    head = f"{'model':<15}{'K':>4}  {'gradient':<10}"
    parts = ("encoder", "model")
    head += "".join(f"{part + ' bias':>14}{'sd':>10}{'snr':>9}" for part in parts)
    lines = [head]
    for row in rows:
        line = f"{row['problem']:<15}{row['draws']:>4}  {row['gradient']:<10}"
        for part in parts:
            bias, sd, snr = (row[f"{part}_{what}"] for what in ("bias", "sd", "snr"))
            line += f"{'-' if bias is None else f'{bias:.1f}':>14}{sd:>10.3g}"
            line += f"{'-' if snr is None else f'{snr:.3g}':>9}"
        lines.append(line)
    return "\n".join([*lines, *LEGEND])


@dataclasses.dataclass(frozen=True)
class Plan:
    """What is measured.

    Attributes:
        bound: a name of `objectives.BOUNDS`, with its default arguments.
        draws: the numbers K.
        num_examples: of the batch of the model.
        repeats: estimates on the model.
        exact_repeats: estimates on the models with an exact gradient.
        seed: of the draws.
    """

    bound: str
    draws: "tuple[int, ...]" = (1, 2, 4, 16)
    num_examples: int = 16
    repeats: int = 64
    exact_repeats: int = 4000
    seed: int = 0

    def __post_init__(self):
        if not issubclass(objectives.BOUNDS[self.bound], WeightedBound):
            names = [n for n, kind in objectives.BOUNDS.items() if issubclass(kind, WeightedBound)]
            raise ValueError(
                "Estimators differ in the gradient of a bound of log weights. Expected one of "
                f"{', '.join(names)}. Received {self.bound!r}, whose gradient is the one of its "
                "loss."
            )


def run(plan: Plan, model: VAE, split: Split) -> "list[dict]":
    """Returns the rows of the models with an exact gradient, then those of a trained model.

    Args:
        plan: what is measured.
        model: a VAE.
        split: whose first examples are the batch.

    Raises:
        ValueError: for a model that is trained on no bound.
    """
    if not model.on_bound:
        model.bounds()  # which says why not
    kind = objectives.BOUNDS[plan.bound]
    rows: list[dict] = []
    for problem in PROBLEMS:
        rows += table_of_problem(problem, kind, plan.draws, plan.exact_repeats, plan.seed)
    progress = training.Progress("gradients")
    return rows + table_of_model(
        model,
        split.take(plan.num_examples),
        kind,
        plan.draws,
        plan.repeats,
        plan.seed,
        progress,
    )


def write(plan: Plan, folder: report.RunFolder, rows: "list[dict]", source: dict) -> str:
    """Writes `gradients.json` and `gradients.png`; returns the table as text."""
    values = {
        **source,
        **dataclasses.asdict(plan),
        "rows": rows,
        "versions": report.versions(),
    }
    folder.write_json("gradients.json", values)
    title = f"Gradient estimators of {plan.bound}"
    folder.write_figure("gradients.png", plots.signal_against_draws(rows, title))
    return text(rows)
