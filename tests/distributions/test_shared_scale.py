"""The scale of a normal decoder in closed form: at its optimum in every step, and kept."""

import keras
import numpy as np
import pytest
import tensorflow as tf

import tfp_vae as tv
from tfp_vae.distributions.heads.normal import HALF_GREY_LEVEL, KEPT, START
from tfp_vae.objectives import batch_mean

S, B, PIXELS = 2, 5, 3


@pytest.fixture
def batch(base_seed):
    """Features [S, B, 3, 1], examples [B, 3] and weights [B] of a head in units."""
    rng = np.random.default_rng(base_seed)
    return rng.normal(size=(S, B, PIXELS, 1)), rng.normal(size=(B, PIXELS)), rng.random(B)


def in_units(scale="shared"):
    head = tv.heads.Normal(scale)
    head.build((None, PIXELS, 1))
    head.unit_mean.assign([0.1, 0.2, 0.3])
    head.unit_scale.assign([1.0, 2.0, 0.5])
    return head


def test_the_gradient_is_that_of_the_likelihood_at_its_best_scale(batch):
    features, x, weight = batch
    head = in_units()

    def loss(features, scale=None):
        """The mean of -w log p, at its least over a common scale where none is given."""
        loc = np.array([0.1, 0.2, 0.3]) + np.array([1.0, 2.0, 0.5]) * features[..., 0]
        squares = ((x - loc) / np.array([1.0, 2.0, 0.5])) ** 2
        mean = (squares.mean(axis=(0, 2)) * weight).sum() / weight.sum()
        scale = np.sqrt(mean) if scale is None else scale
        log_p = -0.5 * squares / scale**2 - np.log(scale) - 0.5 * np.log(2 * np.pi)
        return -(log_p.sum(axis=2).mean(axis=0) * weight).sum() / B

    variable = tf.Variable(features, dtype=tf.float32)
    with tf.GradientTape() as tape:
        found = head.profiled(variable, tf.constant(x, tf.float32), 1, tf.constant(weight))
        value = -batch_mean(tf.reduce_mean(found.log_prob(x), 0), weight)
    slope = tape.gradient(value, variable).numpy()
    scale = found.stddev().numpy()[0, 0, 0]
    assert loss(features) < min(loss(features, 0.99 * scale), loss(features, 1.01 * scale))
    for index in np.ndindex(*features.shape):
        step = np.zeros_like(features)
        step[index] = 1e-5
        expected = (loss(features + step) - loss(features - step)) / 2e-5
        assert slope[index] == pytest.approx(expected, rel=1e-3, abs=1e-5)
    for other in ("trained", 2.0, "per_pixel"):  # nothing of them is set
        features = tf.zeros([1, B, PIXELS, 2])
        head = in_units(other)
        at_once = head.profiled(features, tf.constant(x, tf.float32), 1)
        np.testing.assert_array_equal(at_once.stddev(), head.likelihood(features, 1).stddev())


def test_the_running_scale_weighs_examples_and_forgets(batch):
    features, x, weight = (tf.constant(each, tf.float32) for each in batch)
    head = in_units()
    unit = np.array([1.0, 2.0, 0.5])
    assert head.likelihood(features, 1).stddev().numpy()[0, 0] == pytest.approx(START * unit)
    squares = np.square((x - head.likelihood(features, 1).mean()) / unit).mean(axis=(0, 2))
    head.profiled(features, x, 1, weight)
    head.profiled(tf.concat([features, features], 0), x, 1)  # as many draws as one likes
    errors = KEPT * (squares * weight).numpy().sum() + squares.sum()
    expected = np.sqrt(errors / (KEPT * weight.numpy().sum() + B))
    here = head.likelihood(features, 1).stddev().numpy()
    np.testing.assert_allclose(here, np.broadcast_to(unit * expected, here.shape), rtol=1e-5)
    np.testing.assert_allclose(head(features)[..., 1], here, rtol=1e-6)
    nothing = head.profiled(features, x, 1, 0 * weight)
    np.testing.assert_allclose(nothing.stddev(), here, rtol=1e-5)
    np.testing.assert_allclose(head.likelihood(features, 1).stddev(), here, rtol=1e-5)


