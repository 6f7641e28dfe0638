"""Bayesian layers: their KL, their means, what they refuse; dropout and standardisation."""

import keras
import layer_cases as cases
import numpy as np
import pytest
import tensorflow as tf
import tensorflow_probability as tfp

import tfp_vae as tv
from tfp_vae.layers.base import raw_scale_of
from tfp_vae.layers.noise import ESTIMATOR, MEAN, SHARED, Noise, use

tfd = tfp.distributions


def _key(number):
    return tf.constant([5, number], tf.int32)


@pytest.mark.parametrize("bayesian_bias", [False, True], ids=["point_bias", "bayesian_bias"])
@pytest.mark.parametrize("name", cases.NAMES)
def test_kl_is_that_of_posterior_and_prior_and_a_sum_over_weights(name, bayesian_bias, base_seed):
    layer = cases.made(name, base_seed, bayesian_bias=bayesian_bias, prior=0.7)
    loc, scale = cases.loc_and_scale(layer)
    by_hand = np.sum(np.log(0.7 / scale) + (scale**2 + loc**2) / (2 * 0.7**2) - 0.5)
    assert loc.shape == (layer.fan_in + bayesian_bias, 3)
    assert float(layer.kl_divergence()) == pytest.approx(by_hand, rel=1e-6)
    of_tfp = tfd.kl_divergence(layer.posterior, layer.prior)
    assert float(layer.kl_divergence()) == pytest.approx(float(of_tfp), rel=1e-6)
    np.testing.assert_allclose(layer.posterior.mean(), loc, rtol=1e-6)
    np.testing.assert_allclose(layer.posterior.stddev(), scale, rtol=1e-5)
    np.testing.assert_allclose(layer.prior.stddev(), 0.7, rtol=1e-6)


@pytest.mark.parametrize("name", cases.NAMES)
def test_doubling_the_units_doubles_the_kl(name, base_seed):
    small = cases.made(name, base_seed, bayesian_bias=True)
    large = cases.made(name, base_seed, units=6, bayesian_bias=True)
    for part in ("loc", "raw_scale"):
        getattr(large, part).assign(np.concatenate([getattr(small, part).numpy()] * 2, axis=1))
    assert float(large.kl_divergence()) == pytest.approx(2 * float(small.kl_divergence()), rel=1e-6)


@pytest.mark.parametrize("name", cases.NAMES)
def test_kl_is_zero_where_the_posterior_is_the_prior(name):
    layer = cases.make(name, kernel_initializer="zeros", initial_scale=1.0, prior="normal")
    layer.build((None, *cases.SHAPES[cases.map_of(name)]))
    layer.raw_scale.assign(np.full(layer.raw_scale.shape, raw_scale_of(1.0)))
    assert abs(float(layer.kl_divergence())) < 1e-5


OPTIONS = {
    f"{name}-{label}": (name, options)
    for name in cases.NAMES
    for label, options in {
        "plain": {},
        "strides": {"strides": 2},
        "same": {"padding": "same"},
        "dilation": {"dilation_rate": 2},
    }.items()
    if not (name.startswith("Dense") and options)
}


@pytest.mark.parametrize(("name", "options"), OPTIONS.values(), ids=OPTIONS)
def test_a_pass_at_the_mean_is_the_layer_of_keras_with_that_kernel(name, options, base_seed):
    x = cases.inputs(name, 3, base_seed)
    for bayesian_bias in (False, True):
        layer = cases.made(name, base_seed, bayesian_bias=bayesian_bias, **options)
        loc, _ = cases.loc_and_scale(layer)
        bias = loc[-1] if bayesian_bias else layer.bias.numpy()
        expected = cases.stock_map(layer, x, loc[: layer.fan_in], bias)
        with use(Noise(_key(0), MEAN)):
            outputs = layer(x)
        np.testing.assert_allclose(outputs, expected, rtol=1e-5, atol=1e-5)
        assert outputs.shape == layer.compute_output_shape(x.shape)


def test_a_layer_without_bias_maps_zero_to_zero():
    layer = cases.make("DenseReparameterization", use_bias=False)
    np.testing.assert_array_equal(layer(np.zeros((2, 4), np.float32)), 0)
    assert [v.name for v in layer.trainable_variables] == ["loc", "raw_scale"]


