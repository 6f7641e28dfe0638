"""Autoencoders against a discriminator: who is trained by what; nothing is called a bound."""

import keras
import numpy as np
import pytest
import tensorflow as tf

import tfp_vae as tv
from tfp_vae.distributions.deterministic import Deterministic
from tfp_vae.methods import VAERecipe

IMAGES = np.random.default_rng(0).integers(0, 2, (12, 3, 3, 1)).astype(np.float32)


def _parts():
    mlp = tv.networks.mlp
    return {
        "decoder": tv.decoders.Bernoulli(mlp([5]), (3, 3, 1)),
        "discriminator": mlp([6]),
        "data_kind": "static",
    }


def _make(name):
    keras.utils.set_random_seed(1)
    encoding = tv.networks.mlp([5])
    if name == "aae":
        return tv.AAE(tv.priors.StandardNormal(2), Deterministic(encoding, 2), **_parts())
    return tv.VAEGAN(tv.priors.StandardNormal(2), tv.encoders.Gaussian(encoding, 2), **_parts())


@pytest.fixture(scope="module", params=["aae", "vae_gan"])
def model(request):
    made = _make(request.param)
    made.compile("adam", jit_compile=False)
    made.history_of_fit = made.fit(
        IMAGES, epochs=2, batch_size=6, verbose=0, validation_data=IMAGES
    ).history
    return made


def test_no_metric_is_called_a_bound_and_none_is_asked_for(model):
    found = {name.removeprefix("val_") for name in model.history_of_fit}
    assert {"loss", "told_apart", *model.loss_names} <= found
    assert not found & {"elbo", "kl", "reconstruction", "bits_per_dim", "iwae"}
    assert np.isfinite(list(model.history_of_fit.values())).all()
    for ask in (lambda: model.elbo(IMAGES), lambda: model.log_evidence(IMAGES)):
        with pytest.raises(ValueError, match="not on the bound"):
            ask()
    with pytest.raises(ValueError, match="not on the bound"):
        tv.evaluation.diagnose(model, model.as_split(IMAGES))
    said = tv.evaluation.test_metrics(model, model.as_split(IMAGES), 5)
    assert "not on the bound" in said["note"] and not any("elbo" in name for name in said)


def test_each_part_is_trained_by_its_own_terms(model):
    x = tf.constant(IMAGES)
    with tf.GradientTape(persistent=True) as tape:
        terms = model.losses_of(x, model(x, training=True, seed=3), tf.constant([0, 1]))
        sums = {name: tf.reduce_sum(terms[name]) for name in model.loss_names}
    judges = [*model.discriminator.trainable_variables, *model.verdict.trainable_variables]
    others = {id(w) for w in judges}
    rest = [w for w in model.trainable_variables if id(w) not in others]
    for name, value in sums.items():
        is_own = name == "discriminator"
        assert all((g is not None) == is_own for g in tape.gradient(value, judges)), name
        moved = [g is not None for g in tape.gradient(value, rest)]
        assert any(moved) != is_own, name
    fooled = tape.gradient(sums["fooling"], model.encoder.trainable_variables)
    # A GAN's verdict does not train its encoder; that of an AAE trains nothing else.
    assert all((g is not None) == isinstance(model, tv.AAE) for g in fooled)


def test_the_discriminator_is_judged_on_each_of_what_was_made(model):
    real, made = np.array([2.0, -1.0]), np.array([[9.0, -1.0], [-9.0, -3.0]])
    loss, told_apart = model.discriminator_loss(
        tf.constant(real, tf.float32), tf.constant(made, tf.float32)
    )
    # -log D(real) - mean log(1 - D(made)): a sure error costs as much beside a sure success.
    by_hand = np.log1p(np.exp(-real)) + np.log1p(np.exp(made)).mean(axis=0)
    np.testing.assert_allclose(loss, by_hand, rtol=1e-5)
    np.testing.assert_allclose(told_apart, [0.75, 0.5])


def test_bounds_and_weights_with_a_posterior_are_refused_off_the_bound(model):
    name = "vae_gan" if isinstance(model, tv.VAEGAN) else "aae"
    split = tv.data.Split(IMAGES, "static", name="training")
    data = tv.data.Data("images", split, split, split)

    def made(objective=None, **options):
        return VAERecipe(name, latent_dim=2, hidden=(4,), **options).build(data, objective)

    asked = {
        "on no bound.*KL of weights": lambda: made(bayesian_decoder=True),
        "its own losses.*Received IWAE": lambda: made(tv.objectives.IWAE()),
        "its own losses.*Received MIWAE": lambda: model.change_bounds(
            reported=(tv.objectives.MIWAE(),)
        ),
    }
    for words, ask in asked.items():
        with pytest.raises(ValueError, match=words) as error:
            ask()
        assert "\n" not in str(error.value) and "Expected" in str(error.value)


def test_a_model_off_the_bound_comes_back_with_its_discriminator(model, tmp_path):
    model.save(tmp_path / "model.keras")
    again = tv.load(tmp_path / "model.keras")
    np.testing.assert_array_equal(again.judged(_judged(model)), model.judged(_judged(model)))
    one, other = (each.generate(3, seed=1)["mean"] for each in (model, again))
    np.testing.assert_array_equal(one, other)


def _judged(model):
    return tf.constant(IMAGES) if isinstance(model, tv.VAEGAN) else tf.ones([4, 2])


def test_a_point_beside_a_density_is_refused_where_there_is_a_bound():
    with pytest.raises(ValueError, match=r"one point.*or an AAE"):
        tv.VAE(
            tv.priors.StandardNormal(2),
            Deterministic(tv.networks.mlp([]), 2),
            tv.decoders.Bernoulli(tv.networks.mlp([]), (3, 3, 1)),
        )


@pytest.mark.parametrize("name", ["aae", "vae_gan", "pixel", "fsq", "joint"])
def test_a_recipe_makes_it_by_name(name):
    split = tv.data.Split(IMAGES, "static", name="training")
    data = tv.data.Data("images", split, split, split)
    made = VAERecipe(name, latent_dim=2, hidden=(4,)).build(data)
    assert made.on_bound == (name not in ("aae", "vae_gan"))
    assert np.isfinite(float(made.compute_loss(tf.constant(IMAGES), y_pred=made(IMAGES))))
