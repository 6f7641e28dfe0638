"""Heads, encoders, decoders and priors: shapes, agreement of sample and log_prob, extremes."""

import math

import keras
import numpy as np
import pytest
import tensorflow as tf
import tensorflow_probability as tfp
from scipy import stats

import tfp_vae as tv
from tfp_vae.data import Kind
from tfp_vae.distributions import DiscretizedLogistic, positive
from tfp_vae.distributions.base import SCALE_FLOOR, inverse_positive
from tfp_vae.distributions.draws import sample as draw

tfd = tfp.distributions

DECODERS = {
    "bernoulli": lambda net, shape: tv.decoders.Bernoulli(net, shape),
    "continuous_bernoulli": lambda net, shape: tv.decoders.ContinuousBernoulli(net, shape),
    "normal_fixed": lambda net, shape: tv.decoders.Normal(net, shape, scale=0.3),
    "normal_shared": lambda net, shape: tv.decoders.Normal(net, shape, scale="shared"),
    "normal_trained": lambda net, shape: tv.decoders.Normal(net, shape, scale="trained"),
    "normal_per_pixel": lambda net, shape: tv.decoders.Normal(net, shape, scale="per_pixel"),
    "discretized_logistic": lambda net, shape: tv.decoders.DiscretizedLogistic(net, shape),
    "categorical": lambda net, shape: tv.decoders.Categorical(net, shape),
}
ENCODERS = {"diagonal": tv.encoders.Gaussian, "full": tv.encoders.FullGaussian}


@pytest.mark.parametrize("name", DECODERS)
@pytest.mark.parametrize("shape", [(6,), (4, 5, 1), (4, 4, 3)], ids=str)
def test_decoder_has_batch_and_event_shape_with_and_without_sample_axes(name, shape):
    decoder = DECODERS[name](tv.networks.mlp([7]), shape)
    for lead in [(3,), (2, 3), (5, 2, 3)]:
        if not decoder.built:
            decoder.build((None, 2))
        likelihood = decoder(tf.ones((*lead, 2)))
        assert likelihood.batch_shape == lead
        assert likelihood.event_shape == shape
        assert likelihood.mean().shape == (*lead, *shape)
        drawn = likelihood.sample(seed=[0, 1])
        assert likelihood.log_prob(drawn).shape == lead
        assert likelihood.log_prob(drawn).dtype == tf.float32


