"""Numbers about trained models, and the errors beside them."""

import json
import math
import warnings

import numpy as np
import pytest

from tfp_vae import evaluation
from tfp_vae.data import Kind, Split
from tfp_vae.evaluation.bounds import standard_error


@pytest.fixture
def split(binary_images):
    return Split(binary_images(60), Kind.STATIC)


def test_standard_error_is_that_of_the_mean_over_examples():
    values = np.random.default_rng(0).normal(size=400)
    assert standard_error(values) == pytest.approx(values.std(ddof=1) / 20)
    assert standard_error(values[:1]) is None


def test_elbo_is_the_mean_of_the_model_and_repeats(make_vae, split):
    vae = make_vae()
    result = evaluation.elbo(vae, split, num_samples=50)
    assert result["elbo"] == pytest.approx(vae.elbo(split, 50).mean())
    assert result["elbo_se"] == pytest.approx(standard_error(vae.elbo(split, 50)))
    assert evaluation.elbo(vae, split, num_samples=50) == result


def test_monte_carlo_error_of_log_likelihood_is_the_spread_over_seeds(make_vae, split):
    vae = make_vae()
    means = [vae.bounds(split, 500, seed=seed).log_evidence.mean() for seed in range(30)]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        result = evaluation.log_evidence(vae, split, 500, proposal="encoder")
    # A standard deviation from 30 draws is known to 13 %.
    assert result["log_evidence_mc_se"] == pytest.approx(np.std(means, ddof=1), rel=0.6)
    assert result["log_evidence_se"] > result["log_evidence_mc_se"]


def test_low_effective_sample_size_warns_and_a_good_one_does_not(make_vae, split):
    with pytest.warns(UserWarning, match=r"effective sample size is low.*underestimated"):
        evaluation.log_evidence(make_vae(), split, 2)
    good = make_vae()
    kernel, bias = good.decoder.projection.get_weights()
    good.decoder.projection.set_weights(
        [0 * kernel, bias]
    )  # x does not depend on z: q = p is exact
    kernel, bias = good.encoder.projection.get_weights()
    bias[2:] = math.log(math.expm1(1.0 - 1e-4))
    good.encoder.projection.set_weights([0 * kernel, bias])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        result = evaluation.log_evidence(good, split, 10)
    assert result["effective_sample_size_median"] == pytest.approx(10, rel=1e-3)
    assert result["log_evidence"] == pytest.approx(16 * math.log(0.5), rel=1e-5)


def test_active_units_are_those_of_the_definition(make_vae, split):
    vae = make_vae(latent_dim=5)
    means = evaluation.posterior_means(vae, split, batch_size=17)
    np.testing.assert_allclose(means, vae.encoder(split.values()).mean(), rtol=1e-5, atol=1e-6)
    assert evaluation.active_units(vae, split) == np.sum(means.var(0) > 0.01)


@pytest.mark.all_only
def test_test_metrics_are_json_with_the_promised_names(make_vae, split):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        metrics = evaluation.test_metrics(make_vae(), split, 20)
    assert json.loads(json.dumps(metrics, allow_nan=False)) == metrics
    assert set(metrics) >= {
        "test_elbo",
        "test_elbo_se",
        "test_log_likelihood",
        "test_log_likelihood_se",
        "test_bits_per_dim",
        "num_importance_samples",
        "active_units",
    }
    assert metrics["test_elbo"] <= metrics["test_log_likelihood"] + 0.1
    assert metrics["test_bits_per_dim"] == pytest.approx(
        -metrics["test_log_likelihood"] / (16 * math.log(2))
    )
