"""Kronecker factors: for each layer covariances of inputs and of slopes of outputs."""

from collections.abc import Callable
from typing import Any, NamedTuple

import keras
import numpy as np
import tensorflow as tf

from tfp_vae.models.curvatures.base import STRUCTURES, Curvature, second_moments


@STRUCTURES.register("kronecker", "Kronecker factors of every layer, nothing between layers")
class Kronecker(Curvature):
    """H of a layer is A (x) G / (N T): A = sum a a' of its inputs, G = sum g g' of its slopes.

    Sums over N examples and, of a convolution, T positions (Martens & Grosse, 2015; Grosse &
    Martens, 2016). The inputs have a one behind them for a bias. Eigenvectors of both are those of
    the product: any precision of the prior is free, and so is the determinant (Ritter et al., "A
    scalable Laplace approximation for neural networks", ICLR 2018).
    """

    def __init__(self, network: keras.Layer, chosen: list, whiten: Callable):
        super().__init__(network, chosen, whiten)
        ids = {id(v) for v in chosen}
        self.parts: dict[int, _Layer] = {}
        self.steps = _steps(network)
        start = 0
        for index, layer in enumerate(self.steps):
            own = [v for v in layer.trainable_variables if id(v) in ids]
            if not own:
                continue
            form = _FORMS.get(type(layer))
            if form is None or getattr(layer, "groups", 1) != 1:
                raise ValueError(
                    "Kronecker factors are those of layers that are one matrix product. Expected "
                    f"{' or '.join(kind.__name__ for kind in _FORMS)} without groups, or another "
                    f"structure. Received {layer.name}, a {type(layer).__name__}."
                )
            units = own[0].shape[-1]
            rows = sum(int(np.prod(v.shape)) for v in own) // units
            self.parts[index] = _Layer(form, start, rows, units)
            start += rows * units
        # Ratios of precisions, eigenvectors and eigenvalues of each layer.
        self._bases: dict[int, tuple] = {}

    def batch_size(self, outputs: int) -> int:
        """Returns how many examples at a time memory has room for: no Jacobian is kept."""
        return 1000

    def of_batch(self, x: tf.Tensor) -> "list[tf.Tensor]":
        """Returns N T, A and G of every layer."""
        inputs, outputs = [], []
        with tf.GradientTape(persistent=True, watch_accessed_variables=False) as tape:
            features = x
            for index, layer in enumerate(self.steps):
                if index not in self.parts:
                    features = layer(features, training=False)
                    continue
                rows, linear = self.parts[index].form(layer, tf.cast(features, tf.float32))
                if layer.use_bias:
                    linear += layer.bias
                    rows = tf.concat([rows, tf.ones_like(rows[..., :1])], axis=-1)
                tape.watch(linear)
                inputs.append(rows)
                outputs.append(linear)
                features = layer.activation(linear)
            each = tf.unstack(self.whiten(features), axis=1)
        slopes = [tape.gradient(one, outputs) for one in each]  # examples do not mix
        found = []
        for number, (rows, linear) in enumerate(zip(inputs, outputs, strict=True)):
            a = tf.reshape(rows, [-1, rows.shape[-1]])
            gram = tf.zeros([linear.shape[-1]] * 2, tf.float64)
            for one in slopes:
                if one[number] is not None:
                    gram += second_moments(tf.reshape(one[number], [-1, linear.shape[-1]]))
            count = tf.cast(tf.shape(a)[0], tf.float32)
            found += [count, second_moments(a), gram]
        return found

    def set_precision(self, own: np.ndarray) -> None:
        """Takes the precision of the prior of every weight, [P]; one for all units of a layer."""
        for number, part in enumerate(self.parts.values()):
            rows = own[part.start : part.stop].reshape(part.rows, part.units)[:, 0]
            left, right, values = self._basis(number, rows / rows[0])
            root = 1 / np.sqrt(self.factor * values + rows[0])
            stretch = np.sqrt(rows / rows[0])[:, np.newaxis]
            self.keep(f"left_{number}", left / stretch)
            self.keep(f"right_{number}", right)
            self.keep(f"root_{number}", root)

    def deviations(self, standard: tf.Tensor) -> tf.Tensor:
        """Returns draws around zero, [S, P] -> [S, P]."""
        found = []
        for number, part in enumerate(self.parts.values()):
            cut = tf.reshape(standard[:, part.start : part.stop], [-1, part.rows, part.units])
            left, right = self.kept(f"left_{number}"), self.kept(f"right_{number}")
            drawn = tf.matmul(
                tf.matmul(left, cut * self.kept(f"root_{number}")), right, False, True
            )
            found.append(tf.reshape(drawn, [-1, part.rows * part.units]))
        return tf.concat(found, axis=1)

    def variances(self, slopes: tf.Tensor) -> tf.Tensor:
        """Returns the variances of linear functions, [B, K, P] -> [B, K]."""
        total = tf.zeros(tf.shape(slopes)[:2])
        for number, part in enumerate(self.parts.values()):
            cut = slopes[..., part.start : part.stop]
            cut = tf.reshape(cut, tf.concat([tf.shape(cut)[:2], [part.rows, part.units]], 0))
            left, right = self.kept(f"left_{number}"), self.kept(f"right_{number}")
            turned = tf.matmul(tf.matmul(left, cut, transpose_a=True), right)
            total += tf.reduce_sum((turned * self.kept(f"root_{number}")) ** 2, axis=(-2, -1))
        return total

    def log_determinant(self, factor: float, own: np.ndarray) -> "tuple[float, np.ndarray]":
        """Returns log |factor H + D| and the diagonal of its inverse among eigenvectors, [P]."""
        parts = [
            self._basis(number, np.ones(part.rows))[2].ravel()
            for number, part in enumerate(self.parts.values())
        ]
        precision = factor * np.concatenate(parts) + own
        return float(np.log(precision).sum()), 1 / precision

    def accumulate(self, batches: Any) -> None:
        """Sums over the examples of all batches."""
        self._bases = {}
        super().accumulate(batches)

    def _basis(self, number: int, ratios: np.ndarray) -> "tuple[np.ndarray, ...]":
        """Returns eigenvectors [F, F], [U, U] and eigenvalues [F, U] of a layer.

        Of A (x) G between roots of `ratios`, the precisions of the prior along the inputs up to a
        factor: whatever the factor is, these are the same.
        """
        known = self._bases.get(number)
        if known is None or not np.array_equal(known[0], ratios):
            count, a, g = self.totals[3 * number :][:3]
            root = np.sqrt(ratios)
            inner, left = np.linalg.eigh(a / np.outer(root, root))
            outer, right = np.linalg.eigh(g)
            # Rounding leaves negative ones.
            values = np.outer(np.maximum(inner, 0), np.maximum(outer, 0)) / count
            known = self._bases[number] = (ratios, left, right, values)
        return known[1:]


