"""Priors of weights: densities, their KL from a normal, what depends on the fan-in."""

import keras
import layer_cases as cases
import numpy as np
import pytest
import tensorflow as tf
from scipy import integrate, stats

import tfp_vae as tv
from tfp_vae.distributions.base import inverse_positive, tfd
from tfp_vae.layers import priors
from tfp_vae.layers.base import raw_scale_of

PRIORS = {
    "normal": priors.Normal(0.8),
    "scale_mixture": priors.ScaleMixture(1.2, ratio=0.1, weight=0.3),
    "narrow_mixture": priors.ScaleMixture(),
    "student_t": priors.StudentT(0.5, df=4.0),
    "horseshoe": priors.Horseshoe(0.6),
}


def _log_prob(prior, w) -> np.ndarray:
    """Returns log p of numbers w, each a weight of its own, float64."""
    w = np.atleast_1d(w).astype(np.float32)
    matrix = prior.distribution((1, w.size), 1).distribution
    return np.float64(matrix.log_prob(w[np.newaxis]).numpy()[0])


def _grid() -> np.ndarray:
    """Returns positive numbers, log-spaced: poles, spikes and tails are smooth on it."""
    return np.exp(np.linspace(np.log(1e-12), np.log(1e8), 40_001))


@pytest.mark.parametrize("prior", PRIORS.values(), ids=PRIORS)
def test_densities_integrate_to_one_and_are_even(prior):
    w = _grid()
    density = np.exp(_log_prob(prior, w))
    # TFP's horseshoe is itself an approximation, off by 5e-5.
    assert 2 * integrate.trapezoid(density * w, np.log(w)) == pytest.approx(1, abs=1e-4)
    np.testing.assert_allclose(_log_prob(prior, -w), _log_prob(prior, w), rtol=1e-6)


def test_densities_are_those_of_scipy():
    w = np.linspace(-4, 4, 101)
    mixture = 0.3 * stats.norm.pdf(w, 0, 1.2) + 0.7 * stats.norm.pdf(w, 0, 0.12)
    for name, expected in {
        "normal": stats.norm.logpdf(w, 0, 0.8),
        "scale_mixture": np.log(mixture),
        "student_t": stats.t.logpdf(w, 4.0, 0, 0.5),
    }.items():
        np.testing.assert_allclose(_log_prob(PRIORS[name], w), expected, rtol=1e-4, atol=1e-5)


def _kl_by_quadrature(prior, loc, scale) -> float:
    # Of the symmetric part of q, on a grid that is fine at zero; a second one around the mean would
    # not see the pole.
    w = _grid()
    q = stats.norm.pdf(w, loc, scale) + stats.norm.pdf(-w, loc, scale)
    cross = integrate.trapezoid(q * _log_prob(prior, w) * w, np.log(w))
    return -stats.norm.entropy(loc, scale) - cross


@pytest.mark.parametrize("prior", PRIORS.values(), ids=PRIORS)
def test_monte_carlo_kl_of_every_weight_is_that_of_quadrature(prior, base_seed):
    locs, scales = [0.0, 0.05, -0.6, 2.0], [0.3, 0.02, 0.8, 0.5]
    for loc, scale in zip(locs, scales, strict=True):
        layer = tv.layers.DenseLocalReparameterization(1, use_bias=False, prior=prior)
        layer.build((None, 1))
        layer.loc.assign([[loc]])
        layer.raw_scale.assign([[raw_scale_of(scale)]])
        draws = cases.repeat(lambda layer=layer: layer.kl_divergence(100), 200, base_seed)
        mean, error = cases.mean_and_error(draws)
        assert abs(mean - _kl_by_quadrature(prior, loc, scale)) < 4 * error + 1e-4
        if isinstance(prior, priors.Normal):
            assert error < 1e-6  # in closed form


@pytest.mark.parametrize("name", cases.NAMES[:6])
def test_monte_carlo_kl_is_the_sum_over_weights(name, base_seed):
    layer = cases.made(name, base_seed, bayesian_bias=True, prior="student_t")
    # Four different weights over and over: one quadrature for each.
    shape = layer.loc.shape
    layer.loc.assign(np.resize([0.1, -0.7, 1.3, 0.0], shape))
    layer.raw_scale.assign(np.resize([-0.1, 0.03, -0.05, 0.09], shape))
    loc, scale = cases.loc_and_scale(layer)
    four = zip(loc.ravel()[:4], scale.ravel()[:4], strict=True)
    each = [_kl_by_quadrature(priors.StudentT(), m, s) for m, s in four]
    draws = cases.repeat(lambda: layer.kl_divergence(20), 400, base_seed)
    mean, error = cases.mean_and_error(draws)
    assert abs(mean - np.resize(each, shape).sum()) < 4 * error
    assert error < 0.1
    assert layer.kl_divergence().shape == ()


def test_fan_in_gives_every_width_the_same_prior_of_preactivations():
    prior = priors.get(priors.Normal("fan_in"))
    for fan_in in (10, 1000):
        scale = prior.distribution((fan_in + 1, 3), fan_in).distribution.scale.numpy()
        np.testing.assert_allclose(scale[:-1], 1 / np.sqrt(fan_in), rtol=1e-6)
        np.testing.assert_array_equal(scale[-1], 1.0)  # a bias has no fan-in
    np.testing.assert_array_equal(prior.distribution((1, 3), 0).distribution.scale, 1.0)


