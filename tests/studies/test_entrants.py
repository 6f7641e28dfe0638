"""Every model of a comparison answers the same questions, with as many parameters as the others."""

import dataclasses

import numpy as np
import pytest

import tfp_vae as tv
from tfp_vae.data import Split
from tfp_vae.studies import comparison
from tfp_vae.studies.comparison import entrants, fitting, plan, tasks

PARTS = {"train": 60, "validation": 30, "test": 30}


@pytest.fixture(scope="module")
def data():
    return tv.data.load("digits", kind="unit_interval")


@pytest.fixture(scope="module")
def settings(data):
    return comparison.Settings.of(
        "quick", data, epochs=2, learning_rate=2e-3, rate_factors=(1,), num_samples=4, latent_dim=4
    )


@pytest.mark.parametrize("name", ["bnn", "bnn_last_layer", "ensemble", "vae_probe", "m2"])
def test_parameters_are_matched_to_those_of_the_reference(data, settings, name):
    reference = fitting.num_parameters(entrants.ENTRANTS["ml"].build(data, 64, settings, 0))
    width = fitting.width_of(name, data, settings)
    counts = [
        fitting.num_parameters(entrants.ENTRANTS[name].build(data, each, settings, 0))
        for each in (width - 1, width, width + 1)
    ]
    away = np.abs(np.array(counts) - reference)
    assert np.argmin(away) == 1
    assert away[1] < 0.04 * reference


@pytest.mark.all_only
@pytest.mark.filterwarnings("ignore:No temperature minimises the NLL:UserWarning")
@pytest.mark.parametrize("name", entrants.FURTHER)
def test_vaes_that_have_no_proposal_for_missing_pixels_take_part_in_every_task(name, data):
    few = {part: getattr(data, part).take(count) for part, count in PARTS.items()}
    data = dataclasses.replace(data, **few)
    options = {"latent_dim": 2, "hidden": 6, "num_samples": 2, "num_importance_samples": 2}
    options |= {"epochs": 1, "rate_factors": (1,), "corruptions": {"rotation": (2,)}}
    settings = comparison.Settings.of("quick", data, **options, missing={"random": (0.5,)})
    model, _ = fitting.train(name, data, settings, 0)
    one, found = entrants.entrant_of(name).contestant(model, data, settings, 0), tasks.Found()
    for task in tasks.TASKS.values():
        found.include(task(one, {}))
    assert {value["task"] for value in found.values} >= {*tasks.TASKS}
    assert all(np.isfinite(value["value"]) for value in found.values)


@pytest.mark.all_only
def test_seconds_are_matched_by_epochs(data):
    settings = comparison.Settings.of("quick", data, match="seconds", seconds=1e-6)
    assert fitting.width_of("ensemble", data, settings) == settings.hidden
    _, known = fitting.train("ml", data, settings, 0)
    assert known["epochs"] == 1


@pytest.mark.all_only
def test_the_rate_is_the_best_on_validation_data_and_tries_leave_no_trace(data, settings):
    two = dataclasses.replace(settings, learning_rate=1e-9, rate_factors=(1, 1e7))
    chosen, known = fitting.train("ml", data, two, 0)
    assert known["learning_rate"] == 1e-2
    assert known["rates_tried"]["0.01"] > known["rates_tried"]["1e-09"]
    alone, given = fitting.train("ml", data, settings, 0, rate=1e-2)
    assert given["rates_tried"] == {}
    assert given["training"] == known["training"]
    for found, expected in zip(chosen.get_weights(), alone.get_weights(), strict=True):
        np.testing.assert_array_equal(found, expected)


@pytest.mark.all_only
def test_the_probe_averages_over_latents_and_knows_more_than_frequencies(data, settings):
    model, _ = fitting.train("vae_probe", data, settings, 0)
    one = entrants.Probed(model, data, settings, 0)
    predictive = one.predictive(data.test)
    assert predictive.components_distribution.batch_shape == (359, 4)
    np.testing.assert_allclose(predictive.probs.numpy().sum(axis=1), 1, rtol=1e-5)
    # The latents tell more about the class than its frequency does.
    frequency = np.bincount(data.train.labels, minlength=10) / len(data.train)
    gain = predictive.log_prob(data.test.labels) - np.log(frequency)[data.test.labels]
    assert np.mean(gain) > 5 * np.std(gain) / np.sqrt(359)


