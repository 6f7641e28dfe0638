"""Simulation-based calibration (Talts et al., 2018): ranks of true weights are uniform.

Weights from the prior, data from the likelihood, draws from the posterior: the rank of the true
weight among the draws is uniform if, and for conjugate regression only if, the posterior is right.
"""

import keras
import numpy as np
import pytest
from scipy import stats

import tfp_vae as tv
from tfp_vae.data import Kind, Split
from tfp_vae.models.variational import fold_in

PRIOR_SCALE, NOISE, COUNT = 1.5, 0.8, 8
REPLICATIONS, DRAWS, BINS = 1000, 99, 20  # 100 possible ranks, 5 per bin, 50 expected in each


class Problem:
    """p(w) = N(0, s^2 I), p(y|x, w) = N(x w, n^2) on a fixed design with correlated columns."""

    def __init__(self, seed):
        self.rng = np.random.default_rng([seed, 31])
        shared = self.rng.normal(size=(COUNT, 1))
        self.x = (shared + 0.5 * self.rng.normal(size=(COUNT, 2))).astype(np.float32)
        x = np.float64(self.x)
        self.precision = np.eye(2) / PRIOR_SCALE**2 + x.T @ x / NOISE**2
        self.covariance = np.linalg.inv(self.precision)

    def simulate(self):
        """Returns a weight from the prior and the posterior mean of data simulated with it."""
        weights = self.rng.normal(0, PRIOR_SCALE, 2)
        y = self.x @ weights + self.rng.normal(0, NOISE, COUNT)
        return weights, self.covariance @ (self.x.T @ y) / NOISE**2


def closed_form(problem, factor):
    """Returns draws of a normal around the exact mean with a factor of its covariance."""

    def draw(mean, number):
        del number
        return mean + problem.rng.normal(size=(DRAWS, 2)) @ factor.T

    return draw


def laplace(problem):
    """Returns draws of a Laplace approximation, which is exact here, around the exact mode."""
    model = tv.BayesianNetwork(
        keras.Sequential([keras.layers.Dense(1, use_bias=False)]),
        tv.likelihoods.Normal(NOISE),
        weight_prior=PRIOR_SCALE,
        num_data=COUNT,
    )
    model.build((None, 2))
    # The curvature depends on the design alone, so that any targets will do.
    posterior = tv.Laplace(model, "full", "last").fit(
        Split(problem.x, Kind.REAL, targets=np.zeros(COUNT))
    )

    def draw(mean, number):
        model.network.layers[0].kernel.assign(mean[:, np.newaxis])
        posterior.loc = posterior.point()
        return posterior.draw(DRAWS, fold_in(number)).numpy()

    return draw


def p_values(problem, draw) -> "list[float]":
    """Returns the p-values of uniform ranks: of both weights and of their sum."""
    ranks = []
    for number in range(REPLICATIONS):
        weights, mean = problem.simulate()
        draws = draw(mean, number)
        truth = np.append(weights, weights.sum())
        drawn = np.column_stack([draws, draws.sum(axis=1)])
        ranks.append((drawn < truth).sum(axis=0))
    cells = np.array(ranks) * BINS // (DRAWS + 1)
    return [stats.chisquare(np.bincount(c, minlength=BINS)).pvalue for c in cells.T]


@pytest.mark.parametrize("kind", ["closed_form", "laplace"])
def test_ranks_of_the_truth_among_exact_draws_are_uniform(kind, base_seed):
    problem = Problem(base_seed)
    exact = closed_form(problem, np.linalg.cholesky(problem.covariance))
    draw = exact if kind == "closed_form" else laplace(problem)
    assert min(p_values(problem, draw)) > 0.01 / 3  # three tests


def test_ranks_among_draws_of_half_the_scale_are_not_uniform(base_seed):
    problem = Problem(base_seed)
    half = closed_form(problem, 0.5 * np.linalg.cholesky(problem.covariance))
    assert max(p_values(problem, half)) < 1e-4


def test_ranks_find_that_mean_field_is_sure_of_each_weight_and_unsure_of_their_sum(base_seed):
    problem = Problem(base_seed)
    mean_field = np.diag(1 / np.sqrt(np.diag(problem.precision)))
    # The posterior correlation is negative: the sum has less variance than independence gives it.
    assert problem.covariance[0, 1] < 0
    assert max(p_values(problem, closed_form(problem, mean_field))) < 1e-4
