"""Any layer of Keras with a distribution over its kernels.

    layers.bayesian(keras.layers.LSTM(32), prior=1.0)

The variables of the layer are the means of the posterior; in a pass they stand for the numbers that
were drawn, so that the layer's own code runs, whatever it is. A kernel is used at every step of a
series with the same draw, as the bound asks for (Fortunato, Blundell & Vinyals, "Bayesian recurrent
neural networks", 2017).
"""

import inspect
import math
from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from tfp_vae import keras_private
from tfp_vae.arguments import check_number, check_seed, check_type
from tfp_vae.distributions import draws
from tfp_vae.distributions.base import tfd
from tfp_vae.layers import noise as noise_sources
from tfp_vae.layers import priors
from tfp_vae.layers.base import (
    CERTAIN,
    DRAW_OF_KL,
    DRAW_OF_WEIGHTS,
    WEIGHT_SCALE_FLOOR,
    WeightLayer,
    raw_scale_of,
    registered,
    scale_of,
)
from tfp_vae.layers.noise import MEAN

# Inputs of a unit, where they are not all axes of a kernel but the last.
_FAN_IN: "dict[str, Callable]" = {
    "embeddings": lambda shape: 1,  # one row of the table is one input
    "depthwise_kernel": lambda shape: math.prod(shape[:-2]),
}


