"""From parts with examples to a report: pairs, marks, advice, sentences; nothing is trained."""

import dataclasses
import types

import numpy as np
import pytest
import tensorflow as tf

import tfp_vae as tv
from tfp_vae import report
from tfp_vae.distributions.base import tfd
from tfp_vae.models import Predictive
from tfp_vae.studies import comparison
from tfp_vae.studies.comparison import plan, results, tasks, writing

# How sure of the right label each model is, in logits.
SKILL = {"bnn": 1.0, "ml": 2.0, "mc_dropout": 3.0, "ensemble": 3.0}


@pytest.fixture(scope="module")
def values(tmp_path_factory):
    """The report of three seeds of four models, nothing of which was trained."""
    data = tv.data.load("digits", kind="unit_interval")
    data = dataclasses.replace(data, test=data.test.take(120))
    settings = comparison.Settings.of("quick", data, tasks=("classification", "corruptions", "ood"))
    run = comparison.Comparison(tmp_path_factory.mktemp("made"), data, settings, [*SKILL], 3)
    (run.run_folder / "parts").mkdir()
    rng = np.random.default_rng(0)
    hard = rng.normal(size=(len(data.test), 10))  # the same examples are hard for all
    for part in run.parts():
        found, skill = tasks.Found(), SKILL[part.model]
        for task, level in (("classification", None), ("corruptions", 0), ("corruptions", 2)):
            logits = hard + 0.2 * rng.normal(size=hard.shape)
            logits[np.arange(len(hard)), data.test.labels] += skill / (2 if level else 1)
            predictive = Predictive.of(
                tfd.Categorical(logits=tf.constant(logits[:, None], tf.float32))
            )
            names = ("accuracy", "nll", "brier", "ece")
            condition = "noise" if level is not None else ""
            found.add_metrics(task, predictive, data.test.labels, names, condition, level)
        found.add_metrics("cost", predictive, data.test.labels, ("accuracy",), "pruned_50")
        scores = {"entropy": rng.normal(size=100)}
        outside = {"entropy": rng.normal(size=100) + skill}
        tasks._add_detection(found, scores, outside, "letters")
        found.add("ood_validation", "auroc", 0.9, "entropy")
        found.add("cost", "milliseconds", skill, "prediction")
        known = {
            "parameters": 1,
            "width": 1,
            "epochs": 1,
            "train_seconds": skill,
            "seconds": 1.0,
            "jobs": 1,
        }
        known |= {"learning_rate": 0.1, "rate_at_end": "largest", "training": {}, "rates_tried": {}}
        run._keep(part, known, found)
    return results.summarise(run, "command", [])


@pytest.mark.all_only
def test_every_metric_of_a_task_has_all_pairs_and_intervals_with_a_width(values):
    report.validate(values)
    keys = {(p["task"], p["metric"], p["condition"], p["level"]) for p in values["pairs"]}
    measured = {
        tuple(r[part] for part in ("task", "metric", "condition", "level"))
        for r in values["results"]
        if r["task"] != "cost"
    }
    assert measured <= keys
    assert ("corruptions", "drop", "", None) in keys and ("ood", "auroc", "", None) in keys
    assert len(values["pairs"]) == 6 * len(keys)
    for entry in (*values["pairs"], *(r for r in values["results"] if r["task"] != "cost")):
        assert entry["lower"] < entry["upper"]


def test_pruned_accuracy_has_both_errors_and_its_curve_starts_with_all_weights(values):
    pruned = [r for r in values["results"] if r["condition"] == "pruned_50"]
    assert len(pruned) == len(SKILL) and all(r["lower"] < r["upper"] for r in pruned)
    lines = writing._pruned(values)
    assert [*lines] == [r["model"] for r in pruned]
    for line, result in zip(lines.values(), pruned, strict=True):
        assert [*line] == [0.0, 0.5] and line[0.5][0] == result["mean"] < line[0.0][0]


def test_curves_have_no_panel_of_what_was_not_measured(values, monkeypatch):
    drawn = []
    monkeypatch.setattr(writing.plots, "curves", lambda panels, *_: drawn.append([*panels]))

    class Album:
        def add(self, task, name, draw):
            draw(report.texts.Texts("en"), types.SimpleNamespace(words={"severity": ""}))

    asked = [("noise", "accuracy"), ("rotation", "accuracy"), ("noise", "elbo")]
    writing._add_curves(Album(), values, "corruptions", asked)
    assert [len(panels) for panels in drawn] == [1]


def test_models_are_told_apart_as_they_differ_and_equal_ones_are_not(values):
    found = {
        (p["a"], p["b"]): p
        for p in values["pairs"]
        if (p["task"], p["metric"]) == ("classification", "nll")
    }
    apart = found["bnn", "ensemble"]
    assert apart["probability"] < 0.01 and apart["adjusted"] < 0.05 and apart["size"] == "large"
    equal = found["mc_dropout", "ensemble"]
    assert equal["adjusted"] > 0.05  # its interval alone misses 0 in one of twenty


@pytest.mark.parametrize(
    ("language", "sentence", "end"),
    [
        ("en", "no difference found): all others are worse", "the largest of the grid"),
        ("zh", "两者未见差别）：其余模型都更差", "为候选值中最大者"),
    ],
)
def test_the_page_says_who_is_best_what_to_take_and_by_which_rule(values, language, sentence, end):
    verdict = report.state_verdict(values, language)
    assert sentence in " ".join(text for _, text in verdict.points)
    texts = report.texts.Texts(language)
    advised = report.grids.advised(values, texts)
    taken = {row.heads[0].text: row.heads[1].text for row in advised.rows}
    # Of the two that cannot be told apart the first is taken: they cost the same.
    assert taken[texts.say("purposes", "nll")] == texts.title("models", "mc_dropout")
    page = report.render_html(values, {}, language)
    markdown = report.render_markdown(values, language)
    for rendered in (page, markdown):
        assert texts.word("pairs_note")[:20] in rendered and end in rendered
        assert texts.word("advised") in rendered and texts.word("pairs") in rendered


def test_too_few_seeds_or_examples_are_refused_before_any_work(tmp_path):
    data = tv.data.load("digits", kind="unit_interval")
    settings = comparison.Settings.of("quick", data)
    with pytest.raises(ValueError, match=r"Too few seeds.*at least 2.*Received 1"):
        comparison.Comparison(tmp_path / "a", data, settings, ["ml"], 1)
    few = dataclasses.replace(data, test=data.test.take(plan.LEAST_EXAMPLES - 1))
    with pytest.raises(ValueError, match=r"Too few test examples.*Received 19"):
        comparison.Comparison(tmp_path / "a", few, settings, ["ml"], 2)
    assert not (tmp_path / "a").exists()


def test_costs_stand_on_their_axis_as_plain_numbers():
    texts = report.texts.Texts("en")
    style = writing.plots.Style(texts, {"ml": "network", "bnn": "network"})
    points = {"ml": (0.4, (0.1, 0.05, 0.2)), "bnn": (3.0, (0.2, 0.1, 0.3))}
    (axis,) = writing.plots.cost_against(points, style).axes
    shown = [label.get_text() for label in axis.get_xticklabels()]
    assert {"0.5", "1", "2", "3"} <= set(shown)
