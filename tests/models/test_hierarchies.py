"""Several latents: exact chains, posteriors that are made with priors, and what a model shares."""

import keras
import numpy as np
import pytest
import tensorflow as tf
import tensorflow_probability as tfp
from scipy import stats

import tfp_vae as tv
from tfp_vae import export
from tfp_vae.methods import VAERecipe
from tfp_vae.studies.exact.base import linear

tfd = tfp.distributions
RISE, NARROW, NOISE = 0.8, 0.6, 0.5  # z1 = RISE z2 + NARROW e, x = z W + b + NOISE e


def _raw(scale):
    return np.log(np.expm1(np.asarray(scale) - 1e-4))


def _chain(posterior, sees_above, loadings):
    """Returns p(z2) p(z1|z2) p(x|z) of normals, each network one matrix, and q untrained."""
    kind = tv.encoders.ENCODERS[posterior]
    below = tv.priors.ConditionalNormal(tv.networks.mlp([]), 1)
    latents = [
        tv.LatentVariable("z2", tv.priors.StandardNormal(1),
                          tv.encoders.Gaussian(tv.networks.mlp([]), 1)),
        tv.LatentVariable("z1", below, kind(tv.networks.mlp([]), 1)),
    ]  # fmt: skip
    decoder = tv.decoders.Normal(tv.networks.mlp([]), (3,), scale=NOISE)
    vae = tv.VAE(latents=latents, decoder=decoder, decoder_sees_above=sees_above, data_kind="real")
    linear(below.head, np.array([[RISE, 0.0]]), np.array([0.0, _raw(NARROW)]))
    linear(decoder, loadings, np.zeros(3))
    return vae


@pytest.mark.parametrize("posterior", ["diagonal", "ladder", "residual"])
def test_exact_conditionals_of_a_chain_give_log_p_at_every_draw(posterior):
    rng = np.random.default_rng(0)
    both = posterior != "ladder"  # merged with the prior q is exact where x depends on z1 alone
    loadings = rng.standard_normal((2 if both else 1, 3))
    vae = _chain(posterior, both, loadings)
    whole = loadings if both else np.vstack([np.zeros(3), loadings])
    # The joint of (z2, z1): what the two are told by x, and z1 by x and z2.
    prior = np.array([[1.0, RISE], [RISE, RISE**2 + NARROW**2]])
    marginal = whole.T @ prior @ whole + NOISE**2 * np.eye(3)
    gain = prior @ whole @ np.linalg.inv(marginal)  # [2, 3]
    spread = prior - gain @ whole.T @ prior
    top = [gain[:1].T, spread[0, 0] ** 0.5]
    linear(vae.encoders[0], np.hstack([top[0], 0 * top[0]]), np.array([0.0, _raw(top[1])]))
    slope = spread[1, 0] / spread[0, 0]
    kernel = np.concatenate([gain[1] - slope * gain[0], [slope]])[:, np.newaxis]
    scale = (spread[1, 1] - slope * spread[1, 0]) ** 0.5
    if posterior == "ladder":
        precision = np.sum(loadings**2) / NOISE**2
        kernel, scale = loadings.T / NOISE**2 / precision, precision**-0.5
    if posterior == "residual":
        kernel = kernel - np.array([[0.0], [0.0], [0.0], [RISE]])
        scale = scale / NARROW
    raw = _raw(scale) - (posterior == "residual") * _raw(1.0)
    linear(vae.encoders[1], np.hstack([kernel, 0 * kernel]), np.array([0.0, raw]))
    x = 2 * rng.standard_normal((4, 3)).astype(np.float32)
    exact = stats.multivariate_normal(np.zeros(3), marginal).logpdf(x)
    latents = vae.at(0).infer(tf.constant(x), 2)
    terms = vae.terms(x, None, vae(x, num_samples=2))
    np.testing.assert_allclose(terms.log_weights(), np.tile(exact, (2, 1)), rtol=1e-4)
    assert latents[1].kl().shape == (2, 4) and latents[0].kl().shape == (1, 4)


def test_a_merge_has_its_limits_and_a_residual_its_kl():
    rng = np.random.default_rng(1)
    loc, other = (tf.constant(rng.standard_normal((4, 3)), tf.float32) for _ in range(2))
    scale = tf.exp(tf.constant(rng.standard_normal((4, 3)), tf.float32))
    ladder = tv.encoders.ENCODERS["ladder"](tv.networks.mlp([]), 3)
    for wide, narrow in (((1e4, 1.0), loc), ((1.0, 1e4), other)):
        own = tfd.MultivariateNormalDiag(loc, scale * wide[1])
        prior = tfd.MultivariateNormalDiag(other, scale * wide[0])
        q = ladder.given_prior(own, prior)
        np.testing.assert_allclose(q.loc, narrow, atol=1e-5)
        np.testing.assert_allclose(q.stddev(), scale, rtol=1e-5)
    residual = tv.encoders.ENCODERS["residual"](tv.networks.mlp([]), 3)
    ratio = scale
    prior = tfd.MultivariateNormalDiag(other, tf.exp(loc))
    q = residual.given_prior(tfd.MultivariateNormalDiag(loc, ratio), prior)
    known = 0.5 * (loc**2 / prior.stddev() ** 2 + ratio**2 - 1) - tf.math.log(ratio)
    np.testing.assert_allclose(
        tfd.kl_divergence(q, prior), tf.reduce_sum(known, axis=-1), rtol=1e-4
    )


