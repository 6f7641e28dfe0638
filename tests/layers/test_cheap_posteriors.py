"""BatchEnsemble, rank-1 and random-feature Gaussian process layers against what they stand for."""

import keras
import numpy as np
import pytest
import tensorflow as tf

import tfp_vae as tv
from tfp_vae.data import Kind, Split
from tfp_vae.distributions.base import tfd
from tfp_vae.layers.noise import ESTIMATOR, MEAN, SHARED, Noise, use

KEY = tf.constant([3, 4], tf.int32)
MODES = (ESTIMATOR, SHARED, MEAN)


def run(layer, x, mode=SHARED, **options):
    with use(Noise(KEY, mode, **options)):
        return np.asarray(layer(x), np.float64)


def examples(seed, *shape):
    return np.random.default_rng([seed, 53]).normal(size=shape).astype(np.float32)


# Members that share a kernel.

STOCK = {
    "Dense": (lambda: keras.layers.Dense(2, "tanh", bias_initializer="ones"), (5, 3)),
    "Conv2D": (lambda: keras.layers.Conv2D(2, 2, bias_initializer="ones"), (5, 3, 4, 2)),
}


@pytest.mark.parametrize("name", STOCK)
def test_members_without_factors_are_the_plain_layer(name, base_seed):
    make, shape = STOCK[name]
    x = examples(base_seed, *shape)
    plain = make()
    expected = plain(x)
    for kind in (tv.layers.BatchEnsemble, tv.layers.RankOne):
        layer = kind(make(), members=3, member_initializer="ones")
        layer.build(shape)
        assert layer.compute_output_shape(shape) == tuple(expected.shape)
        layer.layer.kernel.assign(plain.kernel)
        if kind is tv.layers.RankOne:
            layer.raw_scale.assign(tf.fill(layer.raw_scale.shape, -100.0))
        for mode in MODES:
            np.testing.assert_allclose(run(layer, x, mode), expected, rtol=1e-4, atol=1e-4)


def members(layer, x):
    """Returns what each member makes of x, [M, B, U], in float64."""
    w, r, s, b = (
        np.float64(v) for v in (layer.layer.kernel, layer.incoming, layer.outgoing, layer.bias)
    )
    return np.stack([(x @ (w * np.outer(r[m], s[m]))) + b[m] for m in range(layer.members)])


def test_draws_take_members_in_turn_and_the_mean_is_that_of_all(base_seed):
    x = examples(base_seed, 4, 3)
    layer = tv.layers.BatchEnsemble(keras.layers.Dense(2), members=3)
    layer.build(x.shape)
    layer.bias.assign(examples(base_seed, 3, 2))
    expected = members(layer, x)
    for draw in range(5):
        np.testing.assert_allclose(run(layer, x, draw=draw), expected[draw % 3], rtol=1e-4)
    np.testing.assert_allclose(run(layer, x, MEAN), expected.mean(axis=0), rtol=1e-4, atol=1e-5)
    network = keras.Sequential([layer])
    model = tv.BayesianNetwork(network, tv.likelihoods.Categorical(2), num_data=4)
    model.build((None, 3))
    parts = model.predictive(x, 100).components_distribution
    np.testing.assert_allclose(parts.logits, np.moveaxis(expected, 0, 1), rtol=1e-4, atol=1e-5)


def test_all_layers_of_a_pass_have_the_same_member(base_seed):
    x = examples(base_seed, 40, 3)
    layers = [tv.layers.BatchEnsemble(keras.layers.Dense(3), members=4) for _ in range(2)]
    network = keras.Sequential(layers)
    network.build(x.shape)
    whole = np.stack([members(layers[1], h)[m] for m, h in enumerate(members(layers[0], x))])
    with use(Noise(KEY, ESTIMATOR)):
        found = np.float64(network(x))
    offset = np.abs(whole - found).max(axis=-1)  # [M, B]
    np.testing.assert_allclose(offset.min(axis=0), 0, atol=1e-4)
    assert len(set(offset.argmin(axis=0))) == 4  # each example has one of its own


