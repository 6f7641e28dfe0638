"""Stochastic-gradient Markov chains as an optimizer, in cycles (Zhang et al., ICLR 2020)."""

import math
from collections.abc import Sequence
from typing import Any

import keras
import tensorflow as tf

from tfp_vae import keras_private
from tfp_vae.arguments import check_count, check_number, check_seed
from tfp_vae.optimizers.rates import registered
from tfp_vae.randomness import fold_in, normal


@registered
class CyclicalLangevin(keras.optimizers.Optimizer):
    """Hamiltonian dynamics with friction on gradients of batches; its weights are the chain.

    For a loss that is -log p(data, w) / N in nats per example the chain has the posterior itself,
    temperature 1, up to the error of its rate (Chen et al., "Stochastic gradient Hamiltonian Monte
    Carlo", ICML 2014). The rate falls along half a cosine in every cycle and starts anew; in the
    last `sampling` of a cycle there is noise, before there is none and the chain looks for another
    mode.

    Args:
        num_data: N.
        learning_rate: at the start of a cycle.
        cycle: steps of a cycle.
        sampling: steps at the end of each cycle that have noise.
        friction: share of the velocity that a step loses.
        seed: fixes the noise, with the number of the step.
        name: of the optimizer.
        **kwargs: of `keras.optimizers.Optimizer`.

    Raises:
        ValueError: for numbers out of range.
    """

    def __init__(
        self,
        num_data: int,
        learning_rate: float = 0.1,
        cycle: int = 1000,
        sampling: int = 200,
        friction: float = 0.1,
        seed: int = 0,
        name: str = "cyclical_langevin",
        **kwargs: Any,
    ):
        super().__init__(check_number("learning_rate", learning_rate, above=0), name=name, **kwargs)
        self.num_data = check_count("num_data", num_data)
        self.cycle = check_count("cycle", cycle)
        self.sampling = check_count("sampling", sampling, most=self.cycle)
        self.friction = check_number("friction", friction, above=0)
        self.seed = check_seed(seed)

    def build(self, variables: Sequence[keras.Variable]) -> None:
        """Makes the velocity of every weight."""
        if self.built:
            return
        super().build(variables)
        self.velocities = self.add_optimizer_variables(variables, "velocity")

    def share(self, step: Any) -> tf.Tensor:
        """Returns what is left of the learning rate at a step, in (0, 1]."""
        phase = tf.cast(tf.cast(step, tf.int64) % self.cycle, tf.float32) / self.cycle
        return (tf.cos(math.pi * phase) + 1) / 2

    def update_step(self, gradient: Any, variable: Any, learning_rate: Any) -> None:
        """Takes a step of the chain."""
        index, step = keras_private.index_of(self, variable), self.iterations
        velocity = self.velocities[index]
        rate = tf.cast(learning_rate * self.share(step), variable.dtype)
        key = fold_in(self.seed, tf.cast(step, tf.int32), index)
        noisy = tf.cast(step % self.cycle >= self.cycle - self.sampling, variable.dtype)
        size = tf.sqrt(2 * self.friction * rate / self.num_data) * noisy
        noise = size * tf.cast(normal(variable.shape, key), variable.dtype)
        gradient = tf.cast(tf.convert_to_tensor(gradient), variable.dtype)
        new = (1 - self.friction) * velocity - rate * gradient + noise
        self.assign(velocity, new)
        self.assign_add(variable, new)

    def get_config(self) -> dict:
        """Returns the constructor's arguments, as JSON."""
        names = ("num_data", "cycle", "sampling", "friction", "seed")
        return {**super().get_config(), **{name: getattr(self, name) for name in names}}
