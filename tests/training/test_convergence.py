"""What a training says of its bound: converged or not, at which KL weight, collapsed or not."""

import pytest

from tfp_vae import training

RISING = [float(n) for n in range(20)]
FLAT = [-3.0] * 10 + [-1.0] * 10


def test_a_bound_that_still_rises_is_named_and_one_that_stands_still_is_too():
    found = training.convergence({"elbo": RISING})
    assert (found["elbo_at_end"], found["elbo_gain"]) == (18.5, 2.0)
    assert found["converged"] is False
    assert "not converged" in training.conclusion(found)
    assert "not converged" not in training.conclusion(training.convergence({"elbo": FLAT}))
    single = training.convergence({"elbo": [-1.0]})
    assert single["converged"] is None
    assert "converged" not in training.conclusion(single)


@pytest.mark.parametrize(("kl", "collapsed"), [(0.2, True), (40.0, False)])
def test_a_posterior_that_is_its_prior_is_named(kl, collapsed):
    found = training.convergence({"elbo": FLAT}, kl)
    assert found["collapsed"] is collapsed
    assert ("the posterior is the prior" in training.conclusion(found)) is collapsed


def test_another_kl_weight_at_the_end_is_called_a_temperature():
    said = training.conclusion(training.convergence({"elbo": FLAT}, 50.0, 0.1))
    assert "KL weight 0.1 at the end" in said and "temperature" in said
    assert "temperature" not in training.conclusion(training.convergence({"elbo": FLAT}, 50.0))