def test_activation_comes_after_the_noise_and_chooses_the_initializer(base_seed):
    for name in ("DenseReparameterization", "DenseLocalReparameterization", "DenseFlipout"):
        x = cases.inputs(name, 50, base_seed)
        assert np.min(cases.make(name, activation="relu")(x)) == 0
    he = cases.make("DenseFlipout", 2000, activation="relu")
    glorot = cases.make("DenseFlipout", 2000, activation="tanh")
    for layer, variance in ((he, 2 / 4), (glorot, 2 / 2004)):
        layer.build((None, 4))
        # 8,000 weights; the fourth moment is at most that of a normal.
        assert np.var(layer.loc) == pytest.approx(variance, rel=5 * np.sqrt(2 / 8000))


@pytest.mark.parametrize("name", ["Dense" + e for e in cases.ESTIMATORS])
def test_axes_between_batch_and_features_are_kept(name):
    layer = cases.make(name)
    assert layer(np.ones((2, 7, 5, 4), np.float32)).shape == (2, 7, 5, 3)


# Refusals.

WRONG = {
    "no_units": ({"units": 0}, r"Impossible units.*Expected.*>= 1.*Received 0"),
    "half_a_unit": ({"units": 1.5}, r"Impossible units.*Received 1.5"),
    "true_units": ({"units": True}, r"Impossible units.*Received True"),
    "covariance": ({"covariance": "block"}, r"Unknown covariance.*Expected.*Received 'block'"),
    "rank_zero": ({"covariance": 0}, r"Unknown covariance.*Received 0"),
    "rank_true": ({"covariance": True}, r"Unknown covariance.*Received True"),
    "no_scale": ({"initial_scale": 0.0}, r"Impossible initial_scale.*Expected.*> 0.*Received 0.0"),
    "nan_scale": ({"initial_scale": np.nan}, r"Impossible initial_scale.*Received nan"),
    "infinite_scale": ({"initial_scale": np.inf}, r"Impossible initial_scale.*Received inf"),
    "kl_weight": ({"kl_weight": -0.1}, r"Impossible kl_weight.*> 0.*Received -0.1"),
    "bias": ({"use_bias": False, "bayesian_bias": True}, r"bias.*Expected.*Received use_bias=Fal"),
    "prior": ({"prior": "laplace"}, r"Unusable prior.*horseshoe.*Received 'laplace'"),
    "no_prior": ({"prior": None}, r"Unusable prior.*Received None"),
    "prior_scale": ({"prior": 0.0}, r"Impossible prior scale.*Received 0.0"),
}


@pytest.mark.parametrize(("options", "message"), WRONG.values(), ids=WRONG)
@pytest.mark.parametrize("name", cases.NAMES[::2])
def test_impossible_layers_are_refused(name, options, message):
    with pytest.raises(ValueError, match=message):
        cases.make(name, **{"units": 3, **options})


@pytest.mark.parametrize("covariance", ["full", 2])
@pytest.mark.parametrize("kind", cases.MAPS)
def test_only_layers_that_draw_all_weights_at_once_take_a_covariance(kind, covariance):
    assert cases.make(kind + "Reparameterization", covariance=covariance).covariance == covariance
    for estimator in ("LocalReparameterization", "Flipout"):
        with pytest.raises(ValueError, match=r"independent weights.*'diagonal'.*Received"):
            cases.make(kind + estimator, covariance=covariance)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"kernel_size": (3,)}, r"Impossible kernel_size.*2 of them.*Received \(3,\)"),
        ({"kernel_size": 0}, r"Impossible kernel_size.*Received 0"),
        ({"kernel_size": (2, 1.5)}, r"Impossible kernel_size.*Received \(2, 1.5\)"),
        ({"strides": (1, 2, 3)}, r"Impossible strides.*Received \(1, 2, 3\)"),
        ({"dilation_rate": -1}, r"Impossible dilation_rate.*Received -1"),
        ({"padding": "causal"}, r"Unknown padding.*Expected one of valid, same.*Received 'causal'"),
    ],
    ids=["one_axis", "zero", "fraction", "three_axes", "negative", "padding"],
)
def test_impossible_convolutions_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        tv.layers.Conv2DFlipout(2, **{"kernel_size": 3, **options})


def test_layers_refuse_inputs_that_do_not_fit_before_they_have_weights():
    with pytest.raises(ValueError, match=r"wrong shape.*\(B, H, W, C\).*Received \(None, 5, 2\)"):
        cases.make("Conv2DFlipout").build((None, 5, 2))
    with pytest.raises(ValueError, match=r"wrong shape.*\(B, W, C\).*Received \(None, 5, None\)"):
        cases.make("Conv1DFlipout").build((None, 5, None))
    with pytest.raises(ValueError, match=r"does not know its inputs.*Received shape \(3, None\)"):
        cases.make("DenseFlipout").build((3, None))
    for covariance in ("full", 1):
        wide = cases.make("DenseReparameterization", 65, covariance=covariance)
        with pytest.raises(ValueError, match=r"too large.*at most 4096.*Received 4160"):
            wide.build((None, 64))
    narrow = cases.make("DenseFlipout", initial_scale=2e-6)
    with pytest.raises(ValueError, match=r"initial_scale.*too small.*than 2e-06.*Received 2e-06"):
        narrow.build((None, 4))


