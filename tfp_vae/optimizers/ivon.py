"""IVON: variational inference as an optimizer (Shen et al., ICML 2024)."""

import contextlib
from collections.abc import Iterator, Sequence
from typing import Any

import keras
import tensorflow as tf

from tfp_vae import keras_private
from tfp_vae.arguments import check_number, check_seed
from tfp_vae.optimizers.rates import registered
from tfp_vae.randomness import fold_in, normal

_LEAST = 1e-3  # share of delta that is left of h + delta, whatever rounding does


@registered
class IVON(keras.optimizers.Optimizer):
    """The improved variational online Newton method: a mean-field posterior for the price of Adam.

    Its state is N(m, 1 / (ess (h + delta))) of every weight, and its fixed point the optimum of
    E_q[log p(data|w)] - KL(q(w) || N(0, prior_scale^2)) for a loss that is the mean negative
    log-likelihood in nats per example, without a prior or weight decay of its own: delta =
    1 / (prior_scale^2 ess). While `fit` runs the weights of the model are a draw m + e, anew after
    every step; when it ends they are the mean m. Replicas share a draw, as one device with the
    whole batch has it.

    Args:
        effective_sample_size: ess, N examples at temperature 1; more is a tempered posterior.
        learning_rate: a number or a schedule; about a hundred times that of Adam.
        prior_scale: of every weight.
        initial_curvature: h at the start; a `beta_2` of 0.99999 forgets it after 1e5 steps only.
        beta_1: decay of the mean gradient.
        beta_2: decay of h.
        clip_radius: most of a step of the mean in units of the rate, for each weight; None for no
            limit. Where h starts far below the curvature the first steps go too far, and h, which
            grows with the gradients there, never comes back.
        seed: fixes the draws, with the number of the step.
        name: of the optimizer.
        **kwargs: of `keras.optimizers.Optimizer`: clipping, accumulation of gradients.

    Attributes:
        delta: precision of the prior of a weight, per example.

    Raises:
        ValueError: for numbers out of range, and for weight decay or moving averages of weights,
            which the prior and the mean are in their place.

    Example:
        >>> optimizer = tv.optimizers.IVON(effective_sample_size=1294, learning_rate=0.1)
        >>> network = keras.Sequential([keras.layers.Dense(10)])
        >>> loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
        >>> network.compile(optimizer, loss)
    """

    def __init__(
        self,
        effective_sample_size: float,
        learning_rate: Any = 0.1,
        prior_scale: float = 1.0,
        initial_curvature: float = 1.0,
        beta_1: float = 0.9,
        beta_2: float = 0.99999,
        clip_radius: "float | None" = None,
        seed: int = 0,
        name: str = "ivon",
        **kwargs: Any,
    ):
        for option in ("weight_decay", "use_ema"):
            if kwargs.get(option):
                raise ValueError(
                    f"IVON has no {option}: its prior decays weights and its mean averages them. "
                    f"Expected prior_scale. Received {option}={kwargs[option]!r}."
                )
        super().__init__(learning_rate=learning_rate, name=name, **kwargs)
        self.effective_sample_size = check_number(
            "effective_sample_size", effective_sample_size, low=1
        )
        self.prior_scale = check_number("prior_scale", prior_scale, above=0)
        self.initial_curvature = check_number("initial_curvature", initial_curvature, above=0)
        self.beta_1 = check_number("beta_1", beta_1, low=0, below=1)
        self.beta_2 = check_number("beta_2", beta_2, low=0, below=1)
        self.clip_radius = (
            None if clip_radius is None else check_number("clip_radius", clip_radius, above=0)
        )
        self.seed = check_seed(seed)
        self.delta = 1 / (self.prior_scale**2 * self.effective_sample_size)

    def build(self, variables: Sequence[keras.Variable]) -> None:
        """Makes the state of every weight: mean gradient, curvature, and the noise in it now.

        Raises:
            ValueError: for weights of less than 32 bits, whose curvature would be lost.
        """
        if self.built:
            return
        for variable in variables:
            if tf.as_dtype(variable.dtype).size < 4:
                raise ValueError(
                    "The curvature of weights needs 32 bits. Expected float32 weights, as a policy "
                    f"such as mixed_bfloat16 keeps them. Received {variable.dtype}."
                )
        super().build(variables)
        curvature = keras.initializers.Constant(self.initial_curvature)
        self.momenta, self.curvatures, self.noises = self.add_optimizer_variables(
            variables, ["momentum", "curvature", "noise"], ["zeros", curvature, "zeros"]
        )

    def update_step(self, gradient: Any, variable: Any, learning_rate: Any) -> None:
        """Takes a step of mean and curvature, and draws the weights of the next one."""
        index = keras_private.index_of(self, variable)
        momentum, curvature, noise = (
            each[index] for each in (self.momenta, self.curvatures, self.noises)
        )
        gradient = tf.cast(tf.convert_to_tensor(gradient), variable.dtype)
        rate = tf.cast(learning_rate, variable.dtype)
        h, e = tf.convert_to_tensor(curvature), tf.convert_to_tensor(noise)
        seen = self.effective_sample_size * e * (h + self.delta) * gradient
        forget = 1 - self.beta_2
        new = h + forget * (seen - h) + (forget * (h - seen)) ** 2 / (2 * (h + self.delta))
        # A gradient at the mean, as the first of a training is, says nothing about h.
        new = tf.where(tf.reduce_any(e != 0), new, h)
        new = tf.maximum(new, (_LEAST - 1) * self.delta)
        averaged = self.beta_1 * momentum + (1 - self.beta_1) * gradient
        steps = tf.cast(self.iterations + 1, variable.dtype)
        mean = tf.convert_to_tensor(variable) - e
        slope = averaged / (1 - self.beta_1**steps) + self.delta * mean
        direction = slope / (new + self.delta)
        if self.clip_radius is not None:
            direction = tf.clip_by_value(direction, -self.clip_radius, self.clip_radius)
        mean -= rate * (self.initial_curvature + self.delta) * direction
        key = fold_in(self.seed, tf.cast(keras_private.raw_step(self), tf.int32), index)
        standard = tf.cast(normal(variable.shape, key), variable.dtype)
        e = standard * tf.math.rsqrt(self.effective_sample_size * (new + self.delta))
        for kept, value in ((momentum, averaged), (curvature, new), (noise, e)):
            self.assign(kept, value)
        self.assign(variable, mean + e)

    def finalize_variable_values(self, var_list: Sequence[keras.Variable]) -> None:
        """Leaves the weights at their means, as `fit` does when it ends."""
        for variable in var_list:
            noise = self.noises[keras_private.index_of(self, variable)]
            variable.assign(variable - noise)
            noise.assign(tf.zeros(noise.shape, noise.dtype))

    def posterior(self, variables: Sequence[keras.Variable]) -> "list[tuple[tf.Tensor, tf.Tensor]]":
        """Returns mean and scale of each of these weights, of the shapes that they have.

        Raises:
            ValueError: if the optimizer was never given these weights.
        """
        if not self.built:
            raise ValueError(
                "IVON has no posterior yet. Expected a training, or build(variables). Received an "
                "optimizer without weights."
            )
        found = []
        for variable in variables:
            index = keras_private.index_of(self, variable)
            precision = tf.convert_to_tensor(self.curvatures[index]) + self.delta
            mean = tf.convert_to_tensor(variable) - self.noises[index]
            found.append((mean, tf.math.rsqrt(self.effective_sample_size * precision)))
        return found

    @contextlib.contextmanager
    def drawn(self, variables: Sequence[keras.Variable], seed: int = 0) -> Iterator[None]:
        """A context in which the weights are one draw of the posterior, as predictions want it.

        Args:
            variables: all weights that are drawn.
            seed: of the draw.
        """
        before = [tf.identity(tf.convert_to_tensor(variable)) for variable in variables]
        key = fold_in(check_seed(seed), 1)
        for index, (mean, scale) in enumerate(self.posterior(variables)):
            standard = tf.cast(normal(mean.shape, fold_in(key, index)), mean.dtype)
            variables[index].assign(mean + scale * standard)
        try:
            yield
        finally:
            for variable, value in zip(variables, before, strict=True):
                variable.assign(value)

    def get_config(self) -> dict:
        """Returns the constructor's arguments, as JSON."""
        names = ("effective_sample_size", "prior_scale", "initial_curvature", "beta_1", "beta_2")
        own = {name: getattr(self, name) for name in (*names, "clip_radius", "seed")}
        return {**super().get_config(), **own}
