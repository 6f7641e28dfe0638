"""A posterior of its own for each example, against closed forms of a linear Gaussian model."""

import numpy as np
import pytest

from tfp_vae import evaluation
from tfp_vae.evaluation.annealing import simulate
from tfp_vae.models import local
from tfp_vae.probability import tfd
from tfp_vae.randomness import fold_in
from tfp_vae.studies.exact import EXACT

COUNT = 8
OPTIONS = {"num_importance_samples": 200, "num_steps": 150}


@pytest.fixture(scope="module")
def exact():
    return EXACT["ppca"]()


@pytest.fixture(scope="module")
def examples(exact):
    return simulate(exact.vae, COUNT, None, fold_in(2))[1].values()


@pytest.fixture
def off(exact):
    """Moves the encoder away from where it is best, for a test."""
    before = exact.vae.encoder.projection.get_weights()
    exact.vae.encoder.projection.set_weights([0.7 * before[0], before[1] + 0.5])
    yield
    exact.vae.encoder.projection.set_weights(before)


def test_approximation_gap_of_a_correlated_posterior_is_its_closed_form(exact, examples, off):
    """1/2 (sum log P_ii - log |P|) for precision P: what is left is amortisation."""
    precision = np.linalg.inv(exact.posterior(examples)[1])
    closed = 0.5 * (np.log(np.diag(precision)).sum() - np.linalg.slogdet(precision)[1])
    gap = evaluation.inference_gap(exact.vae, examples, **OPTIONS)
    truth = exact.log_evidence(examples)
    assert closed > 0.1
    assert np.mean(truth - gap.best_elbo) == pytest.approx(closed, rel=0.15)
    assert np.all(gap.amortisation >= 0) and gap.amortisation.mean() > 1
    np.testing.assert_allclose(gap.approximation + gap.amortisation, gap.log_evidence - gap.elbo)
    summary = gap.summary()
    assert summary["amortisation_gap"] == pytest.approx(gap.amortisation.mean())
    assert summary["approximation_gap_se"] > 0


def test_full_covariance_closes_the_gap_and_a_point_is_the_mode(exact, examples, off):
    gap = evaluation.inference_gap(exact.vae, examples, family="full", **OPTIONS)
    np.testing.assert_allclose(gap.best_elbo, exact.log_evidence(examples), atol=1e-3)
    posterior = exact.vae.fit_posterior(examples, 150, family="full", num_elbo_samples=1000)
    assert isinstance(posterior, tfd.MultivariateNormalTriL)
    loc, covariance = exact.posterior(examples)
    np.testing.assert_allclose(posterior.mean(), loc, atol=1e-2)
    np.testing.assert_allclose(posterior.covariance()[0], covariance, atol=1e-2)
    found = exact.vae.encode_map(examples, 150)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, loc, atol=5e-3)


@pytest.mark.parametrize("steps", [1, 20])
def test_a_fit_is_never_below_the_encoder_on_common_noise_and_a_seed_fixes_it(
    exact, examples, steps
):
    """At the optimum most steps are noise: then the start is kept."""

    def run(seed):
        options = local.Options(None, steps, 16, 1000, 0.5)  # the graph of the first test
        return local.fit(exact.vae, examples, options, seed, None)

    found = run(1)
    assert found.of_encoder and np.all(found.elbo >= found.start_elbo)
    for one, two in zip(found[:4], run(1)[:4], strict=True):
        np.testing.assert_array_equal(one, two)
    assert np.any(run(2).start_elbo != found.start_elbo)
    kept = found.elbo == found.start_elbo
    scale = exact.vae.encoder(examples).stddev().numpy()
    np.testing.assert_allclose(found.scale[kept], scale[kept], rtol=1e-6)


@pytest.mark.all_only
def test_xla_fits_as_the_graph_does(exact, examples, off):
    graph = exact.vae.fit_posterior(examples, 20, family="full", seed=1)
    exact.vae.compile("adam", jit_compile=True)
    xla = exact.vae.fit_posterior(examples, 20, family="full", seed=1)
    exact.vae.compile("adam", jit_compile=False)
    np.testing.assert_allclose(xla.mean(), graph.mean(), atol=1e-3)


def test_what_has_no_posterior_of_its_own_is_one_line(exact, examples):
    for call, words in (
        (lambda: exact.vae.fit_posterior(examples, 0), "num_steps.*Received 0"),
        (lambda: exact.vae.fit_posterior(examples, family="point"), "Expected one of diagonal"),
        (lambda: exact.vae.fit_posterior(examples, learning_rate=0), "learning_rate"),
        (lambda: exact.vae.encode_map(examples, -1), "num_steps.*Received -1"),
        (
            lambda: evaluation.inference_gap(exact.vae, examples, evidence="exact"),
            "importance, ais",
        ),
    ):
        with pytest.raises(ValueError, match=words):
            call()
