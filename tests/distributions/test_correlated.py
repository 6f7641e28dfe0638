"""A decoder whose values vary together, against the normal that it writes down."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from scipy import stats

import tfp_vae as tv
from tfp_vae.distributions import draws
from tfp_vae.distributions.correlated import CorrelatedDecoder, CorrelatedNormal

SHAPE = (2, 2, 1)


def _decoder(scale="per_pixel", shape=SHAPE, head=None, rank=2):
    keras.utils.set_random_seed(3)
    return CorrelatedDecoder(tv.networks.mlp([5]), shape, head or tv.heads.Normal(scale), rank)


def _vae(**options):
    return tv.VAE(
        tv.priors.StandardNormal(2),
        tv.encoders.Gaussian(tv.networks.mlp([5]), 2),
        _decoder(**options),
    )


def _covariance(distribution, row=0):
    flat = distribution.flat
    u = np.asarray(flat.directions, np.float64)[row]
    return np.diag(np.asarray(flat.scale, np.float64)[row] ** 2) + u.T @ u


def test_the_density_is_that_of_the_normal_with_the_written_covariance_and_so_is_its_gradient():
    decoder = _decoder()
    z = tf.constant([[0.3, -1.0], [2.0, 0.5]])
    decoder.build(z.shape)
    x = np.random.default_rng(0).normal(size=(2, *SHAPE)).astype(np.float32)
    found = decoder(z)
    assert isinstance(found, CorrelatedNormal)
    assert (found.batch_shape, found.event_shape) == ((2,), SHAPE)
    value = tf.Variable(x)
    with tf.GradientTape() as tape:
        log_prob = found.log_prob(value)
    slopes = tape.gradient(log_prob, value).numpy().reshape(2, 4)
    loc = found.mean().numpy().reshape(2, 4)
    for row in range(2):
        matrix = _covariance(found, row)
        assert np.abs(matrix - np.diag(np.diag(matrix))).max() > 1e-3
        exact = stats.multivariate_normal(loc[row], matrix).logpdf(x[row].ravel())
        np.testing.assert_allclose(log_prob[row], exact, rtol=1e-5)
        exact = -np.linalg.solve(matrix, x[row].ravel() - loc[row])
        np.testing.assert_allclose(slopes[row], exact, rtol=1e-3, atol=1e-5)
        np.testing.assert_allclose(np.ravel(found.variance()[row]), np.diag(matrix), rtol=1e-5)
    graph = tf.function(lambda: decoder(z).log_prob(x))()
    np.testing.assert_allclose(graph, log_prob, rtol=1e-6)
    assert decoder(tf.stack([z, z, z])).log_prob(x).shape == (3, 2)


def test_draws_have_the_covariance_within_their_errors(base_seed):
    decoder, count = _decoder(), 20_000
    decoder.build((None, 2))
    found = decoder(tf.constant([[0.3, -1.0]]))
    drawn = draws.sample(found, [count], tf.constant([base_seed, 7]))
    assert drawn.shape == (count, 1, *SHAPE)
    rows = np.asarray(drawn, np.float64).reshape(count, 4) - np.ravel(found.mean())
    exact = _covariance(found)
    products = rows[:, :, np.newaxis] * rows[:, np.newaxis]
    errors = products.std(0) / np.sqrt(count)
    assert np.all(np.abs(products.mean(0) - exact) < 4.5 * errors)


def test_values_that_vary_together_gain_what_the_closed_form_says():
    # One direction and noise around it: no density is above that of the normal it is drawn from.
    rng, count = np.random.default_rng(1), 2000
    x = 1.0 * rng.normal(size=(count, 1)) + 0.3 * rng.normal(size=(count, 4))
    x = x.astype(np.float32)
    best = stats.multivariate_normal(np.zeros(4), 0.09 * np.eye(4) + 1.0).logpdf(x).mean()
    alone = stats.norm(0, np.sqrt(1.09)).logpdf(x).sum(1).mean()
    decoder = _decoder(scale="trained", shape=(4,))
    decoder.build((None, 1))
    decoder.adapt(x)
    optimizer = keras.optimizers.Adam(3e-2)
    z, values = tf.ones([1, 1]), tf.constant(x)

    @tf.function(autograph=False)
    def train():
        def step(count):
            with tf.GradientTape() as tape:
                loss = -tf.reduce_mean(decoder(z).log_prob(values))
            weights = decoder.trainable_variables
            optimizer.apply(tape.gradient(loss, weights), weights)
            return (count + 1,)

        optimizer.build(decoder.trainable_variables)
        tf.while_loop(lambda count: count < 300, step, (tf.constant(0),))
        return tf.reduce_mean(decoder(z).log_prob(values))

    found = float(train())
    assert alone + 2 < best - 0.03 < found < best + 0.03


def test_a_model_comes_back_and_keeps_its_units(tmp_path):
    vae = _vae()
    x = np.random.default_rng(2).normal(5, 3, size=(16, *SHAPE)).astype(np.float32)
    vae.adapt(tv.data.Split(x, tv.data.Kind.REAL, name="train"))
    z = tf.constant([[0.3, -1.0]])
    before = vae.at_mean().likelihood(z).log_prob(x)
    vae.save(tmp_path / "model.keras")
    again = tv.load(tmp_path / "model.keras")
    np.testing.assert_array_equal(again.at_mean().likelihood(z).log_prob(x), before)
    assert again.decoder.rank == 2
    np.testing.assert_allclose(again.decoder.head.unit_mean, [x.mean()], rtol=1e-5)
    with pytest.raises(ValueError, match="does not fall into values"):
        tv.evaluation.impute(vae, x, np.ones_like(x, bool))


@pytest.mark.parametrize("model", ["correlated", "pixel"])
def test_the_scale_of_values_that_depend_on_each_other_is_trained(model):
    data = tv.data.load("digits", kind="unit_interval")
    recipe = tv.methods.VAERecipe(model, likelihood="normal", hidden=(4,), latent_dim=2)
    assert recipe.build(data).decoder.head.scale == "trained"
    assert recipe.scale == "shared"


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: _decoder(0.1, rank=0), "rank.*Received 0"),
        (lambda: _decoder(head=tv.heads.Bernoulli()), "Received Bernoulli"),
        (lambda: _decoder("shared"), "Received Normal.*'shared'"),
        (
            lambda: tv.methods.VAERecipe("correlated", likelihood="bernoulli"),
            "likelihood='normal'.*Received 'bernoulli'",
        ),
        (lambda: tv.methods.VAERecipe("correlated", covariance_rank=0), "covariance_rank"),
    ],
)
def test_what_does_not_fit_is_refused(make, message):
    with pytest.raises(ValueError, match=message):
        make()
