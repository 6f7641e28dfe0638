"""Whether a head keeps what the rest of the library takes for granted: one call for all of it."""

from typing import Any, NamedTuple

import keras
import numpy as np
import tensorflow as tf

from tfp_vae.arguments import check_type
from tfp_vae.data import Kind, Split
from tfp_vae.data.kinds import BINARY, GREY_LEVELS
from tfp_vae.distributions.base import tfd
from tfp_vae.distributions.decoders import Decoder
from tfp_vae.distributions.encoders import Gaussian
from tfp_vae.distributions.heads import Head
from tfp_vae.distributions.priors import StandardNormal
from tfp_vae.models import VAE, BayesianNetwork
from tfp_vae.networks import mlp
from tfp_vae.testing import claims
from tfp_vae.testing.claims import Grid, claim, close

ROWS = 5


@claims.in_words
def check_head(
    head: Head,
    features: Any = None,
    *,
    values: Any = None,
    support: "tuple[float, float] | None" = None,
    seed: int = 0,
    xla: bool = True,
    export: bool = False,
) -> None:
    """Tries the whole contract of a head; its variables stay as they are.

    Args:
        head: with the arguments that it is used with; built or not.
        features: float32 [N, F] to try it at; five standard normal rows by default.
        values: of a discrete head, all that have a probability, [n]; by default 0 and 1, the grid
            of 256 grey levels or the classes, whatever its kinds and task are, and else counts.
        support: of a density, (low, high); by default that of the head, else [0, 1] if no other
            kind of values has one, and else all real numbers.
        seed: of features and draws.
        xla: whether XLA is tried, which takes seconds.
        export: whether a model with it is written in each portable format that is installed, which
            takes many seconds.

    Raises:
        AssertionError: naming what the head does not keep.
        ValueError: if it is not a head.

    Example:
        >>> tv.testing.check_head(tv.heads.Bernoulli(), xla=False)
    """
    name = type(check_type("head", head, Head, "check_head")).__name__
    claims.trusted_package(head)
    claims.same_config(name, head)
    holds = isinstance(head.kinds, frozenset) and all(isinstance(k, Kind) for k in head.kinds)
    claim(name, holds, "`kinds` is a set of kinds of values", "a frozenset of data.Kind",
          repr(head.kinds))  # fmt: skip
    values, support = _given(values, support)
    if features is None:
        features = np.random.default_rng(seed).standard_normal((ROWS, head.num_features))
    features = claims.array("features", features)
    parameters = head(features)
    claim(name, tf.is_tensor(parameters), "parameters(features) is one tensor", "[N, Q], float32",
          type(parameters).__name__)  # fmt: skip
    case = _Case(head, features, seed, parameters)
    claims.distribution_of(name, case.distribution, "distribution(parameters)")
    _check_shapes(case)
    grid = _grid(case, values, support)
    what = "probabilities sum to 1" if head.is_discrete else "the density integrates to 1"
    claims.check_total(case.name, grid, what)
    drawn = case.draws(claims.DRAWS)
    claims.check_draws(case.name, np.asarray(drawn)[..., np.newaxis],
                       case.distribution.log_prob(drawn), grid, head.is_discrete)  # fmt: skip
    _check_moments(case, grid)
    _check_gradients(case)
    _check_compiled(case, xla)
    _check_in_a_model(case, export)
    _check_portable(case, grid)
    if head.has("tables"):
        _check_tables(case, grid)
    if head.has("fisher_root"):
        _check_fisher_root(case, grid)
    if head.has("steps"):
        mean = head.steps().get("mean")
        claim(case.name, isinstance(mean, str), "steps() names a mean", "a text", repr(mean))


def _given(values, support):
    """Returns arguments of `check_head` as they are used, or raises `ValueError`."""
    if values is not None:
        found = np.asarray(values)
        if found.ndim != 1 or not found.size or found.dtype.kind not in "biuf":
            raise ValueError(
                "Unusable values. Expected numbers [n], all that have a probability. Received "
                f"{values!r}."
            )
        values = found
    if support is not None:
        low, high = support if isinstance(support, tuple | list) and len(support) == 2 else (0, 0)
        if not low < high:
            raise ValueError(
                f"Unusable support. Expected (low, high) with low < high. Received {support!r}."
            )
    return values, support


class _Case(NamedTuple):
    head: Head
    features: tf.Tensor  # [N, F]
    seed: int
    parameters: tf.Tensor  # [N, Q]

    @property
    def name(self) -> str:
        return type(self.head).__name__

    @property
    def distribution(self) -> tfd.Distribution:
        return self.head.distribution(self.parameters)

    def draws(self, count: int) -> tf.Tensor:
        """Returns values [count, N], in the dtype of the distribution."""
        return self.distribution.sample(count, seed=[self.seed, 1])


