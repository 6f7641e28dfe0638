"""A linear network of counts: its optimum is that of maximum likelihood elsewhere."""

import keras
import numpy as np
import tensorflow as tf
from scipy import optimize, stats

import tfp_vae as tv
from tfp_vae.data import Kind, Split

# Nats of all rows by statsmodels 0.15: -NegativeBinomial(y, add_constant(x)).fit().llf.
_STATSMODELS = 509.652283540


def test_a_linear_network_of_counts_ends_at_the_likelihood_that_scipy_and_statsmodels_find():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(300, 2)).astype(np.float32)
    y = rng.negative_binomial(2.0, 2.0 / (2.0 + np.exp(0.5 + x @ [0.6, -0.4]))).astype(np.float32)

    def loss(weights):
        mean, r = np.exp(weights[0] + x @ weights[1:3]), np.exp(weights[3])
        return -stats.nbinom.logpmf(y, r, r / (r + mean)).sum()

    best = optimize.minimize(loss, np.zeros(4), method="BFGS")
    assert abs(best.fun - _STATSMODELS) < 1e-4
    head = tv.likelihoods.NegativeBinomial()
    model = tv.BayesianNetwork(keras.Sequential([keras.layers.Dense(1)]), head)
    split = Split(x, Kind.REAL, beside={"targets": y})
    model.build((None, 2))
    model.adapt(split)
    optimizer = keras.optimizers.Adam(0.1)

    @tf.function(autograph=False)
    def train():
        def step(i):
            with tf.GradientTape() as tape:
                features = model.network(x)
                value = -tf.reduce_mean(head.distribution(head(features)).log_prob(y))
            variables = [v.value for v in model.trainable_variables]
            optimizer.apply(tape.gradient(value, variables), model.trainable_variables)
            return (i + 1,)

        tf.while_loop(lambda i: i < 400, step, (tf.constant(0),))

    optimizer.build(model.trainable_variables)
    train()
    found = float(tf.reduce_sum(model(x).log_prob(y)))
    assert abs(found + best.fun) < 0.02  # nats of 300 rows together
    np.testing.assert_allclose(model.network.layers[-1].kernel[:, 0], best.x[1:3], atol=5e-3)
