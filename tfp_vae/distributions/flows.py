"""Flows: maps of vectors with known inverses and volumes, and the distributions that they make.

    z = f(u), u ~ base        log p(z) = log base(u) - log |det df/du|

A step is a Keras layer that whoever is drawn from holds: TFP's bijectors own no layers of Keras 3.
It maps [..., D] both ways. What is zero at the start is the last layer of each, so that every flow
starts as its base, to the last bit.
"""

import itertools
import math
from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from tfp_vae.arguments import check_count
from tfp_vae.distributions import draws
from tfp_vae.distributions.base import tfd
from tfp_vae.distributions.draws import Family, Noise
from tfp_vae.distributions.own import OwnImage
from tfp_vae.distributions.portable import times
from tfp_vae.probability import math as tfp_math

FLOWS = ("coupling", "autoregressive")
_MOST = 2.0  # of a log scale: one step stretches by e^2 at most
_HALVINGS = 26
_START = math.log(math.expm1(1.0))


class Step(keras.Layer):
    """One invertible map of [..., D].

    Args:
        size: D.
        context_size: C, numbers that the map depends on beside z; 0 for none.
    """

    def __init__(self, size: int, context_size: int = 0, **kwargs: Any):
        super().__init__(dtype="float32", **kwargs)
        self.size, self.context_size = check_count("size", size), context_size

    def forward(
        self, z: tf.Tensor, context: "tf.Tensor | None" = None
    ) -> "tuple[tf.Tensor, tf.Tensor]":
        """Returns f(z) [..., D] and log |det df/dz| [...]."""
        raise NotImplementedError

    def inverse(
        self, z: tf.Tensor, context: "tf.Tensor | None" = None
    ) -> "tuple[tf.Tensor, tf.Tensor]":
        """Returns u with f(u) = z, and log |det df/du| there."""
        raise NotImplementedError

    def get_config(self) -> dict:
        """Returns what is shown of a step; who holds it makes it again."""
        return {**super().get_config(), "size": self.size, "context_size": self.context_size}


class _Dense(keras.Layer):
    """A matrix product in float32 whatever the policy, on any axes in front, with a mask."""

    def __init__(
        self, inputs: int, units: int, mask: "np.ndarray | None" = None, zero: bool = False
    ):
        super().__init__(dtype="float32")
        start = "zeros" if zero else "glorot_uniform"
        self.kernel = self.add_weight(
            name="kernel", shape=(inputs, units), initializer=start, autocast=False
        )
        self.bias = self.add_weight(
            name="bias", shape=(units,), initializer="zeros", autocast=False
        )
        self.mask = None if mask is None else tf.constant(mask, tf.float32)
        self.built = True

    def product(self, x: tf.Tensor) -> tf.Tensor:
        """Returns x kernel + bias, [..., I] -> [..., O]."""
        kernel = tf.convert_to_tensor(self.kernel)
        if self.mask is not None:
            kernel = kernel * self.mask
        return times(x, kernel) + tf.convert_to_tensor(self.bias)

    def get_config(self) -> dict:
        """Returns what is shown of the layer; the step that holds it makes it again."""
        return {**super().get_config(), "units": int(self.bias.shape[0])}


def _bent(x):
    """Returns x sigmoid(x): a smooth rectifier, of operations that every runtime has."""
    return x * tf.sigmoid(x)


def _bounded(raw):
    return _MOST * tf.tanh(raw / _MOST)


class Coupling(Step):
    """One half is scaled and moved by a network of the other (RealNVP, Dinh et al., 2017).

    Args:
        size: D >= 2.
        hidden: widths of the network.
        is_second: whether the second half is moved.
    """

    def __init__(self, size: int, hidden: Sequence[int], is_second: bool = True):
        super().__init__(size)
        first = size // 2
        self.cut, self.is_second = first, is_second
        seen, moved = (first, size - first) if is_second else (size - first, first)
        widths = [seen, *hidden]
        self.hidden = [_Dense(*pair) for pair in itertools.pairwise(widths)]
        self.last = _Dense(widths[-1], 2 * moved, zero=True)
        self.built = True

    def _parts(self, z):
        first, second = z[..., : self.cut], z[..., self.cut :]
        seen, moved = (first, second) if self.is_second else (second, first)
        x = seen
        for layer in self.hidden:
            x = _bent(layer.product(x))
        log_scale, shift = tf.split(self.last.product(x), 2, axis=-1)
        return seen, moved, _bounded(log_scale), shift

    def _joined(self, seen, moved):
        return tf.concat([seen, moved] if self.is_second else [moved, seen], axis=-1)

    def forward(
        self, z: tf.Tensor, context: "tf.Tensor | None" = None
    ) -> "tuple[tf.Tensor, tf.Tensor]":
        """Returns f(z) and its log-volume."""
        seen, moved, log_scale, shift = self._parts(z)
        moved = moved * tf.exp(log_scale) + shift
        return self._joined(seen, moved), tf.reduce_sum(log_scale, axis=-1)

    def inverse(
        self, z: tf.Tensor, context: "tf.Tensor | None" = None
    ) -> "tuple[tf.Tensor, tf.Tensor]":
        """Returns f^-1(z) and the log-volume of f there."""
        seen, moved, log_scale, shift = self._parts(z)
        moved = (moved - shift) * tf.exp(-log_scale)
        return self._joined(seen, moved), tf.reduce_sum(log_scale, axis=-1)


