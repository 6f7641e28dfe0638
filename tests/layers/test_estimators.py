"""Three estimators of one expectation: same mean, same variance per example, own noise."""

import itertools

import layer_cases as cases
import numpy as np
import pytest
import tensorflow as tf
import tensorflow_probability as tfp

from tfp_vae.layers.noise import SHARED, Noise, use

tfd = tfp.distributions
DENSE = ["Dense" + estimator for estimator in cases.ESTIMATORS]


def _key(number):
    return tf.constant([5, number], tf.int32)


def _moments(layer, x):
    """Returns mean and variance of the pre-activations, by the layers of Keras."""
    loc, scale = cases.loc_and_scale(layer)
    rows = layer.fan_in
    bias, spread = (loc[-1], scale[-1]) if layer.bayesian_bias else (layer.bias.numpy(), 0.0)
    mean = cases.stock_map(layer, x, loc[:rows], bias)
    return mean, cases.stock_map(layer, x**2, scale[:rows] ** 2, np.zeros(layer.units)) + spread**2


@pytest.mark.parametrize(
    ("name", "bayesian_bias"),
    [
        pytest.param(
            name,
            bayesian,
            id=f"{name}-{'bayesian' if bayesian else 'point'}_bias",
            # Each layer with one of the two, each estimator with both.
            marks=[pytest.mark.all_only] * (bayesian != name.startswith("Conv1D")),
        )
        for name in cases.NAMES
        for bayesian in (False, True)
    ],
)
def test_preactivations_have_mean_x_loc_and_variance_x2_scale2(name, bayesian_bias, base_seed):
    layer = cases.made(name, base_seed, bayesian_bias=bayesian_bias)
    x, count = cases.inputs(name, 2, base_seed), 4000
    mean, variance = _moments(layer, x)
    draws = cases.repeat(lambda: layer(x), count, base_seed)
    # Every pre-activation is normal, which gives the error of its variance.
    assert np.all(np.abs(draws.mean(0) - mean) < 5 * np.sqrt(variance / count))
    assert np.all(np.abs(draws.var(0) / variance - 1) < 5 * np.sqrt(2 / count))
    assert np.all(np.abs(((draws - mean) ** 3).mean(0)) < 5 * np.sqrt(15 * variance**3 / count))


@pytest.mark.parametrize("name", DENSE)
def test_a_function_from_the_posterior_has_the_same_moments(name, base_seed):
    layer, x = cases.made(name, base_seed, bayesian_bias=True), cases.inputs(name, 2, base_seed)
    mean, variance = _moments(layer, x)
    draws = cases.repeat(lambda: layer(x), 4000, base_seed, SHARED)
    assert np.all(np.abs(draws.mean(0) - mean) < 5 * np.sqrt(variance / 4000))
    assert np.all(np.abs(draws.var(0) / variance - 1) < 5 * np.sqrt(2 / 4000))


@pytest.mark.parametrize(
    "name",
    [
        pytest.param(name, marks=[pytest.mark.all_only] * name.startswith("Conv1D"))
        for name in cases.NAMES
    ],
)
def test_noise_is_one_for_the_batch_or_one_per_example(name, base_seed):
    layer = cases.made(name, base_seed, bayesian_bias=True)
    count = 4000
    x = np.repeat(cases.inputs(name, 1, base_seed), 2, axis=0)
    draws = cases.repeat(lambda: layer(x), count, base_seed).reshape(count, 2, -1)
    first, second = ((draws - draws.mean(0)) / draws.std(0)).transpose(1, 0, 2)
    correlation = np.mean(first * second, axis=0)
    if name.endswith(("LocalReparameterization", "Flipout")):
        # Flipout's examples share the sizes of their deviations, if not the signs: the squares of
        # two of them have a mean product of at most 3, that of one with itself.
        assert np.all(np.abs(correlation) < 5 * np.sqrt(3 / count))
    else:
        np.testing.assert_allclose(correlation, 1, rtol=1e-4)