def test_unknown_mode_of_noise_is_refused():
    with pytest.raises(ValueError, match=r"Unknown mode.*estimator, shared, mean.*'none'"):
        Noise(_key(0), "none")


def test_noise_of_a_block_ends_with_it_also_after_an_error():
    layer, x = cases.made("DenseReparameterization"), cases.inputs("DenseReparameterization")
    with use(Noise(_key(0), MEAN)):
        at_mean = layer(x).numpy()
        with pytest.raises(ZeroDivisionError), use(Noise(_key(0), SHARED)):
            raise ZeroDivisionError
        np.testing.assert_array_equal(layer(x), at_mean)
    assert np.any(layer(x) != at_mean)


# Dropout and standardisation.


def test_dropout_stays_on_and_keeps_the_mean(base_seed):
    layer = tv.layers.MonteCarloDropout(0.3, seed=base_seed)
    x = np.ones((400, 50), np.float32)
    for training in (False, True, None):
        outputs = layer(x, training=training).numpy()
        share = np.mean(outputs == 0)
        assert abs(share - 0.3) < 5 * np.sqrt(0.3 * 0.7 / x.size)
        np.testing.assert_allclose(outputs[outputs != 0], 1 / 0.7, rtol=1e-6)
    assert np.any(layer(x) != outputs)  # another mask


def test_dropout_has_one_mask_for_a_whole_function_and_one_per_example_otherwise(base_seed):
    layer, x = tv.layers.MonteCarloDropout(0.5), np.ones((300, 20), np.float32)
    with use(Noise(_key(base_seed), SHARED)):
        shared = layer(x).numpy()
        np.testing.assert_array_equal(layer(x), shared)
    assert np.all(shared == shared[:1])
    assert {0.0, 2.0} == set(np.unique(shared))
    with use(Noise(_key(base_seed), ESTIMATOR)):
        own = layer(x).numpy()
    agreement = np.mean(own[::2] == own[1::2])
    assert abs(agreement - 0.5) < 5 * 0.5 / np.sqrt(x.size / 2)
    with use(Noise(_key(base_seed), MEAN)):
        np.testing.assert_array_equal(layer(x), x)
    np.testing.assert_array_equal(tv.layers.MonteCarloDropout(0.0)(x), x)


@pytest.mark.parametrize("rate", [-0.1, 1.0, np.nan])
def test_impossible_dropout_is_refused(rate):
    with pytest.raises(
        ValueError, match=r"Impossible rate.*Expected a number >= 0 and < 1.*Received"
    ):
        tv.layers.MonteCarloDropout(rate)


def test_standardized_features_have_mean_zero_and_unit_spread_and_constants_are_zero(base_seed):
    x = np.random.default_rng(base_seed).normal(1000.0, 3.0, (200, 7, 4)).astype(np.float32)
    x[..., 1] = 0.1
    x[..., 2] = 0.0
    layer = tv.layers.Standardize()
    np.testing.assert_array_equal(layer(x), x)  # before it has seen anything
    layer.adapt(x)
    outputs = layer(x).numpy().astype(np.float64)
    np.testing.assert_array_equal(outputs[..., 1:3], 0)
    np.testing.assert_allclose(outputs[..., [0, 3]].mean((0, 1)), 0, atol=1e-4)
    np.testing.assert_allclose(outputs[..., [0, 3]].std((0, 1)), 1, atol=1e-4)
    assert not layer.trainable_variables
    assert layer.compute_output_shape((None, 7, 4)) == (None, 7, 4)


def test_dropout_and_standardize_are_saved_with_their_model(tmp_path, base_seed):
    x = cases.inputs("DenseFlipout", 20, base_seed)
    model = keras.Sequential([tv.layers.Standardize(), tv.layers.MonteCarloDropout(0.4, seed=3)])
    model.layers[0].adapt(3 * x + 1)
    with use(Noise(_key(0), SHARED)):
        expected = model(x).numpy()
    model.save(tmp_path / "model.keras")
    again = keras.saving.load_model(tmp_path / "model.keras")
    with use(Noise(_key(0), SHARED)):
        np.testing.assert_array_equal(again(x), expected)
    assert [la.get_config() for la in again.layers] == [la.get_config() for la in model.layers]
