"""Scores of single examples: each by its definition."""

import math

import numpy as np
import pytest
import tensorflow as tf
import tensorflow_probability as tfp

import tfp_vae as tv
from tfp_vae.data import Kind, Split, ood
from tfp_vae.evaluation.ood import base as ood_scores
from tfp_vae.evaluation.ood import scores
from tfp_vae.models import Predictive


@pytest.fixture
def split(binary_images):
    return Split(binary_images(30), Kind.STATIC)


@pytest.mark.all_only
def test_scores_of_a_vae_are_those_of_their_definitions(make_vae, split):
    vae = make_vae()
    reference = scores.reference_log_evidence(vae, split.take(10), 50)
    assert reference == pytest.approx(vae.log_evidence(split.take(10), 50).mean(), rel=1e-6)
    regret = {"steps": 5}
    found = scores.vae_scores(vae, split, reference, num_samples=50, regret=regret)
    assert tuple(found) == tuple(ood_scores.of_kind(ood_scores.DensityScore))
    bounds = vae.bounds(split, 50)
    log_likelihood = bounds.log_evidence.astype(np.float64)
    expected = {
        "negative_log_evidence": -log_likelihood,
        "negative_elbo": -bounds.elbo,
        "typicality": np.abs(log_likelihood - reference),
        "likelihood_regret": tv.evaluation.likelihood_regret(vae, split, **regret),
        "input_complexity": -log_likelihood / math.log(2) - scores.complexity_bits(split),
    }
    for name, values in expected.items():
        assert found[name].shape == (30,) and found[name].dtype == np.float64
        np.testing.assert_allclose(found[name], values, rtol=1e-6, err_msg=name)


def test_a_part_of_the_scores_is_the_same_and_needs_no_reference(make_vae, split):
    vae = make_vae()
    one = scores.vae_scores(vae, split, names=["negative_elbo"], num_samples=20)
    assert list(one) == ["negative_elbo"]
    np.testing.assert_allclose(one["negative_elbo"], -vae.elbo(split, 20), rtol=1e-6)


def test_scores_that_cannot_be_computed_are_refused(make_vae, split):
    vae = make_vae()
    with pytest.raises(ValueError, match=r"Unknown scores.*Expected some of.*Received \['best'\]"):
        scores.vae_scores(vae, split, names=["best"])
    with pytest.raises(ValueError, match=r"nothing to compare.*validation.*Received None"):
        scores.vae_scores(vae, split)
    table = Split(np.zeros((3, 4)), Kind.REAL)
    with pytest.raises(ValueError, match=r"compressed as images.*Expected.*Received.*\(4,\)"):
        scores.complexity_bits(table)


def test_typicality_is_the_distance_from_the_reference_on_both_sides():
    np.testing.assert_allclose(scores.typicality([-90.0, -100.0, -103.0], -100), [10, 0, 3])


def test_uncertainties_of_a_classifier_by_hand():
    probs = tf.constant([[[0.5, 0.3, 0.2], [0.1, 0.7, 0.2]], [[1.0, 0.0, 0.0]] * 2])
    predictive = Predictive.of(tfp.distributions.Categorical(logits=tf.math.log(probs)))
    found = scores.predictive_scores(predictive)
    assert tuple(found) == tuple(ood_scores.of_kind(ood_scores.ClassScore))

    def entropy(p):
        return -sum(each * math.log(each) for each in p)

    total = entropy([0.3, 0.5, 0.2])
    information = total - (entropy([0.5, 0.3, 0.2]) + entropy([0.1, 0.7, 0.2])) / 2
    np.testing.assert_allclose(found["predictive_entropy"], [total, 0], atol=1e-6)
    np.testing.assert_allclose(found["mutual_information"], [information, 0], atol=1e-6)
    np.testing.assert_allclose(found["one_minus_max_probability"], [0.5, 0], atol=1e-6)
    numbers = Predictive.of(tfp.distributions.Normal(tf.zeros([2, 3]), 1.0))
    with pytest.raises(ValueError, match="Only classes have probabilities"):
        scores.predictive_scores(numbers)


@pytest.mark.parametrize("kind", ["dynamic", "eight_bit", "unit_interval"])
@pytest.mark.parametrize("channels", [1, 3])
def test_noise_is_no_shorter_than_its_entropy_and_structure_is_shorter(kind, channels):
    shape = (28, 28, channels)
    flat = Split(np.full((5, *shape), 255, np.uint8), kind)
    stripes = np.uint8(255) * (np.arange(28) // 3 % 2).astype(np.uint8)[:, None, None]
    steps = Split(np.broadcast_to(stripes, (5, *shape)), kind)
    noise = ood(Split(np.zeros((5, *shape), np.uint8), kind), "uniform_noise")
    bits = 1 if kind == "dynamic" else 8
    entropy = bits * math.prod(shape)
    lengths = [scores.complexity_bits(each) for each in (flat, steps, noise)]
    assert lengths[0].shape == (5,)
    # No code of independent fair bits is shorter by k bits more often than once in 2^k.
    assert entropy - 20 < lengths[2].min() and lengths[2].max() < 1.1 * entropy + 150
    assert lengths[0].max() < lengths[1].min() < 0.5 * lengths[2].min()


def test_complexity_looks_at_one_image_at_a_time():
    digits = tv.data.load("digits", kind="eight_bit").test
    all_of_them = scores.complexity_bits(digits)
    np.testing.assert_array_equal(scores.complexity_bits(digits.take(7)), all_of_them[:7])
    assert all_of_them.std() > 0


def test_input_complexity_counts_both_lengths_in_bits_of_one_message():
    bits = np.array([100.0, 400.0])
    grey = Split(np.zeros((2, 4, 4, 1), np.uint8), "eight_bit")
    uniform = np.full(2, -16 * math.log(256))  # over 256 levels: 8 bits per pixel
    np.testing.assert_allclose(scores.input_complexity(uniform, bits, grey), 128 - bits)
    # The uniform density has log p = 0; a cell of its grid has probability 1/255.
    density = Split(np.zeros((2, 4, 4, 1), np.uint8), "unit_interval")
    found = scores.input_complexity(np.zeros(2), bits, density)
    np.testing.assert_allclose(found, 16 * math.log2(255) - bits)
