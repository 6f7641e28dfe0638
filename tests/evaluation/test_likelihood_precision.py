"""Decoder products in bfloat16: sums stay in float32, the error is that with the same noise."""

import keras
import numpy as np
import pytest
import tensorflow as tf

import tfp_vae as tv
from tfp_vae import evaluation
from tfp_vae.data import Kind, Split
from tfp_vae.evaluation.precision import EXAMPLES, difference, some, with_products
from tfp_vae.layers.noise import SHARED
from tfp_vae.randomness import fold_in

SHAPE, CLASSES, COUNT = (4, 4, 1), 3, 90


def _sharpened(model):
    """Gives a model the weights that training would: log p(x) depends on z."""
    draws = np.random.default_rng(1)
    for layer in (model.decoder, model.encoder):
        layer.set_weights([draws.normal(0, 1, w.shape) for w in layer.get_weights()])
    return model


@pytest.fixture
def split(binary_images):
    values = 0.8 * binary_images(COUNT) + 0.1
    return Split(values, Kind.DYNAMIC, np.arange(COUNT) % CLASSES)


def _rounded(x):
    return tf.cast(tf.cast(x, tf.bfloat16), tf.float64).numpy()


@pytest.mark.release_only
def test_the_error_is_the_difference_of_both_with_the_same_noise(make_vae, split):
    vae = _sharpened(make_vae())
    before = evaluation.log_evidence(vae, split, 20, proposal="encoder")
    found = evaluation.log_evidence(vae, split, 20, proposal="encoder", precision="bfloat16")
    half = with_products(vae, "bfloat16")
    index = np.linspace(0, COUNT - 1, EXAMPLES).astype(int)
    few = split.frozen().values(index)
    off = half.bounds(few, 20).log_evidence - vae.bounds(few, 20).log_evidence.astype(float)
    assert found["precision_error"] == pytest.approx(off.mean(), abs=1e-5)
    error = off.std(ddof=1) / np.sqrt(EXAMPLES)
    assert found["precision_error_se"] == pytest.approx(error, rel=1e-3)
    assert found["precision_error_largest"] == pytest.approx(np.abs(off).max(), rel=1e-3)
    assert found["num_precision_examples"] == EXAMPLES
    assert 1e-4 < found["precision_error_largest"] < 1
    assert found["log_evidence"] == pytest.approx(half.bounds(split, 20).log_evidence.mean())
    # The model itself, and what float32 finds, are what they were.
    assert vae.decoder.compute_dtype == "float32"
    assert evaluation.log_evidence(vae, split, 20, proposal="encoder") == before
    assert not [key for key in before if "precision" in key]


def test_errors_are_means_over_examples_from_all_over_a_split(split):
    exact, off = np.float32([-1.0, -2.0, -4.0]), np.float32([-1.0, -1.5, -5.0])
    found = difference(exact, off, "class_")
    assert found["class_precision_error"] == pytest.approx(-0.5 / 3)
    assert found["class_precision_error_se"] == pytest.approx(np.std([0, 0.5, -1], ddof=1) / 3**0.5)
    assert found["class_precision_error_largest"] == 1
    assert found["num_class_precision_examples"] == 3
    assert difference(exact[:1], off[:1])["precision_error_se"] is None
    index = np.linspace(0, COUNT - 1, EXAMPLES).astype(int)
    whole = split.frozen()
    assert np.array_equal(some(whole).values(), whole.values(index))
    few = whole.take(EXAMPLES)
    assert some(few) is few


def test_products_are_rounded_and_nothing_else_is(make_vae, split):
    identity = keras.Sequential([keras.layers.Identity()])
    vae = _sharpened(make_vae())
    vae = tv.VAE(vae.prior, vae.encoder, tv.decoders.Bernoulli(identity, SHAPE))
    _sharpened(vae).compile("adam", jit_compile=True)
    half = with_products(vae, "bfloat16")
    assert half.jit_compile == bool(tf.config.list_physical_devices("GPU"))
    assert vae.jit_compile and vae.decoder.compute_dtype == "float32"
    x, key = split.frozen().values(np.arange(5)), fold_in(3)
    latents = [model.at(key, SHARED).infer(x, 7, None, None, key) for model in (vae, half)]
    z, same = (latent[-1].value for latent in latents)
    assert np.array_equal(z, same)
    likelihood = half.at_mean().likelihood(half.code((same,)))
    kernel, bias = vae.decoder.projection.get_weights()
    expected = _rounded(z) @ _rounded(kernel) + _rounded(bias)
    logits = likelihood.distribution.logits.numpy().reshape(expected.shape)
    assert logits.dtype == np.float32
    assert np.array_equal(_rounded(logits), logits)
    scale = np.abs(_rounded(z)) @ np.abs(_rounded(kernel)) + np.abs(bias)
    # A rounding is 2^-8: of the product, and of its sum with the bias.
    assert np.max(np.abs(logits - expected) / scale) < 2**-6
    log_prob = likelihood.log_prob(x)
    assert log_prob.dtype == tf.float32
    exact = -np.logaddexp(0, logits * (1 - 2 * x.reshape(5, -1)).astype(float)).sum(axis=-1)
    np.testing.assert_allclose(log_prob, exact, rtol=1e-5)
    assert np.any(_rounded(log_prob) != log_prob)


@pytest.mark.release_only
def test_log_probabilities_of_classes_have_their_error_beside_them(split):
    model = _sharpened(
        tv.ConditionalVAE(
            prior=tv.priors.StandardNormal(2),
            encoder=tv.encoders.Gaussian(tv.networks.mlp([8]), 2),
            decoder=tv.decoders.Bernoulli(tv.networks.mlp([8]), SHAPE),
            num_classes=CLASSES,
        )
    )
    found = evaluation.class_metrics(model, split, 7, precision="bfloat16")
    assert found["num_class_precision_examples"] == EXAMPLES
    assert 1e-5 < found["class_precision_error_largest"] < 1
    half = with_products(model, "bfloat16")
    log_probs = half.predictive(split, 7).log_probs.numpy()
    assert found["test_nll"] == pytest.approx(-log_probs[np.arange(COUNT), split.y].mean())
    assert "class_precision_error" not in evaluation.class_metrics(model, split, 7)


@keras.saving.register_keras_serializable("test_likelihood_precision")
class Stubborn(keras.layers.Dense):
    """Computes in float32 whatever it is told."""

    def __init__(self, units, dtype=None, **options):
        del dtype
        super().__init__(units, dtype="float32", **options)


def test_a_layer_that_keeps_its_precision_is_refused_by_name(make_vae, split):
    vae = make_vae()
    decoder = tv.decoders.Bernoulli(keras.Sequential([Stubborn(8, name="stubborn")]), SHAPE)
    vae = tv.VAE(vae.prior, vae.encoder, decoder)
    with pytest.raises(ValueError, match=r"follow their dtype\. Received: stubborn.* in float32"):
        evaluation.log_evidence(vae, split, 5, precision="bfloat16")
    with pytest.raises(ValueError, match=r"Expected .*float32.*bfloat16.*Received.*half"):
        evaluation.log_evidence(vae, split, 5, precision="half")
