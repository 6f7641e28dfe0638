"""Whether a head keeps what the rest of the library takes for granted: one call for all of it.

    from tfp_vae import testing

    testing.check_head(StudentT())

Densities are integrated by the midpoint rule and masses are summed, in float64 of the head's own
float32 log-probabilities; draws are held against these integrals within their standard errors.
"""

import pathlib
import tempfile
from typing import Any, NamedTuple

import keras
import numpy as np
import tensorflow as tf

from tfp_vae.arguments import check_type
from tfp_vae.data import Kind
from tfp_vae.data.kinds import BINARY, GREY_LEVELS
from tfp_vae.distributions.base import tfd
from tfp_vae.distributions.heads import Head

ROWS, POINTS, DRAWS = 5, 4000, 20_000
# A standard error away: one in two million for each of some dozen comparisons.
DEVIATIONS = 5.0
STEP = 3e-3  # of finite differences


def check_head(
    head: Head,
    features: Any = None,
    *,
    values: Any = None,
    support: "tuple[float, float] | None" = None,
    seed: int = 0,
) -> None:
    """Tries the whole contract of a head; its variables stay as they are.

    Args:
        head: with the arguments that it is used with; built or not.
        features: float32 [N, F] to try it at; five standard normal rows by default.
        values: of a discrete head, all that have a probability, [n]; by default 0 and 1, the grid
            of 256 grey levels or the classes, whatever its kinds and task are, and else counts.
        support: of a density, (low, high); by default [0, 1] if no other kind of values has one,
            and else all real numbers.
        seed: of features and draws.

    Raises:
        AssertionError: naming what the head does not keep.
        ValueError: if it is no head.
    """
    check_type("head", head, Head, "check_head")
    if features is None:
        features = np.random.default_rng(seed).standard_normal((ROWS, head.num_features))
    features = tf.constant(features, tf.float32)
    case = _Case(head, features, seed, head(features))
    _check_shapes(case)
    grid = _grid(case, values, support)
    _check_total_and_draws(case, grid)
    _check_moments(case, grid)
    _check_gradients(case)
    _check_compiled(case)
    _check_saved(case)
    _check_portable(case, grid)
    if head.has("tables"):
        _check_tables(case, grid)
    if head.has("fisher_root"):
        _check_fisher_root(case, grid)
    if head.has("steps"):
        assert isinstance(head.steps().get("mean"), str), f"{case.name}: steps() names no mean"


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


class _Grid(NamedTuple):
    """Values with weights, so that sums are integrals over everything; [M, N] each."""

    values: np.ndarray
    weights: np.ndarray
    log_prob: np.ndarray
    width: np.ndarray  # [N], what a value is far from another by

    @property
    def mass(self) -> np.ndarray:
        return self.weights * np.exp(self.log_prob)

    def integral(self, of: np.ndarray) -> np.ndarray:
        """Returns the expectation of a function given at the values, [M, N] -> [N]."""
        mass = self.mass
        return np.sum(np.where(mass > 0, mass * of, 0.0), axis=0)


def _close(case, what, found, expected, rtol=1e-5, atol=1e-5):
    message = f"{case.name}: {what}"
    np.testing.assert_allclose(found, expected, rtol, atol, err_msg=message)


def _check_shapes(case):
    head, (rows, _) = case.head, case.features.shape
    parameters = case.parameters
    shape = f"{case.name}: parameters of features [N, F] are [N, Q], float32"
    assert parameters.shape.rank == 2 and parameters.shape[0] == rows, shape
    assert parameters.dtype == tf.float32, shape
    each = case.distribution
    assert each.batch_shape == (rows,), f"{case.name}: batch shape of [N, Q] is [N]"
    assert each.event_shape == (), f"{case.name}: one value has event shape []"
    x = case.draws(3)
    log_prob = each.log_prob(x)
    assert log_prob.dtype == tf.float32, f"{case.name}: log p is float32"
    # Axes in front change nothing, and an example is its values.
    again = tf.stack([case.features, case.features])
    both = head.distribution(head(again))
    assert both.batch_shape == (2, rows), f"{case.name}: batch shape of [S, N, Q] is [S, N]"
    stacked = both.log_prob(x[:, tf.newaxis])
    _close(case, "log p of stacked features", stacked[:, 0], log_prob)
    _close(case, "log p of stacked features", stacked[:, 1], log_prob)
    for what, whole in (
        ("joint", head.joint(case.parameters, 1)),
        ("likelihood", head.likelihood(case.features, 1)),
    ):
        assert whole.event_shape == (rows,), f"{case.name}: {what} has the axes as event shape"
        total = tf.reduce_sum(log_prob, axis=-1)
        _close(case, f"log p of {what} is the sum over values", whole.log_prob(x), total, 1e-4)
        _close(case, f"mean of {what}", *_moment(whole, each, "mean"), 1e-4, 1e-4)


