"""log p(x) by the encoder's and the refined proposal, against its exact value."""

import itertools
import math
import warnings

import keras
import numpy as np
import ppca
import pytest
from scipy import stats

import tfp_vae as tv
from tfp_vae.models.latents import LatentVariable

SCALE = 0.05


def log_error(bounds, num_samples):
    """Returns the standard error of log p(x), [N], by the delta method."""
    return np.sqrt(np.maximum(1 / bounds.effective_sample_size - 1 / num_samples, 0))


def by_quadrature(vae, x, half=4.5, count=500):
    """Returns log p(x), float64 [N], by a grid of the plane that is finer than p(z|x)."""
    axis = np.linspace(-half, half, count, dtype=np.float32)
    z = np.array(list(itertools.product(axis, axis)), np.float32)
    loc = vae.decoder(z).distribution.loc.numpy().reshape(len(z), -1).astype(np.float64)
    log_prior = -0.5 * np.sum(z.astype(np.float64) ** 2, 1) - math.log(2 * math.pi)
    total = []
    for each in x.reshape(len(x), -1).astype(np.float64):
        squares = np.sum(((each - loc) / SCALE) ** 2, 1)
        joint = log_prior - 0.5 * squares - len(each) * math.log(SCALE * math.sqrt(2 * math.pi))
        total.append(np.logaddexp.reduce(joint))
    return np.array(total) + 2 * math.log(axis[1] - axis[0])


@pytest.fixture(scope="module")
def sharp():
    """A decoder with a small scale beside an encoder that is off, images, and their log p(x)."""
    keras.utils.set_random_seed(0)
    vae = tv.VAE(
        prior=tv.priors.StandardNormal(2),
        encoder=tv.encoders.Gaussian(tv.networks.mlp([8]), 2),
        decoder=tv.decoders.Normal(tv.networks.mlp([16], "tanh"), (3, 3, 1), scale=SCALE),
    )
    rng = np.random.default_rng(0)
    loc = vae.decoder(rng.normal(size=(12, 2)).astype(np.float32)).distribution.loc.numpy()
    x = (loc + SCALE * rng.normal(size=loc.shape)).astype(np.float32)
    kernel, bias = vae.encoder.projection.get_weights()
    narrow = np.array([0.3, -0.3, *[np.log(np.expm1(0.3))] * 2], np.float32)
    vae.encoder.projection.set_weights([0.1 * kernel, 0 * bias + narrow])
    return vae, x, by_quadrature(vae, x)


@pytest.mark.all_only
def test_a_refined_proposal_is_right_where_that_of_the_encoder_is_nats_too_low(sharp, base_seed):
    vae, x, exact = sharp
    encoder = vae.bounds(x, 2000, seed=base_seed)
    assert np.mean(encoder.log_evidence - exact) < -1
    with pytest.warns(UserWarning, match=r"proposal=.refined"):
        encoder.warn_of_bias(2000)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        warnings.filterwarnings("ignore", message=".*was never fitted")
        found = vae.log_evidence(x, 2000, seed=base_seed)  # asks two proposals by itself
    refined = vae.bounds(x, 2000, proposal="refined", seed=base_seed)
    np.testing.assert_allclose(found, refined.log_evidence, rtol=1e-5)
    error = log_error(refined, 2000)
    assert np.median(refined.effective_sample_size) > 200
    assert np.all(np.abs(found - exact) < 5 * error + 1 / refined.effective_sample_size + 1e-2)
    result = tv.evaluation.log_evidence(vae, vae.as_split(x), 2000)
    assert result["importance_proposal"] == "refined" and result["importance_gap"] > 1


def test_heavy_tails_warn_though_the_effective_sample_size_is_content():
    size, tail = np.full(5, 900.0), np.full(5, 0.9)
    with pytest.warns(UserWarning, match="heavy tails.*lower bound"):
        tv.models.vae.warn_of_bias(size, 1000, tail, "encoder")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        tv.models.vae.warn_of_bias(size, 1000, 0.3 * tail, "encoder")
        tv.models.vae.warn_of_bias(size, 1000, np.full(5, np.nan), "encoder")


