"""A prior fitted after training: what it gains, exactly, and what is left of the model."""

import keras
import numpy as np
import pytest

import tfp_vae as tv
from tfp_vae.data import Split
from tfp_vae.objectives import Terms
from tfp_vae.randomness import fold_in


@pytest.fixture
def wide(make_vae, binary_images):
    """Returns a VAE whose codes are far from its prior, and examples."""
    keras.utils.set_random_seed(0)
    model = make_vae(data_kind="static")
    kernel = model.encoder.projection.kernel
    kernel.assign(2.0 * kernel)
    return model, Split(binary_images(30), "static")


def test_the_elbo_gains_what_the_prior_gains_and_the_rest_stays(wide, tmp_path):
    old, split = wide
    new = old.with_prior("mixture", split, components=3, num_samples=20)
    gain = new.prior_gain(old, split, 16)
    key, x = fold_in(old.caller_key(None), 0), split.values()

    def elbo(model):
        draw = model.at(key)
        latents = draw.infer(x, 16)
        log_w = Terms(draw.likelihood(latents[0].value).log_prob(x), latents).log_weights()
        return np.mean(log_w, axis=0)

    np.testing.assert_allclose(gain, elbo(new) - elbo(old), rtol=1e-5, atol=1e-5)
    assert gain.mean() > 0.1
    np.testing.assert_array_equal(new.encode(x), old.encode(x))
    assert type(old.prior) is tv.priors.StandardNormal and new.prior.components == 3
    new.save(tmp_path / "new.keras")
    again = tv.load(tmp_path / "new.keras")
    np.testing.assert_array_equal(again.elbo(split, 3), new.elbo(split, 3))
    assert new.generate(4)["mean"].shape == (4, 4, 4, 1)


def test_the_aggregated_posterior_costs_at_most_log_n_and_is_drawn_from(wide):
    old, split = wide
    new = old.with_prior("aggregated", split)
    x = split.values()
    latents = new.at(0).infer(x, 50)
    kl = np.mean(latents[0].log_q - latents[0].log_p, axis=0)
    assert kl.mean() <= np.log(len(x))
    z = new.generate(4000, seed=1)["z"]
    q = old.at_mean().posterior(x)
    error = z.std(axis=0) / np.sqrt(len(z))
    assert np.all(np.abs(z.mean(axis=0) - np.mean(q.mean(), axis=0)) < 5 * error)


def test_a_flow_climbs_to_the_density_of_draws(base_seed):
    rng = np.random.default_rng(base_seed)
    z = rng.standard_normal((600, 2)).astype(np.float32)
    z[:, 1] = 0.3 * z[:, 1] + z[:, 0] ** 2  # a banana
    prior = tv.priors.Flow(2, steps=2, hidden=[8])
    before = np.mean(prior().log_prob(z))
    prior.fit(z, steps=150)
    assert np.mean(prior().log_prob(z)) > before + 0.5


def test_what_cannot_be_fitted_after_training_is_refused(wide):
    old, split = wide
    with pytest.raises(ValueError, match=r"nothing without its model.*Received Vamp"):
        old.with_prior("vamp", split)
    with pytest.raises(ValueError, match=r"nothing to fit.*Received StandardNormal"):
        old.with_prior("standard", split)
    with pytest.raises(ValueError, match=r"Unknown prior.*Received 'mixtures'.*mean mixture"):
        old.with_prior("mixtures", split)
    with pytest.raises(ValueError, match=r"a prior. Expected a Prior. Received 3"):
        old.with_prior(3, split)
    with pytest.raises(ValueError, match=r"would be infinite"):
        old.with_prior("uniform", split)
    with pytest.raises(ValueError, match=r"Too few draws for a mixture.*500.*Received 30"):
        old.with_prior("mixture", split, components=500, num_samples=1)
    # And by the look before training, which knows how many draws there will be.
    old.check_prior("mixture", split, components=500)
    old.check_prior("aggregated", split)
    for prior, options, words in (
        ("mixture", {"components": 30_001}, "Too few draws"),
        ("uniform", {}, "would be infinite"),
        ("standard", {}, "nothing to fit"),
    ):
        with pytest.raises(ValueError, match=words):
            old.check_prior(prior, split, **options)
    keras.utils.set_random_seed(0)
    merged = tv.VAE(
        tv.priors.StandardNormal(2), tv.encoders.Residual(tv.networks.mlp([4]), 2),
        tv.decoders.Bernoulli(tv.networks.mlp([4]), split.shape),
    )  # fmt: skip
    for call in (merged.check_prior, merged.with_prior):
        with pytest.raises(ValueError, match=r"would change q\(z\|x\).*Received Residual"):
            call("mixture", split)


def test_a_prior_for_draws_of_unknown_classes_is_refused_before_training(binary_images):
    parts = {
        "prior": tv.priors.StandardNormal(2),
        "encoder": tv.encoders.Gaussian(tv.networks.mlp([2]), 2),
        "decoder": tv.decoders.Bernoulli(tv.networks.mlp([2]), (2, 2, 1)),
        "classifier": tv.networks.mlp([3]),
    }
    model, x = tv.M2(**parts, num_classes=3), binary_images(30, (2, 2, 1))
    few = Split(x, "static", np.where(np.arange(30) < 3, np.arange(30), -1), name="training")
    for call in (model.check_prior, model.with_prior):
        for prior in ("mixture", "aggregated"):
            with pytest.raises(ValueError, match=r"a class for every training.*Received 27"):
                call(prior, few)
    known = Split(x, "static", np.arange(30) % 3)
    new = model.with_prior("mixture", known, components=2, num_samples=2)
    assert np.isfinite(new.prior_gain(model, known, 2)).all()