def _moment(first, second, name):
    try:
        return getattr(first, name)(), getattr(second, name)()
    except NotImplementedError:  # a distribution without one
        return 0.0, 0.0


def _grid(case: _Case, values: Any, support: Any) -> _Grid:
    distribution = case.distribution
    drawn = np.asarray(case.draws(2000), np.float64)
    low, middle, high = np.quantile(drawn, [0.25, 0.5, 0.75], axis=0)
    width = np.maximum(high - low, 1e-3 * np.maximum(np.abs(middle), 1.0))
    if case.head.is_discrete:
        points = np.asarray(_all_values(case.head, drawn) if values is None else values)
        points = np.repeat(points.astype(np.float64)[:, np.newaxis], drawn.shape[1], axis=1)
        weights = np.ones_like(points)
    else:
        points, weights = _midpoints(_support(case.head, support), middle, width)
    x = tf.cast(points, distribution.dtype)
    log_prob = np.asarray(distribution.log_prob(x), np.float64)
    return _Grid(points, weights, np.nan_to_num(log_prob, nan=-np.inf), width)


def _all_values(head, drawn):
    if head.task == "classification":
        return np.arange(head.num_features)
    if head.kinds and head.kinds <= BINARY:
        return np.arange(2)
    if Kind.EIGHT_BIT in head.kinds:
        return np.arange(GREY_LEVELS) / (GREY_LEVELS - 1)
    return np.arange(int(4 * drawn.max()) + 50)


def _support(head, support):
    if support is not None:
        return support
    return (0.0, 1.0) if head.kinds == {Kind.UNIT_INTERVAL} else (-np.inf, np.inf)


def _midpoints(support, middle, width):
    """Returns points and weights [M, N] of the midpoint rule, in a variable that is bounded."""
    low, high = support
    u = (np.arange(POINTS) + 0.5)[:, np.newaxis] / POINTS
    if np.isfinite(low) and np.isfinite(high):
        shape = (POINTS, len(middle))
        return np.broadcast_to(low + (high - low) * u, shape), np.full(shape, (high - low) / POINTS)
    if np.isfinite(low):
        return low + width * u / (1 - u), width / (1 - u) ** 2 / POINTS
    if np.isfinite(high):
        return high - width * u / (1 - u), width / (1 - u) ** 2 / POINTS
    u = 2 * u - 1
    slope = 2 * width * (1 + u**2) / (1 - u**2) ** 2 / POINTS
    return middle + width * u / (1 - u**2), slope


def _check_total_and_draws(case, grid):
    what = "probabilities sum" if case.head.is_discrete else "the density integrates"
    _close(case, f"{what} to 1", grid.mass.sum(axis=0), 1.0, 2e-3)
    x = case.draws(DRAWS)
    log_prob = np.asarray(case.distribution.log_prob(x), np.float64)
    assert np.all(np.isfinite(log_prob)), f"{case.name}: draws have a finite log p"
    # A bounded function of values, so that its variance exists, and the entropy.
    middle = np.median(grid.values, axis=0) if case.head.is_discrete else 0.0

    def bounded(values):
        return 1 / (1 + np.exp(np.clip((middle - values) / grid.width, -50, 50)))

    for name, drawn, known in (
        ("a sigmoid", bounded(np.asarray(x, np.float64)), bounded(grid.values)),
        ("log p", log_prob, np.where(grid.mass > 0, grid.log_prob, 0.0)),
    ):
        error = drawn.std(axis=0) / np.sqrt(DRAWS) + 2e-3 * np.abs(drawn).mean(axis=0)
        offset = np.abs(drawn.mean(axis=0) - grid.integral(known)) / error
        assert np.all(offset < DEVIATIONS), (
            f"{case.name}: draws follow log p. Expected the mean of {name} over {DRAWS} draws "
            f"within {DEVIATIONS:g} standard errors. Received {offset.max():.3g}."
        )


def _check_moments(case, grid):
    mean = grid.integral(grid.values)
    variance = grid.integral((grid.values - mean) ** 2)
    if case.head.task != "classification":
        for name, expected, scale in (
            ("mean", mean, np.sqrt(variance)),
            ("variance", variance, variance),
        ):
            found = _moment(case.distribution, case.distribution, name)[0]
            if np.ndim(found):
                error = np.abs(found - expected) / (scale + 1e-6)
                assert np.all(error < 1e-2), f"{case.name}: {name} is {found}, not {expected}"


def _log_prob(head, x):
    return lambda features: head.distribution(head(features)).log_prob(x)