def test_a_batch_of_constant_pixels_leaves_the_floor():
    head = tv.heads.Normal()
    head.build((None, PIXELS, 1))
    features = tf.Variable(tf.zeros([S, B, PIXELS, 1]))
    with tf.GradientTape() as tape:
        found = head.profiled(features, tf.zeros([B, PIXELS]), 1)
        value = tf.reduce_sum(found.log_prob(0.0))
    assert np.all(np.isfinite(tape.gradient(value, features)))
    np.testing.assert_allclose(found.stddev(), HALF_GREY_LEVEL, rtol=1e-6)
    np.testing.assert_allclose(head.likelihood(features, 1).stddev(), HALF_GREY_LEVEL, rtol=1e-6)


def test_classes_that_m2_sums_over_count_with_their_mass(base_seed):
    x = np.random.default_rng(base_seed).random((6, 3)).astype(np.float32)
    model = tv.M2(
        classifier=keras.Sequential([keras.layers.Dense(2)]),
        num_classes=2,
        prior=tv.priors.StandardNormal(1),
        encoder=tv.encoders.Gaussian(tv.networks.mlp([]), 1),
        decoder=tv.decoders.Normal(tv.networks.mlp([]), (3,)),
    )
    y = tf.constant([0, 1, -1, -1, 0, 1])
    outputs = model((x, y), training=True)
    model.compute_loss((tf.constant(x), y), y, outputs)
    errors = np.square(model.under_every_class(x)[0] - outputs.likelihood.mean()[0]).mean(axis=1)
    q = np.array(outputs.recognition.probs_parameter()).T
    q[:, y.numpy() >= 0] = np.eye(2)[:, [0, 1, 0, 1]]
    expected = (errors.reshape(2, 6) * q).sum() / 6
    assert np.square(model.decoder.head._scale_of(model.decoder.head.running)) == pytest.approx(
        expected, rel=1e-4
    )


def test_a_likelihood_of_one_target_cannot_learn_from_the_values_of_an_example():
    with pytest.raises(ValueError, match=r"many values of each example.*scale='trained'"):
        tv.BayesianNetwork(keras.Sequential([keras.layers.Dense(1)]), tv.heads.Normal())


def linear():
    """Returns a linear VAE of eight columns, compiled."""
    keras.utils.set_random_seed(0)
    vae = tv.VAE(
        prior=tv.priors.StandardNormal(1),
        encoder=tv.encoders.Gaussian(tv.networks.mlp([]), 1),
        decoder=tv.decoders.Normal(tv.networks.mlp([]), (8,)),
    )
    vae.compile(keras.optimizers.Adam(0.02), jit_compile=False, steps_per_execution=25)
    return vae


@pytest.mark.all_only
def test_after_training_the_scale_is_the_best_of_the_network_and_a_saved_run_goes_on(
    tmp_path, base_seed
):
    rng = np.random.default_rng(base_seed)
    x = rng.normal(size=(500, 1)) @ rng.normal(size=(1, 8)) + 0.05 * rng.normal(size=(500, 8))
    split = tv.data.Split(x.astype(np.float32), "real", name="train")
    whole = linear()
    whole.fit(split, epochs=30, batch_size=20, verbose=0)
    whole.save(tmp_path / "half.keras")
    half = tv.load(tmp_path / "half.keras")
    for model in (whole, half):
        model.fit(split, epochs=30, batch_size=20, verbose=0)
    for one, other in zip(whole.weights, half.weights, strict=True):
        np.testing.assert_array_equal(one, other)
    draw, values = whole.at(1), tf.constant(split.values())
    likelihood = draw.likelihood(draw.infer(values, 50)[-1].value)
    ratio = likelihood.head.squared_deviations(
        likelihood.head.parameters(likelihood.features), values
    )
    assert np.sqrt(np.mean(ratio)) == pytest.approx(1.0, abs=0.01)
