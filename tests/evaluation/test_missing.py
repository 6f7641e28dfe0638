"""Missing pixels for every likelihood, and the promises of the interface."""

import keras
import numpy as np
import pytest
import tensorflow as tf

import tfp_vae as tv
from tfp_vae.data import Kind, Split, observed_pixels
from tfp_vae.evaluation import impute, marginal, observed_log_evidence

SHAPE = (4, 4, 1)
DECODERS = {
    "bernoulli": (tv.decoders.Bernoulli, Kind.STATIC),
    "normal": (tv.decoders.Normal, Kind.UNIT_INTERVAL),
    "continuous_bernoulli": (tv.decoders.ContinuousBernoulli, Kind.UNIT_INTERVAL),
    "discretized_logistic": (tv.decoders.DiscretizedLogistic, Kind.EIGHT_BIT),
    "categorical": (tv.decoders.Categorical, Kind.EIGHT_BIT),
}


def images(kind, count=12, shape=SHAPE):
    grey = np.random.default_rng(0).integers(0, 256, (count, *shape)).astype(np.uint8)
    return Split(grey > 127 if kind is Kind.STATIC else grey, kind)


@pytest.mark.all_only
@pytest.mark.parametrize(
    "name",
    [
        # The others are those of the two tests below.
        pytest.param(
            name,
            marks=[pytest.mark.all_only]
            * (name not in ("continuous_bernoulli", "discretized_logistic")),
        )
        for name in DECODERS
    ],
)
@pytest.mark.parametrize("shape", [pytest.param((4, 4, 1), marks=pytest.mark.all_only), (3, 2, 3)])
def test_pixels_that_do_not_depend_on_z_have_their_own_sum(make_vae, name, shape):
    decoder, kind = DECODERS[name]
    vae, split = make_vae(shape=shape, decoder=decoder), images(kind, shape=shape)
    kernel, bias = vae.decoder.projection.get_weights()
    rng = np.random.default_rng(2)
    vae.decoder.projection.set_weights([0 * kernel, 0.3 * rng.normal(size=bias.shape)])
    seen = observed_pixels(len(split), shape, "random", 0.4)
    base = vae.decoder(tf.zeros([len(split), 2])).distribution
    each = base.log_prob(split.values()).numpy()
    found = marginal(vae, split, seen, 200)
    exact = np.where(seen, each, 0).sum(axis=(1, 2, 3))
    error = np.sqrt(np.maximum(1 / found.effective_sample_size - 1 / 200, 0))
    assert np.all(np.abs(found.log_evidence - exact) < 5 * error + 0.02)
    expected = np.where(seen, split.values(), base.mean())
    np.testing.assert_allclose(found.imputed, expected, rtol=1e-4, atol=1e-5)


@pytest.mark.all_only
@pytest.mark.parametrize(
    "name",
    [
        pytest.param(name, marks=[pytest.mark.all_only] * (name not in ("normal", "categorical")))
        for name in DECODERS
    ],
)
def test_with_nothing_missing_it_is_the_log_likelihood_of_the_model(make_vae, base_seed, name):
    decoder, kind = DECODERS[name]
    vae, split = make_vae(decoder=decoder), images(kind)
    bounds = vae.bounds(split, 800, seed=base_seed)
    found = marginal(vae, split, np.True_, 800, seed=base_seed + 1, impute=False)
    assert found.imputed is None
    sizes = bounds.effective_sample_size, found.effective_sample_size
    error = np.sqrt(sum(np.maximum(1 / size - 1 / 800, 0) for size in sizes))
    bias = sum(1 / size for size in sizes)
    assert np.all(np.abs(found.log_evidence - bounds.log_evidence) < 5 * error + bias)


@pytest.mark.all_only
@pytest.mark.parametrize(
    "name",
    [
        name if name == "bernoulli" else pytest.param(name, marks=pytest.mark.all_only)
        for name in DECODERS
    ],
)
def test_with_everything_missing_it_is_zero(make_vae, name):
    decoder, kind = DECODERS[name]
    vae, split = make_vae(decoder=decoder), images(kind)
    found = observed_log_evidence(vae, split, np.False_, 30)
    np.testing.assert_allclose(found, 0, atol=1e-5)


@pytest.mark.all_only
def test_what_is_not_observed_is_never_read(make_vae, binary_images):
    vae, x = make_vae(), binary_images(9)
    seen = observed_pixels(9, SHAPE, "block", 0.5)
    found = marginal(vae, x, seen, 40)
    for other in (np.where(seen, x, 1 - x), np.where(seen, x, np.nan)):
        again = marginal(vae, other, seen, 40)
        np.testing.assert_array_equal(again.log_evidence, found.log_evidence)
        np.testing.assert_array_equal(again.imputed, found.imputed)
    changed = x.copy()
    changed[seen] = 1 - changed[seen]
    assert np.all(marginal(vae, changed, seen, 40).log_evidence != found.log_evidence)


