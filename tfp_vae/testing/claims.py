"""What every contract is made of: claims of distributions, gradients, modes, files and exports.

A claim that does not hold is an `AssertionError` in one line: of what, which claim, what was
expected and what was received. Densities are integrated by the midpoint rule, masses are summed, in
float64 of float32 log-probabilities; draws are held against these within their standard errors.
"""

import functools
import inspect
import pathlib
import tempfile
import traceback
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, ParamSpec, TypeVar

import keras
import numpy as np
import tensorflow as tf

from tfp_vae import extras
from tfp_vae.data import Kind, Split
from tfp_vae.distributions import draws
from tfp_vae.distributions.base import BOX, REAL, SPHERE, tfd
from tfp_vae.export import FORMATS, export, load
from tfp_vae.export.package import PORTABLE
from tfp_vae.export.proof import runtimes
from tfp_vae.export.saved.archive import one_line
from tfp_vae.export.signatures.answers import answers_of, subject_of
from tfp_vae.report import read_json

Given = ParamSpec("Given")
Part = TypeVar("Part")

# A standard error away: one in two million for each of some dozen comparisons.
DEVIATIONS = 5.0
DRAWS = 20_000
POINTS = {1: 4000, 2: 300}  # of the midpoint rule, by dimensions
STEP = 3e-3  # of finite differences


def claim(name: str, holds: object, what: str, expected: object, received: object) -> None:
    """Raises `AssertionError` in one line unless all of `holds` is true."""
    if not np.all(holds):
        raise AssertionError(f"{name}: {what}. Expected {expected}. Received {received}.")


def close(
    name: str, what: str, found: Any, expected: Any, rtol: float = 1e-5, atol: float = 1e-5
) -> None:
    """Raises `AssertionError` with the worst pair unless two arrays agree within tolerances."""
    found, expected = np.asarray(found, np.float64), np.asarray(expected, np.float64)
    try:
        found, expected = np.broadcast_arrays(found, expected)
    except ValueError:
        claim(name, False, what, f"shape {expected.shape}", f"shape {found.shape}")
    same = (found == expected) | (np.isnan(found) & np.isnan(expected))
    with np.errstate(invalid="ignore"):
        excess = np.where(same, -1.0, np.abs(found - expected) - atol - rtol * np.abs(expected))
    bad = ~(excess <= 0)
    if bad.any():
        at = np.unravel_index(
            np.argmax(np.where(bad, np.nan_to_num(excess, nan=np.inf), -1)), bad.shape
        )
        where = f" at {list(map(int, at))}" if at else ""
        claim(name, False, what, f"{expected[at]:.6g}", f"{found[at]:.6g}{where}")


def in_words(check: Callable[Given, None]) -> Callable[Given, None]:
    """Returns a check that says of an error of the part itself whose it is and where it arose.

    Such as a `KeyError` of its code, or what TensorFlow says of a value that it returned.
    """

    @functools.wraps(check)
    def checked(*args: Given.args, **kwargs: Given.kwargs) -> None:
        try:
            check(*args, **kwargs)
        except AssertionError:
            raise
        except Exception as error:
            if isinstance(error, ValueError) and "Expected" in str(error):
                raise  # in our words already
            part = args[0] if args else next(iter(kwargs.values()), None)
            what = f"it answers what is asked of it{_place(error, part)}"
            claim(type(part).__name__, False, what, "no error", _said(error))

    return checked


def _place(error, part):
    """Returns where in the file of a class an error arose, or ""."""
    try:
        file = inspect.getfile(type(part))
    except (TypeError, OSError):  # a class of an interpreter's prompt
        return ""
    own = [each for each in traceback.extract_tb(error.__traceback__) if each.filename == file]
    return f", line {own[-1].lineno} of {pathlib.Path(file).name} ({own[-1].name})" if own else ""


def _said(error):
    return f"{type(error).__name__}: {one_line(error, 400)}"


def array(name: str, value: Any, least: int = 1) -> tf.Tensor:
    """Returns what a check is given to try a part at, float32 [N, ...] with N >= `least`.

    Raises:
        ValueError: if it is something else.
    """
    try:
        found = np.asarray(value, np.float32)
    except (TypeError, ValueError):
        found = None
    if found is None or found.ndim < 2 or len(found) < least or not np.isfinite(found).all():
        received = repr(value)[:100] if found is None else f"shape {found.shape}"
        if found is not None and not np.isfinite(found).all():
            received += " with NaN or infinity"
        raise ValueError(
            f"Unusable {name}. Expected finite numbers [N, ...] with N >= {least}. Received "
            f"{received}."
        )
    return tf.constant(found)