@pytest.mark.parametrize("activation", [None, "relu"])
@pytest.mark.parametrize("name", cases.NAMES)
def test_a_shared_pass_is_one_function_that_its_key_tells(name, activation, base_seed):
    layer = cases.made(name, base_seed, bayesian_bias=True, activation=activation)
    x = cases.inputs(name, 3, base_seed)

    def passed(key, inputs):
        with use(Noise(_key(key), SHARED)):
            return layer(inputs).numpy()

    twice = passed(1, np.concatenate([x, x]))
    np.testing.assert_allclose(twice[:3], twice[3:], rtol=1e-6, atol=1e-6)
    np.testing.assert_allclose(passed(1, x[1:]), twice[1:3], rtol=1e-6, atol=1e-6)
    np.testing.assert_array_equal(passed(1, x), passed(1, x))
    assert np.mean(passed(2, x) != passed(1, x)) > 0.4  # rectified zeros are equal
    if activation is None:  # an affine function of its inputs
        zero = passed(1, 0 * x)
        np.testing.assert_allclose(passed(1, 3 * x) - zero, 3 * (twice[:3] - zero), atol=1e-4)


def test_a_layer_called_twice_in_a_pass_is_one_set_of_weights_and_two_layers_are_two():
    one, other = (cases.made("DenseFlipout", 0) for _ in range(2))
    x = cases.inputs("DenseFlipout")
    with use(Noise(_key(1), SHARED)):
        np.testing.assert_array_equal(one(x), one(x))
        assert np.all(one(x) != other(x))


@pytest.mark.parametrize("name", DENSE)
def test_seed_of_a_layer_fixes_its_own_noise(name, base_seed):
    x = cases.inputs(name)
    outputs = []
    for seed in (1, 1, 2):
        layer = cases.made(name, base_seed, seed=seed)
        outputs.append([layer(x).numpy() for _ in range(2)])
    np.testing.assert_array_equal(outputs[0], outputs[1])
    assert np.all(outputs[0][0] != outputs[0][1])
    assert np.all(outputs[0][0] != outputs[2][0])


# Gradients.


def _gradients(name, loss, x, count, seed, units=3, **options):
    layer = cases.made(name, seed, units, **options)

    def once():
        with tf.GradientTape() as tape:
            value = loss(layer(x))
        return tape.gradient(value, [layer.loc, layer.raw_scale])

    return layer, cases.repeat(once, count, seed)


@pytest.mark.parametrize("name", DENSE)
def test_gradients_of_a_quadratic_loss_are_those_of_the_closed_form(name, base_seed):
    x = cases.inputs(name, 5, base_seed)
    y = np.random.default_rng(base_seed).normal(size=(5, 3)).astype(np.float32)
    layer, (by_loc, by_raw) = _gradients(
        name,
        lambda f: tf.reduce_mean(tf.reduce_sum((f - y) ** 2, axis=1)),
        *(x, 8000, base_seed),
        bayesian_bias=True,
    )
    # E (x w - y)^2 = (x m - y)^2 + x^2 s^2, with a one for the bias.
    loc, scale = cases.loc_and_scale(layer)
    inputs = np.concatenate([np.float64(x), np.ones((5, 1))], axis=1)
    expected_loc = 2 / 5 * inputs.T @ (inputs @ loc - y)
    expected_scale = 2 / 5 * np.sum(inputs**2, axis=0)[:, None] * scale
    expected_raw = expected_scale * cases.gradient_of_scale(layer.raw_scale.numpy())
    for draws, expected in ((by_loc, expected_loc), (by_raw, expected_raw)):
        mean, error = cases.mean_and_error(draws)
        assert np.all(np.abs(mean - expected) < 5 * error)
        assert np.all(error < 0.05 * np.abs(expected).max())  # enough draws to mean it