class _Layer(NamedTuple):
    form: Callable
    start: int
    rows: int
    units: int

    @property
    def stop(self) -> int:
        return self.start + self.rows * self.units


def _steps(network: keras.Layer) -> "list[keras.Layer]":
    """Returns the layers of a network one after the other.

    Raises:
        ValueError: if they are not a sequence.
    """
    if isinstance(network, keras.Sequential):
        return [step for layer in network.layers for step in _steps(layer)]
    if isinstance(network, keras.Model):
        raise ValueError(
            "Kronecker factors are found layer by layer. Expected a keras.Sequential, or another "
            f"structure. Received {network.name}, a {type(network).__name__}."
        )
    return [network]


def _dense(layer: keras.layers.Dense, x: tf.Tensor) -> "tuple[tf.Tensor, tf.Tensor]":
    """Returns the inputs of every output and the outputs before bias and activation."""
    return x, keras.ops.matmul(x, layer.kernel)


def _convolution(layer: keras.layers.Conv2D, x: tf.Tensor) -> "tuple[tf.Tensor, tf.Tensor]":
    """Returns the patches, [B, H', W', F], and the outputs before bias and activation."""
    patches = tf.image.extract_patches(
        x,
        [1, *layer.kernel_size, 1],
        [1, *layer.strides, 1],
        [1, *layer.dilation_rate, 1],
        layer.padding.upper(),
    )
    return patches, layer.convolution_op(x, layer.kernel)


# The kinds of layer that are a matrix product.
_FORMS = {keras.layers.Dense: _dense, keras.layers.Conv2D: _convolution}