def same_config(name: str, part: Any) -> None:
    """Claims that a part is made anew from its `get_config`, with the same settings."""
    try:
        again = type(part).from_config(part.get_config())
    except Exception as error:
        what = "from_config takes what get_config returns"
        claim(name, False, what, "the arguments of the constructor", _said(error))
    serialize = keras.saving.serialize_keras_object
    found, expected = (serialize(each).get("config") for each in (again, part))
    claim(name, found == expected, "get_config survives from_config", expected, found)


# Distributions.


def distribution_of(name: str, found: Any, what: str) -> tfd.Distribution:
    """Returns what a method returned, which is claimed to be a distribution of TFP."""
    claim(name, isinstance(found, tfd.Distribution), f"{what} is a distribution",
          "one of tfp.distributions", f"{type(found).__name__}")  # fmt: skip
    return found


class Grid(NamedTuple):
    """Values with weights, so that sums are integrals over everything.

    Attributes:
        values: [M, N, D].
        weights: [M, N].
        log_prob: [M, N].
        width: [N, D], what a value is far from another by.
    """

    values: np.ndarray
    weights: np.ndarray
    log_prob: np.ndarray
    width: np.ndarray

    @property
    def mass(self) -> np.ndarray:
        """The share of everything at each value, [M, N]."""
        return self.weights * np.exp(self.log_prob)

    def integral(self, of: np.ndarray) -> np.ndarray:
        """Returns the expectation of a function given at the values, [M, N] -> [N]."""
        mass = self.mass
        return np.sum(np.where(mass > 0, mass * of, 0.0), axis=0)


def spread(drawn: np.ndarray) -> "tuple[np.ndarray, np.ndarray]":
    """Returns medians and widths [N, D] of draws [S, N, D]."""
    low, middle, high = np.quantile(drawn, [0.25, 0.5, 0.75], axis=0)
    return middle, np.maximum(high - low, 1e-3 * np.maximum(np.abs(middle), 1.0))


def grid_of(
    log_prob: Callable, drawn: np.ndarray, support: "tuple[float, float]" = (-np.inf, np.inf)
) -> Grid:
    """Returns the grid of a density in one or two dimensions.

    Args:
        log_prob: a function of float32 values [M, N, D] that returns [M, N].
        drawn: draws [S, N, D], which say where the density is.
        support: of every dimension.
    """
    middle, width = spread(drawn)
    rows, dims = middle.shape
    axes = [midpoints(support, middle[:, d], width[:, d], POINTS[dims]) for d in range(dims)]
    points = np.meshgrid(*[np.arange(POINTS[dims])] * dims, indexing="ij")
    values = np.stack([axes[d][0][points[d].ravel()] for d in range(dims)], axis=-1)
    weights = np.prod([axes[d][1][points[d].ravel()] for d in range(dims)], axis=0)
    found = np.asarray(log_prob(tf.constant(values, tf.float32)), np.float64)
    found = np.broadcast_to(np.nan_to_num(found, nan=-np.inf), (len(values), rows))
    return Grid(values, weights, found, width)


def _grid_of_box(log_prob, drawn):
    """Returns the grid in (-1, 1)^D of a density that may be steep at the edges: z = tanh(t)."""
    inner = np.arctanh(np.clip(drawn, -1 + 1e-7, 1 - 1e-7))
    grid = grid_of(lambda t: log_prob(tf.tanh(t)), inner)
    values = np.tanh(grid.values)
    slopes = np.prod(1 - values**2, axis=-1)
    return Grid(values, grid.weights * slopes, grid.log_prob, spread(drawn)[1])


def _grid_of_circle(log_prob, drawn):
    """Returns the grid of a density by the length of the unit circle."""
    angle = 2 * np.pi * (np.arange(POINTS[1]) + 0.5) / POINTS[1]
    shape = (len(angle), drawn.shape[1])
    values = np.stack([np.cos(angle), np.sin(angle)], axis=-1)[:, np.newaxis]
    values = np.broadcast_to(values, (*shape, 2))
    found = np.asarray(log_prob(tf.constant(values, tf.float32)), np.float64)
    weights = np.full(shape, 2 * np.pi / POINTS[1])
    return Grid(values, weights, np.broadcast_to(found, shape), spread(drawn)[1])


