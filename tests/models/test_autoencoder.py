"""A plain and a denoising autoencoder: what they say and refuse, and what they come back as."""

import keras
import numpy as np
import pytest
import tensorflow as tf

import tfp_vae as tv
from tfp_vae.distributions.deterministic import Deterministic, Nowhere
from tfp_vae.export.signatures import signatures_of
from tfp_vae.methods import VAERecipe

rng = np.random.default_rng(0)
IMAGES = rng.integers(0, 2, (40, 3, 3, 1)).astype(np.float32)


def _make(noise=0.0, decoder=tv.decoders.Bernoulli, **options):
    keras.utils.set_random_seed(1)
    mlp = tv.networks.mlp
    encoder, decoder = Deterministic(mlp([5]), 2), decoder(mlp([5]), (3, 3, 1))
    return tv.Autoencoder(Nowhere(2), encoder, decoder, noise=noise, **options)


@pytest.fixture(scope="module")
def trained():
    made = _make(0.3, data_kind="static")
    made.compile("adam", run_eagerly=True)
    found = made.fit(IMAGES, epochs=1, batch_size=20, verbose=0, validation_data=IMAGES[:8])
    made.history_of_fit = found.history
    return made


def test_an_autoencoder_has_no_metric_called_elbo_and_says_that_nothing_is_a_bound(trained):
    found = {name.removeprefix("val_") for name in trained.history_of_fit}
    assert found == {"loss", "distortion", "active_units"}
    assert trained.directions() == {"loss": "min", "distortion": "min"}
    titles = [axis.get_title() for axis in tv.plots.training_curve(trained.history_of_fit).axes]
    assert titles == ["loss, no bound", "active units"]
    split = trained.as_split(IMAGES)
    said = tv.evaluation.test_metrics(trained, split, 5)
    assert "no p(z)" in said["note"] and "test_squared_error" in said
    assert not any("elbo" in name or "log_likelihood" in name for name in said)
    for ask in (lambda: trained.elbo(IMAGES), lambda: tv.evaluation.diagnose(trained, split)):
        with pytest.raises(ValueError, match="q\\(z\\|x\\) is a point and there is no p\\(z\\)"):
            ask()


def test_the_loss_is_minus_log_p_of_the_example_at_its_code(trained):
    x = tf.constant(IMAGES)
    z = trained.encode(x)
    expected = -np.mean(trained.decoder(z).log_prob(x))
    found = float(trained.compute_loss(x, y_pred=trained(x), training=False))
    assert found == pytest.approx(expected, rel=1e-5)
    # Noise is there in training alone, a function of the seed, within the range of the values.
    np.testing.assert_array_equal(trained(x, seed=1).z[0], z)
    one, other = (trained(x, training=True, seed=seed).z[0].numpy() for seed in (1, 2))
    assert not np.allclose(one, z) and not np.allclose(one, other)
    noised = trained.corrupted(x, trained.caller_key(1)).numpy()
    assert noised.min() == 0 and noised.max() == 1 and len(np.unique(noised)) > 100
    real = _make(0.3, tv.decoders.Normal).corrupted(tf.zeros([4000]), trained.caller_key(1))
    assert np.std(real) == pytest.approx(0.3, rel=0.05)


def test_an_autoencoder_draws_from_a_prior_that_is_fitted_to_codes_and_else_from_none(
    trained, tmp_path
):
    with pytest.raises(ValueError, match=r"no p\(z\) to draw from.*with_prior.*--fit_prior"):
        trained.generate(3)
    said = {each.name: each for each in signatures_of(trained, 2)}
    assert {"encode", "decode", "reconstruct"} <= set(said)
    assert "sample" not in said and "elbo" not in said
    fitted = trained.with_prior("mixture", IMAGES, components=2)
    assert fitted.generates and fitted.noise == trained.noise
    fitted.save(tmp_path / "model.keras")
    again = tv.load(tmp_path / "model.keras")
    one, other = (each.generate(3, seed=1)["mean"] for each in (fitted, again))
    np.testing.assert_array_equal(one, other)
    np.testing.assert_array_equal(again.encode(IMAGES), trained.encode(IMAGES))
    assert "sample" in {each.name for each in signatures_of(again, 2)}
    with pytest.raises(ValueError, match="mixture of all q"):
        trained.with_prior("aggregated", IMAGES)


def test_a_shared_scale_is_found_off_the_bound_too():
    made = _make(decoder=tv.decoders.Normal)
    made.compile("sgd", run_eagerly=True)
    x = 7 * rng.standard_normal((40, 3, 3, 1)).astype(np.float32)
    made.fit(x, batch_size=40, epochs=1, verbose=0)
    error = np.std(made.reconstruct(x) - x)
    assert float(made.decoder(made.encode(x)).stddev()[0, 0, 0, 0]) == pytest.approx(error, rel=0.2)


def test_what_an_autoencoder_cannot_be_is_refused():
    mlp = tv.networks.mlp
    with pytest.raises(ValueError, match=r"noise.*>= 0.*-1"):
        _make(-1)
    decoder = tv.decoders.Bernoulli(mlp([5]), (3, 3, 1))
    with pytest.raises(ValueError, match=r"function of the example.*Received a Gaussian"):
        tv.Autoencoder(Nowhere(2), tv.encoders.Gaussian(mlp([5]), 2), decoder)
    split = tv.data.Split(IMAGES, "static", name="training")
    data = tv.data.Data("images", split, split, split)
    made = VAERecipe("autoencoder", latent_dim=2, hidden=(4,), noise=0.2).build(data)
    assert made.noise == 0.2 and not made.on_bound