def test_rank_one_noise_has_the_moments_of_its_posterior_and_the_kl_is_in_closed_form(base_seed):
    layer = tv.layers.RankOne(keras.layers.Dense(2), members=2, prior_scale=0.3, initial_scale=0.2)
    layer.build((None, 3))
    rng = np.random.default_rng([base_seed, 59])
    layer.raw_scale.assign(rng.normal(-0.2, 0.05, layer.raw_scale.shape))
    # Inputs of zero but one: outputs are r s W, of independent r and s.
    x = np.tile(np.float32([[0, 1, 0]]), (20_000, 1))
    drawn = run(layer, x, ESTIMATOR)
    loc, scale = (np.float64(part) for part in layer._moments())
    w, (r, s) = np.float64(layer.layer.kernel)[1], (slice(1, 2), slice(3, 5))
    mean = (w * loc[:, r] * loc[:, s]).mean(axis=0)
    square = (w**2 * (loc**2 + scale**2)[:, r] * (loc**2 + scale**2)[:, s]).mean(axis=0)
    error = np.sqrt(square - mean**2) / np.sqrt(len(x))
    np.testing.assert_array_less(np.abs(drawn.mean(axis=0) - mean), 5 * error)
    np.testing.assert_allclose(drawn.var(axis=0), square - mean**2, rtol=0.1)
    each = tfd.kl_divergence(tfd.Normal(loc, scale), tfd.Normal(np.float64(1), 0.3))
    np.testing.assert_allclose(layer.kl_divergence(), np.sum(each) / 2, rtol=1e-5)


@pytest.mark.parametrize("kind", [tv.layers.BatchEnsemble, tv.layers.RankOne])
def test_the_prior_of_points_is_for_shared_kernels_and_biases_alone(kind):
    network = keras.Sequential([kind(keras.layers.Dense(2))])
    model = tv.BayesianNetwork(network, tv.likelihoods.Categorical(2), 1.0, num_data=4)
    model.build((None, 3))
    assert {weight.name for weight in model.point_weights()} == {"kernel", "bias"}
    prior = tfd.Normal(0.0, 1.0)
    points = -sum(float(tf.reduce_sum(prior.log_prob(w))) for w in model.point_weights())
    own = sum(float(layer.kl_divergence()) for layer in model.bayesian_layers())
    np.testing.assert_allclose(model.kl_divergence(), points + own, rtol=1e-5)


def test_layers_whose_kernel_cannot_be_shared_are_refused():
    for layer, message in (
        (keras.layers.LSTM(2), "Expected a layer of Keras such as Dense"),
        (keras.layers.Conv2D(2, 2, data_format="channels_first"), "channels last"),
        (3, "needs a layer"),
    ):
        with pytest.raises(ValueError, match=message):
            tv.layers.BatchEnsemble(layer)
    with pytest.raises(ValueError, match="members"):
        tv.layers.BatchEnsemble(keras.layers.Dense(2), members=0)


# The Gaussian process.


def process(features=64, head=None, rate=0.0, units=2, **options):
    """Returns a network that is a process of its inputs, compiled."""
    layer = tv.layers.RandomFeatureGaussianProcess(units, features, **options)
    model = tv.BayesianNetwork(keras.Sequential([layer]), head or tv.likelihoods.Categorical(2))
    model.build((None, 2))
    model.compile(keras.optimizers.SGD(rate), steps_per_execution=3, jit_compile=False)
    return model, layer


def _labels(x):
    return (x[:, 0] > 0).astype(np.int32)


@pytest.fixture(scope="module")
def near():
    """Returns examples near 0, and a process that has seen them twice."""
    x = 0.3 * examples(0, 100, 2)
    model, layer = process(1024)
    layer.beta.assign(0.5 * examples(0, *layer.beta.shape))
    model.fit(Split(x, Kind.REAL, _labels(x)), batch_size=40, epochs=2, verbose=0)
    return x, model, layer


def test_variance_grows_with_the_distance_from_the_data_up_to_that_of_the_prior(near):
    layer = near[2]
    angle = np.linspace(0, 2 * np.pi, 32)
    ring = np.stack([np.cos(angle), np.sin(angle)], axis=1).astype(np.float32)
    found = [float(np.mean(layer.variance(radius * ring))) for radius in (0, 0.7, 1.2, 1.8, 2.5, 9)]
    assert np.all(np.diff(found[:5]) > 0)
    assert found[0] < 0.2 < 0.9 < found[-1] < 1.1


def test_the_covariance_is_the_direct_inverse_of_the_last_epoch_alone(near):
    x, _, layer = near
    features = np.float64(layer.random_features(x))
    logits = features @ np.float64(layer.beta)
    p = 1 / (1 + np.exp(logits[:, 1] - logits[:, 0]))
    precision = np.eye(1024) + features.T @ (features * (p * (1 - p))[:, np.newaxis])
    root = np.float64(layer.root)
    np.testing.assert_allclose(root @ root.T, np.linalg.inv(precision), atol=1e-4)


