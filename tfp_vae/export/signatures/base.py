"""Signatures: what a model answers once it has left the training script, as named pure functions.

    {signature.name: signature.function for signature in signatures(model)}

One list serves every format. A signature takes named tensors and returns named tensors; what is
random in it comes in as standard numbers, normal or uniform, so that it holds no random operation
and any runtime can run it. `seeded` makes the form that has a seed in the place of the numbers, for
SavedModel, whose runtime can draw them.

The axes of a value are numbers or letters: B examples, S samples, both free.
"""

import dataclasses
import math
from collections.abc import Callable

import numpy as np
import tensorflow as tf

from tfp_vae.distributions.portable import logsumexp

FREE = ("B", "S")
DATA, NOISE = "data", "noise"
DEFAULT_SAMPLES = 32


@dataclasses.dataclass(frozen=True)
class Value:
    """An input or an output of a signature.

    Attributes:
        name: by which it is given or returned.
        shape: axes, numbers or letters of `FREE`; every value but a scalar has B.
        meaning: what it is, with its unit.
        dtype: "float32" or "int32".
        role: "data", or "noise" for standard numbers.
        limit: of integers, which are in [0, limit).
        kind: of noise, "normal" or "uniform" in [0, 1); None for data.
        gaps: whether NaN is a cell that is missing, which has an answer.
    """

    name: str
    shape: "tuple[int | str, ...]"
    meaning: str
    dtype: str = "float32"
    role: str = DATA
    limit: int | None = None
    kind: str | None = None
    gaps: bool = False

    @property
    def batch_axis(self) -> int | None:
        """The axis of the examples; None where there is none."""
        return self.shape.index("B") if "B" in self.shape else None

    def spec(self) -> tf.TensorSpec:
        """Returns the type that TensorFlow traces a function for."""
        shape = [None if axis in FREE else axis for axis in self.shape]
        return tf.TensorSpec(shape, self.dtype, self.name)

    def to_json(self) -> dict:
        """Returns the attributes, JSON-ready."""
        return {**dataclasses.asdict(self), "shape": list(self.shape)}


@dataclasses.dataclass(frozen=True)
class Signature:
    """A named pure function of named tensors.

    Attributes:
        name: as servers call it.
        meaning: what it answers.
        inputs: what `function` takes by name, noise included.
        outputs: what `function` returns by name; the first axis of each is B.
        function: (**inputs) -> {name: tensor}, without random operations; None where there can be
            no such function, as with Bayesian weights that are to be drawn for each request.
        draws: (key, **data) -> {name: tensor}, the same with noise drawn from a stateless seed,
            int32 [2]; None where nothing is random. Where no data say how many examples there are,
            `count` does.
        num_samples: S of `draws`; None where S has no place.
        reason: why there is no `function`, or "".
    """

    name: str
    meaning: str
    inputs: "tuple[Value, ...]"
    outputs: "tuple[Value, ...]"
    function: Callable[..., "dict[str, tf.Tensor]"] | None
    draws: Callable[..., "dict[str, tf.Tensor]"] | None = None
    num_samples: int | None = None
    reason: str = ""

    @property
    def portable(self) -> bool:
        """Whether it can do without random operations."""
        return self.function is not None

    @property
    def data(self) -> "tuple[Value, ...]":
        """The inputs that are not noise."""
        return tuple(value for value in self.inputs if value.role == DATA)

    @property
    def seeded_inputs(self) -> "tuple[Value, ...]":
        """The inputs of `seeded`."""
        if self.draws is None:
            return self.data
        count = () if self.data else (Value("count", (), "how many, at least 1", "int32"),)
        return (*self.data, *count, Value("seed", (2,), "two integers that fix the draws", "int32"))

    def answer(self, **inputs: tf.Tensor) -> "dict[str, tf.Tensor]":
        """Returns the outputs; NaN for examples that no number is right for.

        An example with an input that is not finite, but for cells that may be missing, or with an
        integer outside its limit, is answered with NaN, whatever the operations of a runtime make
        of such values: a rectifier is free to turn NaN into 0. No runtime without assertions can
        say more.
        """
        valid = None
        for value in self.inputs:
            ok = _acceptable(value, inputs[value.name])
            valid = ok if valid is None else tf.logical_and(valid, ok)
        found = self.function(**inputs)
        return {name: _nan_unless(valid, tensor) for name, tensor in found.items()}

    def seeded(self, **inputs: tf.Tensor) -> "dict[str, tf.Tensor]":
        """Returns the outputs with noise drawn from `seed`; refuses what has no answer.

        Raises:
            tf.errors.InvalidArgumentError: for a wrong shape, an empty batch, values that are not
                finite, and integers outside their limits, in graphs too. Eagerly a wrong shape is
                a ValueError.
        """
        # Reshaping would take any shape with the right number of numbers.
        inputs = {
            value.name: tf.ensure_shape(inputs[value.name], value.spec().shape)
            for value in self.seeded_inputs
        }
        with tf.control_dependencies(self._assertions(inputs)):
            inputs = {name: tf.identity(tensor) for name, tensor in inputs.items()}
        if self.draws is None:
            return self.function(**inputs)
        seed = inputs.pop("seed")
        return self.draws(seed, **inputs)

    def _assertions(self, inputs) -> list:
        checks = []
        for value in self.seeded_inputs:
            tensor = inputs[value.name]
            if value.name == "count":
                checks.append(
                    tf.debugging.assert_positive(
                        tensor, "Impossible count. Expected at least 1. Received: "
                    )
                )
            elif value.name != "seed":
                checks.append(
                    tf.debugging.assert_positive(
                        tf.shape(tensor)[value.batch_axis],
                        f"{value.name} is empty. Expected at least one example. Received: ",
                    )
                )
                what = "numbers, NaN where missing" if value.gaps else "finite numbers"
                if value.limit is not None:
                    what = f"integers from 0 to {value.limit - 1}"
                checks.append(
                    tf.debugging.Assert(
                        tf.reduce_all(_acceptable(value, tensor)),
                        [f"{value.name} has no answer. Expected {what}. Received: ", tensor],
                        summarize=8,
                    )
                )
        return checks

    def to_json(self) -> dict:
        """Returns what a user of an artefact has to know, JSON-ready."""
        return {
            "name": self.name,
            "meaning": self.meaning,
            "inputs": [value.to_json() for value in self.inputs],
            "seeded_inputs": [value.to_json() for value in self.seeded_inputs],
            "outputs": [value.to_json() for value in self.outputs],
            "num_samples": self.num_samples,
            "portable": self.portable,
        }