def _check_shapes(case):
    head, name, (rows, _) = case.head, case.name, case.features.shape
    parameters, each = case.parameters, case.distribution
    received = parameters.shape, parameters.dtype.name
    holds = parameters.shape.rank == 2 and parameters.shape[0] == rows
    claim(name, holds and received[1] == "float32", "parameters of features [N, F] are [N, Q]",
          f"[{rows}, Q], float32", received)  # fmt: skip
    claim(name, each.batch_shape == (rows,), "batch shape of [N, Q] is [N]", [rows],
          list(each.batch_shape))  # fmt: skip
    claim(name, each.event_shape == (), "one value has event shape []", [], list(each.event_shape))
    x = case.draws(3)
    log_prob = each.log_prob(x)
    claim(name, log_prob.dtype == tf.float32, "log p is float32", "float32", log_prob.dtype.name)
    # Axes in front change nothing, and an example is its values.
    again = tf.stack([case.features, case.features])
    both = head.distribution(head(again))
    claim(name, both.batch_shape == (2, rows), "batch shape of [S, N, Q] is [S, N]", [2, rows],
          list(both.batch_shape))  # fmt: skip
    stacked = both.log_prob(x[:, tf.newaxis])
    close(name, "log p of stacked features", stacked, log_prob[:, tf.newaxis])
    alone = head.distribution(head(case.features[:1])).log_prob(x[:, :1])
    close(name, "what stands beside a value changes nothing", alone, log_prob[:, :1], 1e-4)
    for what, whole in (
        ("joint", head.joint(parameters, 1)),
        ("likelihood", head.likelihood(case.features, 1)),
    ):
        claim(name, whole.event_shape == (rows,), f"{what} has the axes as event shape", [rows],
              list(whole.event_shape))  # fmt: skip
        total = tf.reduce_sum(log_prob, axis=-1)
        close(name, f"log p of {what} is the sum over values", whole.log_prob(x), total, 1e-4)
        close(name, f"mean of {what}", *_moment(whole, each, "mean"), 1e-4, 1e-4)


def _moment(first, second, name):
    try:
        return getattr(first, name)(), getattr(second, name)()
    except NotImplementedError:  # a distribution without one
        return 0.0, 0.0


def _grid(case: _Case, values: Any, support: Any) -> Grid:
    distribution, drawn = case.distribution, np.asarray(case.draws(2000), np.float64)

    def log_prob(points):  # [M, N, 1] -> [M, N]
        return distribution.log_prob(tf.cast(points[..., 0], distribution.dtype))

    if not case.head.is_discrete:
        support = _support(case.head, support)
        return claims.grid_of(log_prob, drawn[..., np.newaxis], support)
    points = np.asarray(_all_values(case.head, drawn) if values is None else values, np.float64)
    points = np.repeat(points[:, np.newaxis], drawn.shape[1], axis=1)[..., np.newaxis]
    found = np.nan_to_num(np.asarray(log_prob(points), np.float64), nan=-np.inf)
    width = claims.spread(drawn[..., np.newaxis])[1]
    return Grid(points, np.ones_like(found), found, width)


def _all_values(head, drawn):
    if head.task == "classification":
        return np.arange(getattr(head, "num_classes", head.num_features))
    if head.kinds and head.kinds <= BINARY:
        return np.arange(2)
    if Kind.EIGHT_BIT in head.kinds:
        return np.arange(GREY_LEVELS) / (GREY_LEVELS - 1)
    return np.arange(int(4 * drawn.max()) + 50)


def _support(head, support):
    support = head.support if support is None else support
    if support is not None:
        return support
    return (0.0, 1.0) if head.kinds == {Kind.UNIT_INTERVAL} else (-np.inf, np.inf)


def _check_moments(case, grid):
    if case.head.task == "classification":
        return
    values = grid.values[..., 0]
    mean = grid.integral(values)
    variance = grid.integral((values - mean) ** 2)
    for name, expected, scale in (
        ("mean", mean, np.sqrt(variance)),
        ("variance", variance, variance),
    ):
        found = _moment(case.distribution, case.distribution, name)[0]
        if np.ndim(found):
            error = np.abs(found - expected) / (scale + 1e-6)
            claim(case.name, error < 1e-2, f"{name} is that of the probabilities", expected, found)


def _log_prob(head, x):
    return lambda features: head.distribution(head(features)).log_prob(x)


def _check_gradients(case):
    head, features = case.head, case.features
    x = tf.stop_gradient(case.draws(1)[0])
    log_prob = _log_prob(head, x)
    claims.check_slopes(case.name, "log p", log_prob, [features], case.seed)
    claims.check_slopes(
        case.name, "log p", lambda: log_prob(features), head.trainable_variables, case.seed
    )
    for size in (30.0, 1e3):
        with tf.GradientTape() as tape:
            far = tf.constant(size * np.sign(features), tf.float32)
            tape.watch(far)
            value = log_prob(far)
        finite = np.isfinite(value) & np.all(np.isfinite(tape.gradient(value, far)), axis=-1)
        claim(case.name, finite, f"log p and its gradient are finite at features of {size:g}",
              "finite numbers", np.asarray(value))  # fmt: skip


