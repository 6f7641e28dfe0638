"""Bayesian linear regression: a network of one layer, whose posterior and evidence are known."""

import keras
import numpy as np
import pytest
import tensorflow as tf
import tensorflow_probability as tfp
from scipy import optimize
from sklearn import datasets, linear_model

import tfp_vae as tv
from tfp_vae import objectives
from tfp_vae.layers.base import SCALE_SPEED, raw_scale_of


class Oracle:
    """p(w) = N(0, I / alpha), p(y|x, w) = N(x w, 1 / beta): posterior N(m, A^-1) and log p(y)."""

    def __init__(self):
        x, y = datasets.load_diabetes(return_X_y=True)
        x = (x - x.mean(0)) / x.std(0)
        # What the network is given, in its precision.
        self.x, self.y = x.astype(np.float32), ((y - y.mean()) / y.std()).astype(np.float32)
        x, y = self.x.astype(np.float64), self.y.astype(np.float64)
        ridge = linear_model.BayesianRidge(fit_intercept=False, compute_score=True).fit(x, y)
        self.ridge, self.alpha, self.beta = ridge, ridge.lambda_, ridge.alpha_
        count, size = x.shape
        self.precision = self.alpha * np.eye(size) + self.beta * x.T @ x
        self.mean = self.beta * np.linalg.solve(self.precision, x.T @ y)
        self.covariance = np.linalg.inv(self.precision)
        self.log_det = np.linalg.slogdet(self.precision)[1]
        self.log_evidence = 0.5 * (
            size * np.log(self.alpha)
            + count * np.log(self.beta / (2 * np.pi))
            - self.beta * np.sum((y - x @ self.mean) ** 2)
            - self.alpha * np.sum(self.mean**2)
            - self.log_det
        )
        # Of all normals with independent weights the best has the means m and variances 1 / A_ii.
        spread = np.diag(self.precision)
        self.mean_field_scale = 1 / np.sqrt(spread)
        self.mean_field_bound = self.log_evidence - (np.log(spread).sum() - self.log_det) / 2

    def network(self, estimator="Reparameterization", covariance="diagonal", **options):
        """Returns the model, untrained, and its layer."""
        layer = getattr(tv.layers, "Dense" + estimator)(
            1, use_bias=False, prior=float(self.alpha**-0.5), covariance=covariance
        )
        bnn = tv.BayesianNetwork(
            keras.Sequential([layer]),
            tv.likelihoods.Normal(scale=float(self.beta**-0.5)),
            num_data=len(self.x),
            **options,
        )
        bnn.build((None, self.x.shape[1]))
        return bnn, layer

    def bound(self, bnn, layer) -> tf.Tensor:
        """Returns N times the ELBO, its expected log-likelihood in closed form."""
        posterior = layer.posterior
        loc = tf.reshape(posterior.mean(), [-1, 1])
        if layer.covariance == "diagonal":
            uncertain = tf.reduce_sum(self.x**2 @ posterior.variance())
        else:
            uncertain = tf.reduce_sum((self.x @ posterior.covariance()) * self.x)
        squares = tf.reduce_sum((self.y[:, np.newaxis] - self.x @ loc) ** 2) + uncertain
        constant = 0.5 * len(self.x) * np.log(self.beta / (2 * np.pi))
        return constant - 0.5 * self.beta * squares - bnn.kl_divergence()

    def set_optimum(self, layer) -> None:
        """Gives the layer the best posterior of its family."""
        layer.loc.assign(self.mean[:, np.newaxis])
        if layer.covariance == "full":
            factor = np.linalg.cholesky(self.covariance)
            raw = factor.copy()
            raw[np.diag_indices(len(raw))] = [raw_scale_of(s) for s in np.diag(factor)]
            layer.raw_scale.assign(tfp.math.fill_triangular_inverse(raw))
        else:
            raw = [raw_scale_of(s) for s in self.mean_field_scale]
            layer.raw_scale.assign(np.array(raw)[:, np.newaxis])


@pytest.fixture(scope="module")
def oracle():
    return Oracle()


def test_posterior_and_evidence_are_those_of_bayesian_ridge(oracle):
    np.testing.assert_allclose(oracle.ridge.coef_, oracle.mean, rtol=1e-5, atol=1e-7)
    np.testing.assert_allclose(oracle.ridge.sigma_, oracle.covariance, rtol=1e-5, atol=1e-9)
    # scikit-learn adds log-densities of its hyperpriors, which are nearly flat.
    assert oracle.ridge.scores_[-1] == pytest.approx(oracle.log_evidence, abs=1e-4)