@pytest.fixture(scope="module")
def digits():
    return tv.data.load("digits")


@pytest.fixture(scope="module")
def levels(digits):
    keras.utils.set_random_seed(0)
    recipe = VAERecipe(
        "hierarchical", levels=3, level_dims=(2, 3, 4), posterior="ladder", hidden=(6,),
        prior="mixture", components=3,
    )  # fmt: skip
    return recipe.build(digits)


def test_levels_share_one_pass_and_x_sees_all_of_them(levels, digits, monkeypatch):
    x = tf.constant(digits.test.values()[:4])
    seen, network = [], type(levels.bottom_up)
    call = network.call
    monkeypatch.setattr(
        network, "call", lambda self, *a, **k: seen.append(self) or call(self, *a, **k)
    )
    latents = levels.at(0).infer(x, 2)
    assert sum(each is levels.bottom_up for each in seen) == 1
    assert [latent.name for latent in latents] == ["z3", "z2", "z1"]
    # Alone, and with axes of samples in front, a posterior is the same.
    above = tuple(latent.value for latent in latents[:2])
    draw = levels.at(0)
    alone = draw.posterior(x, None, above)
    stacked = draw.posterior(tf.stack([x, x]), None, above)
    np.testing.assert_allclose(alone.loc, latents[2].posterior.loc, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(stacked.loc, alone.loc, rtol=1e-5, atol=1e-6)
    assert levels.encode(x).shape == (4, 9) and levels.code_size == 9
    z = tf.Variable(levels.code([latent.value for latent in latents]))
    with tf.GradientTape() as tape:
        value = tf.reduce_sum(draw.likelihood(z).log_prob(x))
    assert np.all(np.any(tape.gradient(value, z) != 0, axis=(0, 1)))


def test_levels_come_back_from_a_file_and_are_exported_by_name(levels, digits, tmp_path):
    levels.save(tmp_path / "levels.keras")
    again, x = tv.load(tmp_path / "levels.keras"), digits.test.take(5)
    one, other = (m.at(0).infer(x.values(), 2) for m in (again, levels))
    np.testing.assert_array_equal(one[-1].log_q, other[-1].log_q)
    named = {s.name: s for s in export.signatures_of(levels, 3)}
    inputs = {name: [value.name for value in s.inputs] for name, s in named.items()}
    assert inputs["decode"] == ["z3", "z2", "z1"]
    assert inputs["encode"] == inputs["reconstruct"] == ["x"]
    assert all(s.portable for s in named.values())
    values = x.values()
    z = dict(zip(inputs["decode"], tf.split(levels.encode(values), [2, 3, 4], -1), strict=True))
    known = levels.reconstruct(values)
    for found in (named["decode"].answer(**z), named["reconstruct"].answer(x=tf.constant(values))):
        np.testing.assert_allclose(found["mean"], known, rtol=1e-5)


def test_every_weight_of_every_level_has_a_slope_and_every_level_its_metrics(levels, digits):
    x = tf.constant(digits.test.values()[:6])
    with tf.GradientTape() as tape:
        terms = levels.terms(x, None, levels(x, num_samples=2))
        loss = levels.objective.loss(terms, 0)
    slopes = tape.gradient(loss, levels.trainable_variables)
    assert all(np.any(tf.convert_to_tensor(slope)) for slope in slopes)
    assert {"kl_z1", "kl_z2", "kl_z3", "active_units_z2"} <= {m.name for m in levels.metrics}


def test_free_bits_of_a_level_hold_its_mean_kl(levels, digits):
    x = tf.constant(digits.test.values()[:6])
    terms = levels.terms(x, None, levels(x, num_samples=2))
    kls = [float(tf.reduce_mean(terms.mean(latent.kl()))) for latent in terms.latents]
    floor = float(np.median(kls))
    loss = tv.objectives.ELBO(free_bits=floor, free_bits_per="level").loss(terms, 0)
    likelihood = float(tf.reduce_mean(terms.reconstruction()))
    assert float(loss) == pytest.approx(np.maximum(kls, floor).sum() - likelihood, rel=1e-5)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"levels": 3, "level_dims": (2, 3)}, r"Expected level_dims of 3 sizes.*Received \[2, 3\]"),
        ({"levels": 0}, "levels"),
        ({"level_dims": (2, 0)}, "level_dims"),
        ({"hidden": ()}, "at least one hidden width"),
        ({"free": True}, "Expected one of|free_bits_per"),
    ],
)
def test_levels_that_cannot_be_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        if options.pop("free", False):
            tv.objectives.ELBO(free_bits_per="pixel")
        VAERecipe("hierarchical", **options)


@pytest.mark.parametrize("prior", ["vamp", "flow"])
def test_a_posterior_made_with_its_prior_needs_a_normal_one(prior, digits):
    words = "made of each other" if prior == "vamp" else "Expected a normal prior of independent"
    with pytest.raises(ValueError, match=words):
        VAERecipe(posterior="residual", prior=prior, latent_dim=2, hidden=(4,)).build(digits)
