"""A normal prior of the weights of a whole network, with a precision for each of its layers."""

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from tfp_vae.distributions.base import tfd
from tfp_vae.layers.priors.base import registered
from tfp_vae.layers.priors.normal import Normal


@registered
class NormalPerLayer(Normal):
    """N(0, 1 / precision_l) of the weights of layer l, kernel and bias alike.

    What evidence chooses: `models.Laplace.train` puts it in the place of a normal prior.

    Args:
        layers: the number of the layer, from 0 on, of each trainable variable in Keras' order.

    Attributes:
        precisions: a variable, [L], that is saved and not trained by gradients.
    """

    def __init__(self, layers: "Sequence[int]", **kwargs: Any):
        super().__init__(**kwargs)
        self.layers = tuple(int(layer) for layer in layers)
        self.precisions = self.add_weight(
            name="precisions",
            shape=(max(self.layers) + 1,),
            initializer=keras.initializers.Constant(float(self.scale) ** -2),
            trainable=False,
            autocast=False,
            dtype="float32",
        )

    def points(self, variables: list) -> "list[tuple[tfd.Distribution, tf.Tensor]]":
        """Returns the prior and the values of each variable, as [F, U]."""
        if len(variables) != len(self.layers):
            raise ValueError(
                f"The precisions are those of another network. Expected {len(self.layers)} "
                f"variables. Received {len(variables)}."
            )
        found = []
        for variable, layer in zip(variables, self.layers, strict=True):
            values = tf.cast(tf.convert_to_tensor(variable), tf.float32)
            units = values.shape[-1] if values.shape.rank else 1
            matrix = tf.reshape(values, [int(np.prod(values.shape)) // units, units])
            scale = tf.fill(matrix.shape, 1 / tf.sqrt(self.precisions[layer]))
            found.append((tfd.Independent(self.elementwise(scale), 2), matrix))
        return found

    def get_config(self) -> dict:
        """Returns the constructor's arguments, as JSON."""
        return {**super().get_config(), "layers": list(self.layers)}
