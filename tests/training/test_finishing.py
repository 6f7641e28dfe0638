"""The last epochs of a training with another bound: one training, one history, exact to resume."""

import re

import keras
import numpy as np
import pytest
import tensorflow as tf
import tensorflow_probability as tfp
from training_cases import BATCH_SIZE, EPOCHS, Interrupt, assert_same, data, model

import tfp_vae as tv
from tfp_vae import training
from tfp_vae.distributions.base import BOX, SPHERE
from tfp_vae.objectives import BOUNDS, ELBO, IWAE
from tfp_vae.objectives.gradients.base import check_held

tfd = tfp.distributions
_ON = {BOX: "uniform", SPHERE: "von_mises_fisher"}  # priors beside a posterior of a support


@pytest.fixture(scope="module")
def found():
    return data()


def _train(made, found, folder, *more, last=None):
    """Trains with a `Finish` and checkpoints; returns (weights, history, lines of the file)."""
    folder.mkdir(exist_ok=True)
    last = last or training.Finish(IWAE("dreg"), 4, 2)
    chosen = [training.HistoryFile(folder / "history.csv"), last, *more]
    history = made.fit(
        found.train,
        batch_size=BATCH_SIZE,
        epochs=EPOCHS,
        validation_data=found.validation,
        callbacks=[*chosen, training.Checkpoints(folder, steps=3)],
        verbose=0,
    )
    return made.get_weights(), history.history, (folder / "history.csv").read_text()


@pytest.mark.all_only
@pytest.mark.parametrize(
    "calls",  # before the bound changes, and after
    [pytest.param(2, marks=pytest.mark.all_only), 7],
)
def test_a_finished_training_resumes_to_the_last_bit_and_reports_one_history(
    calls, found, tmp_path
):
    whole = _train(model("vae", found), found, tmp_path / "whole")
    folder = tmp_path / "again"
    with pytest.raises(KeyboardInterrupt):
        _train(model("vae", found), found, folder, Interrupt(calls))
    assert_same(whole, _train(model("vae", found), found, folder))
    made = model("vae", found)
    assert_same(whole, _train(made, found, folder))  # finished before
    assert made.num_samples == 4
    assert made.objective.get_config() == {"gradient": "dreg"}
    assert {len(column) for column in whole[1].values()} == {EPOCHS}
    assert {"elbo", "iwae", "val_iwae"} <= set(whole[1])
    # The loss is that of the bound that is trained, with its number of draws.
    assert whole[1]["loss"][1:] == pytest.approx([-v for v in whole[1]["iwae"][1:]], rel=1e-5)
    assert whole[1]["iwae"][2] > whole[1]["elbo"][2] + 0.01


@pytest.mark.all_only
def test_an_elbo_may_end_with_any_bound_and_a_bound_with_the_elbo(found, tmp_path):
    made = model("vae", found)
    made.objective, made.num_samples = BOUNDS["renyi"](0.3), 2
    last = training.Finish(ELBO(), 1, 1)
    history = _train(made, found, tmp_path, last=last)[1]
    assert {"renyi", "iwae", "elbo"} <= set(history)
    assert isinstance(made.objective, ELBO)
    assert history["loss"][2] == pytest.approx(-history["elbo"][2], rel=1e-5)


def test_a_training_cannot_finish_before_it_begins_or_with_what_it_has_not(found):
    vae = model("vae", found)
    for last, message in (
        (training.Finish(IWAE(), 4, 9), r"within its epochs. Expected at most 3.*Received 9"),
        (training.Finish(IWAE("vimco"), 1, 1), r"compares draws. Expected num_samples >= 2"),
        (training.Finish(BOUNDS["miwae"](3), 4, 1), r"multiple of groups=3.*num_samples=4"),
    ):
        with pytest.raises(ValueError, match=message):
            last.check(vae, 3)
        assert vae.num_samples == 1
    with pytest.raises(ValueError, match=r"num_samples.*Received 0"):
        training.Finish(IWAE(), 0, 1)
    network = keras.Sequential([keras.layers.Dense(2)])
    with pytest.raises(ValueError, match=r"model.*VAE"):
        training.Finish(IWAE(), 2, 1).check(network, 3)


def _vae(found, objective, num_samples, **more):
    return tv.VAE(
        prior=tv.priors.StandardNormal(2),
        encoder=more.pop("encoder", None) or tv.encoders.Gaussian(tv.networks.mlp([4]), 2),
        decoder=more.pop("decoder", None) or tv.decoders.Bernoulli(tv.networks.mlp([4]), (4, 4, 1)),
        objective=objective,
        num_samples=num_samples,
        **more,
    )


def _steps(made, found):
    """Returns the history of two steps of a model, which all of its weights took part in."""
    made.compile(keras.optimizers.SGD(1e-2), run_eagerly=True)
    before = [variable.numpy() for variable in made.trainable_variables]
    history = made.fit(found.train.take(16), batch_size=8, epochs=1, verbose=0).history
    for variable, value in zip(made.trainable_variables, before, strict=True):
        assert np.all(np.isfinite(variable)), variable.path
        # M2's q(y|x) has no part in L_K, whose sum over classes is exact.
        assert np.any(variable.numpy() != value), variable.path
    return history