@registered
class Bayesian(WeightLayer):
    """A layer of Keras whose kernels have independent normal posteriors, drawn once per call.

    Kernels are trainable variables of two or more axes, such as "kernel", "recurrent_kernel" and
    "embeddings". Weights have one draw for all examples of a pass (reparameterization). The other
    variables are the layer's own.

    Args:
        layer: of Keras, with one input; built or not. A model is one too.
        prior: p(w): see `BayesianLayer`. A learned scale in closed form is one per kernel.
        initial_scale: standard deviations start at initial_scale / sqrt(fan-in), see
            `BayesianLayer`; the fan-in of a table of embeddings is 1.
        bayesian_bias: whether trainable vectors, such as biases, have a posterior too.
        kl_weight: see `BayesianLayer`.
        seed: see `BayesianLayer`.
        **kwargs: of keras.Layer.

    Attributes:
        layer: whose variables are the posterior means.
        chosen: the variables that have a posterior, once built.

    Raises:
        ValueError: for what is no layer, or one that is random already or stateful; when it is
            built, for one without kernels, or whose kernels have a regularizer or a constraint.
    """

    covariance = "diagonal"

    def __init__(
        self,
        layer: keras.Layer,
        prior: "priors.WeightPrior | tfd.Distribution | float | str | dict" = 1.0,
        initial_scale: float = 0.1,
        bayesian_bias: bool = False,
        kl_weight: "float | keras.Variable | tf.Variable | None" = None,
        seed: int | None = None,
        **kwargs: Any,
    ):
        check_type("layer", layer, keras.Layer, type(self).__name__)
        if getattr(layer, "draws_noise", False):
            raise ValueError(
                f"{layer.name} is random already. Expected a layer of Keras whose weights are "
                f"points. Received a {type(layer).__name__}."
            )
        if any(getattr(x, "stateful", False) for x in (layer, *keras_private.all_sublayers(layer))):
            raise ValueError(
                f"{layer.name} carries a state from batch to batch, made with other weights. "
                "Expected a layer with stateful=False. Received one with stateful=True."
            )
        super().__init__(**{"dtype": layer.dtype_policy, "autocast": layer.autocast, **kwargs})
        self.layer = layer
        self.weight_prior = priors.get(prior)
        self.initial_scale = check_number("initial_scale", initial_scale, above=0)
        self.bayesian_bias = bool(bayesian_bias)
        self.seed = seed if seed is None else check_seed(seed)
        self._take_kl_weight(kl_weight)
        self.seed_generator = keras.random.SeedGenerator(seed)
        self.supports_masking = layer.supports_masking

    @property
    def activation(self) -> Any:
        """That of the layer; linear where it has none."""
        return getattr(self.layer, "activation", None) or keras.activations.linear

    def build(self, input_shape: Any) -> None:
        """Builds the layer, whose kernels then have scales."""
        if not self.layer.built:
            self.layer.build(input_shape)
            self.layer.built = True
        least = 1 if self.bayesian_bias else 2
        trained = self.layer.trainable_variables
        self.chosen = [v for v in trained if len(v.shape) >= least]
        if not any(len(v.shape) >= 2 for v in self.chosen):
            raise ValueError(
                f"{self.layer.name} has no kernel that could have a posterior. Expected a layer "
                f"with trainable weights of two axes or more. Received a "
                f"{type(self.layer).__name__}."
            )
        for variable in self.chosen:
            if variable.regularizer is not None or variable.constraint is not None:
                raise ValueError(
                    f"A weight with a prior has no regularizer and no constraint. Expected prior= "
                    f"in their place. Received one of {variable.path}."
                )
        self._shapes = [tuple(map(int, v.shape)) for v in self.chosen]
        self._fans = [_fan_in(v.name, s) for v, s in zip(self.chosen, self._shapes, strict=True)]
        self._sizes = [math.prod(shape) for shape in self._shapes]
        starts = [self.initial_scale / math.sqrt(max(fan, 1)) for fan in self._fans]
        if min(starts) <= WEIGHT_SCALE_FLOOR:
            raise ValueError(
                f"The initial_scale of {self.name} is too small for its inputs. Expected more than "
                f"{WEIGHT_SCALE_FLOOR * self.initial_scale / min(starts):g}. Received "
                f"{self.initial_scale:g}."
            )
        raw = np.repeat([raw_scale_of(start) for start in starts], self._sizes)
        self.raw_scale = self.add_weight(
            name="raw_scale",
            shape=raw.shape,
            initializer=lambda *_, **__: tf.constant(raw, tf.float32),
            dtype="float32",
            autocast=False,
        )
        self.built = True

    @property
    def loc(self) -> tf.Tensor:
        """Means of the posterior, one weight after the other, float32 [P]."""
        flat = [tf.reshape(tf.cast(tf.convert_to_tensor(v), tf.float32), [-1]) for v in self.chosen]
        return tf.concat(flat, axis=0)

    @property
    def posterior(self) -> tfd.Distribution:
        """q(w) of all weights, one after the other, event shape [P]."""
        scale = scale_of(tf.convert_to_tensor(self.raw_scale))
        return tfd.Independent(tfd.Normal(self.loc, scale), 1)

    @property
    def prior(self) -> tfd.Distribution:
        """p(w), event shape [P]."""
        normal = self.posterior.distribution
        squares = tf.split(normal.loc**2 + normal.scale**2, self._sizes)
        scales = []
        for square, fan in zip(squares, self._fans, strict=True):
            matrix = tf.reshape(square, [max(fan, 1), -1])
            scale = self.weight_prior.scales(tuple(matrix.shape), fan, matrix)
            scales.append(tf.reshape(scale, [-1]))
        return tfd.Independent(self.weight_prior.elementwise(tf.concat(scales, axis=0)), 1)

    def kl_divergence(self, num_samples: int = 1) -> tf.Tensor:
        """Returns KL(q(w) || p(w)) in nats, summed over all kernels; see `WeightLayer`."""
        posterior, prior = self.posterior, self.prior
        try:
            return draws.kl_divergence(posterior, prior)
        except NotImplementedError:
            normal = posterior.distribution
            standard = noise_sources.of(self).normal(
                self, DRAW_OF_KL, [num_samples, sum(self._sizes)]
            )
            drawn = normal.loc + normal.scale * standard
            return -posterior.entropy() - tf.reduce_mean(prior.log_prob(drawn))

    def keep(self, kept: Any) -> None:
        """Sets the weights that are not kept, [P], to 0 for certain."""
        parts = tf.split(tf.cast(kept, tf.float32), self._sizes)
        for variable, part, shape in zip(self.chosen, parts, self._shapes, strict=True):
            variable.assign(variable * tf.cast(tf.reshape(part, shape), variable.dtype))
        self.raw_scale.assign(tf.where(kept, self.raw_scale, CERTAIN))

    def start_at(self, layer: keras.Layer) -> None:
        """Sets the posterior means, and all else that the layer has, to the weights of `layer`."""
        self.layer.set_weights(layer.get_weights())

    def draw(self, noise: noise_sources.Noise) -> "list[tf.Tensor]":
        """Returns one draw of each weight, or its mean if `noise` is of that mode."""
        if noise.mode == MEAN:
            return [tf.convert_to_tensor(variable) for variable in self.chosen]
        normal = self.posterior.distribution
        drawn = normal.loc + normal.scale * noise.normal(self, DRAW_OF_WEIGHTS, [sum(self._sizes)])
        parts = zip(self.chosen, tf.split(drawn, self._sizes), self._shapes, strict=True)
        return [tf.cast(tf.reshape(part, shape), v.dtype) for v, part, shape in parts]

    def call(
        self,
        inputs: tf.Tensor,
        mask: "tf.Tensor | None" = None,
        training: "bool | None" = None,
    ) -> Any:
        """Returns what the layer makes of `inputs` with weights that were drawn."""
        given = {"mask": mask} if mask is not None else {}
        if self.layer_takes("training"):
            given["training"] = training
        drawn = zip(self.chosen, self.draw(noise_sources.of(self)), strict=True)
        before = {id(v): tf.convert_to_tensor(v) for v in self.layer.variables}
        before |= {id(variable): value for variable, value in drawn}
        # All of them: a scope hides the values of one around it, such as a member of an ensemble.
        mapping = [(v, before[id(v)]) for v in self.layer.variables]
        with keras.StatelessScope(state_mapping=mapping) as scope:
            outputs = self.layer(inputs, **given)
            after = [scope.get_current_value(variable) for variable in self.layer.variables]
        for variable, value in zip(self.layer.variables, after, strict=True):
            if value is not before[id(variable)]:  # statistics and seeds go on
                variable.assign(value)
        self._add_kl()
        return outputs

    def layer_takes(self, name: str) -> bool:
        """Returns whether the layer has such an argument when it is called."""
        return name in _parameters_of(self.layer)

    def compute_mask(self, inputs: Any, previous_mask: Any = None) -> Any:
        """Returns the mask of the outputs, which is the layer's."""
        return self.layer.compute_mask(inputs, previous_mask)

    def compute_output_shape(self, input_shape: Any) -> Any:
        """Returns the shape of the outputs, which is the layer's."""
        return self.layer.compute_output_shape(input_shape)

    def get_config(self) -> dict:
        """Returns the constructor's arguments, as JSON."""
        serialize = keras.saving.serialize_keras_object
        return {
            **super().get_config(),
            "layer": serialize(self.layer),
            "prior": serialize(self.weight_prior),
            "initial_scale": self.initial_scale,
            "bayesian_bias": self.bayesian_bias,
            "kl_weight": self._kl_config(),
            "seed": self.seed,
        }

    @classmethod
    def from_config(cls, config: dict, custom_objects: "dict | None" = None) -> "Bayesian":
        """Returns the layer of `get_config`."""
        layer = keras.saving.deserialize_keras_object(config["layer"], custom_objects)
        return cls(**{**config, "layer": layer})


def bayesian(layer: keras.Layer, **options: Any) -> Bayesian:
    """Returns a layer of Keras with a posterior over its kernels; see `Bayesian`.

    Args:
        layer: of Keras, such as keras.layers.LSTM(32) or keras.layers.Embedding(100, 8).
        **options: arguments of `Bayesian`.

    Example:
        >>> layer = tv.layers.bayesian(keras.layers.Embedding(10, 3), prior=0.5)
        >>> layer(np.array([[1, 2]])).shape
        TensorShape([1, 2, 3])
    """
    return Bayesian(layer, **options)


def _fan_in(name: str, shape: "tuple[int, ...]") -> int:
    if len(shape) < 2:
        return 0
    return _FAN_IN.get(name, lambda shape: math.prod(shape[:-1]))(shape)


def _parameters_of(layer: keras.Layer) -> "set[str]":
    return set(inspect.signature(layer.call).parameters)
