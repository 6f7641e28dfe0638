"""Whether a random layer keeps what models take for granted of it: one call for all of it."""

from typing import Any

import keras
import numpy as np
import tensorflow as tf

from tfp_vae.arguments import check_type
from tfp_vae.data import Kind, Split
from tfp_vae.distributions.heads import NormalInUnits
from tfp_vae.layers.noise import ESTIMATOR, MEAN, SHARED, Noise, use
from tfp_vae.models import BayesianNetwork
from tfp_vae.testing import claims
from tfp_vae.testing.claims import claim, close

PASSES = 200


@claims.in_words
def check_layer(
    layer: keras.Layer,
    inputs: Any = None,
    *,
    seed: int = 0,
    xla: bool = True,
    export: bool = False,
) -> None:
    """Tries the whole contract of a random layer: a Bayesian one, or one such as dropout.

    A random layer has `draws_noise = True` and asks `layers.noise.of(self)` for its noise. With a
    method `kl_divergence` it is a Bayesian one, with a `posterior` and a `prior` of its weights.

    Args:
        layer: with the arguments that it is used with; built or not.
        inputs: float32 [B, ...], at least two examples; four of five numbers by default.
        seed: of keys and inputs.
        xla: whether XLA is tried, which takes seconds.
        export: whether a network with it is written in each portable format that is installed,
            which takes many seconds.

    Raises:
        AssertionError: naming what the layer does not keep.
        ValueError: if it is not a layer.

    Example:
        >>> tv.testing.check_layer(tv.layers.DenseFlipout(2), xla=False)
    """
    name = type(check_type("layer", layer, keras.Layer, "check_layer")).__name__
    claim(name, getattr(layer, "draws_noise", False), "it says that it draws noise",
          "draws_noise = True", getattr(layer, "draws_noise", None))  # fmt: skip
    trusted = claims.trusted_package(layer)
    claims.same_config(name, layer)
    rng = np.random.default_rng([seed, 71])
    x = claims.array("inputs", rng.standard_normal((4, 5)) if inputs is None else inputs, 2)
    passes = _Passes(layer, x, seed)
    outputs = passes(0, ESTIMATOR)  # builds
    claim(name, tf.is_tensor(outputs), "outputs are one tensor", "[B, ...]",
          type(outputs).__name__)  # fmt: skip
    shape = tuple(layer.compute_output_shape(tuple(x.shape)))
    claim(name, tuple(outputs.shape) == shape, "compute_output_shape is that of the outputs",
          list(outputs.shape), list(shape))  # fmt: skip
    _check_noise(name, passes)
    is_bayesian = hasattr(layer, "kl_divergence")
    if is_bayesian:
        _check_kl(name, layer, seed)
    for mode in (ESTIMATOR, SHARED):
        claims.check_slopes(
            name, f"outputs of a pass ({mode})", lambda m=mode: passes(0, m),
            layer.trainable_variables, seed,
        )  # fmt: skip

    def both(x, key):
        found = [_Passes(layer, x, key)(1, mode) for mode in (ESTIMATOR, SHARED)]
        return (*found, layer.kl_divergence()) if is_bayesian else found

    key = tf.constant([seed, 5], tf.int32)
    claims.check_modes(name, "outputs under a key", both, x, key, xla=xla)
    _check_in_a_model(name, layer, x, trusted, export)


class _Passes:
    """Passes of a layer under numbered keys."""

    def __init__(self, layer: keras.Layer, x: tf.Tensor, seed: Any) -> None:
        self.layer, self.x, self.seed = layer, x, seed

    def __call__(self, number: Any, mode: str, x: Any = None) -> tf.Tensor:
        key = self.seed if isinstance(self.seed, tf.Tensor) else tf.stack([self.seed, number])
        with use(Noise(key, mode)):
            return self.layer(self.x if x is None else x)