def test_of_real_targets_the_noise_weighs_the_curvature():
    x = examples(0, 50, 2)
    model, layer = process(32, tv.likelihoods.Normal("per_example"), ridge=2.0)
    y = 10 * x[:, 0] + 3
    model.fit(Split(x, Kind.REAL, targets=y), batch_size=50, verbose=0)
    features = np.float64(layer.random_features(x))
    raw = (features @ np.float64(layer.beta))[:, 1]
    scale = np.float64(model.likelihood.parameters(np.stack([raw, raw], 1).astype(np.float32)))
    weights = (y.std() / scale[:, 1]) ** 2
    expected = features.T @ (features * weights[:, np.newaxis])
    np.testing.assert_allclose(layer.curvature, expected, rtol=1e-3, atol=1e-2)


def test_what_sharp_targets_leave_open_keeps_the_variance_of_the_prior():
    x = examples(0, 200, 2)
    model, layer = process(256, tv.likelihoods.Normal(1e-4), units=1)  # 1e9 times the prior
    y = x[:, 0]
    model.fit(Split(x, Kind.REAL, targets=y), batch_size=50, verbose=0)
    features = np.float64(layer.random_features(x)) * y.std() / 1e-4
    expected = np.linalg.inv(np.eye(256) + features.T @ features)
    root = np.float64(layer.root)
    np.testing.assert_allclose(root @ root.T, expected, atol=1e-3)


def test_draws_are_functions_with_the_variance_of_the_process_and_probit_is_their_limit(near):
    _, model, layer = near
    x = 2 * examples(1, 6, 2)
    drawn = np.float64(model.predictive(x, 300).components_distribution.logits_parameter())
    at_beta = np.float64(layer.random_features(x)) @ np.float64(layer.beta)
    variance = np.float64(layer.variance(x))[:, np.newaxis]
    offset = np.abs(drawn.mean(axis=1) - at_beta) / np.sqrt(variance / 300)
    assert offset.max() < 5
    np.testing.assert_allclose(drawn.var(axis=1), np.tile(variance, 2), rtol=0.45)
    layer.predictive = "probit"
    try:
        assert model.num_draws(7) == 1
        expected = at_beta / np.sqrt(1 + np.pi / 8 * variance)
        np.testing.assert_allclose(run(layer, x), expected, rtol=1e-4, atol=1e-5)
    finally:
        layer.predictive = "sampled"


def test_a_training_that_is_interrupted_has_the_covariance_of_the_last_whole_epoch():
    x = examples(0, 20, 2)
    model, layer = process(16)

    def stop(epoch, logs):
        if epoch == 1:
            raise KeyboardInterrupt

    stopping = keras.callbacks.LambdaCallback(on_epoch_begin=stop)
    split = Split(x, Kind.REAL, _labels(x))
    with pytest.raises(KeyboardInterrupt):
        model.fit(split, batch_size=20, epochs=3, verbose=0, callbacks=[stopping])
    root = np.float64(layer.root)
    precision = np.eye(16) + np.float64(layer.curvature)
    assert np.trace(precision) > 17
    np.testing.assert_allclose(root @ root.T, np.linalg.inv(precision), atol=1e-4)


def test_a_spectral_bound_shrinks_what_is_above_and_leaves_the_rest(base_seed):
    bound = tv.layers.SpectralBound(0.9)
    for shape in ((6, 4), (3, 3, 2, 5)):
        kernel = examples(base_seed, *shape)
        norm = np.linalg.svd(kernel.reshape(-1, shape[-1]))[1][0]
        found = np.asarray(bound(kernel))
        np.testing.assert_allclose(found, kernel * 0.9 / norm, rtol=0.02)
        np.testing.assert_array_equal(bound(0.1 * found), 0.1 * found)


def test_what_a_process_cannot_be_is_refused():
    layer = tv.layers.RandomFeatureGaussianProcess
    with pytest.raises(ValueError, match=r"Expected \(B, F\). Received \(2, 3, 4\)"):
        layer(2, 8)(np.zeros((2, 3, 4), np.float32))
    with pytest.raises(ValueError, match="probit predictive is one of classes"):
        process(8, tv.likelihoods.Normal("per_example"), predictive="probit")
    with pytest.raises(ValueError, match="Unknown predictive"):
        layer(2, predictive="mean")
    with pytest.raises(ValueError, match="not kept per member"):
        tv.Ensemble(process(8)[0], 2)
