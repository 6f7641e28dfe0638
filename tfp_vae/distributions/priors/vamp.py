"""The mixture of posteriors of learned inputs."""

import math
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from tfp_vae.arguments import check_count
from tfp_vae.data import Split
from tfp_vae.distributions import draws
from tfp_vae.distributions.base import tfd
from tfp_vae.distributions.mixtures import AnyMixture, NormalMixture
from tfp_vae.distributions.priors.base import PRIORS, Context, Prior, Spec, registered

_LOOKED_AT = 2000  # training examples that say where pseudo-inputs start
_EDGE = 0.02  # of bounded values: a logit is finite


@PRIORS.register("vamp", "posteriors of learned inputs (VampPrior)")
@registered
class Vamp(Prior):
    """p(z) = sum_k w_k q(z|u_k) of learned pseudo-inputs u_k (Tomczak & Welling, 2018, eq. 9).

    The posterior is that of the model, with its gradient. A step encodes K examples more; large
    batches share them. Where all examples are in [0, 1] u is the sigmoid of what is learned.
    `adapt(data.train)`, which `fit` calls once, starts them at the data.

    Args:
        latent_dim: D.
        components: K.
        learned_weights: whether w_k are learned; otherwise 1 / K.

    Raises:
        ValueError: for components < 1.
    """

    has_components = True
    uses_encoder = True

    def __init__(
        self,
        latent_dim: int,
        components: int = 100,
        learned_weights: bool = False,
        **kwargs: Any,
    ):
        super().__init__(latent_dim, **kwargs)
        self.components = check_count("components", components)
        self.learned_weights = bool(learned_weights)

    def build(self, spec: "Spec | None" = None) -> None:
        """Makes the pseudo-inputs [K, ...] and, if learned, the weights [K].

        Raises:
            ValueError: outside of a model, or where q(z|x) needs more than x.
        """
        if spec is None or spec.event_shape is None:
            raise ValueError(
                "A Vamp prior is made of the encoder of a model. Expected it as the prior of a "
                "VAE. Received no model."
            )
        if spec.condition_size or spec.above_dims:
            raise ValueError(
                "Pseudo-inputs are examples alone. Expected a model whose q(z|x) needs no "
                "condition and no latent above, or a prior Mixture or Flow. Received "
                f"{'a condition' if spec.condition_size else 'a latent below another one'}."
            )
        if self.built:
            return
        self.is_bounded = spec.is_bounded
        start = keras.initializers.RandomNormal(stddev=1.0)
        shape = self.components, *spec.event_shape
        self.raw_inputs = self.add_weight(
            name="raw_inputs", shape=shape, initializer=start, autocast=False
        )
        self.is_started = self.add_weight(
            name="is_started", shape=(), initializer="zeros", trainable=False, autocast=False
        )
        if self.learned_weights:
            self.logits = self.add_weight(
                name="logits", shape=shape[:1], initializer="zeros", autocast=False
            )
        self.built = True

    @property
    def waits_for_data(self) -> bool:
        """Whether the pseudo-inputs were never set."""
        return not bool(np.asarray(self.is_started))

    def adapt(self, split: Split, seed: int = 0) -> None:
        """Starts the pseudo-inputs at the mean of training data with noise of its spread.

        Raises:
            ValueError: if there are more pseudo-inputs than examples.
        """
        if self.components > len(split):
            raise ValueError(
                "There are more pseudo-inputs than examples, of which they would be copies. "
                f"Expected components <= {len(split)}. Received {self.components}."
            )
        index = np.linspace(0, len(split) - 1, min(len(split), _LOOKED_AT)).astype(int)
        values = np.asarray(split.values(index), np.float32)
        rng = np.random.default_rng([seed, 67])
        noise = rng.standard_normal(self.raw_inputs.shape)
        self.assign(values.mean(axis=0) + values.std(axis=0) * noise)

    def assign(self, inputs: np.ndarray) -> None:
        """Sets the pseudo-inputs [K, ...], in the units of the data."""
        inputs = np.asarray(inputs, np.float32)
        if self.is_bounded:
            inputs = np.clip(inputs, _EDGE, 1 - _EDGE)
            inputs = np.log(inputs) - np.log1p(-inputs)
        self.raw_inputs.assign(inputs)
        self.is_started.assign(1.0)

    @property
    def inputs(self) -> tf.Tensor:
        """The pseudo-inputs, [K, ...]."""
        raw = tf.convert_to_tensor(self.raw_inputs)
        return tf.sigmoid(raw) if self.is_bounded else raw

    def distribution(self, context: Context) -> tfd.Distribution:
        """Returns a `NormalMixture`, or a mixture of what other posteriors are."""
        posterior = context.encode(self.inputs)
        logits = tf.fill([self.components], -math.log(self.components))
        if self.learned_weights:
            logits = tf.convert_to_tensor(self.logits)
        entry = draws.normal_of(posterior)
        if entry is not None:
            loc, scale = entry.loc(posterior), entry.scale(posterior)
            if scale.shape.rank == loc.shape.rank:
                return NormalMixture(logits, loc, scale)
        return AnyMixture(logits, posterior)

    def get_config(self) -> dict:
        """Returns the constructor's arguments, as JSON."""
        own = {"components": self.components, "learned_weights": self.learned_weights}
        return {**super().get_config(), **own}
