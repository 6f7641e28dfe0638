"""A VAE beside autoencoders: the judge, the holes, and what is measured of a model."""

import keras
import numpy as np
import pytest
from scipy.special import logsumexp
from scipy.stats import bernoulli

import tfp_vae as tv
from tfp_vae.methods import VAERecipe
from tfp_vae.studies import autoencoders

rng = np.random.default_rng(3)


def test_the_judge_is_a_density_of_binary_examples_that_prefers_what_it_knows():
    every = np.array([[i >> k & 1 for k in range(4)] for i in range(16)], float)
    ends = np.array([[1, 1, 1, 0], [0, 0, 0, 1]], float)
    judge = autoencoders.Judge(np.repeat(ends, 50, axis=0), components=2)
    log_p = judge.log_prob(every)
    assert logsumexp(log_p) == pytest.approx(0, abs=1e-9)
    found = np.exp(judge.log_prob(ends))
    np.testing.assert_allclose(found, 0.5 * (51 / 52) ** 4, rtol=0.03)
    alone = autoencoders.Judge(every[:5], components=40)
    share = (every[:5].sum(axis=0) + 1) / 7
    np.testing.assert_allclose(
        alone.log_prob(every), bernoulli.logpmf(every, share).sum(axis=1), rtol=1e-6
    )


def test_codes_drawn_as_they_lie_are_in_no_holes_and_others_are():
    train, test, drawn = (rng.standard_normal((n, 2)) * [1, 50] for n in (800, 800, 800))
    assert autoencoders.share_in_holes(drawn, train, test) == pytest.approx(0.01, abs=0.012)
    assert autoencoders.share_in_holes(drawn + np.array([0, 500]), train, test) > 0.95
    ring = train / np.linalg.norm(train / [1, 50], axis=1, keepdims=True)
    normal = autoencoders.fitted_normal(ring, 800, rng)
    np.testing.assert_allclose(np.cov(normal.T), np.cov(ring.T), rtol=0.2, atol=3)
    assert autoencoders.share_in_holes(normal, ring[:400], ring[400:]) > 0.5


@pytest.fixture(scope="module")
def data():
    parts = [
        tv.data.Split(
            rng.integers(0, 2, (30, 3, 3, 1)).astype(np.float32),
            "static",
            np.arange(30) % 2,
            name=name,
        )
        for name in ("training", "validation", "test")
    ]
    return tv.data.Data("images", *parts)


def test_all_members_are_measured_alike_and_an_autoencoder_on_no_bound(data):
    judge, of_data = autoencoders.judge_of(data)
    assert of_data.keys() == {"test_log_p", "pixel_middle_log_p"}
    keras.utils.set_random_seed(0)
    results, looks = {}, {}
    for name in ("vae", "autoencoder"):
        model = VAERecipe(name, latent_dim=2, hidden=(4,)).build(data)
        results[name], looks[name] = autoencoders.measure(model, data, judge)
    one, other = results["vae"], results["autoencoder"]
    assert set(autoencoders.TABLE) <= set(one) & set(other)
    assert "elbo" in one and "elbo" not in other and "not on the bound" in other["note"]
    assert one["draws_from"] == "prior" and other["draws_from"] == "normal fitted to codes"
    assert one["noise_share"] > 0 == other["noise_share"]
    text = autoencoders.table({k: autoencoders._summed([v, v]) for k, v in results.items()})
    assert "+- 0" in text and text.splitlines()[2].startswith("autoencoder")
    assert len(autoencoders.picture(data.test, looks).axes) == 4


def test_what_cannot_be_judged_is_refused(data):
    grey = tv.data.Split(rng.random((30, 2)), "unit_interval", name="training")
    with pytest.raises(ValueError, match=r"Expected binary values.*unit_interval"):
        autoencoders.judge_of(tv.data.Data("grey", grey, grey, grey))
    one = data.test.select(np.arange(0, 30, 2), "test")
    with pytest.raises(ValueError, match="two classes"):
        autoencoders.judge_of(tv.data.Data("one", one, one, one))
