"""Any layer of Keras with Bayesian kernels, transposed convolutions, masks, converted networks."""

import keras
import numpy as np
import pytest
import tensorflow as tf

import tfp_vae as tv
from tfp_vae import export
from tfp_vae.distributions.base import tfd
from tfp_vae.layers.noise import ESTIMATOR, MEAN, SHARED, Noise, use

bayesian = tv.layers.bayesian
KEY = tf.constant([3, 4], tf.int32)


def run(layer, x, mode=SHARED, **options):
    with use(Noise(KEY, mode)):
        return np.asarray(layer(x, **options))


def drawn(layer):
    """Returns the weights of the draw of `run`, float64 by name."""
    values = layer.draw(Noise(KEY, SHARED))
    return {v.name: np.float64(w) for v, w in zip(layer.chosen, values, strict=True)}


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def spread(layer, x, seed):
    """Builds a layer and gives it weights and scales that are not those at the start."""
    layer.build(x.shape)
    rng = np.random.default_rng([seed, 31])
    for variable in layer.trainable_variables:
        fast = 0.1 if variable is layer.raw_scale else 1.0
        variable.assign(fast * rng.normal(0.0, 0.7, variable.shape))
    return layer


def test_an_lstm_runs_with_the_weights_that_were_drawn(base_seed):
    x = np.random.default_rng([base_seed, 3]).normal(size=(2, 4, 3)).astype(np.float32)
    layer = spread(bayesian(keras.layers.LSTM(2)), x, base_seed)
    w, bias = drawn(layer), np.float64(layer.layer.cell.bias)
    h = c = np.zeros((2, 2))
    for step in range(4):
        gates = x[:, step] @ w["kernel"] + h @ w["recurrent_kernel"] + bias
        i, f, new, o = np.split(gates, 4, axis=1)
        c = sigmoid(f) * c + sigmoid(i) * np.tanh(new)
        h = sigmoid(o) * np.tanh(c)
    np.testing.assert_allclose(run(layer, x), h, rtol=1e-5, atol=1e-6)
    assert np.any(np.abs(w["kernel"] - np.asarray(layer.layer.cell.kernel)) > 0.1)
    np.testing.assert_array_equal(run(layer, x, MEAN), np.asarray(layer.layer(x)))


def test_an_embedding_looks_up_rows_that_were_drawn_and_starts_as_wide_for_any_table(base_seed):
    words = np.array([[0, 2, 2], [1, 0, 3]])
    layer = spread(bayesian(keras.layers.Embedding(4, 2), bayesian_bias=True), words, base_seed)
    np.testing.assert_allclose(run(layer, words, ESTIMATOR), drawn(layer)["embeddings"][words])
    fresh = bayesian(keras.layers.Embedding(1000, 2), initial_scale=0.3)
    fresh.build((None, 3))
    np.testing.assert_allclose(fresh.posterior.stddev(), 0.3, rtol=1e-5)


@pytest.mark.parametrize("learned", [False, True])
def test_the_kl_of_a_wrapped_layer_is_the_sum_of_closed_forms_over_its_kernels(learned, base_seed):
    prior = tv.layers.priors.Normal("fan_in", learned=learned)
    x = np.zeros((2, 4, 3), np.float32)
    layer = bayesian(keras.layers.GRU(2), prior=prior, bayesian_bias=True)
    layer = spread(layer, x, base_seed)
    total, place = 0.0, 0
    for variable in layer.chosen:
        loc, size = np.float64(variable).ravel(), int(np.prod(variable.shape))
        scale = np.float64(layer.posterior.stddev())[place : place + size]
        place += size
        # The bias of a GRU has two rows, of its two kernels.
        width = 1 / np.sqrt(variable.shape[0])
        if learned:
            squares = np.sum(loc**2 + scale**2)
            width = np.sqrt((squares + 20 * width**2) / (size + 4))
        total += np.sum(np.log(width / scale) + (scale**2 + loc**2) / (2 * width**2) - 0.5)
    np.testing.assert_allclose(layer.kl_divergence(), total, rtol=1e-5)


