"""What a curvature is: the part of H = sum_n J_n' H_n J_n that is kept, and what follows from it.

With the precision D of the prior, one number per weight, the posterior has precision H + D. A
structure knows how H is found, how N(0, (H + D)^-1) is drawn from, the variance of a linear
function under it, and its determinant. A new one is one file: a subclass with
`@STRUCTURES.register("name", "what it is")`.
"""

import math
from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from tfp_vae.models.graphs import traced
from tfp_vae.registry import Registry

STRUCTURES = Registry(
    "tfp_vae.models.curvatures", "structure", first=("diagonal", "kronecker", "full")
)
_JACOBIAN = 2**26  # numbers in memory


class Curvature:
    """H of some weights of a network, as one structure has it; here by whole Jacobians.

    Args:
        network: whose weights.
        chosen: its variables that have a posterior, P weights in all.
        whiten: features [B, F] to H_n^1/2 times the parameters of the likelihood, [B, R], the
            factor held fixed: its Jacobian is H_n^1/2 J_n.

    Attributes:
        totals: what was summed over the data, float64 arrays.
        factor: what H is multiplied by: with another scale of the noise it is another multiple.
        variables: what draws depend on, by name.

    Raises:
        ValueError: if the network or the number of weights is not for it.
    """

    def __init__(self, network: keras.Layer, chosen: list, whiten: Callable):
        self.network, self.chosen, self.whiten = network, chosen, whiten
        self.sizes = [math.prod(v.shape) for v in chosen]
        self.num_weights = sum(self.sizes)
        self.totals: list[np.ndarray] = []
        self.factor = 1.0
        self.variables: dict[str, tf.Variable] = {}

    # What a structure gives.

    def of_batch(self, x: tf.Tensor) -> "list[tf.Tensor]":
        """Returns what is summed over batches, of examples [B, ...], in a graph."""
        raise NotImplementedError

    def set_precision(self, own: np.ndarray) -> None:
        """Takes the precision of the prior of every weight, [P]: what is drawn follows it."""
        raise NotImplementedError

    def deviations(self, standard: tf.Tensor) -> tf.Tensor:
        """Returns draws of N(0, (H + D)^-1) from standard normal numbers, [S, P] -> [S, P]."""
        raise NotImplementedError

    def variances(self, slopes: tf.Tensor) -> tf.Tensor:
        """Returns the variances of linear functions of the weights, [B, K, P] -> [B, K]."""
        raise NotImplementedError

    def log_determinant(self, factor: float, own: np.ndarray) -> "tuple[float, np.ndarray]":
        """Returns log |factor H + D| and the diagonal of its inverse, [P].

        The diagonal may be that in a basis which mixes the weights of a layer, but not the layers.

        Args:
            factor: of H as it was summed.
            own: D, [P]; one number for all weights of a layer.
        """
        raise NotImplementedError

    # What all share.

    def accumulate(self, batches: Any) -> None:
        """Sums over the examples [B, ...] of all batches."""
        step = traced(self.of_batch)
        self.totals, self.factor = [], 1.0
        for x in batches:
            found = [np.asarray(part, np.float64) for part in step(x)]
            known = self.totals or [0.0] * len(found)
            self.totals = [a + b for a, b in zip(known, found, strict=True)]

    def batch_size(self, outputs: int) -> int:
        """Returns how many examples at a time memory has room for."""
        return max(1, _JACOBIAN // (outputs * self.num_weights))

    def keep(self, name: str, value: np.ndarray) -> None:
        """Keeps what draws depend on in a variable, which compiled draws read."""
        if name in self.variables:
            self.variables[name].assign(value)
        else:
            self.variables[name] = tf.Variable(value, dtype=tf.float32, trainable=False)

    def kept(self, name: str) -> tf.Tensor:
        """Returns what is kept under a name, float32."""
        return tf.convert_to_tensor(self.variables[name])

    def jacobians(self, x: tf.Tensor) -> "list[tf.Tensor]":
        """Returns H_n^1/2 J_n of each variable, [B, R, size]."""
        with tf.GradientTape() as tape:
            weighted = self.whiten(self.network(x, training=False))
        jacobians = tape.jacobian(weighted, [v.value for v in self.chosen])
        lead = tf.shape(weighted)
        return [
            tf.reshape(j, tf.concat([lead, [size]], 0))
            for j, size in zip(jacobians, self.sizes, strict=True)
        ]


def second_moments(rows: tf.Tensor) -> tf.Tensor:
    """Returns the sum of r r' over rows [N, P], float64 [P, P].

    Sums in float32 that are 1e8 times the precision of the prior or more have eigenvalues that are
    rounding alone, of both signs, in directions that the data leave open.
    """
    rows = tf.cast(rows, tf.float64)
    return tf.matmul(rows, rows, transpose_a=True)