class Autoregressive(Step):
    """Each dimension is scaled and moved by those before it: one pass of a masked network (MADE).

    One way is a pass, the other D passes, one after the other. For draws to be quick it is an
    inverse autoregressive flow (Kingma et al., 2016), for densities to be a masked one
    (Papamakarios et al., 2017).

    Args:
        size: D.
        hidden: widths of the network (Germain et al., 2015).
        context_size: C.
        is_reversed: whether the order is from the last dimension.
        quick_forward: whether the one pass is f, or else its inverse.
    """

    def __init__(
        self,
        size: int,
        hidden: Sequence[int],
        context_size: int = 0,
        is_reversed: bool = False,
        quick_forward: bool = True,
    ):
        super().__init__(size, context_size)
        self.quick_forward = quick_forward
        rank = np.arange(1, size + 1)[:: -1 if is_reversed else 1]
        self.order = [int(d) for d in np.argsort(rank)]
        # Units of rank r see the dimensions up to r; those of rank 0 see the context alone.
        ranks = [rank, *(np.arange(width) % size for width in hidden)]
        masks = [one[:, np.newaxis] <= two for one, two in itertools.pairwise(ranks)]
        self.hidden = [_Dense(len(mask), mask.shape[1], mask) for mask in masks]
        last = ranks[-1][:, np.newaxis] < np.tile(rank, 2)
        self.last = _Dense(len(last), last.shape[1], last, zero=True)
        if context_size:
            self.beside = [_Dense(context_size, width) for width in hidden]
        self.built = True

    def _network(self, z, context):
        for number, layer in enumerate(self.hidden):
            z = layer.product(z)
            if context is not None:
                z += self.beside[number].product(context)
            z = _bent(z)
        log_scale, shift = tf.split(self.last.product(z), 2, axis=-1)
        return _bounded(log_scale), shift

    def _pass(self, z, context):
        log_scale, shift = self._network(z, context)
        return z * tf.exp(log_scale) + shift, tf.reduce_sum(log_scale, axis=-1)

    def _one_by_one(self, z, context):
        found = tf.zeros_like(z)
        for d in self.order:
            log_scale, shift = self._network(found, context)
            found += (z - shift) * tf.exp(-log_scale) * tf.eye(self.size)[d]
        log_scale, _ = self._network(found, context)
        return found, tf.reduce_sum(log_scale, axis=-1)

    def forward(
        self, z: tf.Tensor, context: "tf.Tensor | None" = None
    ) -> "tuple[tf.Tensor, tf.Tensor]":
        """Returns f(z) and its log-volume."""
        if self.quick_forward:
            return self._pass(z, context)
        found, volume = self._one_by_one(z, context)
        return found, -volume

    def inverse(
        self, z: tf.Tensor, context: "tf.Tensor | None" = None
    ) -> "tuple[tf.Tensor, tf.Tensor]":
        """Returns f^-1(z) and the log-volume of f there."""
        if self.quick_forward:
            return self._one_by_one(z, context)
        found, volume = self._pass(z, context)
        return found, -volume


def _solve(target, rate, slope, shift):
    """Returns y with y + rate tanh(slope y + shift) = target, where rate slope > -1.

    By halving, then a step of Newton that also carries the gradients of the solution.
    """
    rate, slope, shift = (tf.broadcast_to(a, tf.shape(target)) for a in (rate, slope, shift))
    low = tf.stop_gradient(target - tf.abs(rate))
    width = tf.stop_gradient(2.0 * tf.abs(rate))
    for _ in range(_HALVINGS):
        width *= 0.5
        middle = low + width
        is_low = middle + rate * tf.tanh(slope * middle + shift) < target
        low = tf.stop_gradient(tf.where(is_low, middle, low))
    start = tf.stop_gradient(low)
    bent = tf.tanh(slope * start + shift)
    steep = tf.stop_gradient(1.0 + rate * slope * (1.0 - tf.square(bent)))
    return start - (start + rate * bent - target) / steep


