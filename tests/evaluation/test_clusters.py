"""Clusters of a mixture prior against labels, of a model whose encoder is the identity."""

import numpy as np
import pytest

import tfp_vae as tv
from tfp_vae.data import Split
from tfp_vae.evaluation.clusters import component_log_probs


@pytest.fixture
def model():
    """Returns a VAE with q(z|x) around x."""
    vae = tv.VAE(
        tv.priors.Mixture(2, 3),
        tv.encoders.Gaussian(tv.networks.mlp([]), 2),
        tv.decoders.Normal(tv.networks.mlp([]), (2,)),
        data_kind="real",
    )
    vae.encoder.projection.kernel.assign(np.eye(2, 4))
    return vae


def _blobs(rng, order, count=60):
    centres = np.array([[0, 5], [5, 0], [-5, -5]])[order]
    labels = rng.integers(0, 3, count)
    x = centres[labels] + 0.3 * rng.standard_normal((count, 2))
    return Split(x.astype(np.float32), "real", labels=labels)


def test_clusters_are_matched_on_training_labels_and_counted_on_others(model, base_seed):
    rng = np.random.default_rng(base_seed)
    train, test = _blobs(rng, [0, 1, 2]), _blobs(rng, [0, 1, 2])
    model.prior.fit(train.values(), seed=base_seed)
    found = tv.evaluation.cluster_metrics(model, train, test)
    assert (found["cluster_accuracy"], found["cluster_accuracy_error"]) == (1.0, 0.0)
    np.testing.assert_allclose(found["cluster_nmi"], 1.0, rtol=1e-6)
    # Other labels of the same clusters: they agree with each other, and are matched wrong.
    other = tv.evaluation.cluster_metrics(model, train, _blobs(rng, [1, 2, 0]))
    assert other["cluster_accuracy"] == 0.0 and other["cluster_nmi"] > 0.99


def test_clusters_ask_for_components_and_are_held_against_labels_that_there_are(
    model, make_vae, binary_images
):
    split = Split(binary_images(4), "static", labels=np.zeros(4, int))
    with pytest.raises(ValueError, match=r"components of a prior.*Received StandardNormal"):
        tv.evaluation.clusters(make_vae(data_kind="static"), split)
    x = Split(np.zeros((4, 2), np.float32), "real", name="train")
    assert tv.evaluation.cluster_metrics(model, x, x) == {}
    unknown = Split(x.values(), "real", labels=np.full(4, -1), name="test")
    known = _blobs(np.random.default_rng(0), [0, 1, 2])
    assert tv.evaluation.cluster_metrics(model, known, unknown) == {}


def test_examples_without_a_label_are_left_out(model, base_seed):
    rng = np.random.default_rng(base_seed)
    train, test = _blobs(rng, [0, 1, 2]), _blobs(rng, [0, 1, 2])
    model.prior.fit(train.values(), seed=base_seed)
    some = [s.relabelled(np.where(np.arange(60) % 2, s.labels, -1)) for s in (train, test)]
    found = tv.evaluation.cluster_metrics(model, *some)
    halves = [s.select(np.arange(1, 60, 2), s.name) for s in (train, test)]
    assert found == tv.evaluation.cluster_metrics(model, *halves)
    assert found["cluster_accuracy"] == 1.0


def test_clusters_of_levels_are_those_of_the_top_one(model, base_seed):
    split = _blobs(np.random.default_rng(base_seed), [0, 1, 2], 20)
    model.prior.fit(split.values(), seed=base_seed)
    below = tv.LatentVariable(
        "low", tv.priors.StandardNormal(2), tv.encoders.Gaussian(tv.networks.mlp([]), 2)
    )
    top = tv.LatentVariable("top", model.prior, model.encoder)
    levels = tv.VAE(
        latents=[top, below],
        decoder=tv.decoders.Normal(tv.networks.mlp([]), (2,)),
        data_kind="real",
    )
    one, other = (component_log_probs(each, split) for each in (model, levels))
    np.testing.assert_allclose(one, other, rtol=1e-5)
    with pytest.raises(ValueError, match=r"depends on the latents below.*Received 2"):
        tv.plots.clusters(levels, split)