@pytest.mark.all_only
def test_estimators_agree_on_the_gradients_of_a_nonlinear_loss(base_seed):
    x = cases.inputs("Dense", 6, base_seed)
    y = np.random.default_rng(base_seed).normal(size=(6, 3)).astype(np.float32)
    found = []
    for name in DENSE:
        _, draws = _gradients(
            name,
            lambda f: tf.reduce_mean((tf.tanh(2 * f) * tf.nn.softplus(f) - y) ** 2),
            *(x, 8000, base_seed),
            bayesian_bias=True,
        )
        found.append([cases.mean_and_error(part) for part in draws])
    for one, other in itertools.combinations(found, 2):
        for (mean, error), (mean_2, error_2) in zip(one, other, strict=True):
            assert np.all(np.abs(mean - mean_2) < 5 * np.hypot(error, error_2))
    assert np.max(np.abs(found[0][0][0])) > 20 * np.max(found[0][0][1])  # and it is not zero


@pytest.mark.all_only
def test_noise_per_example_lowers_the_variance_of_the_gradients_of_a_mini_batch(base_seed):
    rng = np.random.default_rng(base_seed)
    x = rng.normal(size=(64, 20)).astype(np.float32)
    y = (rng.integers(0, 10, 64)).astype(np.int32)

    def loss(logits):
        return tf.reduce_mean(tf.nn.sparse_softmax_cross_entropy_with_logits(y, logits))

    variances = {}
    for name in DENSE:
        layer = cases.make(name, 10, initial_scale=0.5)
        layer.build((None, 20))
        layer.loc.assign(np.random.default_rng(base_seed).normal(0, 0.2, (20, 10)))

        def once(layer=layer):
            with tf.GradientTape() as tape:
                value = loss(layer(x))
            return tape.gradient(value, [layer.loc, layer.raw_scale])

        draws = cases.repeat(once, 2000, base_seed)
        squares = [np.sum((part - part.mean(0)) ** 2, axis=(1, 2)) for part in draws]
        variances[name] = np.array([cases.mean_and_error(part) for part in squares])
    one_draw, local, flipout = (variances[name] for name in DENSE)
    print("variance of the gradient of (loc, raw_scale) over that of reparameterization:")
    print("local reparameterization", local[:, 0] / one_draw[:, 0])
    print("flipout", flipout[:, 0] / one_draw[:, 0])
    for less in (local, flipout):
        error = np.hypot(less[:, 1], one_draw[:, 1])
        assert np.all(one_draw[:, 0] - less[:, 0] > 4 * error)


# Covariances between weights, and where scales start.