def _check_gradients(case):
    head, features = case.head, case.features
    x = tf.stop_gradient(case.draws(1)[0])
    direction = np.random.default_rng(case.seed + 1).standard_normal(features.shape)
    direction = tf.constant(
        direction / np.linalg.norm(direction, axis=-1, keepdims=True), tf.float32
    )
    log_prob = _log_prob(head, x)
    with tf.GradientTape() as tape:
        tape.watch(features)
        value = log_prob(features)
    gradients = tape.gradient(value, [features, *head.trainable_variables])
    for variable, gradient in zip(head.trainable_variables, gradients[1:], strict=True):
        assert gradient is not None, f"{case.name}: {variable.name} has a gradient"
    assert gradients[0] is not None, f"{case.name}: features have a gradient"
    slope = tf.reduce_sum(gradients[0] * direction, axis=-1).numpy()
    ahead, behind = log_prob(features + STEP * direction), log_prob(features - STEP * direction)
    differences = np.asarray(ahead - behind) / (2 * STEP)
    _close(case, "gradients are slopes of log p", slope, differences, 2e-2, 2e-2)
    for size in (30.0, 1e3):
        with tf.GradientTape() as tape:
            far = tf.constant(size * np.sign(features), tf.float32)
            tape.watch(far)
            value = log_prob(far)
        finite = np.isfinite(value) & np.all(np.isfinite(tape.gradient(value, far)), axis=-1)
        assert np.all(finite), f"{case.name}: log p and its gradient are finite at features {size}"


def _check_compiled(case):
    x = case.draws(1)[0]

    def both(features):
        with tf.GradientTape() as tape:
            tape.watch(features)
            value = _log_prob(case.head, x)(features)
        return value, tape.gradient(value, features)

    expected = both(case.features)
    for mode, jit in (("in a graph", False), ("under XLA", True)):
        found = tf.function(both, autograph=False, jit_compile=jit)(case.features)
        for what, one, other in zip(("log p", "its gradient"), found, expected, strict=True):
            scale = float(np.max(np.abs(other)))
            _close(case, f"{what} is the same {mode}", one, other, 1e-4, 1e-5 * scale + 1e-6)


def _check_saved(case):
    head = case.head
    copy = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(head))
    assert type(copy) is type(head), f"{case.name}: get_config says the class"
    copy(case.features)
    model = keras.Sequential([copy])
    model.build(case.features.shape)
    copy.set_weights(head.get_weights())
    with tempfile.TemporaryDirectory() as folder:
        path = pathlib.Path(folder) / "head.keras"
        model.save(path)
        again = keras.saving.load_model(path)
    _close(case, "parameters survive a .keras file", again(case.features), case.parameters, 0, 0)


def _check_portable(case, grid):
    head, each = case.head, case.distribution
    x = case.draws(20)
    found = head.portable_log_prob(case.parameters, x)
    expected = each.log_prob(x)
    _close(case, "portable_log_prob", found, expected, 5e-5, 5e-5)
    if head.task == "classification":
        return
    for name in ("mean", "variance"):
        if head.has(f"portable_{name}"):
            known, _ = _moment(each, each, name)
            found = getattr(head, f"portable_{name}")(case.parameters)
            scale = grid.width if name == "mean" else grid.width**2
            error = np.abs(found - known) / scale
            assert np.all(error < 1e-3), f"{case.name}: portable_{name} is {found}, not {known}"


def _check_tables(case, grid):
    table = np.asarray(case.head.tables(case.parameters), np.float64)
    assert np.all(table >= 0), f"{case.name}: probabilities of a table are none below 0"
    _close(case, "a table sums to 1", table.sum(axis=-1), 1.0, 1e-4)
    _close(case, "a table has the probabilities of the values", table.T, grid.mass, 1e-3, 1e-6)


def _check_fisher_root(case, grid):
    head = case.head
    root = head.fisher_root(case.parameters)
    shape = f"{case.name}: fisher_root of [N, Q] is [N, R, Q]. Received {root.shape}"
    assert root.shape[::2] == case.parameters.shape, shape
    used = np.asarray(grid.mass > 0)
    x = tf.cast(np.where(used, grid.values, grid.values[len(used) // 2]), case.distribution.dtype)
    each = tf.repeat(case.parameters[tf.newaxis], len(used), axis=0)  # [M, N, Q]
    with tf.GradientTape() as tape:
        tape.watch(each)
        log_prob = head.distribution(each).log_prob(x)
    scores = np.where(used[..., np.newaxis], tape.gradient(log_prob, each), 0.0)
    expected = np.einsum("mn,mnq,mnr->nqr", np.where(used, grid.mass, 0.0), scores, scores)
    found = np.einsum("nrp,nrq->npq", root, root)
    error = np.linalg.norm(found - expected, axis=(1, 2)) / np.linalg.norm(expected, axis=(1, 2))
    assert np.all(error < 2e-2), (
        f"{case.name}: R'R is the Fisher information, the variance of the score. Expected "
        f"{expected[np.argmax(error)].tolist()}. Received {found[np.argmax(error)].tolist()}."
    )