@pytest.mark.parametrize("covariance", ["diagonal", "full"])
def test_bound_at_the_analytic_optimum_is_that_of_the_closed_form(oracle, covariance):
    bnn, layer = oracle.network(covariance=covariance)
    start = float(oracle.bound(bnn, layer))
    oracle.set_optimum(layer)
    with tf.GradientTape() as tape:
        bound = oracle.bound(bnn, layer)
    expected = oracle.log_evidence if covariance == "full" else oracle.mean_field_bound
    assert float(bound) == pytest.approx(expected, abs=1e-3)
    assert start < expected - 10
    # A step of one standard deviation along the gradient would gain less than 1e-3 nats.
    by_loc, by_raw = tape.gradient(bound, [layer.loc, layer.raw_scale])
    by_raw /= SCALE_SPEED
    assert np.linalg.norm(by_loc.numpy().ravel() * oracle.mean_field_scale) < 1e-3
    assert np.linalg.norm(by_raw) < 1e-2
    if covariance == "full":
        scale = layer.posterior.scale_tril.numpy()
        np.testing.assert_allclose(scale @ scale.T, oracle.covariance, rtol=1e-4, atol=1e-8)


@pytest.mark.parametrize("covariance", ["diagonal", "full"])
def test_exact_gradients_lead_from_any_start_to_the_closed_form(oracle, covariance, base_seed):
    bnn, layer = oracle.network(covariance=covariance)
    parameters = [layer.loc, layer.raw_scale]
    sizes = [int(np.prod(p.shape)) for p in parameters]
    speed = np.ones(sum(sizes))  # what a line search steps along: scales as softplus of one number
    fast = np.full(layer.raw_scale.shape, SCALE_SPEED)
    if covariance == "full":
        fast = tfp.math.fill_triangular_inverse(1 + (SCALE_SPEED - 1) * np.eye(sizes[0]))
    speed[sizes[0] :] = np.ravel(fast)

    @tf.function(autograph=False)
    def value_and_gradients():
        with tf.GradientTape() as tape:
            loss = -oracle.bound(bnn, layer)
        return loss, tape.gradient(loss, parameters)

    def function(flat):
        for parameter, values in zip(parameters, np.split(flat / speed, sizes[:1]), strict=True):
            parameter.assign(values.reshape(parameter.shape))
        loss, gradients = value_and_gradients()
        return float(loss), np.concatenate([np.float64(g).ravel() for g in gradients]) / speed

    rng = np.random.default_rng(base_seed)
    start = np.concatenate([rng.normal(size=sizes[0]), rng.normal(-3, 0.3, sizes[1])])
    found = optimize.minimize(
        function, start, jac=True, method="L-BFGS-B", options={"maxiter": 3000, "ftol": 0.0}
    )
    expected = oracle.log_evidence if covariance == "full" else oracle.mean_field_bound
    # Line searches give up where float32, which holds 486 to 3e-5, hides what a step would gain.
    assert -found.fun == pytest.approx(expected, abs=4e-3)
    away = layer.loc.numpy().ravel() - oracle.mean
    assert away @ oracle.precision @ away / 2 < 4e-3  # nats that the mean alone costs


@pytest.mark.parametrize(
    ("estimator", "covariance"),
    [
        ("Reparameterization", "diagonal"),
        ("Reparameterization", "full"),
        ("LocalReparameterization", "diagonal"),
        ("Flipout", "diagonal"),
    ],
)
def test_bound_of_the_model_is_the_closed_form_within_its_error(
    oracle, estimator, covariance, base_seed
):
    bnn, layer = oracle.network(estimator, covariance)
    oracle.set_optimum(layer)

    @tf.function(autograph=False)
    def bounds(seeds):
        def one(seed):
            terms = bnn.terms(oracle.x, oracle.y, bnn(oracle.x, seed=seed))
            return tf.reduce_sum(objectives.elbo(terms))

        return tf.map_fn(one, seeds, fn_output_signature=tf.float32)

    draws = np.float64(bounds(tf.range(2000) + 2000 * base_seed).numpy())
    error = draws.std() / np.sqrt(len(draws))
    assert abs(draws.mean() - float(oracle.bound(bnn, layer))) < 4 * error + 1e-3
    assert error < 0.2