@pytest.mark.parametrize("covariance", ["full", 1, 3])
@pytest.mark.parametrize("bayesian_bias", [False, True], ids=["point_bias", "bayesian_bias"])
def test_draws_have_the_covariance_of_the_posterior(covariance, bayesian_bias, base_seed):
    layer = cases.made(
        "DenseReparameterization",
        base_seed,
        *(2,),
        covariance=covariance,
        bayesian_bias=bayesian_bias,
    )
    count, noise = 20_000, Noise(_key(base_seed))
    draws = layer._weights(noise.normal(layer, 0, [count, *layer.loc.shape]))
    draws = np.float64(draws.numpy()).reshape(count, -1)
    size = draws.shape[1]
    assert size == 2 * (4 + bayesian_bias)
    raw = layer.raw_scale.numpy()
    if covariance == "full":
        factor = np.float64(tfp.math.fill_triangular(raw).numpy())
        factor[np.diag_indices(size)] = cases.softplus(10 * np.diag(factor)) + 1e-6
        expected = factor @ factor.T
    else:
        factor = np.float64(layer.factor.numpy())
        assert factor.shape == (size, covariance)
        expected = np.diag(cases.loc_and_scale(layer)[1].ravel() ** 2) + factor @ factor.T
    np.testing.assert_allclose(layer.posterior.covariance(), expected, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(layer.posterior.mean(), layer.loc.numpy().ravel(), rtol=1e-6)
    variance = np.diag(expected)
    error = np.sqrt((np.outer(variance, variance) + expected**2) / count)
    assert np.all(np.abs(np.cov(draws.T) - expected) < 5 * error)
    shift = np.abs(draws.mean(0) - layer.loc.numpy().ravel())
    assert np.all(shift < 5 * np.sqrt(variance / count))


@pytest.mark.parametrize("covariance", ["full", 2])
@pytest.mark.parametrize("name", ["DenseReparameterization", "Conv1DReparameterization"])
def test_pass_with_covariances_uses_the_draw_in_the_order_of_the_posterior(
    name, covariance, base_seed
):
    layer = cases.made(name, base_seed, 2, covariance=covariance, bayesian_bias=True)
    x = cases.inputs(name, 2, base_seed)
    # The map is linear: its matrix from the unit vectors of the weights.
    size = layer.loc.shape[0] * 2
    units = np.eye(size, dtype=np.float32).reshape(size, *layer.loc.shape)
    matrix = np.stack([layer.affine(x, tf.constant(unit)).numpy().ravel() for unit in units])
    expected = matrix.T @ layer.posterior.covariance().numpy() @ matrix
    count = 8000
    draws = cases.repeat(lambda: layer(x), count, base_seed).reshape(count, -1)
    variance = np.diag(expected)
    error = np.sqrt((np.outer(variance, variance) + expected**2) / count)
    assert np.all(np.abs(np.cov(draws.T) - expected) < 5 * error)
    shift = np.abs(draws.mean(0) - layer.loc.numpy().ravel() @ matrix)
    assert np.all(shift < 5 * np.sqrt(variance / count))


@pytest.mark.parametrize("prior", [0.7, "student_t", "scale_mixture"])
@pytest.mark.parametrize("covariance", ["full", 2])
def test_kl_with_covariances_is_what_sampling_gives(covariance, prior, base_seed):
    layer = cases.made(
        *("DenseReparameterization", base_seed, 2),
        covariance=covariance,
        bayesian_bias=True,
        prior=prior,
    )
    posterior = layer.posterior
    w = posterior.sample(20_000, seed=[base_seed, 1])
    differences = np.float64((posterior.log_prob(w) - layer.prior.log_prob(w)).numpy())
    mean, error = cases.mean_and_error(differences)
    if prior == 0.7:
        assert abs(float(layer.kl_divergence()) - mean) < 4 * error
        return
    others = cases.repeat(lambda: layer.kl_divergence(100), 200, base_seed)
    other, other_error = cases.mean_and_error(others)
    assert abs(other - mean) < 4 * np.hypot(error, other_error)


@pytest.mark.parametrize("name", ["DenseReparameterization", "DenseLocalReparameterization"])
@pytest.mark.parametrize("width", [10, 100, 1000])
def test_first_noise_is_initial_scale_times_the_rms_input_whatever_the_width(
    name, width, base_seed
):
    layer = cases.make(name, 20, initial_scale=0.2)
    layer.build((None, width))
    x = np.random.default_rng(base_seed).normal(0, 3, (1, width)).astype(np.float32)
    noise = np.sqrt(np.mean(cases.repeat(lambda: layer(x), 1000, base_seed).var(0)))
    expected = 0.2 * np.sqrt(np.mean(np.float64(x) ** 2))
    assert abs(noise / expected - 1) < 4 / np.sqrt(2 * 20 * 1000)


@pytest.mark.parametrize("covariance", ["full", 2])
@pytest.mark.parametrize("width", [10, 50])
def test_first_noise_with_covariances_is_that_without(covariance, width, base_seed):
    layer = cases.make("DenseReparameterization", 20, initial_scale=0.2, covariance=covariance)
    layer.build((None, width))
    x = np.random.default_rng(base_seed).normal(0, 3, width)
    weights = layer.posterior.covariance().numpy().reshape(width, 20, width, 20)
    noise = np.einsum("iuju,i,j->u", weights, x, x).mean()
    expected = 0.2**2 * np.mean(x**2)
    # Half of the variance of a low rank is a square of normals, two for each of the 20 units.
    error = 0.5 * np.sqrt(2 / (2 * 20)) if covariance == 2 else 1e-6
    assert abs(noise / expected - 1) < 4 * error
