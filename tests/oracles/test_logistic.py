"""Logistic regression with two weights, whose posterior is an integral over a plane."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from scipy import optimize, special

import tfp_vae as tv
from tfp_vae.data import Kind, Split
from tfp_vae.models.posteriors.chains import effective_sample_size

PRIOR_SCALE, COUNT, POINTS = 3.0, 20, 601
SIGNS = ((1, 1), (1, -1), (-1, 1), (-1, -1))


@keras.saving.register_keras_serializable(package="test_logistic")
class TwoLogits(keras.layers.Layer):
    """x -> (0, logit) by a layer of one unit: the softmax of both is the logistic function."""

    def __init__(self, layer):
        super().__init__()
        self.layer = layer

    def call(self, inputs):
        logit = self.layer(inputs)
        return keras.ops.concatenate([keras.ops.zeros_like(logit), logit], axis=-1)

    def compute_output_shape(self, input_shape):
        return (*input_shape[:-1], 2)


class Oracle:
    """p(k, b) = N(0, s^2 I), p(y=1|x, k, b) = 1 / (1 + exp(-k x - b)), all in float64."""

    def __init__(self):
        rng = np.random.default_rng(3)
        self.x = rng.normal(1.0, 1.0, (COUNT, 1)).astype(np.float32)
        self.labels = (rng.random(COUNT) < special.expit(2 * self.x[:, 0] - 1)).astype(int)
        self.design = np.column_stack([np.float64(self.x), np.ones(COUNT)])
        found = optimize.minimize(
            lambda w: -self.log_joint(w), np.zeros(2), method="Nelder-Mead", options={"xatol": 1e-9}
        )
        self.mode = optimize.minimize(
            lambda w: -self.log_joint(w), found.x, jac=self.slope, tol=1e-12
        ).x
        self.curvature = self.finite_difference_hessian(self.mode)
        deviations = np.sqrt(np.diag(np.linalg.inv(self.curvature)))
        self.axes = [
            np.linspace(m - 12 * s, m + 16 * s, POINTS)
            for m, s in zip(self.mode, deviations, strict=True)
        ]
        self.grid = np.stack(np.meshgrid(*self.axes, indexing="ij"), -1)  # [n, n, 2]
        log_joint = self.log_joint(self.grid)
        self.weights = np.exp(log_joint - log_joint.max())
        self.weights /= self.weights.sum()
        self.mean = self.expectation(self.grid)
        self.variance = self.expectation((self.grid - self.mean) ** 2)
        self.third = self.expectation((self.grid - self.mean) ** 3)

    def log_joint(self, w):
        """Returns log p(y, k, b) of weights [..., 2], without constants."""
        signs = 2 * self.labels - 1
        terms = special.log_expit(signs * (w @ self.design.T))
        return terms.sum(-1) - 0.5 * np.sum(np.square(w), -1) / PRIOR_SCALE**2

    def slope(self, w):
        """Returns the gradient of -log p(y, k, b), [2]."""
        return (special.expit(self.design @ w) - self.labels) @ self.design + w / PRIOR_SCALE**2

    def finite_difference_hessian(self, w, step=1e-3):
        """Returns the Hessian of -log p(y, k, b) by central differences of its values."""
        found = np.empty((2, 2))
        for (i, j), _ in np.ndenumerate(found):
            one, other = step * np.eye(2)[[i, j]]
            corners = [a * b * self.log_joint(w + a * one + b * other) for a, b in SIGNS]
            found[i, j] = -sum(corners) / (4 * step**2)
        return found

    def expectation(self, values):
        """Returns the posterior mean of values [n, n, ...] on the grid."""
        return np.einsum("ij,ij...->...", self.weights, values)

    @property
    def split(self):
        return Split(self.x, Kind.REAL, self.labels)

    def model(self, layer, **options):
        """Returns the network with one layer of weights, untrained."""
        model = tv.BayesianNetwork(
            keras.Sequential([TwoLogits(layer)]),
            tv.likelihoods.Categorical(2),
            num_data=COUNT,
            **options,
        )
        model.build((None, 1))
        return model

    def at_the_mode(self):
        """Returns the network of points, with the most probable weights."""
        model = self.model(keras.layers.Dense(1), weight_prior=PRIOR_SCALE)
        model.network.layers[0].layer.set_weights([self.mode[:1, np.newaxis], self.mode[1:]])
        return model


@pytest.fixture(scope="module")
def oracle():
    return Oracle()


def test_the_grid_holds_all_of_the_posterior_and_resolves_it(oracle):
    edges = [oracle.weights[[0, -1]].sum(), oracle.weights[:, [0, -1]].sum()]
    assert max(edges) < 1e-6
    coarse = oracle.weights[::2, ::2] / oracle.weights[::2, ::2].sum()
    mean = np.einsum("ij,ijk->k", coarse, oracle.grid[::2, ::2])
    np.testing.assert_allclose(mean, oracle.mean, rtol=1e-4)
    assert np.linalg.norm(oracle.slope(oracle.mode)) < 1e-4
    assert 0 < oracle.labels.sum() < COUNT


def test_log_joint_is_that_of_the_oracle_up_to_a_constant(oracle, base_seed):
    posterior = tv.Laplace(oracle.at_the_mode(), "full", "last")
    points = oracle.mode + np.random.default_rng(base_seed).normal(size=(6, 2))
    x, y = tf.constant(oracle.x), tf.constant(oracle.labels, tf.int32)
    found = [float(posterior.log_joint(tf.constant(p, tf.float32), x, y)) for p in points]
    constant = 2 * np.log(PRIOR_SCALE * np.sqrt(2 * np.pi))
    np.testing.assert_allclose(found, oracle.log_joint(points) - constant, rtol=1e-5, atol=1e-4)


def test_laplace_is_the_normal_of_mode_and_curvature(oracle):
    posterior = tv.Laplace(oracle.at_the_mode(), "full", "last").fit(oracle.split)
    np.testing.assert_allclose(posterior.loc, oracle.mode, rtol=1e-6)
    root = posterior.curvature.deviations(tf.eye(2)).numpy()
    covariance = root.T @ root
    np.testing.assert_allclose(covariance, np.linalg.inv(oracle.curvature), rtol=1e-3)
    diagonal = tv.Laplace(oracle.at_the_mode(), "diagonal").fit(oracle.split)
    scale = np.diag(diagonal.curvature.deviations(tf.eye(2)))
    np.testing.assert_allclose(scale**-2.0, np.diag(oracle.curvature), rtol=1e-3)


def test_laplace_is_on_the_short_side_of_a_skewed_posterior(oracle, base_seed):
    # The likelihood falls off slowly where the data become separable: beyond the mode, not before.
    short = -np.sign(oracle.third)
    assert np.all(np.abs(oracle.third) > 0.2 * oracle.variance**1.5)
    assert np.all(short * (oracle.mode - oracle.mean) > 0)
    posterior = tv.Laplace(oracle.at_the_mode(), "full", "last").fit(oracle.split)
    draws = posterior.draw(20_000, tf.constant([base_seed, 1])).numpy()
    error = draws.std(axis=0) / np.sqrt(len(draws))
    assert np.all(np.abs(draws.mean(axis=0) - oracle.mode) < 4 * error)
    assert np.all(short * (draws.mean(axis=0) - oracle.mean) > 4 * error)
    assert np.all(draws.var(axis=0) < oracle.variance)


@pytest.mark.all_only
def test_mean_field_is_the_fixed_point_of_theory_and_underestimates_the_variances(
    oracle, base_seed
):
    layer = tv.layers.DenseLocalReparameterization(1, bayesian_bias=True, prior=PRIOR_SCALE)
    model = oracle.model(layer, seed=base_seed)
    steps = 1500
    rate = keras.optimizers.schedules.CosineDecay(0.05, steps)
    model.compile(optimizer=keras.optimizers.Adam(rate), steps_per_execution=500, jit_compile=False)
    # Many copies of every example, each with noise of its own, for gradients with little of it.
    copies = (oracle.x.repeat(64, axis=0), oracle.labels.repeat(64))
    whole = tf.data.Dataset.from_tensors(copies).repeat(steps)
    model.fit(whole, verbose=0)
    loc, scale = (getattr(layer.posterior, m)().numpy().ravel() for m in ("mean", "stddev"))
    # Opper & Archambeau, 2009: E_q[gradient] = 0 and 1 / scale^2 = E_q[Hessian's diagonal].
    nodes, weights = np.polynomial.hermite_e.hermegauss(30)
    weights = np.outer(weights, weights).ravel() / (2 * np.pi)
    points = loc + scale * np.stack(np.meshgrid(nodes, nodes, indexing="ij"), -1).reshape(-1, 2)
    p = special.expit(points @ oracle.design.T)
    slope = weights @ ((p - oracle.labels) @ oracle.design + points / PRIOR_SCALE**2)
    hessian = weights @ ((p * (1 - p)) @ oracle.design**2) + PRIOR_SCALE**-2
    assert np.all(np.abs(slope * scale) < 0.1)  # nats that one standard deviation would gain
    np.testing.assert_allclose(scale**2, 1 / hessian, rtol=0.1)
    # The posterior of two correlated weights is wider along each axis than given the other.
    assert np.all(scale**2 < 0.8 * oracle.variance)


@pytest.mark.slow
@pytest.mark.all_only  # as of a linear network in tests/models/test_weight_posteriors.py
def test_nuts_has_the_moments_of_the_posterior_within_its_errors(oracle, base_seed):
    posterior = tv.NUTS(oracle.at_the_mode(), num_samples=400, num_burnin=300)
    posterior.fit(oracle.split, seed=base_seed)
    draws = np.swapaxes(posterior.chains.samples, 0, 1).astype(np.float64)  # [S, C, 2]
    x = np.linspace(-2, 4, 7, dtype=np.float32)[:, np.newaxis]
    for values, exact in (
        (draws, oracle.mean),
        ((draws - oracle.mean) ** 2, oracle.variance),
        (
            special.expit(draws @ np.column_stack([x, np.ones(7)]).T),
            oracle.expectation(
                special.expit(oracle.grid @ np.column_stack([np.float64(x), np.ones(7)]).T)
            ),
        ),
    ):
        size = effective_sample_size(values)
        assert np.all(size > 100)
        error = values.std(axis=(0, 1)) / np.sqrt(size)
        assert np.all(np.abs(values.mean(axis=(0, 1)) - exact) < 4 * error)
    assert posterior.chains.rhat.max() < 1.05
    predicted = posterior.predictive(x, num_samples=10_000).probs[:, 1]  # all there are: 1,600
    np.testing.assert_allclose(predicted, values.mean(axis=(0, 1)), rtol=1e-4, atol=1e-6)
