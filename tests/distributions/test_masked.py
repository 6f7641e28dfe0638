"""Masked networks, and what they make: priors over codes and decoders of pixels."""

import itertools
import pathlib
import re

import keras
import numpy as np
import pytest
import tensorflow as tf

import tfp_vae as tv
from tfp_vae.distributions import draws
from tfp_vae.distributions.pixels import PixelDecoder
from tfp_vae.distributions.sequential import showing

EVERY = np.array(list(itertools.product([0, 1], repeat=4)), np.float32)
ROOM = pathlib.Path(tv.__file__).parent / "distributions"
PRIORS = {
    "made": (tv.code_priors.MaskedPerceptron, {"hidden": [8]}),
    "pixelcnn": (tv.code_priors.MaskedConvolutions, {"filters": 6, "reach": 2}),
}


def _shaken(layer, seed=0):
    rng = np.random.default_rng(seed)
    for weight in layer.trainable_variables:
        weight.assign_add(0.4 * rng.standard_normal(weight.shape))


def _sees(network, shape):
    """Returns |d output place / d input place| summed over channels, [T, T]."""
    _shaken(network)
    x = tf.constant(np.random.default_rng(1).standard_normal((1, *shape)), tf.float32)
    with tf.GradientTape() as tape:
        tape.watch(x)
        y = network(x)
    places = 4 if len(shape) == 1 else shape[0] * shape[1]
    jacobian = np.abs(tape.jacobian(y, x)).reshape(places, -1, places, x.shape[-1] if
                                                   len(shape) == 3 else shape[0] // 4)  # fmt: skip
    return jacobian.sum((1, 3))


@pytest.mark.parametrize("hidden", [[], [9], [8, 11]], ids=str)
def test_the_jacobian_of_a_masked_perceptron_is_strictly_triangular(hidden):
    network = tv.networks.masked_mlp(4, 3, hidden, "tanh")
    network.build((None, 8))
    seen = _sees(network, (8,))
    assert np.all(np.triu(seen) == 0)
    assert np.all(seen[np.tril_indices(4, -1)] > 0)


def test_a_masked_convolution_sees_the_pixels_before_and_its_field_alone():
    layers = tv.networks.masked_convolutions(5, 2, "tanh")
    network = keras.Sequential([*layers, keras.layers.Conv2D(2, 1)])
    network.build((None, 5, 5, 2))
    seen = _sees(network, (5, 5, 2))
    assert np.all(np.triu(seen) == 0)
    middle = seen[22].reshape(5, 5) > 0  # row 4, column 2
    assert not middle[:2].any() and middle[2:4].any(axis=0).all() and middle[4, :2].all()


@pytest.fixture(scope="module", params=PRIORS)
def model(request):
    keras.utils.set_random_seed(2)
    encoder = tv.codes.Bernoulli(keras.Sequential([keras.layers.Flatten()]), 4, enumerate=True)
    kind, options = PRIORS[request.param]
    decoder = PixelDecoder(
        tv.networks.mlp([4]), (2, 2, 1), tv.heads.Bernoulli(), reach=2, filters=5
    )
    made = tv.VAE(kind.of(encoder, **options), encoder, decoder, data_kind="static")
    for part in (made.prior, made.decoder):
        _shaken(part)
    return made


def test_probabilities_of_all_codes_and_of_all_images_sum_to_one(model, tmp_path):
    images = EVERY.reshape(-1, 2, 2, 1)
    prior = model.at_mean().prior()
    likelihood = model.at_mean().likelihood(tf.constant(EVERY[5:6]))
    codes, pixels = tf.exp(prior.log_prob(EVERY)), tf.exp(likelihood.log_prob(images))
    total = np.exp(model.bounds(images, 1).log_evidence)
    for found in (codes, pixels, total):
        np.testing.assert_allclose(np.sum(found), 1.0, rtol=1e-5)
    assert np.ptp(codes) > 0.01 and np.ptp(pixels) > 0.01
    model.save(tmp_path / "model.keras")
    again = tv.load(tmp_path / "model.keras")
    np.testing.assert_array_equal(again.at_mean().prior().log_prob(EVERY), prior.log_prob(EVERY))
    again = again.at_mean().likelihood(tf.constant(EVERY[5:6]))
    np.testing.assert_array_equal(again.log_prob(images), likelihood.log_prob(images))


def test_draws_have_the_probabilities_that_they_are_scored_by(model):
    images = EVERY.reshape(-1, 2, 2, 1)
    draw, count = model.at_mean(), 4000
    prior, likelihood = draw.prior(), draw.likelihood(tf.constant(EVERY[5:6]))
    seen = []
    with showing(lambda done, total: seen.append((done, total))):
        z = draws.sample(prior, [count], (0, 3))
        x = likelihood.sample(count, seed=(0, 4))
    assert seen == 2 * [(step, 4) for step in range(1, 5)]
    masses = tf.exp(prior.log_prob(EVERY)), tf.exp(likelihood.log_prob(images))
    for values, mass in zip((z, x), masses, strict=True):
        number = np.asarray(values).reshape(count, 4) @ [8, 4, 2, 1]
        share = np.bincount(number.astype(int), minlength=16) / count
        assert np.all(np.abs(share - np.ravel(mass)) < 5 * np.sqrt(np.ravel(mass) / count) + 1e-3)
    same = tf.function(lambda: likelihood.sample(3, seed=(0, 4)))()
    np.testing.assert_array_equal(same, likelihood.sample(3, seed=(0, 4)))


def test_a_fitted_prior_knows_codes_that_follow_each_other():
    encoder = tv.codes.Bernoulli(keras.Sequential([keras.layers.Flatten()]), 4, enumerate=True)
    prior = tv.code_priors.MaskedPerceptron.of(encoder, hidden=[16], steps=200)
    prior.meet(encoder)
    first = np.random.default_rng(3).integers(0, 2, (400, 1)).astype(np.float32)
    prior.fit(np.tile(first, (1, 4)))
    # Codes that are thought independent have -4 log 2 = -2.77; all that there is to know is -log 2.
    assert float(np.mean(prior().log_prob(np.tile(first, (1, 4))))) > -2.0


def test_codes_that_make_no_square_and_heads_of_a_batch_are_refused():
    with pytest.raises(ValueError, match=r"square of codes.*Received 5"):
        tv.code_priors.MaskedConvolutions(5, 3, 1)
    with pytest.raises(ValueError, match="pixels are drawn one by one"):
        PixelDecoder(tv.networks.mlp([4]), (2, 2, 1), tv.heads.Normal())
    with pytest.raises(ValueError, match="Expected examples of shape"):
        PixelDecoder(tv.networks.mlp([4]), (4,), tv.heads.Bernoulli())
    with pytest.raises(ValueError, match="an odd kernel_size"):
        tv.networks.MaskedConv2D(3, 4)


def test_classes_that_are_saved_are_imported_with_the_room():
    """A file is loaded by a process that has imported the package and nothing else."""
    said = (ROOM / "__init__.py").read_text(encoding="utf-8")
    saved = [path for path in ROOM.glob("*.py") if "\n@registered\n" in path.read_text("utf-8")]
    assert {"decoders", "pixels", "deterministic"} <= {path.stem for path in saved}
    for path in saved:
        assert re.search(rf"\b{path.stem}\b", said), path
