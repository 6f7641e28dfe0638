"""Objectives against arrays worked out by hand."""

import math

import keras
import numpy as np
import pytest
import tensorflow as tf
import tensorflow_probability as tfp

from tfp_vae import objectives
from tfp_vae.objectives import ELBO, KnownLatent, Terms, WeightTerms

tfd = tfp.distributions

LOG_LIKELIHOOD = np.array([[-1.0, -2.0, -3.0], [-3.0, -4.0, -5.0]], np.float32)  # [S=2, B=3]
KL = np.array([0.5, 1.0, 1.5], np.float32)
KL_PER_DIMENSION = np.array([[0.1, 0.4], [0.0, 1.0], [0.5, 1.0]], np.float32)


@pytest.fixture
def terms():
    return _terms()


class _ByHand(KnownLatent):
    per_dimension = tf.constant(KL_PER_DIMENSION)[tf.newaxis]

    def kl_per_dimension(self):
        return self.per_dimension


def _terms(examples=(0, 1, 2), samples=(0, 1), kind=_ByHand):
    def chosen(values):  # [S, B]
        return tf.constant(np.asarray(values, np.float32)[list(samples)][:, list(examples)])

    latent = kind(
        "z",
        chosen([[-0.5] * 3, [-1.0] * 3]),
        chosen([[-1.0] * 3, [-2.0] * 3]),
        tf.constant(KL[list(examples)])[tf.newaxis],
    )
    return Terms(chosen(LOG_LIKELIHOOD), (latent,))


def test_elbo_is_mean_over_samples_of_the_log_likelihood_minus_kl(terms):
    np.testing.assert_allclose(objectives.elbo(terms), [-2.5, -4.0, -5.5])


def test_global_kl_is_divided_by_the_number_of_data_once(terms):
    with_weights = terms._replace(weights=WeightTerms(tf.constant(50.0), 100.0))
    np.testing.assert_allclose(objectives.elbo(with_weights), [-3.0, -4.5, -6.0])
    assert float(ELBO().loss(with_weights, 0)) == pytest.approx(4.5)


def test_loss_is_minus_the_mean_elbo_with_default_arguments(terms):
    assert float(ELBO().loss(terms, 0)) == pytest.approx(-np.mean(objectives.elbo(terms)))


def test_loss_weights_the_kl_by_beta_and_the_bound_does_not(terms):
    assert float(ELBO(beta=3.0).loss(terms, 0)) == pytest.approx(3.0 + 3.0 * 1.0)
    np.testing.assert_allclose(objectives.elbo(terms), [-2.5, -4.0, -5.5])


def test_log_weights_are_log_likelihood_plus_prior_minus_posterior(terms):
    expected = LOG_LIKELIHOOD + np.array([[-0.5], [-1.0]])
    np.testing.assert_allclose(terms.log_weights(), expected)


def test_importance_weighted_bound_is_the_log_of_the_mean_weight(terms):
    weights = np.exp(np.array([[-1.5, -2.5, -3.5], [-4.0, -5.0, -6.0]]))
    np.testing.assert_allclose(
        objectives.importance_weighted_bound(terms), np.log(weights.mean(0)), rtol=1e-6
    )


def test_importance_weighted_bound_of_one_sample_is_its_log_weight(terms):
    one = _terms(samples=[0])
    np.testing.assert_allclose(objectives.importance_weighted_bound(one), one.log_weights()[0])


def test_free_bits_floor_each_dimension_after_the_mean_over_the_batch(terms):
    # Means per dimension are 0.2 and 0.8; a floor of 0.3 lifts the first only.
    assert float(ELBO(free_bits=0.3).loss(terms, 0)) == pytest.approx(3.0 + 0.3 + 0.8)


def test_free_bits_without_a_factorised_kl_are_refused_with_the_way_out():
    with pytest.raises(ValueError, match=r"free_bits needs.*Expected.*Received a latent of which"):
        ELBO(free_bits=0.1).loss(_terms(kind=KnownLatent), 0)
    q = tfd.MultivariateNormalDiag(tf.zeros([3, 2]), tf.ones([3, 2]))
    mixture = tfd.MixtureSameFamily(
        tfd.Categorical(probs=[0.3, 0.7]),
        tfd.MultivariateNormalDiag(tf.zeros([2, 2]), tf.ones([2, 2])),
    )
    latents = (objectives.Latent("z", tf.zeros([1, 3, 2]), q, mixture),)
    message = r"independent.*capacity=.*Received a MultivariateNormalDiag and a MixtureSameFamily"
    with pytest.raises(ValueError, match=message):
        ELBO(free_bits=0.1).loss(Terms(tf.zeros([1, 3]), latents), 0)