def noise_values(noise, sizes: "tuple[str, ...]", of: str = "") -> "tuple[Value, ...]":
    """Returns inputs for the noise of the draws of one latent.

    Args:
        noise: what one draw needs, `draws.noise_of`.
        sizes: the letters in front of its shapes, ("B",) or ("S", "B").
        of: the name of the latent, where there are several.
    """
    kinds = [kind for kind, _ in noise]
    found = []
    for number, (kind, shape) in enumerate(noise, 1):
        beside = kind if len(kinds) > 1 else ""
        again = str(number) if kinds.count(kind) > 1 else ""
        name = "_".join(filter(None, ("noise", of, beside, again)))
        found.append(Value(name, (*sizes, *shape), _NOISE[kind], role=NOISE, kind=kind))
    return tuple(found)


_NOISE = {"normal": "standard normal numbers", "uniform": "uniform numbers in [0, 1)"}


def log_mean_exp(values: tf.Tensor) -> tf.Tensor:
    """Returns the log of the mean of the exponentials over the first axis, [S, ...] -> [...]."""
    return logsumexp(values, 0) - tf.math.log(tf.cast(tf.shape(values)[0], tf.float32))


def entropy(log_probs: tf.Tensor) -> tf.Tensor:
    """Returns the entropy in nats of distributions over the last axis, [..., K] -> [...]."""
    return -tf.reduce_sum(tf.exp(log_probs) * log_probs, axis=-1)


def _acceptable(value: Value, tensor: tf.Tensor) -> tf.Tensor:
    """Returns which examples have an answer, [B]."""
    if value.limit is not None:
        ok = tf.logical_and(tensor >= 0, tensor < value.limit)
    elif value.gaps:
        # Not "not above", which optimizers make "at most" of, and NaN is not.
        ok = tf.not_equal(tf.abs(tensor), np.float32(np.inf))
    elif value.dtype == "float32":
        # A comparison is false for NaN, and every format has it; not so tf.math.is_finite.
        ok = tf.abs(tensor) <= tf.float32.max
    else:
        ok = tf.equal(tensor, tensor)
    axes = [axis for axis in range(len(value.shape)) if axis != value.batch_axis]
    return tf.reduce_all(ok, axis=axes) if axes else ok


def _nan_unless(valid: tf.Tensor, tensor: tf.Tensor) -> tf.Tensor:
    ones = [1] * (tensor.shape.rank - 1)
    keep = tf.reshape(valid, tf.concat([[-1], ones], 0)) if ones else valid
    return tf.where(keep, tensor, tf.constant(math.nan, tf.float32))