def test_a_learned_normal_has_the_scale_of_each_group_where_the_bound_is_highest(base_seed):
    layer = cases.make(
        "DenseFlipout", 20, prior=priors.Normal(0.5, learned=True), bayesian_bias=True
    )
    layer.build((None, 4))
    cases.randomize(layer, base_seed)
    loc, scale = cases.loc_and_scale(layer)
    found = layer.prior.stddev().numpy()
    for rows in (slice(0, 4), slice(4, 5)):
        q = tfd.Normal(loc[rows], scale[rows])
        grid = np.exp(np.linspace(-3, 3, 20_001))[:, np.newaxis, np.newaxis]
        kl = tfd.kl_divergence(q, tfd.Normal(np.float64(0.0), grid)).numpy().sum((1, 2))
        # Log density of the inverse-gamma prior of the variance, with the given scale.
        bound = -kl - 4 * np.log(grid[:, 0, 0]) - 10 * 0.5**2 / grid[:, 0, 0] ** 2
        best = grid[np.argmax(bound), 0, 0]
        np.testing.assert_allclose(found[rows], best, rtol=1e-3)
    assert abs(found[0, 0] - found[4, 0]) > 1e-2
    with tf.GradientTape() as tape:
        kl = layer.kl_divergence()
    slope = tape.gradient(kl, layer.loc).numpy()  # flows through the scale too
    assert np.max(np.abs(slope - loc / found**2)) > 1e-4
    assert not [v for v in layer.trainable_variables if v.name == "factor"]


def test_a_learned_scale_of_another_prior_is_a_factor_on_it():
    prior = priors.StudentT(2.0, learned=True)
    prior._factor.assign(inverse_positive(1.5))
    found = prior.distribution((3, 2), 3).distribution.scale
    np.testing.assert_allclose(found, 3.0, rtol=1e-6)
    with pytest.raises(ValueError, match="mean squares"):
        priors.Normal(learned=True).distribution((3, 2), 3)


def test_log_prob_of_points_is_the_sum_over_kernels_and_biases():
    kernel, bias = np.array([[0.3, -1.0], [2.0, 0.1]]), np.array([0.5, -0.5])
    expected = stats.norm.logpdf(kernel, 0, 0.7).sum() + stats.norm.logpdf(bias, 0, 0.7).sum()
    prior = priors.Normal(0.7)
    assert float(priors.log_prob(prior, [kernel, bias])) == pytest.approx(expected, rel=1e-6)
    by_width = stats.norm.logpdf(kernel, 0, 0.5**0.5).sum() + stats.norm.logpdf(bias).sum()
    found = priors.log_prob(priors.Normal("fan_in"), [kernel, bias])
    assert float(found) == pytest.approx(by_width, rel=1e-6)
    image = np.random.default_rng(0).normal(size=(2, 2, 3, 4))  # a kernel with a fan-in of 12
    found = priors.log_prob(priors.Normal("fan_in"), [image])
    assert float(found) == pytest.approx(stats.norm.logpdf(image, 0, 12**-0.5).sum(), rel=1e-6)


@pytest.mark.parametrize(
    ("given", "kind", "scale"),
    [
        (0.5, priors.Normal, 0.5),
        (2, priors.Normal, 2),
        ("normal", priors.Normal, 1.0),
        ("scale_mixture", priors.ScaleMixture, 1.0),
        ("student_t", priors.StudentT, 1.0),
        ("horseshoe", priors.Horseshoe, 1.0),
        (PRIORS["student_t"], priors.StudentT, 0.5),
        (keras.saving.serialize_keras_object(PRIORS["horseshoe"]), priors.Horseshoe, 0.6),
    ],
    ids=str,
)
def test_priors_are_given_by_number_name_object_or_config(given, kind, scale):
    found = priors.get(given)
    assert type(found) is kind
    assert found.scale == scale


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: priors.Normal(0), r"Impossible prior scale.*> 0 or 'fan_in'.*Received 0"),
        (lambda: priors.Normal("width"), r"Impossible prior scale.*Received 'width'"),
        (lambda: priors.Normal(np.inf), r"Impossible prior scale.*Received inf"),
        (lambda: priors.ScaleMixture(ratio=1.0), r"Impossible ratio.*> 0 and < 1.*Received 1.0"),
        (lambda: priors.ScaleMixture(weight=0), r"Impossible weight.*Received 0"),
        (lambda: priors.StudentT(df=0), r"Impossible df.*> 0.*Received 0"),
        (lambda: priors.StudentT(df=np.nan), r"Impossible df.*Received nan"),
        (lambda: priors.get(True), r"Unusable prior.*Received True"),
        (lambda: priors.get([1.0]), r"Unusable prior.*Received \[1.0\]"),
    ],
    ids=["zero", "name", "infinite", "ratio", "weight", "df", "nan_df", "true", "list"],
)
def test_impossible_priors_are_refused(make, message):
    with pytest.raises(ValueError, match=message):
        make()


def test_log_prob_of_a_scalar_is_that_of_one_weight():
    expected = stats.norm(0, 2).logpdf(0.7)
    found = priors.log_prob(priors.Normal(2.0), [tf.Variable(0.7)])
    assert float(found) == pytest.approx(expected, rel=1e-6)