def midpoints(
    support: "tuple[float, float]", middle: np.ndarray, width: np.ndarray, count: int
) -> "tuple[np.ndarray, np.ndarray]":
    """Returns points and weights [M, N] of the midpoint rule, in a variable that is bounded."""
    low, high = support
    u = (np.arange(count) + 0.5)[:, np.newaxis] / count
    if np.isfinite(low) and np.isfinite(high):
        shape = (count, len(middle))
        return np.broadcast_to(low + (high - low) * u, shape), np.full(shape, (high - low) / count)
    if np.isfinite(low):
        return low + width * u / (1 - u), width / (1 - u) ** 2 / count
    if np.isfinite(high):
        return high - width * u / (1 - u), width / (1 - u) ** 2 / count
    u = 2 * u - 1
    slope = 2 * width * (1 + u**2) / (1 - u**2) ** 2 / count
    return middle + width * u / (1 - u**2), slope


def check_total(name: str, grid: Grid, what: str = "the density integrates to 1") -> None:
    """Claims that everything has probability 1."""
    close(name, what, grid.mass.sum(axis=0), 1.0, 2e-3)


def check_draws(
    name: str, drawn: Any, log_prob: Any, grid: Grid, is_discrete: bool = False
) -> None:
    """Claims that draws follow the log-probabilities: means over both agree.

    Args:
        name: of what has them.
        drawn: [S, N, D].
        log_prob: of the draws, [S, N].
        grid: of the same distributions.
        is_discrete: whether the values are few.
    """
    drawn, log_prob = np.asarray(drawn, np.float64), np.asarray(log_prob, np.float64)
    claim(name, np.isfinite(log_prob), "draws have a finite log p", "finite numbers", "others")
    # Bounded functions of the values, so that their variance exists, and the entropy.
    middle = spread(grid.values if is_discrete else drawn)[0]

    def bounded(values):
        return 1 / (1 + np.exp(np.clip((middle - values) / grid.width, -50, 50)))

    pairs = [("log p", log_prob, np.where(grid.mass > 0, grid.log_prob, 0.0))]
    here, there = bounded(drawn), bounded(grid.values)
    pairs += [
        (f"a sigmoid of value {d}", here[..., d], there[..., d]) for d in range(here.shape[-1])
    ]
    if here.shape[-1] > 1:
        pairs.append(("a product of sigmoids", here.prod(axis=-1), there.prod(axis=-1)))
    for of, found, known in pairs:
        expected = grid.integral(known)
        # Both variances: values that are rare need not be among the draws.
        variance = grid.integral((known - expected) ** 2) + found.var(axis=0)
        error = np.sqrt(variance / len(found)) + 2e-3 * np.abs(found).mean(axis=0) + 1e-6
        offset = np.abs(found.mean(axis=0) - expected) / error
        claim(
            name,
            offset < DEVIATIONS,
            "draws follow log p",
            f"the mean of {of} over {len(found)} draws within {DEVIATIONS:g} standard errors",
            f"{offset.max():.3g}",
        )


def check_distribution(
    name: str, distribution: tfd.Distribution, dims: int, seed: int, support: str = REAL
) -> None:
    """Claims what a distribution over vectors [D] has to keep, batch shape [] or [N].

    It has these shapes, integrates to 1 (for D of 1 and 2), its keyed draws and those of TFP follow
    it, and the log-densities that come with keyed draws are its own.
    """
    batch = tuple(distribution_of(name, distribution, "what it returns").batch_shape)
    claim(name, distribution.event_shape == (dims,), "the event shape is [D]", [dims],
          list(distribution.event_shape))  # fmt: skip
    claim(name, distribution.dtype == tf.float32, "values are float32", "float32",
          distribution.dtype)  # fmt: skip
    z, log_q = draws.sample_and_log_prob(distribution, [DRAWS], (seed, 1))
    claim(name, z.shape == (DRAWS, *batch, dims), "draws have shape [S, *batch, D]",
          [DRAWS, *batch, dims], list(z.shape))  # fmt: skip
    claim(name, np.isfinite(z), "draws are finite", "finite numbers", "others")
    log_prob = distribution.log_prob(z)
    claim(name, np.isfinite(log_prob), "draws have a finite log p", "finite numbers", "others")
    claim(name, log_prob.shape == (DRAWS, *batch), "log p has shape [S, *batch]",
          [DRAWS, *batch], list(log_prob.shape))  # fmt: skip
    scale = 1e-4 * float(np.std(log_prob)) + 1e-3
    close(
        name,
        "the log-density that comes with a draw is log p there",
        log_q(),
        log_prob,
        1e-4,
        scale,
    )
    close(name, "draws.log_prob, which is exported, is log p", draws.log_prob(distribution, z),
          log_prob, 1e-4, scale)  # fmt: skip
    if dims > max(POINTS) or (support == SPHERE and dims > 2):
        return
    rows = (DRAWS, -1, dims)
    drawn = np.reshape(z, rows)

    def density(values):  # [M, N, D] -> [M, N]
        found = distribution.log_prob(values if batch else values[:, 0])
        return np.reshape(found, [len(values), -1])

    make = {BOX: _grid_of_box, SPHERE: _grid_of_circle}.get(support, grid_of)
    grid = make(density, drawn.astype(np.float64))
    check_total(name, grid)
    check_draws(name, drawn, np.reshape(log_prob, [DRAWS, -1]), grid)
    of_tfp = distribution.sample(DRAWS, seed=[seed, 2])
    check_draws(f"{name}, drawn by TFP", np.reshape(of_tfp, rows),
                np.reshape(distribution.log_prob(of_tfp), [DRAWS, -1]), grid)  # fmt: skip