def _check_compiled(case, xla):
    x = case.draws(1)[0]

    def both(features):
        with tf.GradientTape() as tape:
            tape.watch(features)
            value = _log_prob(case.head, x)(features)
        return value, tape.gradient(value, features)

    claims.check_modes(case.name, "log p with its gradient", both, case.features, xla=xla)


def _check_in_a_model(case, export):
    """The head comes back in a saved model, and is exported with it as far as it goes."""
    trusted = claims.trusted_package(case.head)
    # A copy: the head of the caller belongs to no model.
    head = type(case.head).from_config(case.head.get_config())
    head(case.features)
    head.set_weights(case.head.get_weights())
    if head.kinds:
        width = 2
        decoder = Decoder(mlp([]), (width,), head)
        model = VAE(StandardNormal(2), Gaussian(mlp([]), 2), decoder)
        values = np.resize(np.asarray(case.draws(8), np.float32), (8, width))
        kind = next(k for k in (Kind.REAL, Kind.STATIC, *Kind) if k in head.kinds)
        split = Split(values, kind, name="test")
    else:
        network = keras.Sequential([keras.layers.Dense(head.num_features)])
        model = BayesianNetwork(network, head, data_kind=Kind.REAL)
        split = claims.real_split((3,))
        model.build((None, 3))

    def answer(model):
        own = model.decoder.head if head.kinds else model.likelihood
        return own(case.features)

    again = claims.check_saved(case.name, model, trusted, answer)
    close(case.name, "parameters survive a .keras file", answer(again), case.parameters, 0, 0)
    claims.check_signatures(case.name, model, split, export)


def _check_portable(case, grid):
    head, each = case.head, case.distribution
    x = case.draws(20)
    found = head.portable_log_prob(case.parameters, x)
    close(case.name, "portable_log_prob is log p", found, each.log_prob(x), 5e-5, 5e-5)
    if head.task == "classification":
        return
    width = grid.width[:, 0]
    for name, scale in (("mean", width), ("variance", width**2)):
        if head.has(f"portable_{name}"):
            known, _ = _moment(each, each, name)
            found = getattr(head, f"portable_{name}")(case.parameters)
            error = np.abs(found - known) / scale
            claim(case.name, error < 1e-3, f"portable_{name} is the {name}", known, found)


def _check_tables(case, grid):
    right = "a table is in the precision of the features, which a codec has in float64, in a graph"

    @tf.function(autograph=False)
    def wide(features):
        return case.head.tables(case.head.parameters(features))

    try:
        found = wide(tf.cast(case.features, tf.float64))
    except (TypeError, ValueError) as error:  # numbers of two precisions meet
        claim(case.name, False, right, "float64", error)
    claim(case.name, found.dtype == tf.float64, right, "float64", found.dtype.name)
    table = np.asarray(case.head.tables(case.parameters), np.float64)
    claim(case.name, table >= 0, "probabilities of a table are not below 0", ">= 0", table.min())
    close(case.name, "a table sums to 1", table.sum(axis=-1), 1.0, 1e-4)
    close(case.name, "a table has the probabilities of the values", table.T, grid.mass, 1e-3, 1e-6)


def _check_fisher_root(case, grid):
    head = case.head
    root = head.fisher_root(case.parameters)
    rows, count = case.parameters.shape
    holds = root.shape.rank == 3 and tuple(root.shape[::2]) == (rows, count)
    claim(case.name, holds, "fisher_root of [N, Q] is [N, R, Q]", f"[{rows}, R, {count}]",
          list(root.shape))  # fmt: skip
    used, values = np.asarray(grid.mass > 0), grid.values[..., 0]
    x = tf.cast(np.where(used, values, values[len(used) // 2]), case.distribution.dtype)
    each = tf.repeat(case.parameters[tf.newaxis], len(used), axis=0)  # [M, N, Q]
    with tf.GradientTape() as tape:
        tape.watch(each)
        log_prob = head.distribution(each).log_prob(x)
    scores = np.where(used[..., np.newaxis], tape.gradient(log_prob, each), 0.0)
    expected = np.einsum("mn,mnq,mnr->nqr", np.where(used, grid.mass, 0.0), scores, scores)
    found = np.einsum("nrp,nrq->npq", root, root)
    error = np.linalg.norm(found - expected, axis=(1, 2)) / np.linalg.norm(expected, axis=(1, 2))
    worst = np.argmax(error)
    claim(case.name, error < 2e-2, "R'R is the Fisher information, the variance of the score",
          expected[worst].tolist(), found[worst].tolist())  # fmt: skip