def _check_noise(name, passes):
    x = passes.x
    for mode in (ESTIMATOR, SHARED):
        first = passes(0, mode)
        close(name, f"the same key gives the same outputs ({mode})", passes(0, mode), first, 0, 0)
        claim(name, np.any(passes(1, mode) != first), f"another key gives others ({mode})",
              "other outputs", "the same")  # fmt: skip
    at_mean = passes(0, MEAN)
    close(name, "a pass at the mean has no noise", passes(1, MEAN), at_mean, 0, 0)
    # One function of its input: what stands beside an example changes nothing.
    close(name, "a shared pass is one function", passes(0, SHARED, x[1:])[0],
          passes(0, SHARED)[1], 1e-4, 1e-5)  # fmt: skip
    if getattr(passes.layer, "activation", keras.activations.linear) != keras.activations.linear:
        return

    def both(number):
        return passes(number, ESTIMATOR), passes(number, SHARED)

    traced = tf.function(both, autograph=False).get_concrete_function(tf.constant(0))
    every = zip(*[traced(tf.constant(i)) for i in range(PASSES)], strict=True)
    for mode, drawn in zip((ESTIMATOR, SHARED), every, strict=True):
        drawn = np.stack(drawn).astype(np.float64)
        error = drawn.std(axis=0) / np.sqrt(PASSES) + 1e-4 * (1 + np.abs(at_mean))
        offset = np.abs(drawn.mean(axis=0) - at_mean) / error
        within = f"within {claims.DEVIATIONS:g} standard errors of that at the mean"
        claim(name, offset < claims.DEVIATIONS, f"the mean over passes ({mode})", within,
              f"{offset.max():.3g}")  # fmt: skip


def _check_kl(name, layer, seed):
    posterior, prior = layer.posterior, layer.prior
    claim(name, posterior.event_shape == prior.event_shape, "q(w) and p(w) are of the same weights",
          list(posterior.event_shape), list(prior.event_shape))  # fmt: skip
    count = 4000
    w = posterior.sample(count, seed=[seed, 73])
    ratio = np.asarray(posterior.log_prob(w) - prior.log_prob(w), np.float64)
    # A KL that is itself sampled is the mean over passes with noise of their own.
    found = []
    for number in range(5):
        with use(Noise(tf.constant([seed, number]), ESTIMATOR)):
            value = layer.kl_divergence()
        received = value.shape if tf.is_tensor(value) else type(value).__name__
        claim(name, received == (), "kl_divergence is a scalar", [], received)
        found.append(float(value))
    kl, spread = np.mean(found), np.std(found) / 2
    error = ratio.std() / np.sqrt(count) + spread + 1e-4 * abs(kl)
    holds = abs(ratio.mean() - kl) < claims.DEVIATIONS * error
    claim(name, holds, "kl_divergence is the mean of log q - log p", f"{ratio.mean():.6g}",
          f"{kl:.6g}")  # fmt: skip
    with use(Noise(tf.constant([seed, 0]), ESTIMATOR)):
        with tf.GradientTape() as tape:
            value = layer.kl_divergence()
        gradients = tape.gradient(value, layer.trainable_variables)
        pairs = zip(layer.trainable_variables, gradients, strict=True)
        known = [variable for variable, gradient in pairs if gradient is not None]
        claim(name, bool(known), "the KL has a gradient", "one by some variable", "None for all")
        claims.check_slopes(name, "the KL", layer.kl_divergence, known, seed)


def _check_in_a_model(name, layer, x, trusted, export):
    """A model owns its noise: without a draw it raises, under one it repeats; saved, exported."""
    copy = type(layer).from_config(layer.get_config())
    tail = [keras.layers.Flatten(), keras.layers.Dense(1)]
    model = BayesianNetwork(keras.Sequential([copy, *tail]), NormalInUnits())
    model.build(tuple(x.shape))
    copy.set_weights(layer.get_weights())
    try:
        model.network(x)
        claim(name, False, "without a draw a layer of a model raises", "ValueError", "outputs")
    except ValueError as error:
        claim(name, "No draw is open" in str(error), "without a draw a layer of a model raises",
              "No draw is open", error)  # fmt: skip

    def answer(model):
        with model.at(3):
            return model.network(x)

    close(name, "a draw of a model repeats", answer(model), answer(model), 0, 0)
    claims.check_saved(name, model, trusted, answer)
    split = Split(np.resize(x, (8, *x.shape[1:])), Kind.REAL, name="test")
    claims.check_signatures(name, model, split, export)