# Gradients and modes.


def check_slopes(name: str, what: str, function: Callable, at: Sequence, seed: int = 0) -> None:
    """Claims that every tensor or variable has the gradient that finite differences show.

    Args:
        name: of what has it.
        what: is differentiated, in words.
        function: of no arguments for variables, or of the tensors; returns any tensor, whose sum is
            differentiated.
        at: tensors or variables; the variables stay as they were.
        seed: of the direction.
    """
    at = list(at)
    if not at:
        return
    rng = np.random.default_rng([seed, 41])
    of_variables = not isinstance(at[0], tf.Tensor)
    with tf.GradientTape() as tape:
        if not of_variables:
            tape.watch(at)
        value = tf.reduce_sum(function() if of_variables else function(*at))
    gradients = tape.gradient(value, at)
    before = [np.asarray(each) for each in at]
    directions = [rng.standard_normal(each.shape) for each in before]
    length = np.sqrt(sum(np.sum(each**2) for each in directions))
    slope = 0.0
    for index, (gradient, direction) in enumerate(zip(gradients, directions, strict=True)):
        of = getattr(at[index], "name", f"input {index}") if of_variables else f"input {index}"
        claim(name, gradient is not None, f"{what} has a gradient by {of}", "a tensor", "None")
        gradient = tf.convert_to_tensor(gradient).numpy()
        claim(name, np.isfinite(gradient), f"the gradient of {what} by {of} is finite",
              "finite numbers", gradient.ravel()[:3])  # fmt: skip
        slope += float(np.sum(gradient * direction / length))

    def moved(step):
        there = [
            (b + step * d / length).astype(b.dtype) for b, d in zip(before, directions, strict=True)
        ]
        if not of_variables:
            return float(np.sum(np.float64(function(*map(tf.constant, there)))))
        for variable, new in zip(at, there, strict=True):
            variable.assign(new)
        return float(np.sum(np.float64(function())))

    try:
        difference = (moved(STEP) - moved(-STEP)) / (2 * STEP)
    finally:
        if of_variables:
            for variable, old in zip(at, before, strict=True):
                variable.assign(old)
    # Of a difference of sums in float32.
    rounding = 1e-6 * float(np.sum(np.abs(np.float64(value)))) / STEP
    close(name, f"gradients are slopes of {what}", slope, difference, 2e-2, 2e-2 + rounding)


def check_modes(
    name: str,
    what: str,
    function: Callable,
    *inputs: tf.Tensor,
    xla: bool = True,
    rounding: float = 1e-5,
) -> None:
    """Claims that a function of tensors gives the same numbers eagerly, in graphs, under XLA.

    But for `rounding`, a share of the largest of them: more for what is a sum that cancels, of
    which a graph that is rewritten has the terms in another order.
    """
    expected = tf.nest.flatten(function(*inputs))
    for mode, jit in (("in a graph", False), ("under XLA", True))[: 1 + xla]:
        compiled = tf.function(function, autograph=False, jit_compile=jit)
        try:
            # Not called itself: TensorFlow would warn of many functions of one name.
            found = tf.nest.flatten(compiled.get_concrete_function(*inputs)(*inputs))
        except Exception as error:
            tensors = "operations of TensorFlow on tensors"
            claim(name, False, f"{what} runs {mode}", tensors, _said(error))
        for one, other in zip(found, expected, strict=True):
            least = rounding * float(np.max(np.abs(other), initial=0.0)) + 1e-6
            close(name, f"{what} is the same {mode} as eagerly", one, other, 1e-4, least)


# Files and exports.