def test_a_wrapped_dense_layer_is_the_layer_of_that_name(base_seed):
    x = np.random.default_rng([base_seed, 5]).normal(size=(3, 4)).astype(np.float32)
    one = spread(bayesian(keras.layers.Dense(2, "relu")), x, base_seed)
    other = tv.layers.DenseReparameterization(2, "relu")
    other.build((None, 4))
    other.start_at(one.layer)
    other.raw_scale.assign(tf.reshape(one.raw_scale, [4, 2]))
    np.testing.assert_allclose(run(one, x), run(other, x), rtol=1e-6, atol=1e-6)
    np.testing.assert_allclose(one.kl_divergence(), other.kl_divergence(), rtol=1e-6)


def test_seeds_and_statistics_of_a_wrapped_layer_go_on():
    dropping = bayesian(keras.Sequential([keras.layers.Dropout(0.5), keras.layers.Dense(3)]))
    x = np.ones((2, 40), np.float32)
    assert np.any(run(dropping, x, MEAN, training=True) != run(dropping, x, MEAN, training=True))
    normed = keras.Sequential([keras.layers.Dense(2), keras.layers.BatchNormalization()])
    run(bayesian(normed), x, training=True)
    assert np.all(np.asarray(normed.layers[1].moving_mean) != 0)


def test_padding_is_masked_through_an_embedding_a_series_and_what_lies_between():
    words = np.array([[1, 2, 0, 0], [3, 1, 2, 1]])
    layers = [
        bayesian(keras.layers.Embedding(4, 2, mask_zero=True), name="words"),
        tv.layers.MonteCarloDropout(0.3, noise_shape=(None, 1, None)),
        tv.layers.DenseReparameterization(2, "tanh"),
        bayesian(keras.layers.LSTM(2)),
    ]
    network = keras.Sequential(layers)
    short = keras.Sequential(layers)
    np.testing.assert_allclose(run(network, words)[:1], run(short, words[:1, :2]), rtol=1e-5)


def test_what_cannot_be_wrapped_is_refused():
    x = np.ones((2, 3), np.float32)
    cases = [
        (lambda: bayesian(3), "needs a layer"),
        (lambda: bayesian(tv.layers.DenseFlipout(2)), "random already"),
        (lambda: bayesian(keras.layers.LSTM(2, stateful=True)), "Expected a layer with stateful"),
        (lambda: bayesian(keras.layers.Flatten())(x), "no kernel.*Received a Flatten"),
        (lambda: bayesian(keras.layers.Dense(2, kernel_regularizer="l2"))(x), "prior= in their"),
        (lambda: bayesian(keras.layers.Dense(2), initial_scale=1e-9)(x), "too small"),
    ]
    for make, message in cases:
        with pytest.raises(ValueError, match=message):
            make()


@pytest.mark.parametrize(
    "options",
    [{"strides": 2, "padding": "SAME"}, {"strides": 3, "output_padding": 1}, {"output_padding": 0}],
    ids=str,
)
def test_a_transposed_convolution_is_that_of_keras(options, base_seed):
    x = np.random.default_rng([base_seed, 7]).normal(size=(2, 3, 4, 2)).astype(np.float32)
    if options["output_padding" if "output_padding" in options else "strides"] == 0:
        options = {**options, "strides": 2}
    stock = keras.layers.Conv2DTranspose(3, 3, bias_initializer="ones", **options)
    expected = stock(x)
    ours = tv.layers.Conv2DTransposeReparameterization(3, 3, bayesian_bias=True, **options)
    assert ours.compute_output_shape((None, 3, 4, 2)) == (None, *expected.shape[1:])
    ours.build(x.shape)
    ours.start_at(stock)
    np.testing.assert_allclose(run(ours, x, MEAN), expected, rtol=1e-5, atol=1e-5)
    assert type(ours).from_config(ours.get_config()).get_config() == ours.get_config()


# Networks that are converted.