@pytest.mark.parametrize("name", DECODERS)
def test_convolutional_decoder_keeps_pixels_in_place(name):
    decoder = DECODERS[name](tv.networks.conv_decoder((5, 6), (8,), 16), (5, 6, 3))
    likelihood = decoder(tf.ones((2, 4, 3)))
    decoder_of_one = decoder(tf.ones((4, 3)))
    assert likelihood.batch_shape == (2, 4)
    np.testing.assert_allclose(likelihood.mean()[1], decoder_of_one.mean(), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("encoder", ENCODERS.values(), ids=ENCODERS)
@pytest.mark.parametrize("latent_dim", [1, 2, 7])
def test_encoder_is_a_normal_over_latents(encoder, latent_dim):
    posterior = encoder(tv.networks.mlp([5]), latent_dim)(tf.ones((3, 4, 4, 1)))
    assert posterior.batch_shape == (3,)
    assert posterior.event_shape == (latent_dim,)
    assert np.all(np.linalg.eigvalsh(posterior.covariance()) > 0)


def test_full_covariance_encoder_is_correlated():
    x = tf.constant(np.random.default_rng(0).normal(size=(3, 10)), tf.float32)
    covariance = tv.encoders.FullGaussian(tv.networks.mlp([50]), 3)(x).covariance().numpy()
    assert np.all(np.abs(covariance[:, 0, 1]) > 0)


def test_prior_is_called_without_arguments_and_is_standard_normal():
    prior = tv.priors.StandardNormal(3)()
    assert isinstance(prior, tfd.MultivariateNormalDiag)
    z = np.array([0.5, -1.0, 2.0])
    assert float(prior.log_prob(z.astype(np.float32))) == pytest.approx(stats.norm.logpdf(z).sum())


def test_positive_transform_inverts_and_has_a_gradient_everywhere():
    for scale in (1e-3, 0.5, 40.0):
        assert float(positive(tf.constant(inverse_positive(scale)))) == pytest.approx(
            scale, rel=1e-4
        )
    raw = tf.constant([-80.0, -20.0, 0.0, 20.0, 1e4])
    with tf.GradientTape() as tape:
        tape.watch(raw)
        scale = positive(raw)
    assert np.all(scale >= SCALE_FLOOR)
    assert np.all(np.isfinite(scale))
    assert np.all(tape.gradient(scale, raw) > 0)


def test_bernoulli_log_prob_is_the_sum_over_pixels_and_does_not_clip():
    decoder = tv.decoders.Bernoulli(tv.networks.mlp([]), (2, 2, 1))
    decoder.build((None, 1))
    decoder.projection.set_weights([np.zeros((1, 4)), np.array([100.0, -100.0, 0.0, 2.0])])
    x = np.array([0.0, 1.0, 1.0, 0.0]).reshape(1, 2, 2, 1)
    expected = -100 - 100 - math.log(2) - math.log1p(math.exp(2))
    assert float(decoder(tf.zeros((1, 1))).log_prob(x)[0]) == pytest.approx(expected)


def _bernoulli_and_tfp(event_shape, logits, x):
    """Returns value and gradient of our log_prob and of TFP's."""
    ours = tv.decoders.Bernoulli(tv.networks.mlp([]), event_shape)
    results = []
    for likelihood in (
        lambda logits: ours.distribution(logits[..., tf.newaxis]),
        lambda logits: tfd.Independent(tfd.Bernoulli(logits), len(event_shape)),
    ):
        with tf.GradientTape() as tape:
            tape.watch(logits)
            value = likelihood(logits).log_prob(x)
        results.append((value.numpy(), tape.gradient(value, logits).numpy()))
    return results


def test_bernoulli_equals_tfp_in_value_and_gradient(base_seed):
    rng = np.random.default_rng(base_seed)
    logits = rng.normal(size=(1000, 1)) * 10 ** rng.uniform(-3, 4, (1000, 1))
    x = (rng.random((1000, 1)) < 0.5).astype(np.float32)
    ours, theirs = _bernoulli_and_tfp((1,), tf.constant(logits, tf.float32), x)
    for one, other in zip(ours, theirs, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-6, atol=1e-6)
    pixels = tv.decoders.Bernoulli(tv.networks.mlp([]), (1,)).distribution(
        tf.constant(logits, tf.float32)[..., tf.newaxis]
    )
    np.testing.assert_array_equal(pixels.distribution.log_prob(x)[:, 0], pixels.log_prob(x))


@pytest.mark.parametrize("shape", [(3, 5, 4, 6, 2), (5, 4, 6, 2), (4, 6, 2)])
def test_bernoulli_sums_over_images_as_tfp_does(base_seed, shape):
    rng = np.random.default_rng(base_seed)
    x = (rng.random((5, 4, 6, 2)) < 0.5).astype(np.float32)
    logits = tf.constant(rng.normal(size=shape), tf.float32)
    ours, theirs = _bernoulli_and_tfp((4, 6, 2), logits, x)
    assert ours[0].shape == theirs[0].shape
    for one, other in zip(ours, theirs, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-5, atol=1e-5)


def _summed(shape, logits, x, run=lambda function: function):
    """Returns log p [..., *shape] -> [...], and its gradients by logits and x."""
    head = tv.heads.Bernoulli()

    def both(logits, x):
        with tf.GradientTape() as tape:
            tape.watch([logits, x])
            value = head.likelihood(logits[..., tf.newaxis], len(shape)).log_prob(x)
        return value, *tape.gradient(value, [logits, x])

    return [each.numpy() for each in run(both)(tf.constant(logits), tf.constant(x))]


@pytest.mark.parametrize("kind", ["binary", "grey"])
@pytest.mark.parametrize("shape", [(28, 28, 1), (9, 7, 1), (13,), (2, 2)], ids=str)
def test_log_p_of_many_pixels_is_within_its_bound_of_double_precision(shape, kind, base_seed):
    rng, lead = np.random.default_rng(base_seed), (3, 5)
    logits = rng.normal(size=(*lead, *shape)) * 10 ** rng.uniform(-3, 4, (*lead, *shape))
    logits = logits.astype(np.float32)
    logits[0, 0], logits[0, 1], logits[0, 2] = 0.0, 1e4, -1e4
    x = rng.random((5, *shape)).astype(np.float32)
    x = np.round(x) if kind == "binary" else x
    value, by_logits, by_x = _summed(shape, logits, x)
    double = logits.astype(np.float64)
    each = x * double - np.logaddexp(0, double)
    axes = tuple(range(2, 2 + len(shape)))
    # What the formula rounds away, and what any sum in float32 does.
    size = np.prod(shape)
    bound = 3e-7 * size + 2**-24 * np.log2(2 * size) * 4 * np.abs(each).sum(axes)
    assert np.all(np.abs(value - each.sum(axes)) <= bound)
    slopes = x - 1 / (1 + np.exp(-np.clip(double, -700, 700)))
    np.testing.assert_allclose(by_logits, slopes, rtol=1e-6, atol=2e-7)
    np.testing.assert_allclose(by_x, double.sum(axis=0), rtol=1e-5, atol=1e-2)


def test_log_p_of_many_pixels_is_the_same_in_a_graph_and_compiled(base_seed):
    rng = np.random.default_rng(base_seed)
    logits, x = rng.normal(size=(3, 5, 8, 8)) * 4, rng.random((5, 8, 8)) < 0.5
    arguments = (8, 8), logits.astype(np.float32), x.astype(np.float32)
    eager, *others = (
        _summed(*arguments, run)
        for run in (lambda f: f, tf.function, lambda f: tf.function(f, jit_compile=True))
    )
    for other in others:
        for one, same in zip(eager, other, strict=True):
            np.testing.assert_allclose(one, same, rtol=1e-6, atol=1e-5)


def test_logits_that_are_one_for_all_examples_get_the_sum_of_the_gradients(base_seed):
    rng = np.random.default_rng(base_seed)
    x = (rng.random((5, 16)) < 0.5).astype(np.float32)
    for shape in [(16,), (1, 16)]:
        logits = rng.normal(size=shape).astype(np.float32)
        value, by_logits, _ = _summed((16,), logits, x)
        assert value.shape == (5,)
        slopes = (x - 1 / (1 + np.exp(-logits))).sum(axis=0)
        np.testing.assert_allclose(by_logits, slopes.reshape(shape), rtol=1e-5, atol=1e-6)


def test_log_p_of_many_pixels_has_the_curvature_of_each():
    logits = tf.constant(np.linspace(-6, 6, 16, dtype=np.float32))
    with tf.GradientTape() as outer:
        outer.watch(logits)
        with tf.GradientTape() as inner:
            inner.watch(logits)
            value = tv.heads.Bernoulli().likelihood(logits[:, tf.newaxis], 1).log_prob(tf.ones(16))
        slopes = inner.gradient(value, logits)
    p = 1 / (1 + np.exp(-logits.numpy().astype(np.float64)))
    np.testing.assert_allclose(outer.gradient(slopes, logits), -p * (1 - p), rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize("wrong", [np.nan, np.inf, -np.inf])
def test_a_logit_without_a_value_is_not_lost_in_the_sum_over_pixels(wrong):
    logits = np.zeros((1, 16), np.float32)
    logits[0, 3] = wrong
    for x in (0.0, 1.0):
        each = tv.heads.Bernoulli().likelihood(tf.constant(logits)[..., tf.newaxis])
        expected = tf.reduce_sum(each.log_prob(tf.fill([1, 16], x)), axis=-1)
        value, *_ = _summed((16,), logits, np.full((1, 16), x, np.float32))
        np.testing.assert_array_equal(value, expected)


@pytest.mark.parametrize("triangular", [False, True])
def test_draws_of_normals_have_their_mean_and_covariance(triangular):
    loc = tf.constant([[1.0, -2.0, 0.5], [0.0, 3.0, 1.0]])
    factor = tf.constant([[[0.5, 0, 0], [1.0, 2.0, 0], [-0.3, 0.2, 0.1]]] * 2)
    normal = tfd.MultivariateNormalDiag(loc, tf.linalg.diag_part(factor))
    if triangular:
        normal = tfd.MultivariateNormalTriL(loc, factor)
    count = 50_000
    z = draw(normal, [count], (3, 4)).numpy()
    assert z.shape == (count, 2, 3)
    covariance = normal.covariance().numpy()
    deviation = np.sqrt(np.diagonal(covariance, axis1=1, axis2=2))
    assert np.all(np.abs(z.mean(0) - loc) < 4.5 * deviation / np.sqrt(count))
    for example in range(2):
        found = np.cov(z[:, example], rowvar=False)
        spread = np.outer(deviation[example], deviation[example])
        # The variance of a sample covariance is (cov_ij^2 + cov_ii cov_jj) / n.
        error = np.sqrt((covariance[example] ** 2 + spread**2) / count)
        assert np.all(np.abs(found - covariance[example]) < 4.5 * error)


def test_draws_of_other_distributions_are_tfps():
    gamma = tfd.Gamma([0.5, 1.0], 2.0)
    np.testing.assert_array_equal(draw(gamma, [5], (1, 2)), gamma.sample(5, seed=(1, 2)))


def test_draws_are_reparameterised():
    loc = tf.constant([[1.0, 2.0]])
    with tf.GradientTape() as tape:
        tape.watch(loc)
        z = draw(tfd.MultivariateNormalDiag(loc, tf.ones([1, 2])), [7], (0, 0))
    np.testing.assert_allclose(tape.gradient(z, loc), [[7.0, 7.0]])


def _discretized_and_quantized(loc, raw_scale):
    ours = DiscretizedLogistic(loc, positive(raw_scale))
    theirs = tfd.QuantizedDistribution(
        tfd.TransformedDistribution(
            tfd.Logistic(loc * 255, positive(raw_scale) * 255), tfp.bijectors.Shift(-0.5)
        ),
        low=0.0,
        high=255.0,
    )
    return ours, theirs


def test_discretized_logistic_equals_tfp_in_value_and_gradient(base_seed):
    rng = np.random.default_rng(base_seed)
    loc = tf.constant(rng.uniform(-0.2, 1.2, 500), tf.float32)
    raw_scale = tf.constant(rng.uniform(-5, 0, 500), tf.float32)
    level = np.clip(np.round(255 * (loc + 0.2 * rng.normal(size=500))), 0, 255).astype(np.float32)
    results = []
    for which, x in ((0, level / 255), (1, level)):
        with tf.GradientTape() as tape:
            tape.watch([loc, raw_scale])
            value = _discretized_and_quantized(loc, raw_scale)[which].log_prob(x)
        results.append([value, *tape.gradient(value, [loc, raw_scale])])
    usual = results[1][0] > -15  # further out TFP itself loses digits
    assert np.mean(usual) > 0.5
    for ours, theirs in zip(*results, strict=True):
        np.testing.assert_allclose(ours[usual], theirs[usual], rtol=2e-3, atol=2e-3)


def test_discretized_logistic_is_finite_with_a_gradient_far_in_the_tails():
    loc = tf.constant([-1e4, 0.0, 0.5, 1.0, 1e4])
    scale = tf.fill([5], SCALE_FLOOR)
    for x in (0.0, 0.5, 1.0):
        with tf.GradientTape() as tape:
            tape.watch([loc, scale])
            value = DiscretizedLogistic(loc, scale).log_prob(round(x * 255) / 255)
        gradients = tape.gradient(value, [loc, scale])
        assert np.all(np.isfinite(value))
        assert all(np.all(np.isfinite(g)) for g in gradients)


@pytest.mark.parametrize("name", ["normal_trained", "normal_per_pixel"])
def test_learned_scale_has_a_floor_of_half_a_grey_level(name):
    decoder = DECODERS[name](tv.networks.mlp([]), (3,))
    decoder.build((None, 2))
    if name == "normal_trained":
        decoder.head.raw_scale.assign(-1e4)
    else:
        kernel, bias = decoder.projection.get_weights()
        decoder.projection.set_weights([kernel, np.ravel([[bias[0], -1e4]] * 3)])
    scale = decoder(tf.zeros((1, 2))).stddev().numpy()
    np.testing.assert_allclose(scale, 0.5 / 255, rtol=1e-5)


@pytest.mark.parametrize("name", DECODERS)
def test_log_prob_and_gradient_are_finite_for_extreme_latents(name):
    decoder = DECODERS[name](tv.networks.mlp([8]), (3, 3, 1))
    decoder.build((None, 2))
    x = np.zeros((3, 3, 1), np.float32)  # an all-black image
    for size in (0.0, 1e2, 1e4):
        with tf.GradientTape() as tape:
            value = decoder(size * tf.ones((2, 2))).log_prob(x)
        gradients = tape.gradient(value, decoder.trainable_variables)
        assert np.all(np.isfinite(value))
        assert all(np.all(np.isfinite(g)) for g in gradients if g is not None)


@pytest.mark.parametrize("policy", ["float32", "mixed_bfloat16"])
@pytest.mark.parametrize("name", DECODERS)
def test_log_probabilities_are_float32_whatever_the_compute_dtype(name, policy):
    keras.config.set_dtype_policy(policy)
    decoder = DECODERS[name](tv.networks.mlp([8]), (3, 3, 1))
    posterior = tv.encoders.Gaussian(tv.networks.mlp([8]), 2)(tf.ones((4, 3, 3, 1)))
    likelihood = decoder(posterior.sample(seed=[0, 0]))
    prior = tv.priors.StandardNormal(2)()
    assert posterior.mean().dtype == likelihood.mean().dtype == tf.float32
    assert likelihood.log_prob(np.zeros((4, 3, 3, 1), np.float32)).dtype == tf.float32
    assert tfd.kl_divergence(posterior, prior).dtype == tf.float32
    assert decoder.network.layers[-1].compute_dtype == policy.removeprefix("mixed_")


REFUSED = [
    ("bernoulli", Kind.UNIT_INTERVAL),
    ("bernoulli", Kind.EIGHT_BIT),
    ("bernoulli", Kind.REAL),
    ("continuous_bernoulli", Kind.EIGHT_BIT),
    ("continuous_bernoulli", Kind.DYNAMIC),
    ("normal_shared", Kind.STATIC),
    ("normal_shared", Kind.EIGHT_BIT),
    ("discretized_logistic", Kind.UNIT_INTERVAL),
    ("categorical", Kind.REAL),
]


@pytest.mark.parametrize(("name", "kind"), REFUSED, ids=str)
def test_likelihood_refuses_a_kind_it_is_no_density_of(name, kind):
    decoder = DECODERS[name](tv.networks.mlp([]), (3,))
    with pytest.raises(ValueError, match=r"does not fit.*Expected kind.*Received.*\(1\).*\(2\)"):
        decoder.check_kind(kind)


def test_bernoulli_on_grey_pixels_names_three_ways_out():
    decoder = tv.decoders.Bernoulli(tv.networks.mlp([]), (3,))
    with pytest.raises(ValueError, match=r"grey.*\(1\).*\(2\).*\(3\)"):
        decoder.check_kind(Kind.EIGHT_BIT)


@pytest.mark.parametrize(
    "make",
    [
        lambda: tv.encoders.Gaussian(tv.networks.mlp([3]), 0),
        lambda: tv.encoders.FullGaussian(tv.networks.mlp([3]), -1),
        lambda: tv.priors.StandardNormal(0),
        lambda: tv.decoders.Bernoulli("network", (3,)),
        lambda: tv.decoders.Bernoulli(tv.networks.mlp([3]), ()),
        lambda: tv.decoders.Bernoulli(tv.networks.mlp([3]), (0, 3)),
        lambda: tv.decoders.Normal(tv.networks.mlp([3]), (3,), scale=0.0),
        lambda: tv.decoders.Normal(tv.networks.mlp([3]), (3,), scale="learned"),
        lambda: tv.decoders.Normal(tv.networks.mlp([3]), (3,), scale_floor=0.0),
        lambda: tv.decoders.Bernoulli(keras.layers.Reshape((2, 1)), (4, 4, 1)).build((None, 2)),
        lambda: tv.decoders.Bernoulli(keras.layers.Reshape((4, 4)), (4, 4, 1)).build((None, 16)),
        lambda: tv.decoders.Bernoulli(keras.layers.Reshape((2, 1)), (4,)).build((None, 2)),
    ],
    ids=[
        "encoder_without_latents",
        "negative_latents",
        "prior_without_latents",
        "network_that_is_none",
        "event_without_axes",
        "empty_event_axis",
        "zero_scale",
        "unknown_scale",
        "zero_floor",
        "network_whose_output_fits_no_head",
        "network_whose_output_has_no_channels",
        "network_whose_output_fits_no_vector",
    ],
)
def test_impossible_distributions_are_refused(make):
    with pytest.raises(ValueError, match=r"(?s)Expected.*Received"):
        make()


@pytest.mark.parametrize(
    "make",
    [
        *(lambda f=f: f(tv.networks.mlp([5], "tanh"), (3, 4, 1)) for f in DECODERS.values()),
        *(lambda e=e: e(tv.networks.mlp([5]), 4) for e in ENCODERS.values()),
        lambda: tv.decoders.Bernoulli(tv.networks.conv_decoder((3, 4), (2,), 3), (3, 4, 1)),
    ],
    ids=[*DECODERS, *ENCODERS, "convolutional"],
)
def test_conditional_distribution_survives_serialisation_with_its_weights(make):
    layer = make()
    is_encoder = isinstance(layer, tv.encoders.Encoder)
    inputs = tf.ones((2, 3, 4, 1)) if is_encoder else tf.ones((2, 5))
    expected = layer(inputs)
    again = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(layer))
    assert again.built
    again.set_weights(layer.get_weights())
    np.testing.assert_array_equal(again(inputs).mean(), expected.mean())
    np.testing.assert_array_equal(again(inputs).sample(seed=[1, 2]), expected.sample(seed=[1, 2]))
