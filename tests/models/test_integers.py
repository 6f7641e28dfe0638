"""One rule of what integers are, in every model and in `data.load`: `kinds.from_integers`."""

import keras
import numpy as np
import pytest

import tfp_vae as tv
from tfp_vae import data
from tfp_vae.data import Kind

INTEGERS = (np.uint8, np.int8, np.int16, np.uint16, np.int32, np.int64, np.uint64)
GREY = np.random.default_rng(0).integers(0, 120, (12, 4))
GREY[0, 0] = 127  # what int8 holds at most
LABELS = np.arange(12) % 3


def _vae(**options):
    return tv.VAE(
        prior=tv.priors.StandardNormal(2),
        encoder=tv.encoders.Gaussian(tv.networks.mlp([3]), 2),
        decoder=tv.decoders.Normal(tv.networks.mlp([3]), (4,)),
        **options,
    )


def _network(**options):
    network = keras.Sequential([tv.layers.DenseFlipout(3)])
    return tv.BayesianNetwork(network, tv.likelihoods.Categorical(3), **options)


def _fitted(make, x):
    keras.utils.set_random_seed(0)
    model = make(seed=0)
    model.compile(optimizer="adam")
    y = () if make is _vae else (LABELS,)
    model.fit(x, *y, batch_size=6, epochs=1, verbose=0)
    return model


MODELS = pytest.mark.parametrize("make", [_vae, _network], ids=["vae", "network"])


@pytest.mark.parametrize("dtype", INTEGERS, ids=lambda dtype: np.dtype(dtype).name)
@MODELS
def test_integers_in_a_byte_are_k_over_255_in_fit_and_predict_of_every_model(make, dtype):
    integers, expected = GREY.astype(dtype), GREY.astype(np.float32) / 255
    model = make()
    if make is _network:
        model.build((None, 4))
    np.testing.assert_array_equal(model.as_inputs(integers).values(), expected)
    np.testing.assert_array_equal(data.load(integers).train.values().max(), expected.max())


@pytest.mark.all_only
@MODELS
def test_a_model_trained_on_bytes_of_one_type_answers_for_every_type(make):
    models = [_fitted(make, GREY.astype(dtype)) for dtype in (np.uint8, np.int64)]
    assert {model.data_kind for model in models} <= {Kind.EIGHT_BIT, Kind.UNIT_INTERVAL}
    answers = [
        model.predict(GREY.astype(dtype), verbose=0)
        for model in models
        for dtype in (np.uint8, np.int32, np.int64)
    ]
    for answer in answers[1:]:
        np.testing.assert_array_equal(answer, answers[0])
    # Numbers that are not bytes are what no model of bytes has seen.
    with pytest.raises(ValueError, match="out of range"):
        models[0].predict(GREY.astype(np.float32) + 0.5, verbose=0)


@pytest.mark.parametrize("dtype", INTEGERS, ids=lambda dtype: np.dtype(dtype).name)
@MODELS
def test_integers_are_numbers_to_a_model_of_real_numbers(make, dtype):
    model = make(data_kind="real")
    if make is _network:
        model.build((None, 4))
    np.testing.assert_array_equal(model.as_inputs(GREY.astype(dtype)).values(), GREY)


@MODELS
def test_a_model_trained_on_integers_beyond_a_byte_takes_smaller_ones_for_numbers(make):
    model = _fitted(make, 10 * GREY)
    assert model.data_kind is Kind.REAL
    np.testing.assert_array_equal(model.as_inputs(GREY.astype(np.uint8)).values(), GREY)


@pytest.mark.parametrize("dtype", INTEGERS, ids=lambda dtype: np.dtype(dtype).name)
def test_zeros_and_ones_are_binary_unless_the_model_is_one_of_grey_values(dtype):
    x = np.eye(4).astype(dtype)
    split = data.load(np.eye(12).astype(dtype)).train
    assert (split.kind, split.values().max()) == (Kind.STATIC, 1)
    for kind, most in ((None, 1), ("static", 1), ("dynamic", 1), ("eight_bit", 1 / 255)):
        network = _network(data_kind=kind)
        network.build((None, 4))
        assert network.as_inputs(x).values().max() == np.float32(most)
    decoder = tv.decoders.Bernoulli(tv.networks.mlp([3]), (4,))
    encoder = tv.encoders.Gaussian(tv.networks.mlp([3]), 2)
    vae = tv.VAE(tv.priors.StandardNormal(2), encoder, decoder)
    np.testing.assert_array_equal(vae.as_split(x).values(), np.eye(4))