def test_the_tail_index_is_that_of_the_weights(base_seed):
    # w = u^-k has P(w > t) = t^(-1/k).
    uniform = np.random.default_rng(base_seed).random((6400, 40)).astype(np.float32)
    for index in (0.3, 0.9):
        weights = tv.models.proposals.Weights.none(40)
        for first in range(0, 6400, 64):
            part = -index * np.log(uniform[first : first + 64])
            weights = weights.add(part, first, 6400)[0]
        assert np.median(weights.tail_index(6400)) == pytest.approx(index, rel=0.2)


@pytest.mark.all_only
def test_the_linear_model_has_its_closed_form_whatever_the_encoder(base_seed):
    data = tv.data.load("digits", kind="unit_interval")
    train, test = (split.values().reshape(len(split), -1) for split in (data.train, data.test))
    pca = ppca.fit(train, 3)
    vae, x = ppca.vae_at_the_optimum(pca), test[:20]
    kernel, bias = vae.encoder.projection.get_weights()
    vae.encoder.projection.set_weights([0 * kernel, 0 * bias])
    loadings = vae.decoder.projection.get_weights()[0].T.astype(np.float64)
    covariance = loadings @ loadings.T + pca.noise_variance_ * np.eye(64)
    exact = stats.multivariate_normal(pca.mean_, covariance).logpdf(x)
    found = vae.bounds(x, 600, proposal="refined", seed=base_seed)
    bound = 5 * log_error(found, 600) + 1 / found.effective_sample_size + 2e-3
    assert np.all(np.abs(found.log_evidence - exact) < bound)
    assert np.median(found.effective_sample_size) > 100


@pytest.mark.all_only
def test_classes_a_hierarchy_and_bayesian_weights_have_both_proposals_whatever_the_batch(base_seed):
    def gaussian(size):
        return tv.encoders.Gaussian(tv.networks.mlp([8], "tanh"), size)

    network = keras.Sequential([tv.layers.DenseReparameterization(8, "tanh", initial_scale=0.5)])
    below = tv.priors.ConditionalNormal(tv.networks.mlp([8], "tanh"), 2)
    vae = tv.VAE(
        latents=[
            LatentVariable("top", tv.priors.ClassNormal(2, 3), gaussian(2)),
            LatentVariable("low", below, gaussian(2)),
        ],
        decoder=tv.decoders.DiscretizedLogistic(network, (2, 2, 1)),
        condition=tv.distributions.conditions.Classes(3),
        num_data=6,
    )
    values = np.random.default_rng(0).integers(0, 256, (6, 2, 2, 1)).astype(np.uint8)
    split = tv.data.Split(values, tv.data.Kind.EIGHT_BIT, np.arange(6) % 3)
    count, projection = 1600, vae.decoder.projection
    kernel, bias = projection.get_weights()
    projection.set_weights([0 * kernel, bias])  # x does not depend on z: log p(x) is known
    exact = (
        vae.at_mean()
        .likelihood(np.zeros((6, 2), np.float32), split.labels)
        .log_prob(split.values())
    )
    refined = vae.bounds(split, count, proposal="refined", seed=base_seed)
    off = np.abs(refined.log_evidence - exact)
    assert np.all(off < 5 * log_error(refined, count) + 1 / refined.effective_sample_size + 1e-3)
    # Draws of the weights belong to samples, not to batches: there are many under any batch size.
    projection.set_weights([kernel, bias])
    together, single = (
        vae.bounds(split, count, batch_size=size, seed=base_seed) for size in (6, 1)
    )
    error = np.hypot(log_error(together, count), log_error(single, count))
    assert np.all(np.abs(together.log_evidence - single.log_evidence) < 5 * error + 0.05)


def test_an_unknown_proposal_is_refused(make_vae):
    with pytest.raises(ValueError, match=r"Unknown proposal.*auto, encoder, refined"):
        make_vae().bounds(np.zeros((2, 4, 4, 1), np.float32), 5, proposal="prior")
