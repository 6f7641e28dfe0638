"""Variational inference ends at an optimum: rates that differ ten times have the same bound."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from tfp_vae.data import Kind, Split
from tfp_vae.methods import Recipe, make_member
from tfp_vae.randomness import fold_in

COUNT, STEPS, DRAWS = 20, 50_000, 4


@pytest.mark.all_only
@pytest.mark.dear(reason="fifty thousand steps by four rates, in one program of XLA")
def test_rates_that_differ_ten_times_have_the_same_bound_and_a_faster_one_no_lower_one():
    """The fastest leaves the optimum of the others, -1.887, for a better one, -1.620.

    With a learned scale of the prior the end is farther: see the decisions about studies.
    """
    rng = np.random.default_rng(0)
    x = np.linspace(-2, 2, COUNT, dtype=np.float32)[:, np.newaxis]
    y = np.float32(np.sin(2 * x[:, 0]) + 0.2 * rng.normal(size=COUNT))
    split = Split(x, Kind.REAL, targets=y, name="train")
    keras.utils.set_random_seed(0)
    recipe = Recipe("vi", hidden=(3,), activation="tanh", scale=0.3, learned_prior=False)
    model = make_member(recipe, (1,), None)
    model.adapt(split)
    optimizer = keras.optimizers.Adam(1e-3)
    optimizer.build(model.trainable_variables)
    inputs, targets = tf.constant(x), tf.constant(y)

    def bound(key):
        terms = [
            model.distribution(model.at(fold_in(key, i)).parameters(inputs)).log_prob(targets)
            for i in range(DRAWS)
        ]
        return tf.reduce_mean(tf.stack(terms)) - model.kl_divergence() / COUNT

    @tf.function(jit_compile=True, autograph=False)
    def train(rate):
        def step(i):
            with tf.GradientTape() as tape:
                loss = -bound(fold_in(7, i))
            optimizer._learning_rate.assign(
                rate * 0.5 * (1 + tf.cos(np.pi * tf.cast(i, tf.float32) / STEPS))
            )
            variables = model.trainable_variables
            optimizer.apply(tape.gradient(loss, variables), variables)
            return i + 1

        return tf.while_loop(lambda i: i < STEPS, step, [tf.constant(0)])

    variables = (*model.variables, *optimizer.variables)
    start, found = [variable.numpy() for variable in variables], {}
    for rate in (1e-3, 3e-3, 1e-2, 3e-2):
        for variable, value in zip(variables, start, strict=True):
            variable.assign(value)
        train(tf.constant(rate))
        draws = model.predictive(split, 4000, seed=1).components_distribution
        terms = np.mean(draws.log_prob(y[:, np.newaxis]))  # the same draws for all
        found[rate] = float(terms - model.kl_divergence() / COUNT)
    fastest = found.pop(3e-2)
    assert np.ptp([*found.values()]) < 0.01, found
    assert fastest > max(found.values()) - 0.01, fastest