@pytest.mark.all_only
def test_scores_of_a_conditional_vae_sum_over_the_classes(data, settings):
    model, _ = fitting.train("conditional_vae", data, settings, 0)
    one = entrants.Generative(model, data, settings, 0)
    few = data.test.take(12)
    log_joint, scores = one.log_joint(few), one.scores(few)
    expected = np.logaddexp.reduce(log_joint.astype(np.float64), axis=1)
    np.testing.assert_allclose(scores["log_px"], -expected, rtol=1e-6)
    posterior = np.exp(log_joint - expected[:, np.newaxis])
    np.testing.assert_allclose(one.predictive(few).probs, posterior, atol=1e-4)


@pytest.mark.all_only
def test_the_imputer_is_chosen_without_test_labels(data, settings):
    model, _ = fitting.train("ml", data, settings, 0)
    one = entrants.Contestant(model, data, settings, 0)
    test, validation = data.test.take(30), data.validation.take(40)
    masks = [
        tv.data.observed_pixels(len(split), data.shape, "random", 0.5)
        for split in (test, validation)
    ]
    turned = Split(test.values(), test.kind, 9 - test.labels, "turned")
    found = [one.observed_predictive(s, masks[0], validation, masks[1]) for s in (test, turned)]
    np.testing.assert_array_equal(found[0].probs, found[1].probs)


def test_a_keras_network_of_ones_own_is_an_entrant(data, settings, tmp_path, monkeypatch):
    (tmp_path / "somebodys.py").write_text(
        "import keras\n\n\ndef network(data):\n"
        "    layers = [keras.layers.Flatten(), keras.layers.Dense(data.num_classes)]\n"
        "    return keras.Sequential(layers)\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    name = "somebodys:network"
    entrant = entrants.entrant_of(name)
    assert entrant.learns_few_labels and entrants.in_order([name, "ml"]) == ["ml", name]
    assert fitting.width_of(name, data, settings) == settings.hidden  # it has its own
    assert fitting.num_parameters(entrant.build(data, 1, settings, 0)) == 65 * 10
    assert plan.Part(name, 0, "main").key == "somebodys_network-0-main"
    for wrong in ("somebodys:nothing", "nowhere_at_all:network"):
        with pytest.raises(ValueError, match=rf"no network {wrong}. Expected module:function"):
            entrants.entrant_of(wrong)


def test_few_labels_have_a_logistic_regression_that_knows_no_other_classes(data, settings):
    few = data.train.take(110)
    few = few.select(np.flatnonzero(few.labels != 3), few.name)
    entrant = entrants.entrant_of("logistic_regression")
    assert entrant.only_labels and entrant.learns_few_labels
    one, known = plan._fitted(entrant, dataclasses.replace(data, train=few), settings, 0)
    predictive = one.predictive(data.test)
    probs = predictive.probs.numpy()
    assert np.all(probs[:, 3] < 1e-6)
    learned = data.test.labels != 3
    assert np.mean(probs.argmax(axis=1)[learned] == data.test.labels[learned]) > 0.7
    assert known["learning_rate"] is None and known["train_seconds"] > 0


def test_names_that_others_rely_on_are_those_of_methods_entrants_and_functions():
    relied = "vi map ml mc_dropout ensemble laplace laplace_last_layer swag multiswag nuts sgmcmc"
    relied = {*relied.split(), "mile", "ivon", "sngp", "batch_ensemble", "rank1"}
    assert relied <= set(tv.methods.METHODS)
    assert {"bnn", "bnn_last_layer", *relied} <= set(entrants.names())
    assert all(callable(each) for each in (tv.layers.bayesian, tv.convert, tv.reference))