def trained(base_seed=0):
    """Returns an image network in two parts, with weights that are not those at the start."""
    inner = keras.Sequential(
        [
            keras.Input((4, 4, 2)),
            keras.layers.Conv2D(3, 2, groups=1, activation="relu"),
            keras.layers.BatchNormalization(),
            keras.layers.DepthwiseConv2D(2),
        ]
    )
    x = keras.Input((4, 4, 2))
    y = keras.layers.Flatten()(inner(x))
    y = keras.layers.Dense(5, "tanh", use_bias=False)(y)
    network = keras.Model(x, keras.layers.Dense(3)(y))
    rng = np.random.default_rng([base_seed, 37])
    network.set_weights([np.abs(rng.normal(0, 0.5, w.shape)) for w in network.get_weights()])
    return network


@pytest.mark.parametrize(("chosen", "count"), [("last", 1), (2, 2), ("all", 4)])
def test_a_converted_network_starts_at_the_trained_weights(chosen, count, base_seed, tmp_path):
    network = trained(base_seed)
    found = tv.convert(network, chosen, prior=0.7, bayesian_bias=True)
    model = tv.BayesianNetwork(found, tv.likelihoods.Categorical(3), num_data=10)
    model.build((None, 4, 4, 2))
    kinds = [type(layer).__name__ for layer in model.bayesian_layers()]
    local = "LocalReparameterization"
    every = [f"Conv2D{local}", "Bayesian", f"Dense{local}", f"Dense{local}"]
    assert sorted(kinds) == sorted(every[-count:])
    assert all(layer.weight_prior.scale == 0.7 for layer in model.bayesian_layers())
    x = np.random.default_rng([base_seed, 41]).normal(size=(5, 4, 4, 2)).astype(np.float32)
    with model.at(0, MEAN):
        np.testing.assert_allclose(found(x), network(x), rtol=1e-5, atol=1e-5)
    assert np.all(model.predictive(x, 5).epistemic > 0)
    if chosen == "all":
        model.save(tmp_path / "model.keras")
        again = export.load(tmp_path / "model.keras")
        with model.at(1, SHARED):
            expected = found(x)
        with again.at(1, SHARED):
            np.testing.assert_array_equal(again.network(x), expected)


def test_networks_that_cannot_be_converted_are_refused():
    class Own(keras.Model):
        pass

    heads = keras.Input((2,))
    two = keras.Model(heads, [keras.layers.Dense(1)(heads), keras.layers.Dense(2)(heads)])
    ends = keras.Sequential([keras.Input((2,)), keras.layers.Dense(2), keras.layers.Softmax()])
    held = keras.Sequential([keras.Input((2,)), keras.layers.Dense(2, kernel_regularizer="l2")])
    dense = keras.Sequential([keras.Input((2,)), keras.layers.Dense(2)])
    cases = [
        (Own(), {}, "does not say what its layers are"),
        (keras.Sequential([keras.layers.Dense(2)]), {}, "no weights to start at"),
        (dense, {"bayesian_layers": 2}, "at most 1, or 'all'. Received 2"),
        (dense, {"bayesian_layers": "first"}, "Impossible bayesian_layers"),
        (dense, {"estimator": "score"}, "Unknown estimator"),
        (two, {"bayesian_layers": "last"}, "needs a last layer"),
        (ends, {"bayesian_layers": "last"}, "needs a last layer"),
        (held, {}, "no kernel_regularizer. Expected prior="),
    ]
    for network, options, message in cases:
        with pytest.raises(ValueError, match=message):
            tv.convert(network, **options)


def test_a_bayesian_wrapper_is_pruned_as_a_layer_is():
    network = keras.Sequential([bayesian(keras.layers.Dense(2))])
    model = tv.BayesianNetwork(network, tv.likelihoods.Categorical(2), num_data=4)
    model.build((None, 3))
    pruned = tv.evaluation.predictive.prune(model, 0.5).bayesian_layers()[0]
    kept = np.asarray(pruned.layer.kernel).ravel() != 0
    assert kept.sum() == 3
    certain = np.asarray(pruned.posterior.stddev()) < 1e-5
    np.testing.assert_array_equal(certain, ~kept)
    assert isinstance(pruned.posterior.distribution, tfd.Normal)