def test_a_mask_for_all_and_a_split_are_taken(make_vae, binary_images):
    vae, x = make_vae(), binary_images(9)
    one = observed_pixels(1, SHAPE, "random", 0.5)
    expected = impute(vae, x, np.repeat(one, 9, axis=0), 40)
    np.testing.assert_array_equal(impute(vae, Split(x, "static"), one[0], 40), expected)
    np.testing.assert_array_equal(expected[:, one[0]], x[:, one[0]])


@pytest.mark.all_only
def test_figures_are_a_function_of_the_seed(make_vae, binary_images):
    vae, x = make_vae(), binary_images(5)
    seen = observed_pixels(5, SHAPE, "random", 0.5)
    first = observed_log_evidence(vae, x, seen, 40, seed=1)
    np.testing.assert_array_equal(observed_log_evidence(vae, x, seen, 40, seed=1), first)
    assert np.all(observed_log_evidence(vae, x, seen, 40, seed=2) != first)


@pytest.mark.all_only
def test_no_more_rows_are_decoded_at_a_time_than_the_model_allows(
    make_vae, binary_images, monkeypatch, base_seed
):
    vae, x = make_vae(), binary_images(7)
    seen = observed_pixels(7, SHAPE, "random", 0.5)
    whole = marginal(vae, x, seen, 1501, seed=base_seed)
    rows, call = [], type(vae.decoder).call

    def watched(self, z, **kwargs):
        rows.append(int(np.prod(z.shape[:-1])))
        return call(self, z, **kwargs)

    monkeypatch.setattr(type(vae.decoder), "call", watched)
    monkeypatch.setattr(tv.VAE, "rows_at_once", 32)
    in_parts = marginal(vae, x, seen, 1501, seed=base_seed)
    assert 16 <= max(rows) <= 32
    sizes = whole.effective_sample_size, in_parts.effective_sample_size
    error = np.sqrt(sum(1 / size - 1 / 1501 for size in sizes))
    assert np.all(np.abs(whole.log_evidence - in_parts.log_evidence) < 5 * error)
    assert np.all(np.abs(whole.imputed - in_parts.imputed) < 5 * 0.5 * np.sqrt(1 / sizes[1].min()))


@pytest.mark.all_only
def test_bayesian_weights_of_a_decoder_are_drawn_from_the_seed(make_vae, binary_images):
    def decoder(_, shape):
        network = keras.Sequential([keras.layers.Flatten(), tv.layers.DenseFlipout(8)])
        return tv.decoders.Bernoulli(network, shape)

    vae, x = make_vae(decoder=decoder, num_data=6), binary_images(6)
    seen = observed_pixels(6, SHAPE, "random", 0.5)
    first = marginal(vae, x, seen, 60)
    again = marginal(vae, x, seen, 60)
    np.testing.assert_array_equal(again.log_evidence, first.log_evidence)
    assert np.all(first.log_evidence < 0) and np.isfinite(first.imputed).all()
    whole = marginal(vae, x, np.True_, 4000, seed=1)
    bounds = vae.bounds(x, 4000, seed=2)
    sizes = whole.effective_sample_size, bounds.effective_sample_size
    # Weights are drawn once per chunk: two chunks, and so two functions, for each side.
    spread = np.std([vae.bounds(x, 4000, seed=s).log_evidence for s in range(3, 9)], axis=0)
    error = np.sqrt(sum(1 / size for size in sizes) + 2 * spread.max() ** 2)
    assert np.all(np.abs(whole.log_evidence - bounds.log_evidence) < 5 * error)


def test_a_low_effective_sample_size_warns(make_vae, binary_images):
    with pytest.warns(UserWarning, match="effective sample size is low"):
        observed_log_evidence(make_vae(), binary_images(5), np.True_, 1)


def test_misuse_is_refused(make_vae, binary_images):
    vae, x = make_vae(), binary_images(5)
    seen = np.ones(x.shape, bool)
    for mask in (seen[:3], seen.astype(float)):
        with pytest.raises(ValueError, match=r"mask does not fit.*Expected booleans.*Received"):
            marginal(vae, x, mask)
    for wrong in ({"num_samples": 0}, {"num_chains": 0}, {"num_sweeps": -1}, {"batch_size": 0}):
        with pytest.raises(
            ValueError, match=rf"Impossible {next(iter(wrong))}.*Expected.*Received"
        ):
            marginal(vae, x, seen, **wrong)
    with pytest.raises(ValueError, match="does not fit"):
        marginal(vae, images(Kind.EIGHT_BIT), np.True_)


def test_a_likelihood_that_does_not_fall_into_pixels_is_refused(make_vae, binary_images):
    vae = make_vae()
    whole = vae.decoder.distribution
    vae.decoder.distribution = lambda logits: tv.distributions.base.tfd.Masked(whole(logits), True)
    with pytest.raises(ValueError, match=r"does not fall.*Expected a tfd.Independent.*Received"):
        marginal(vae, binary_images(3), np.True_, 5)
