"""What a training says of its bound: converged or not, at which KL weight, collapsed or not."""

import keras
import pytest

import tfp_vae as tv
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


@pytest.mark.parametrize(("elbo", "below"), [(-3.2, True), (-0.5, False)])
def test_a_bound_below_guessing_is_named(elbo, below):
    found = training.convergence({"elbo": [elbo] * 20}, 75.0, num_classes=10)
    assert found["below_guess"] is below and found["guess"] == pytest.approx(-2.302585)
    assert ("below guessing, which has -2.303" in training.conclusion(found)) is below
    points = training.convergence({"elbo": [elbo] * 20}, is_bound=False, num_classes=10)
    assert "guess" not in points  # log p of weights that are points is no bound


def test_another_kl_weight_at_the_end_is_called_a_temperature():
    said = training.conclusion(training.convergence({"elbo": FLAT}, 50.0, 0.1))
    assert "KL weight 0.1 at the end" in said and "temperature" in said
    assert "temperature" not in training.conclusion(training.convergence({"elbo": FLAT}, 50.0))


def test_the_objective_of_points_is_not_called_a_bound():
    network = keras.Sequential([keras.layers.Dense(2)])
    points = tv.BayesianNetwork(network, tv.likelihoods.Categorical(2), num_data=8)
    points.compile(optimizer="adam")
    found = training.convergence_of(points, {"elbo": FLAT})
    assert not found["is_bound"] and "weight_kl" not in found
    assert "ELBO" not in training.conclusion(found)


@pytest.mark.parametrize("members", [0, 2])
def test_the_kl_is_that_of_posteriors_and_the_prior_of_points_stands_beside_it(members):
    last = tv.layers.RankOne(keras.layers.Dense(2))  # with a kernel that is a point
    last = tv.layers.DenseFlipout(2) if members else last
    network = keras.Sequential([keras.layers.Dense(2), last])
    likelihood = tv.likelihoods.Categorical(2)
    model = tv.BayesianNetwork(network, likelihood, weight_prior=1.0, num_data=8)
    model.build((None, 3))
    model = tv.Ensemble(model, members, num_data=8) if members else model
    model.compile(optimizer="adam")
    found = training.convergence_of(model, {"elbo": FLAT})
    if not members:
        assert found["weight_kl"] == pytest.approx(float(last.kl_divergence()))
    cost = found["weight_kl"] - found["point_log_prior"]
    assert found["is_bound"] and cost == pytest.approx(float(model.kl_divergence()), rel=1e-5)
    assert found["point_log_prior"] < 0 and "log p(y, v|x)" in training.conclusion(found)


@pytest.mark.parametrize(
    ("rhat", "said"),
    [(1.02, "chains converged"), (3.7, "chains not converged"), (None, "chains not converged")],
)
def test_chains_that_do_not_agree_are_named(rhat, said):
    agreement = training.agreement(rhat)
    assert agreement["chains_agree"] is (said == "chains converged")
    assert said in training.conclusion(training.convergence({"elbo": FLAT}) | agreement)


def test_what_a_posterior_behind_a_training_says_of_itself_is_said_with_it():
    chains = {"rhat_max": 1.02, "effective_sample_size_min": 61.4, "diverged_chains": [2]}
    found = training.of_posterior(chains | {"energy_error": 0.2, "step_size": [0.1]})
    assert found == {
        **{"rhat_max": 1.02, "chains_agree": True, "chains_diverged": 1},
        **{"effective_sample_size_min": 61.4, "energy_error": 0.2},
    }
    for end in (found, chains):  # as a comparison and as a single training has it
        said = training.conclusion(training.convergence({"elbo": FLAT}) | end)
        assert "effective sample size: at least 61" in said
        assert "diverged and were left out: 1" in said
    nuts = training.of_posterior({"rhat_max": 1.0, "divergences": 0.5})
    assert "diverged: 50.0%" in training.conclusion(training.convergence({"elbo": FLAT}) | nuts)
    bound = {"posterior_elbo": -0.5, "posterior_kl": 0.2, "posterior_temperature": 1.0}
    end = training.of_posterior(bound)
    assert "guess" not in end
    assert training.of_posterior(bound, 2)["below_guess"] is False
    assert training.of_posterior(bound | {"posterior_elbo": -0.7}, 2)["below_guess"] is True
    said = training.conclusion(training.convergence({"elbo": FLAT}, is_bound=False) | end)
    assert end["collapsed"] and "ELBO of the posterior at temperature 1: -0.500" in said
    assert "the posterior is the prior" in said
    assert training.of_posterior({"posterior_precision": 3.0}) == {}


def test_the_kl_weight_is_that_of_the_last_step():
    network = keras.Sequential([tv.layers.DenseFlipout(2)])
    model = tv.BayesianNetwork(
        network,
        tv.likelihoods.Categorical(2),
        objective=tv.objectives.ELBO(tv.objectives.linear(4)),
        num_data=8,
    )
    model.compile(optimizer="adam")
    model.build((None, 3))
    for step, weight in ((2, 0.5), (9, 1.0)):
        model.optimizer.iterations.assign(step)
        found = training.convergence_of(model, {"elbo": FLAT})
        assert found["is_bound"] and found["kl_weight_at_end"] == weight


def test_the_slope_at_the_end_is_that_of_the_last_tenth_of_the_epochs():
    values = [-100.0] * 200 + [-90 + 0.25 * epoch for epoch in range(30)]
    assert training.slope_at_end(values) == pytest.approx(0.25)
    assert training.slope_at_end([-2.0, -1.5]) == pytest.approx(0.5)
    assert training.slope_at_end([-2.0]) is None
