"""Arguments that Keras' layers of the same names take, and those of TFP's: accepted or refused."""

import inspect

import keras
import layer_cases as cases
import numpy as np
import pytest
import tensorflow as tf

import tfp_vae as tv
from tfp_vae.distributions.base import tfd
from tfp_vae.layers.noise import MEAN, Noise, use

VALUES = {  # of arguments that are not their defaults
    "units": 3,
    "filters": 4,
    "kernel_size": 2,
    "strides": 1,
    "padding": "SAME",
    "data_format": "channels_last",
    "dilation_rate": 2,
    "groups": 2,
    "activation": "relu",
    "use_bias": True,
    "kernel_initializer": "ones",
    "bias_initializer": "ones",
    "kernel_regularizer": "l2",
    "bias_regularizer": "l2",
    "activity_regularizer": "l2",
    "kernel_constraint": "non_neg",
    "bias_constraint": "non_neg",
    "rate": 0.5,
    "noise_shape": (None, 1),
    "seed": 1,
}
OURS = {name: (getattr(tv.layers, name), cases.STOCK[cases.map_of(name)]) for name in cases.NAMES}
OURS["MonteCarloDropout"] = tv.layers.MonteCarloDropout, keras.layers.Dropout


def at_mean(layer, x):
    with use(Noise(tf.zeros(2, tf.int32), MEAN)):
        return layer(x).numpy()


@pytest.mark.parametrize("name", OURS)
def test_an_argument_of_keras_is_kept_or_refused_by_its_name(name):
    ours, stock = OURS[name]
    needed = {
        key: VALUES[key]
        for key in ("units", "filters", "kernel_size", "rate")
        if key in inspect.signature(stock.__init__).parameters
    }
    for key in inspect.signature(stock.__init__).parameters:
        if key in ("self", "kwargs", *needed):
            continue
        value = VALUES.get(key, 4)
        try:
            layer = ours(**needed, **{key: value})
        except ValueError as error:
            assert key in str(error) and "Expected" in str(error)
        else:
            assert key in layer.get_config() or key == "data_format"
            again = type(layer).from_config(layer.get_config())
            assert again.get_config() == layer.get_config()


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("Conv2DFlipout", {"groups": 2, "padding": "SAME"}),
        ("Conv1DReparameterization", {"padding": "causal", "dilation_rate": 2}),
        ("Conv1DLocalReparameterization", {"groups": 2, "strides": 2}),
    ],
)
def test_groups_and_paddings_are_those_of_keras(name, options):
    layer = cases.made(name, units=4, **options)
    x = cases.inputs(name)
    stock = cases.STOCK[cases.map_of(name)](4, 2, **options)
    stock.build(x.shape)
    stock.set_weights([np.reshape(layer.loc, stock.kernel.shape), layer.bias])
    np.testing.assert_allclose(at_mean(layer, x), stock(x), rtol=1e-5, atol=1e-6)
    assert layer.compute_output_shape((None, *x.shape[1:]))[1:] == stock(x).shape[1:]
    assert np.isfinite(layer(x)).all()  # its own noise


def test_layers_of_draws_compute_with_floats_and_say_what_keras_does_not_take():
    for make in (tv.layers.DenseFlipout, lambda units, **o: tv.layers.Conv1DFlipout(units, 2, **o)):
        with pytest.raises(ValueError, match=r"real numbers. Expected a dtype of floats.*'int32'"):
            make(3, dtype="int32")
        with pytest.raises(ValueError, match=r"does not take.*'a/b'.*cannot contain character"):
            make(3, name="a/b")
    with pytest.raises(ValueError, match="Unusable seed"):
        tv.layers.MonteCarloDropout(0.5, seed="a")


def test_filters_and_channels_are_multiples_of_the_groups():
    with pytest.raises(ValueError, match=r"multiple of groups=2\. Received 3 filters"):
        tv.layers.Conv2DFlipout(3, 2, groups=2)
    with pytest.raises(ValueError, match="multiple of groups=2"):
        tv.layers.Conv2DFlipout(2, 2, groups=2).build((None, 4, 4, 3))


