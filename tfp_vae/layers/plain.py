"""Layers without weights to be uncertain about that Bayesian networks need."""

from typing import Any

import keras
import numpy as np
import tensorflow as tf

from tfp_vae.arguments import check_number, check_seed, is_count
from tfp_vae.distributions.base import spread
from tfp_vae.layers import noise as noise_sources
from tfp_vae.layers.base import registered
from tfp_vae.layers.noise import MEAN, SHARED


@registered
class MonteCarloDropout(keras.Layer):
    """Dropout that stays on when predicting (Gal & Ghahramani, 2016).

    In a pass that asks for one draw, all examples share one mask: the pass is one function, as a
    draw of weights is.

    Args:
        rate: share of inputs set to zero, in [0, 1); the others are divided by 1 - rate.
        seed: of the layer's own noise, where no model of this package hands it out.
        noise_shape: as of keras.layers.Dropout: 1 for an axis whose inputs share a fate, None for
            one whose inputs do not; (None, 1, None) drops whole steps of a series.
    """

    draws_noise = True  # see `layers.noise`

    def __init__(
        self,
        rate: float,
        seed: int | None = None,
        noise_shape: "tuple[int | None, ...] | None" = None,
        **kwargs: Any,
    ):
        super().__init__(**kwargs)
        rate = check_number("rate", rate, 0, below=1)
        seed = None if seed is None else check_seed(seed)
        if noise_shape is not None:
            noise_shape = tuple(noise_shape)
            if not all(size is None or is_count(size) for size in noise_shape):
                raise ValueError(
                    "Impossible noise_shape. Expected 1 or None for each axis. Received "
                    f"{noise_shape}."
                )
        self.rate, self.seed, self.noise_shape = rate, seed, noise_shape
        self.supports_masking = True
        self.seed_generator = keras.random.SeedGenerator(seed)

    def call(self, inputs: tf.Tensor, training: "bool | None" = None) -> tf.Tensor:
        """Returns `inputs` with some of them zero, [B, ...] -> [B, ...]."""
        del training
        noise = noise_sources.of(self)
        if noise.mode == MEAN or not self.rate:
            return inputs
        shape = tf.shape(inputs)
        if noise.mode == SHARED:
            # By numbers where they are known: noise that is frozen into a graph needs them.
            known = inputs.shape[1:].is_fully_defined()
            shape = [1, *inputs.shape[1:]] if known else tf.concat([[1], shape[1:]], 0)
        if self.noise_shape is not None:
            if len(self.noise_shape) != inputs.shape.rank:
                raise ValueError(
                    f"The noise_shape of {self.name} does not fit. Expected {inputs.shape.rank} "
                    f"axes, as the inputs have. Received {self.noise_shape}."
                )
            sizes = zip(
                self.noise_shape,
                shape if isinstance(shape, list) else tf.unstack(shape),
                strict=True,
            )
            shape = tf.stack([size if own is None else own for own, size in sizes])
        axis = None if noise.mode == SHARED else 0
        kept = noise.uniform(self, 0, shape, axis) >= self.rate
        return inputs * tf.cast(kept, inputs.dtype) / (1 - self.rate)

    def compute_output_shape(self, input_shape: Any) -> Any:
        """Returns the shape of the inputs."""
        return input_shape

    def get_config(self) -> dict:
        """Returns the constructor's arguments, as JSON."""
        return {**super().get_config(), "rate": self.rate, "seed": self.seed} | {
            "noise_shape": self.noise_shape
        }


@registered
class Standardize(keras.Layer):
    """(x - mean) / scale per feature, fixed by `adapt` and saved with the model.

    Like keras.layers.Normalization, but with its statistics in variables from the start, so that
    they can differ between the members of a vectorised ensemble.
    """

    def __init__(self, **kwargs: Any):
        super().__init__(**kwargs)
        self.supports_masking = True

    def build(self, input_shape: Any) -> None:
        """Makes the two statistics, one per feature of the last axis."""
        size = (input_shape[-1],)
        for name, start in (("mean", "zeros"), ("scale", "ones")):
            variable = self.add_weight(
                name=name, shape=size, initializer=start, trainable=False, autocast=False
            )
            setattr(self, name, variable)
        self.built = True

    def adapt(self, x: np.ndarray) -> None:
        """Takes mean and standard deviation from `x` [N, ..., D]; a constant feature becomes 0."""
        x = np.asarray(x, np.float64)
        if not self.built:
            self.build(x.shape)
        if x.shape[-1:] != tuple(self.mean.shape):
            raise ValueError(
                f"{self.name} cannot take its statistics from the data. Expected examples with "
                f"{self.mean.shape[0]} features, as its inputs have: it belongs in front of all "
                f"other layers. Received examples of shape {x.shape[1:]}."
            )
        axes = tuple(range(x.ndim - 1))
        self.mean.assign(x.mean(axes))
        self.scale.assign(spread(x, axes))

    def call(self, inputs: tf.Tensor) -> tf.Tensor:
        """Returns the standardized inputs, [B, ..., D] -> [B, ..., D]."""
        return (inputs - tf.cast(self.mean, inputs.dtype)) / tf.cast(self.scale, inputs.dtype)

    def compute_output_shape(self, input_shape: Any) -> Any:
        """Returns the shape of the inputs."""
        return input_shape