def trusted_package(part: object) -> "tuple[str, ...]":
    """Returns the package that a class is registered under with Keras; () for one of ours.

    Raises:
        AssertionError: if it is not registered.
    """
    kind = type(part)
    name = keras.saving.get_registered_name(kind)
    claim(kind.__name__, ">" in name, "it is registered with Keras",
          "register_keras_serializable(package=...) on the class", "none")  # fmt: skip
    package = name.split(">")[0]
    return () if package == "tfp_vae" or package.startswith("tfp_vae.") else (package,)


def check_saved(name: str, model: Any, trusted: Sequence[str], answer: Callable) -> Any:
    """Claims that a model comes back from a `.keras` file as it was; returns what came back.

    Args:
        name: of the part that is looked at.
        model: that holds it.
        trusted: packages of classes that are not ours.
        answer: a function of a model that returns tensors.
    """
    with tempfile.TemporaryDirectory() as folder:
        path = pathlib.Path(folder) / "model.keras"
        model.save(path)
        try:
            again = load(path, trusted=tuple(dict.fromkeys(trusted)))
        except ValueError as error:
            claim(name, False, "a model with it loads again", "load(path, trusted=...)", error)
    for one, other in zip(
        tf.nest.flatten(answer(again)), tf.nest.flatten(answer(model)), strict=True
    ):
        close(name, "numbers survive a .keras file", one, other, 0, 0)
    return again


def check_signatures(name: str, model: Any, split: Split, dear: bool = False) -> None:
    """Claims that each signature answers with finite numbers, or is refused with a reason.

    Args:
        name: of the part that is looked at.
        model: that holds it.
        split: examples to answer.
        dear: whether to write it in each portable format that is installed, and compare the answers
            of its runtime.
    """
    subject = subject_of(model, 3)
    signatures, refused = answers_of(subject)
    known = subject.recorded(split, np.arange(3))
    rng = np.random.default_rng(3)
    sizes: dict[Any, Any] = {"S": 3, "B": 3}
    for signature in signatures:
        if not signature.portable:
            refused[signature.name] = signature.reason
            continue
        inputs = {}
        for value in signature.inputs:
            shape = [sizes.get(axis, axis) for axis in value.shape]
            drawn = {"normal": rng.standard_normal, "uniform": rng.random}.get(value.kind)
            inputs[value.name] = tf.constant(
                drawn(shape) if drawn else known[value.name], value.dtype
            )
        for key, found in signature.answer(**inputs).items():
            claim(name, np.isfinite(found), f"{signature.name} answers {key}", "finite numbers",
                  np.ravel(found)[:3])  # fmt: skip
    for each, reason in refused.items():
        claim(name, reason, f"a refusal of {each} has a reason", "a text", repr(reason))
    if dear:
        _check_formats(name, model, split, {each.name for each in signatures})


def _check_formats(name, model, split, expected):
    for each, kind in FORMATS.items():
        if kind.form != PORTABLE or not _is_installed(kind):
            continue
        wanted = expected & set(kind.made_for or expected)
        with tempfile.TemporaryDirectory() as folder:
            path = pathlib.Path(folder) / "export"
            try:
                written = export(model, split, path, [each], num_samples=3)
            except ValueError as error:  # of all signatures, in one sentence
                claim(name, all(s in str(error) for s in wanted),
                      f"{each} holds or refuses by name", sorted(wanted), error)  # fmt: skip
                continue
            manifest = read_json(written / "export.json")
            reasons = {**manifest["refused"], **manifest["refused_by_format"].get(each, {})}
            held = {s for a in manifest["artefacts"] for s in a["signatures"]}
            claim(name, held | set(reasons) >= wanted and all(reasons.values()),
                  f"{each} holds or refuses by name", sorted(wanted),
                  sorted(held | set(reasons)))  # fmt: skip
            cells: list = []
            if kind.load:
                runtimes.run_format(written, [each], kind.form, kind.load, cells.append, 0.0)
            else:
                cells = kind().run(written, [each], effort=0.0)
            for cell in cells:
                share = cell.get("tolerance_share", np.inf)
                claim(name, share < 1, f"{cell.get('signature')} in {each} is that of the model",
                      "a difference within the tolerance", cell)  # fmt: skip


def _is_installed(kind: Any) -> bool:
    if kind.extra is None:
        return True
    try:
        extras.need(kind.extra, "")
    except ImportError:
        return False
    return True


def real_split(shape: "tuple[int, ...]", count: int = 8, seed: int = 0) -> Split:
    """Returns standard normal examples."""
    values = np.random.default_rng([seed, 43]).standard_normal((count, *shape))
    return Split(values.astype(np.float32), Kind.REAL, name="test")