def test_free_bits_count_each_dimension_of_a_prior_that_factorises_without_a_closed_form(base_seed):
    q = tfd.MultivariateNormalDiag([[0.0, 2.0]], [[1.0, 0.1]])
    p = tfd.Independent(tfd.Laplace(tf.zeros(2), tf.ones(2)), 1)
    z = q.sample(20_000, seed=[base_seed, 5])
    each = objectives.Latent("z", z, q, p).kl_per_dimension()
    assert each.shape == (20_000, 1, 2)
    # E|z| of N(0, 1) is sqrt(2 / pi), and 2 of the second, far from 0; entropies of normals.
    entropy = 0.5 * np.log(2 * np.pi * np.e) + np.log([1.0, 0.1])
    expected = math.log(2) + np.array([math.sqrt(2 / math.pi), 2.0]) - entropy
    error = np.std(each, axis=0) / math.sqrt(20_000)
    assert np.all(np.abs(np.mean(each, axis=0) - expected) < 5 * error)
    latents = (objectives.Latent("z", z, q, p),)
    lifted = ELBO(free_bits=1.0).loss(Terms(tf.zeros([1, 1]), latents), 0)
    assert float(lifted) == pytest.approx(1.0 + float(np.mean(each, axis=0)[0, 1]), rel=1e-5)


def test_capacity_penalises_the_distance_of_the_mean_kl_from_its_target(terms):
    assert float(ELBO(beta=2.0, capacity=0.25).loss(terms, 0)) == pytest.approx(3.0 + 2.0 * 0.75)
    assert float(ELBO(beta=2.0, capacity=4.0).loss(terms, 0)) == pytest.approx(3.0 + 2.0 * 3.0)


def test_sample_weights_of_two_equal_seeing_the_example_twice(terms):
    twice = _terms(examples=[0, 1, 2, 2])
    weighted = terms._replace(sample_weight=tf.constant([1.0, 1.0, 2.0]))
    # The sums agree; Keras divides by the number of rows.
    assert float(ELBO().loss(weighted, 0)) * 3 == pytest.approx(float(ELBO().loss(twice, 0)) * 4)


def test_linear_warm_up_reaches_one_at_its_end_and_stays():
    schedule = objectives.linear(10)
    np.testing.assert_allclose([schedule(s) for s in (0, 5, 10, 99)], [0.0, 0.5, 1.0, 1.0])


def test_every_warm_up_tends_to_its_end_and_keeps_it_in_a_file():
    for kind, top in ((objectives.linear, 10), (objectives.Cyclical, 9), (objectives.Sigmoid, 40)):
        schedule = kind(10, end=0.3)
        assert float(schedule(top)) == pytest.approx(0.3, rel=1e-6)
        config = keras.saving.serialize_keras_object(schedule)
        again = keras.saving.deserialize_keras_object(config)
        assert [float(again(s)) for s in (1, top)] == [float(schedule(s)) for s in (1, top)]
        with pytest.raises(ValueError, match=r"Impossible end.*Expected.*>= 0.*Received -1"):
            kind(10, end=-1)


def test_cyclical_warm_up_starts_again_every_cycle():
    schedule = objectives.Cyclical(10, ramp=0.5)
    steps = [0, 2, 5, 9, 10, 12, 15]
    np.testing.assert_allclose([schedule(s) for s in steps], [0, 0.4, 1, 1, 0, 0.4, 1], rtol=1e-6)


def test_sigmoid_warm_up_is_one_half_in_the_middle_and_symmetric():
    schedule = objectives.Sigmoid(100)
    assert float(schedule(50)) == pytest.approx(0.5)
    assert float(schedule(20) + schedule(80)) == pytest.approx(1.0)


def test_warm_up_weights_the_loss_by_the_step_it_is_given(terms):
    objective = ELBO(beta=objectives.linear(10))
    assert [float(objective.loss(terms, s)) for s in (0, 5, 20)] == pytest.approx([3.0, 3.5, 4.0])


@pytest.mark.parametrize(
    "objective",
    [
        ELBO(),
        ELBO(beta=4.0, free_bits=0.2),
        ELBO(beta=objectives.linear(7)),
        ELBO(beta=objectives.Cyclical(7, 0.3), capacity=objectives.linear(9, 0.0, 25.0)),
        ELBO(beta=objectives.Sigmoid(7), capacity=3.0),
    ],
    ids=["plain", "free_bits", "linear", "cyclical_and_capacity_schedule", "sigmoid_and_capacity"],
)
def test_objective_survives_serialisation(objective, terms):
    config = keras.saving.serialize_keras_object(objective)
    again = keras.saving.deserialize_keras_object(config)
    for step in (0, 3, 50):
        assert float(again.loss(terms, step)) == float(objective.loss(terms, step))