@pytest.mark.all_only
@pytest.mark.filterwarnings("ignore:Units are not known:UserWarning")
def test_training_from_a_random_start_ends_at_the_closed_form(oracle, base_seed):
    steps = 1000
    bnn, layer = oracle.network("LocalReparameterization", num_samples=8, seed=base_seed)
    rate = keras.optimizers.schedules.CosineDecay(0.05, steps)
    bnn.compile(optimizer=keras.optimizers.Adam(rate), steps_per_execution=500)
    whole = tf.data.Dataset.from_tensors((oracle.x, oracle.y)).repeat(steps)
    bnn.fit(whole, epochs=1, verbose=0)
    gap = oracle.mean_field_bound - float(oracle.bound(bnn, layer))
    assert -1e-3 < gap < 0.02
    scale = layer.posterior.stddev().numpy().ravel()
    np.testing.assert_allclose(scale, oracle.mean_field_scale, rtol=0.03)
    away = (layer.loc.numpy().ravel() - oracle.mean) / np.sqrt(np.diag(oracle.covariance))
    assert np.max(np.abs(away)) < 0.2


def test_a_scale_in_closed_form_is_where_the_evidence_is_highest(oracle):
    x, y, size = np.float64(oracle.x), np.float64(oracle.y), oracle.x.shape[1]
    prior, squares = tv.layers.priors.Normal(0.1, learned=True), np.ones((size, 1), np.float32)

    def posterior(variance):
        precision = np.eye(size) / variance + oracle.beta * x.T @ x
        return precision, oracle.beta * np.linalg.solve(precision, x.T @ y)

    for _ in range(40):  # in turns: the exact posterior, and the best scale under it
        variance = float(prior.scales((size, 1), size, squares)[0, 0]) ** 2
        precision, mean = posterior(variance)
        squares = np.float32(mean**2 + np.diag(np.linalg.inv(precision)))[:, np.newaxis]

    def evidence(variance):  # with the inverse-gamma prior of the variance
        precision, mean = posterior(variance)
        known = oracle.beta * y @ x @ mean - np.linalg.slogdet(precision)[1]
        own = -(size / 2 + 2) * np.log(variance) - 10 * 0.1**2 / variance
        return known / 2 + own

    best = optimize.minimize_scalar(
        lambda log: -evidence(np.exp(log)), bounds=(-12, 4), method="bounded"
    )
    assert variance**0.5 == pytest.approx(np.exp(best.x / 2), rel=1e-3)
    assert abs(variance**0.5 / 0.1 - 1) > 0.05  # not where it started


def test_point_weights_under_a_prior_have_their_optimum_at_the_posterior_mean(oracle):
    bnn = tv.BayesianNetwork(
        keras.Sequential([keras.layers.Dense(1, use_bias=False)]),
        tv.likelihoods.Normal(scale=float(oracle.beta**-0.5)),
        weight_prior=float(oracle.alpha**-0.5),
        num_data=len(oracle.x),
    )
    bnn.compile()
    bnn.build((None, oracle.x.shape[1]))
    kernel = bnn.network.layers[0].kernel
    x, y = tf.constant(oracle.x), tf.constant(oracle.y)
    norms = []
    for shift in (0.0, 0.1):
        kernel.assign(oracle.mean[:, np.newaxis] + shift)
        with tf.GradientTape() as tape:
            loss = bnn.compute_loss(x=x, y=y, y_pred=bnn(x))
        norms.append(np.linalg.norm(tape.gradient(loss, kernel)))
    assert norms[0] < 1e-5 * norms[1] + 1e-6


@pytest.mark.all_only
def test_predictive_distribution_has_the_variance_of_the_closed_form(oracle, base_seed):
    bnn, layer = oracle.network(covariance="full", seed=base_seed)
    oracle.set_optimum(layer)
    count, x = 2000, oracle.x[:40]
    predictive = bnn.predictive(x, count)
    epistemic = np.einsum("nd,de,ne->n", x, oracle.covariance, x)
    error = np.sqrt(epistemic / count)
    assert np.all(np.abs(predictive.mean() - x @ oracle.mean) < 5 * error)
    assert np.all(np.abs(predictive.epistemic / epistemic - 1) < 5 * np.sqrt(2 / count))
    np.testing.assert_allclose(predictive.aleatoric, 1 / oracle.beta, rtol=1e-5)
    density = tfp.distributions.Normal(
        x @ oracle.mean.astype(np.float32), np.float32(np.sqrt(epistemic + 1 / oracle.beta))
    )
    # The log of a mean of S numbers, whose spread is small: that of the noise is much larger.
    found = predictive.log_prob(oracle.y[:40])
    np.testing.assert_allclose(found, density.log_prob(oracle.y[:40]), atol=0.05)
