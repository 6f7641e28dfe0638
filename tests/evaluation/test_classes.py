"""Classification metrics of models with classes as conditions."""

import keras
import numpy as np
import pytest

import tfp_vae as tv
from tfp_vae import evaluation
from tfp_vae.data import Kind, Split
from tfp_vae.models.metrics import ActiveUnits

SHAPE, CLASSES = (4, 4, 1), 3
LABELS = np.arange(30) % CLASSES


def _parts():
    return {
        "prior": tv.priors.StandardNormal(2),
        "encoder": tv.encoders.Gaussian(tv.networks.mlp([8]), 2),
        "decoder": tv.decoders.Bernoulli(tv.networks.mlp([8]), SHAPE),
    }


@pytest.fixture
def split(binary_images):
    return Split(binary_images(30), Kind.STATIC, LABELS)


def test_a_generative_classifier_is_judged_by_its_predictive_distribution(split):
    model = tv.ConditionalVAE(num_classes=CLASSES, **_parts())
    found = evaluation.class_metrics(model, split, 7, prefix="held_out_", seed=3)
    log_probs = model.predictive(split, 7, seed=3).log_probs.numpy()
    assert found["held_out_accuracy"] == np.mean(log_probs.argmax(1) == LABELS)
    expected = -log_probs[np.arange(30), LABELS].mean()
    assert found["held_out_nll"] == pytest.approx(expected, rel=1e-5)
    assert found["num_class_samples"] == 7


def test_m2_is_judged_by_its_recognition(split):
    classifier = keras.Sequential([keras.layers.Flatten(), keras.layers.Dense(CLASSES)])
    model = tv.M2(classifier=classifier, num_classes=CLASSES, **_parts())
    found = evaluation.class_metrics(model, split)
    log_probs = model.classify(split).log_probs.numpy()
    assert found["test_accuracy"] == np.mean(log_probs.argmax(1) == LABELS)
    assert "num_class_samples" not in found


def test_other_models_do_not_classify(split, make_vae):
    assert evaluation.class_metrics(make_vae(SHAPE), split) == {}
    vector = tv.ConditionalVAE(condition_dim=1, **_parts())
    assert evaluation.class_metrics(vector, split.retargeted(LABELS)) == {}


def test_labels_that_the_model_has_no_class_for_are_refused(split):
    model = tv.ConditionalVAE(num_classes=CLASSES, **_parts())
    with pytest.raises(ValueError, match=r"labels from 0 to 2.*Received 0 to 3"):
        evaluation.class_metrics(model, split.relabelled(np.arange(30) % 4))


def test_active_units_of_a_conditional_model_are_those_given_the_condition(split):
    model = tv.ConditionalVAE(num_classes=CLASSES, **_parts())
    expected = model.at_mean().posterior(split.values(), LABELS).mean()
    found = evaluation.posterior_means(model, split, batch_size=7)
    np.testing.assert_allclose(found, expected, atol=1e-5)


def test_active_units_of_a_conditional_model_move_within_the_condition(split):
    model = tv.ConditionalVAE(num_classes=CLASSES, **_parts())
    shape = model.encoder.output_size
    data = split.relabelled(LABELS)
    for network_sees_x in (False, True):
        # What the encoder's network sees is x, flat, and the class beside it.
        for variable in model.encoder.trainable_variables:
            variable.assign(np.random.default_rng(1).normal(0, 1, variable.shape))
        kernel = model.encoder.network.trainable_variables[0]
        if not network_sees_x:
            kernel.assign(
                np.where(np.arange(kernel.shape[0])[:, None] < kernel.shape[0] - CLASSES, 0, kernel)
            )
        model.compile()
        logs = model.evaluate(data, verbose=0, return_dict=True)
        found = evaluation.active_units(model, data)
        means = evaluation.posterior_means(model, data).astype(np.float64)
        assert means.var(0).min() > 0.01  # of all examples every dimension moves
        within = sum(
            np.sum((means[k == LABELS] - means[k == LABELS].mean(0)) ** 2, 0)
            for k in range(CLASSES)
        )
        assert found == logs["active_units"] == np.sum(within / len(means) > 0.01)
        assert found == (shape // 2 if network_sees_x else 0)


def test_what_a_vector_explains_is_no_activity():
    rng = np.random.default_rng(0)
    vectors = rng.normal(5, [1, 100], size=(200, 2))
    noise = rng.normal(size=(200, 1))
    means = np.concatenate([vectors @ [[3.0], [0.01]], vectors[:, :1] + noise], axis=1)
    tracker = ActiveUnits(2, condition_size=2, classes=False)
    for part in (slice(0, 120), slice(120, 200)):
        tracker.update_state(means[part], vectors[part])
    design = np.c_[np.ones(200), vectors]
    residual = means - design @ np.linalg.lstsq(design, means, rcond=None)[0]
    np.testing.assert_allclose(tracker.variance(), residual.var(0), rtol=1e-4, atol=1e-5)
    assert float(tracker.result()) == 1