class Planar(Step):
    """f(z) = z + u tanh(w.z + b), a ridge (Rezende & Mohamed, 2015, eq. 10).

    w, b and u are numbers of the context; where these are zero u is, and w is learned. u is bent
    so that w.u > -1, which makes f invertible; by -1 + softplus(x + log(e - 1)), 0 at 0.

    Args:
        size: D; the context has 2 D + 1 numbers.
    """

    def __init__(self, size: int):
        super().__init__(size, 2 * size + 1)
        self.direction = self.add_weight(
            name="direction", shape=(size,), initializer="random_normal", autocast=False
        )
        self.direction.assign(_unit(self.direction))
        self.built = True

    def _ridge(self, context):
        w, u, b = tf.split(context, [self.size, self.size, 1], axis=-1)
        w += tf.convert_to_tensor(self.direction)
        along = tf.reduce_sum(w * u, axis=-1, keepdims=True)
        square = tf.reduce_sum(tf.square(w), axis=-1, keepdims=True) + 1e-8
        bent = tf.math.softplus(along + _START) - 1.0
        return w, u + (bent - along) * w / square, b[..., 0]

    def forward(
        self, z: tf.Tensor, context: "tf.Tensor | None" = None
    ) -> "tuple[tf.Tensor, tf.Tensor]":
        """Returns f(z) and its log-volume."""
        w, u, b = self._ridge(context)
        h = tf.tanh(tf.reduce_sum(w * z, axis=-1) + b)
        volume = tf.math.log(1.0 + tf.reduce_sum(w * u, axis=-1) * (1.0 - tf.square(h)))
        return z + u * h[..., tf.newaxis], volume

    def inverse(
        self, z: tf.Tensor, context: "tf.Tensor | None" = None
    ) -> "tuple[tf.Tensor, tf.Tensor]":
        """Returns f^-1(z) and the log-volume of f there."""
        w, u, b = self._ridge(context)
        rate = tf.reduce_sum(w * u, axis=-1)
        along = _solve(tf.reduce_sum(w * z, axis=-1), rate, 1.0, b)
        h = tf.tanh(along + b)
        volume = tf.math.log(1.0 + rate * (1.0 - tf.square(h)))
        return z - u * h[..., tf.newaxis], volume


class Sylvester(Step):
    """f(z) = z + Q R tanh(R' Q^T z + b) with D ridges at once (van den Berg et al., 2018).

    Q is a product of reflections, R and R' are upper triangular with diagonals in (-1, 1). All are
    numbers of the context; where these are zero R is, and f the identity.

    Args:
        size: D.
        reflections: of Q; D of them make any rotation.
    """

    def __init__(self, size: int, reflections: int = 4):
        self.reflections = check_count("reflections", reflections)
        triangle = size * (size + 1) // 2
        self.sizes = [reflections * size, triangle, triangle, size]
        super().__init__(size, sum(self.sizes))
        self.axes = self.add_weight(
            name="axes",
            shape=(reflections, size),
            initializer="random_normal",
            autocast=False,
        )
        self.axes.assign(_unit(self.axes))
        self.built = True

    def _parts(self, context):
        axes, outer, inner, shift = tf.split(context, self.sizes, axis=-1)
        axes = tf.split(axes, self.reflections, axis=-1)
        axes = [
            axis + row
            for axis, row in zip(axes, tf.unstack(tf.convert_to_tensor(self.axes)), strict=True)
        ]
        eye = tf.eye(self.size)

        def triangle(raw, offset):
            matrix = tfp_math.fill_triangular(raw, upper=True)
            return (1.0 - eye) * matrix + eye * tf.tanh(matrix + offset)

        # R' starts at tanh(1): were both zero, neither would have a slope.
        return axes, triangle(outer, 0.0), triangle(inner, 1.0), shift

    def forward(
        self, z: tf.Tensor, context: "tf.Tensor | None" = None
    ) -> "tuple[tf.Tensor, tf.Tensor]":
        """Returns f(z) and its log-volume."""
        axes, outer, inner, shift = self._parts(context)
        y = _reflected(z, axes[::-1])
        h = tf.tanh(_times(inner, y) + shift)
        moved = _reflected(_times(outer, h), axes)
        return z + moved, self._volume(outer, inner, h)

    def _volume(self, outer, inner, h):
        diagonal = tf.reduce_sum(outer * inner * tf.eye(self.size), axis=-1)
        return tf.reduce_sum(tf.math.log(1.0 + diagonal * (1.0 - tf.square(h))), axis=-1)

    def inverse(
        self, z: tf.Tensor, context: "tf.Tensor | None" = None
    ) -> "tuple[tf.Tensor, tf.Tensor]":
        """Returns f^-1(z) and the log-volume of f there: D numbers, one after the other."""
        axes, outer, inner, shift = self._parts(context)
        y = _reflected(z, axes[::-1])
        h: dict[int, tf.Tensor] = {}
        found: dict[int, tf.Tensor] = {}
        for i in reversed(range(self.size)):
            target, offset = y[..., i], shift[..., i] + tf.zeros_like(y[..., i])
            for j in range(i + 1, self.size):
                target -= outer[..., i, j] * h[j]
                offset += inner[..., i, j] * found[j]
            found[i] = _solve(target, outer[..., i, i], inner[..., i, i], offset)
            h[i] = tf.tanh(inner[..., i, i] * found[i] + offset)
        stacked = tf.stack([h[i] for i in range(self.size)], axis=-1)
        moved = _reflected(_times(outer, stacked), axes)
        return z - moved, self._volume(outer, inner, stacked)


