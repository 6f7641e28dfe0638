"""The table of draws: every family against TFP, in density and in moments."""

import numpy as np
import pytest
import tensorflow as tf
import tensorflow_probability as tfp

from tfp_vae.distributions import draws
from tfp_vae.distributions.codes import OneHots, Relaxed

tfd, tfb = tfp.distributions, tfp.bijectors
COUNT = 20_000
LOC = tf.constant([[1.0, -2.0], [0.0, 3.0]])
SCALE = tf.constant([[0.5, 2.0], [1.0, 0.1]])
FACTOR = tf.constant([[[0.5, 0.0], [1.0, 2.0]]] * 2)
EXAMPLES = {
    "diagonal normal": lambda: tfd.MultivariateNormalDiag(LOC, SCALE),
    "diagonal normal, scale alone": lambda: tfd.MultivariateNormalDiag(scale_diag=SCALE[0]),
    "diagonal normal, loc alone": lambda: tfd.MultivariateNormalDiag(LOC[0]),
    "triangular normal": lambda: tfd.MultivariateNormalTriL(LOC, FACTOR),
    "numbers": lambda: tfd.Normal(LOC, SCALE),
    "laplace": lambda: tfd.Laplace(LOC, SCALE),
    "logistic": lambda: tfd.Logistic(LOC, SCALE),
    "uniform": lambda: tfd.Uniform(LOC, LOC + SCALE),
    "independent": lambda: tfd.Independent(tfd.Laplace(LOC, SCALE), 1),
    "independent vectors": lambda: tfd.Independent(tfd.MultivariateNormalDiag(LOC, SCALE), 1),
    "sample": lambda: tfd.Sample(tfd.Normal(1.0, 2.0), [2]),
    "mixture": lambda: tfd.MixtureSameFamily(
        tfd.Categorical(logits=[0.3, -1.0]), tfd.MultivariateNormalDiag(LOC, SCALE)
    ),
    "mixture of numbers": lambda: tfd.MixtureSameFamily(
        tfd.Categorical(probs=[0.2, 0.8]), tfd.Logistic(LOC, SCALE)
    ),
    "flow": lambda: tfd.TransformedDistribution(
        tfd.MultivariateNormalDiag(LOC, SCALE), tfb.Chain([tfb.Shift(1.0), tfb.Softplus()])
    ),
}


def test_every_family_has_an_example():
    found = {type(make()) for make in EXAMPLES.values()} | {object}
    ours = {kind for kind in draws.family_of.registry if kind.__module__.startswith("tensorflow_")}
    assert found - {object} == ours


@pytest.mark.parametrize("make", EXAMPLES.values(), ids=EXAMPLES)
def test_a_family_has_the_density_and_the_moments_of_tfp(make, base_seed):
    distribution = make()
    shape = (COUNT, *distribution.batch_shape, *distribution.event_shape)
    z, log_prob = draws.sample_and_log_prob(distribution, [COUNT], (base_seed, 3))
    assert z.shape == shape and z.dtype == tf.float32
    expected = distribution.log_prob(z)
    for found in (log_prob(), draws.log_prob(distribution, z)):
        np.testing.assert_allclose(found, expected, rtol=1e-4, atol=2e-3)
    # Moments of a bounded function, whose variance exists, against as many draws of TFP.
    theirs = distribution.sample(COUNT, seed=[base_seed, 7])
    here, there = (np.tanh(np.float64(each)) for each in (z, theirs))
    pairs = [(here, there), (here**2, there**2)]
    if distribution.event_shape == (2,):
        pairs.append(tuple(each[..., 0] * each[..., 1] for each in (here, there)))
    for one, other in pairs:
        error = np.sqrt((one.var(axis=0) + other.var(axis=0)) / COUNT) + 1e-6
        assert np.all(np.abs(one.mean(axis=0) - other.mean(axis=0)) < 5 * error)
    centre = draws.centre(distribution)
    assert centre.shape == shape[1:] and np.all(np.isfinite(centre))


RELAXED = {
    kind: lambda is_hard=is_hard: Relaxed(OneHots(1, 2), LOC[:, tf.newaxis], 0.5, is_hard)
    for kind, is_hard in (("relaxed", False), ("straight through", True))
}


@pytest.mark.parametrize("name", [*EXAMPLES, *RELAXED])
def test_the_first_and_the_last_uniform_number_give_finite_draws(name):
    """The last one comes once in 2^24 numbers: in a training with relaxed codes soon enough."""
    distribution = (EXAMPLES | RELAXED)[name]()
    ends = {draws.UNIFORM: (0.0, 1 - 2.0**-24), draws.NORMAL: (-5.0, 5.0)}
    batch = (2, *distribution.batch_shape)
    for last in (0, 1):  # of each number alone, beside first ones
        noise = []
        for kind, shape in draws.noise_of(distribution):
            values = np.full((*batch, *shape), ends[kind][0], np.float32)
            values[..., -1:] = ends[kind][last]
            noise.append(tf.constant(values))
        value, log_prob = draws.from_noise(distribution, *noise)
        assert np.all(np.isfinite(value)) and not np.any(np.isnan(log_prob()))


def test_members_are_there_where_dimensions_are_independent():
    for name in ("diagonal normal", "independent"):
        distribution = EXAMPLES[name]()
        each = draws.members(distribution)
        assert (each.batch_shape, each.event_shape) == ((2, 2), ())
        total = tf.reduce_sum(each.log_prob(LOC + 0.3), axis=-1)
        np.testing.assert_allclose(total, distribution.log_prob(LOC + 0.3), rtol=1e-5)
    for name in ("triangular normal", "mixture", "flow", "independent vectors", "sample"):
        assert draws.members(EXAMPLES[name]()) is None


def test_what_nobody_said_how_to_draw_is_drawn_by_tfp_and_named():
    gamma = tfd.Gamma([0.5, 1.0], 2.0)
    found = draws.sample(gamma, [5], (1, 2))
    np.testing.assert_array_equal(found, gamma.sample(5, seed=(1, 2)))
    assert not draws.is_keyed(gamma)
    with pytest.raises(ValueError, match=r"Gamma are not functions.*Expected.*Received a Gamma"):
        draws.noise_of(gamma)


def test_what_has_no_mean_has_no_centre():
    class Meanless(tfd.Gamma):
        def _mean(self):
            raise NotImplementedError

    with pytest.raises(ValueError, match=r"no centre of a Meanless.*Expected.*Received neither"):
        draws.centre(Meanless(1.0, 2.0))