@pytest.mark.parametrize(
    "arguments",
    [{"beta": None}, {"beta": abs}, {"free_bits": abs},
     {"beta": -1.0}, {"beta": math.inf}, {"free_bits": -0.1}, {"capacity": -1.0},
     {"free_bits": 0.1, "capacity": 1.0}],
    ids=str,
)  # fmt: skip
def test_impossible_weights_are_refused(arguments):
    with pytest.raises(ValueError, match=r"Expected.*Received"):
        ELBO(**arguments)


@pytest.mark.parametrize("name", ["kl", "loss", "val_mine", "kl_z1", "my bound", "", None])
def test_a_bound_that_would_take_the_column_of_another_metric_is_refused(name):
    class Mine(ELBO):
        pass

    Mine.name = name
    with pytest.raises(ValueError, match=r"name of the bound Mine. Expected .* Received"):
        objectives.as_bound(Mine())


def test_numbers_of_numpy_are_numbers():
    assert ELBO(beta=np.float32(0.5), capacity=np.int64(3)).get_config()["capacity"] == 3.0


@pytest.mark.parametrize("steps", [0, -1, 1.5])
def test_warm_up_of_no_steps_is_refused(steps):
    for schedule in objectives.WARM_UPS.values():
        with pytest.raises(ValueError, match=r"steps.*Expected.*Received"):
            schedule(steps)


def _random_posterior(kind, rng, batch=3, dims=4):
    loc = rng.normal(size=(batch, dims)).astype(np.float32)
    if kind == "diagonal":
        scale = rng.uniform(0.1, 2.0, (batch, dims)).astype(np.float32)
        return tfd.MultivariateNormalDiag(loc, scale)
    factor = np.tril(rng.normal(size=(batch, dims, dims))).astype(np.float32)
    factor[:, np.arange(dims), np.arange(dims)] = rng.uniform(0.2, 1.5, (batch, dims))
    return tfd.MultivariateNormalTriL(loc, factor)


@pytest.mark.parametrize("kind", ["diagonal", "full"])
def test_closed_form_kl_is_within_four_standard_errors_of_that_of_draws(kind, base_seed):
    posterior = _random_posterior(kind, np.random.default_rng(base_seed))
    prior = tfd.MultivariateNormalDiag(tf.zeros(4), tf.ones(4))
    z = posterior.sample(100_000, seed=[base_seed, 1])
    terms = objectives.Latent("z", z, posterior, prior)
    differences = (terms.log_q - terms.log_p).numpy().astype(np.float64)
    error = differences.std(0) / math.sqrt(len(z))
    assert np.all(np.abs(differences.mean(0) - terms.kl()[0]) < 4 * error)


def test_kl_per_dimension_sums_to_the_kl(base_seed):
    posterior = _random_posterior("diagonal", np.random.default_rng(base_seed))
    prior = tfd.MultivariateNormalDiag(tf.zeros(4), tf.ones(4))
    np.testing.assert_allclose(
        tf.reduce_sum(objectives.kl_per_dimension(posterior, prior), -1),
        tfd.kl_divergence(posterior, prior),
        rtol=1e-6,
    )
    full = _random_posterior("full", np.random.default_rng(base_seed))
    assert objectives.kl_per_dimension(full, prior) is None


def test_kl_without_a_closed_form_is_the_monte_carlo_mean_of_the_log_ratio(base_seed):
    posterior = _random_posterior("diagonal", np.random.default_rng(base_seed))
    prior = tfd.MixtureSameFamily(  # a mixture that is N(0, I) after all
        tfd.Categorical(probs=[0.3, 0.7]),
        tfd.MultivariateNormalDiag(tf.zeros([2, 4]), tf.ones([2, 4])),
    )
    z = posterior.sample(100_000, seed=[base_seed, 2])
    terms = objectives.Latent("z", z, posterior, prior)
    ratio = (terms.log_q - terms.log_p).numpy()
    found = objectives.Terms(tf.zeros([1, 3]), (terms,)).kl()
    np.testing.assert_allclose(found, ratio.mean(0), rtol=1e-4)
    standard = tfd.MultivariateNormalDiag(tf.zeros(4), tf.ones(4))
    error = ratio.std(0) / math.sqrt(len(z))
    assert np.all(np.abs(found - tfd.kl_divergence(posterior, standard)) < 4 * error)
    assert terms.kl_per_dimension() is None