def test_a_bias_starts_where_it_is_told_to_and_a_point_has_regularizer_and_constraint():
    bayesian = tv.layers.DenseFlipout(2, bayesian_bias=True, bias_initializer="ones")
    bayesian.build((None, 3))
    np.testing.assert_array_equal(bayesian.loc.numpy()[3], 1)
    point = tv.layers.DenseFlipout(
        2,
        bias_initializer=keras.initializers.Constant(3.0),
        bias_regularizer=keras.regularizers.L2(0.5),
        bias_constraint="non_neg",
    )
    point(np.ones((1, 3), np.float32))
    assert float(sum(point.losses)) == pytest.approx(0.5 * 2 * 9)
    assert point.bias.constraint is not None
    with pytest.raises(ValueError, match="bias with a prior"):
        tv.layers.DenseFlipout(2, bayesian_bias=True, bias_constraint="non_neg")


def test_a_kl_weight_may_be_a_variable_that_is_not_trained():
    weight = keras.Variable(1.0, trainable=False)
    layer = tv.layers.DenseFlipout(2, kl_weight=weight)
    x = np.ones((1, 3), np.float32)
    layer(x)
    whole = float(layer.losses[0])
    weight.assign(0.25)
    layer(x)
    assert float(layer.losses[0]) == pytest.approx(whole / 4, rel=1e-5)
    assert all(weight is not each for each in layer.weights)
    assert layer.get_config()["kl_weight"] == 0.25


@pytest.mark.parametrize(
    "prior", [tfd.Normal(0.0, 0.5), tfd.StudentT(4.0, 0.0, 0.5), tfd.Horseshoe(0.5)]
)
def test_a_distribution_of_tfp_is_a_prior(prior):
    layer = tv.layers.DenseReparameterization(2, prior=prior)
    layer.build((None, 3))
    w = np.random.default_rng(0).normal(size=(3, 2)).astype(np.float32)
    expected = np.sum(prior.log_prob(w))
    assert float(layer.prior.log_prob(w)) == pytest.approx(expected, rel=1e-5)
    assert type(layer).from_config(layer.get_config()).weight_prior.scale == 0.5


@pytest.mark.parametrize(
    "prior", [tfd.Normal(1.0, 0.5), tfd.Normal(0.0, [1.0, 2.0]), tfd.Laplace(0.0, 1.0)]
)
def test_another_distribution_of_tfp_is_refused_with_the_way_out(prior):
    with pytest.raises(ValueError, match=r"zero-mean Normal.*WeightPrior"):
        tv.layers.DenseFlipout(2, prior=prior)


@pytest.mark.parametrize(
    ("argument", "way_out"),
    [
        ("posterior", "covariance="),
        ("kernel_posterior_fn", "covariance="),
        ("make_prior_fn", "prior="),
        ("kernel_divergence_fn", "kl_weight="),
        ("kernel_regularizer", "prior="),
    ],
)
def test_what_a_layer_has_in_another_way_is_refused_with_that_way(argument, way_out):
    with pytest.raises(ValueError, match=f"no {argument}. Expected .*{way_out}"):
        tv.layers.DenseReparameterization(2, **{argument: "l2"})


def test_a_subclass_of_dropout_is_built_and_an_axis_may_share_its_fate():
    class Scaled(tv.layers.MonteCarloDropout):
        def build(self, input_shape):
            self.gain = self.add_weight(shape=(), initializer="ones", name="gain")
            super().build(input_shape)

        def call(self, inputs, training=None):
            return self.gain * super().call(inputs)

    layer = Scaled(0.5, noise_shape=(None, 1, None), seed=1)
    drawn = layer(np.ones((40, 3, 2), np.float32)).numpy()
    assert len(layer.weights) >= 1 and layer.built
    assert np.all(drawn == drawn[:, :1]) and 0 < np.mean(drawn == 0) < 1
    with pytest.raises(ValueError, match=r"noise_shape.*2 axes"):
        tv.layers.MonteCarloDropout(0.5, noise_shape=(1,))(np.ones((2, 2), np.float32))