def _unit(rows):
    rows = np.asarray(rows)
    return rows / np.linalg.norm(rows, axis=-1, keepdims=True)


def _times(matrix, vector):
    """Returns matrix vector, [..., D, D] and [..., D], by operations that every runtime has."""
    return tf.reduce_sum(matrix * tf.expand_dims(vector, -2), axis=-1)


def _reflected(z, axes):
    """Returns z reflected at the planes across the axes, the last first."""
    for axis in reversed(axes):
        square = tf.reduce_sum(tf.square(axis), axis=-1, keepdims=True) + 1e-8
        z = z - 2.0 * axis * (tf.reduce_sum(axis * z, axis=-1, keepdims=True) / square)
    return z


class Flow(OwnImage):
    """What steps of a flow make of a base distribution.

    Args:
        base: a distribution with event shape [D].
        steps: first to last from the base.
        contexts: what each depends on, [*batch, C]; None for none.
    """

    def __init__(
        self,
        base: tfd.Distribution,
        steps: Sequence[Step],
        contexts: "Sequence[tf.Tensor] | None" = None,
        name: str = "Flow",
    ):
        parameters = dict(locals())
        self.steps = tuple(steps)
        self.contexts = (None,) * len(self.steps) if contexts is None else tuple(contexts)
        super().__init__(base, parameters, name)

    def forward(self, u: tf.Tensor) -> "tuple[tf.Tensor, tf.Tensor]":
        """Returns f(u) [..., D] and log |det df/du| [...]."""
        total = tf.zeros_like(u[..., 0])
        for step, context in zip(self.steps, self.contexts, strict=True):
            u, volume = step.forward(u, context)
            total += volume
        return u, total

    def inverse(self, z: tf.Tensor) -> "tuple[tf.Tensor, tf.Tensor]":
        """Returns f^-1(z) and log |det df/du| there."""
        total = tf.zeros_like(z[..., 0])
        for step, context in zip(self.steps[::-1], self.contexts[::-1], strict=True):
            z, volume = step.inverse(z, context)
            total += volume
        return z, total


@draws.family(Flow)
class FlowDraws(Family):
    """Draws and their densities by one pass; a density elsewhere by the inverse."""

    def noise(self, distribution: Flow) -> "tuple[Noise, ...]":
        """That of the base."""
        return draws.noise_of(distribution.base)

    def transform(self, distribution: Flow, *noise: tf.Tensor) -> "tuple[tf.Tensor, Any]":
        """Returns where the flow carries draws of the base."""
        base, base_log_prob = draws.from_noise(distribution.base, *noise)
        value, volume = distribution.forward(base)
        return value, lambda: base_log_prob() - volume

    def log_prob(self, distribution: Flow, value: tf.Tensor) -> tf.Tensor:
        """Returns the log-density of the base at f^-1(value), less the log-volume there."""
        base, volume = distribution.inverse(value)
        return draws.log_prob(distribution.base, base) - volume

    def centre(self, distribution: Flow) -> tf.Tensor:
        """Returns where the flow carries the centre of its base."""
        return distribution.forward(draws.centre(distribution.base))[0]


def flow_steps(kind: str, size: int, count: int, hidden: Sequence[int]) -> "list[Step]":
    """Returns the steps of the flow of a prior, which is scored more often than drawn from.

    Args:
        kind: of `FLOWS`.
        size: D; couplings need two.
        count: of steps, whose halves or orders take turns.
        hidden: widths of the networks.

    Raises:
        ValueError: for a coupling of one dimension.
    """
    if kind == "autoregressive":
        return [
            Autoregressive(size, hidden, is_reversed=bool(i % 2), quick_forward=False)
            for i in range(count)
        ]
    if size < 2:
        raise ValueError(
            "A coupling moves one half of the latents by the other. Expected latent_dim >= 2, or "
            f"an autoregressive flow. Received {size}."
        )
    return [Coupling(size, hidden, is_second=not i % 2) for i in range(count)]