@pytest.mark.all_only
def test_estimators_train_conditional_models_m2_and_bayesian_weights(found):
    decoder = tv.decoders.Bernoulli(
        keras.Sequential([tv.layers.DenseReparameterization(4, activation="relu"),
                          tv.layers.DenseReparameterization(16)]),
        (4, 4, 1),
    )  # fmt: skip
    bayesian = _vae(found, IWAE("dreg"), 3, decoder=decoder)
    assert {"elbo", "iwae"} <= set(_steps(bayesian, found))
    parts = {
        "prior": tv.priors.StandardNormal(2),
        "encoder": tv.encoders.Gaussian(tv.networks.mlp([4]), 2),
        "decoder": tv.decoders.Bernoulli(tv.networks.mlp([4]), (4, 4, 1)),
    }
    conditional = tv.ConditionalVAE(**parts, num_classes=3, objective=BOUNDS["piwae"](2),
                                    num_samples=4)  # fmt: skip
    assert {"elbo", "piwae", "iwae"} <= set(_steps(conditional, found))
    parts["encoder"] = tv.encoders.Gaussian(tv.networks.mlp([4]), 2)
    parts["decoder"] = tv.decoders.Bernoulli(tv.networks.mlp([4]), (4, 4, 1))
    m2 = tv.M2(**parts, classifier=tv.networks.mlp([3]), num_classes=3,
               objective=IWAE("vimco"), num_samples=2)  # fmt: skip
    assert {"elbo", "iwae", "accuracy"} <= set(_steps(m2, found))


class BinaryEncoder(tv.encoders.Encoder):
    parameters_per_event = 1

    def distribution(self, logits):
        return tfd.Independent(tfd.Bernoulli(logits, dtype=tf.float32), 1)


class BinaryPrior(tv.priors.Prior):
    def distribution(self, context):
        return tfd.Independent(tfd.Bernoulli(tf.zeros(self.latent_dim), dtype=tf.float32), 1)


def test_binary_latents_are_trained_by_score_functions_and_by_no_path(found):
    vae = tv.VAE(
        BinaryPrior(3), BinaryEncoder(tv.networks.mlp([4]), 3),
        tv.decoders.Bernoulli(tv.networks.mlp([4]), (4, 4, 1)), IWAE("vimco"), num_samples=2,
    )  # fmt: skip
    assert {"elbo", "iwae"} <= set(_steps(vae, found))
    for gradient in ("dreg", "stl"):
        vae.objective = IWAE(gradient)
        with pytest.raises(ValueError, match=r"follows z.*gradient='score'.*Received a Independe"):
            vae.objective.check(vae)


def test_a_hierarchy_has_no_held_parameters(found):
    latents = [
        tv.LatentVariable("z2", tv.priors.StandardNormal(1),
                          tv.encoders.Gaussian(tv.networks.mlp([2]), 1)),
        tv.LatentVariable("z1", tv.priors.ConditionalNormal(tv.networks.mlp([2]), 1),
                          tv.encoders.Gaussian(tv.networks.mlp([2]), 1)),
    ]  # fmt: skip
    decoder = tv.decoders.Bernoulli(tv.networks.mlp([2]), (4, 4, 1))
    vae = tv.VAE(latents=latents, decoder=decoder, num_samples=2)
    for objective in (IWAE("dreg"), BOUNDS["piwae"](2)):
        with pytest.raises(ValueError, match=r"hierarchy.*Expected one latent.*Received z2, z1"):
            objective.check(vae)
    vae.objective = IWAE("score")
    assert "iwae" in _steps(vae, found)


@pytest.mark.parametrize("name", tv.encoders.ENCODERS)
def test_a_posterior_is_held_whole_or_refused(name):
    kind = tv.encoders.ENCODERS[name]
    prior = tv.priors.PRIORS[_ON.get(kind.support, "standard")]
    vae = tv.VAE(
        prior(2), kind(tv.networks.mlp([]), 2), tv.decoders.Bernoulli(tv.networks.mlp([]), (3,))
    )
    try:
        check_held("It", vae)
    except ValueError as error:
        assert re.search(r"Expected.*Received", str(error))
        # What a network computes at each value, and the edge of a box, where z tells too little.
        assert name in ("box", "iaf", "maf", "planar", "sylvester")
        return
    with tf.GradientTape() as tape:
        (latent,) = vae.at(0).infer(tf.ones([2, 3]), 2)
        fixed = latent.fixed().stopped().log_q
        total = tf.reduce_sum(fixed)
    np.testing.assert_allclose(fixed, latent.log_q, rtol=1e-3, atol=1e-3)
    found = tape.gradient(total, vae.encoder.trainable_variables)
    assert all(each is None or np.abs(each).max() < 1e-6 for each in found), name
