"""Every sentence of the verdict follows from the numbers: it flips with them, or cannot tell."""

import pytest
import report_cases as cases

from tfp_vae import report
from tfp_vae.report import findings

A, B, C = "conditional_vae", "ensemble", "bnn"
TITLES = {
    "en": {A: "Conditional VAE", B: "Deep ensemble", C: "Bayesian neural network"},
    "zh": {A: "条件 VAE", B: "深度集成", C: "贝叶斯神经网络"},
}
# Of each question: task, metric, condition, level, and the means of a good and a bad model.
QUESTIONS = {
    "accuracy": ("classification", "accuracy", "", None, 0.9, 0.8),
    "nll": ("classification", "nll", "", None, 0.1, 0.3),
    "ece": ("classification", "ece", "", None, 0.02, 0.09),
    "ood": ("ood", "auroc", "letters/entropy", None, 0.9, 0.7),
    "labels": ("labels", "accuracy", "", 50, 0.9, 0.7),
    "missing": ("missing", "accuracy", "random", 0.5, 0.9, 0.7),
}


def small(results, failures=()):
    values = cases.comparison()
    values |= {"results": results, "failures": list(failures), "figures": []}
    report.validate(values)
    return values


def text(values, language="en"):
    found = report.state_verdict(values, language)
    return " ".join([found.headline, *(f"{title}: {body}" for title, body in found.points)])


def points(values, language="en"):
    """Returns {title: line} of the questions; of costs the last."""
    return dict(report.state_verdict(values, language).points)


def only(values, language="en"):
    """Returns the line of the only question."""
    return report.state_verdict(values, language).points[0][1]


def asked(question, means, half=0.01):
    task, metric, condition, level, *_ = QUESTIONS[question]
    return [
        cases.result(task, model, metric, mean, half, condition, level)
        for model, mean in means.items()
    ]


@pytest.mark.parametrize("language", report.LANGUAGES)
@pytest.mark.parametrize("question", QUESTIONS)
@pytest.mark.parametrize("winner", [A, B])
def test_the_winner_is_who_has_the_better_numbers(question, winner, language):
    good, bad = QUESTIONS[question][-2:]
    loser = {A: B, B: A}[winner]
    values = small(asked(question, {winner: good, loser: bad, C: bad}))
    said, titles = only(values, language), TITLES[language]
    assert titles[winner] in said and titles[loser] not in said and titles[C] not in said
    assert {"en": "all others are worse", "zh": "其余模型都更差"}[language] in said
    counted = {"en": "1 of 1 questions decided", "zh": "1 个问题中有 1 个已有定论"}[language]
    assert counted in report.state_verdict(values, language).headline


@pytest.mark.parametrize("language", report.LANGUAGES)
@pytest.mark.parametrize("question", QUESTIONS)
def test_nothing_is_decided_where_intervals_overlap(question, language):
    good, bad = QUESTIONS[question][-2:]
    values = small(asked(question, {A: good, B: bad}, half=abs(good - bad) / 2 + 0.001))
    said = only(values, language)
    assert {"en": "Not decided", "zh": "未有定论"}[language] in said
    assert TITLES[language][A] in said and TITLES[language][B] not in said  # the best mean
    counted = {"en": "0 of 1 questions", "zh": "1 个问题中有 0 个"}[language]
    assert counted in report.state_verdict(values, language).headline


@pytest.mark.parametrize("question", QUESTIONS)
def test_one_model_alone_is_best_at_nothing(question):
    values = small(asked(question, {A: QUESTIONS[question][-2]}))
    assert only(values).startswith("Only Conditional VAE has numbers here")
    assert "Take" not in text(values) and "no two models" in text(values)


def pair(task, metric, a, b, difference, adjusted):
    return {
        **{"task": task, "condition": "", "level": None, "metric": metric, "a": a, "b": b},
        **{"difference": difference, "lower": difference - 0.1, "upper": difference + 0.1},
        **{"probability": 0.5, "adjusted": adjusted, "size": "small"},
    }


def with_pairs(means, apart):
    """Returns a report of accuracies; `apart` are the pairs (better, worse) that are told apart."""
    names = [*means]
    values = small(asked("accuracy", means))
    values["pairs"] = [
        pair("classification", "accuracy", a, b, means[a] - means[b], 0.01 if known else 0.5)
        for i, a in enumerate(names)
        for b in names[i + 1 :]
        for known in [{(a, b), (b, a)} & set(apart)]
    ]
    report.validate(values)
    return values


D, E = "ml", "mc_dropout"
FIVE = {A: 0.95, B: 0.94, C: 0.93, D: 0.9, E: 0.8}


@pytest.mark.parametrize(
    ("apart", "said"),
    [
        ([(A, b) for b in (B, C, D, E)], "Take Conditional VAE (95.0%): all others are worse."),
        # Between two the cheapest is first.
        (
            [(a, b) for a in (A, B) for b in (C, D, E)],
            "Take Conditional VAE or Deep ensemble (95.0%; no difference found): all others are",
        ),
        (
            [(a, E) for a in (A, B, C, D)],
            "Take Maximum likelihood (90.0%), the cheapest of 4 as good within error: all others",
        ),
        # C is in nobody's way: it is not worse than A, but better than nobody.
        ([(A, D), (A, E)], "Take Conditional VAE (95.0%): better than 2 of 4 others."),
        ([(A, E)], "Partly decided: Conditional VAE (95.0%) is better than 1 of 4 others, and"),
        ([], "Not decided: no difference found between 5 models; the best mean has Conditional V"),
    ],
)
def test_what_is_taken_is_better_than_all_that_is_said_to_be_worse(apart, said):
    values = with_pairs(FIVE, apart)
    for model, seconds in {A: 0.2, B: 0.3, C: 0.1, D: 0.1, E: 0.1}.items():
        values["results"].append(cases.result("cost", model, "milliseconds", seconds, 0.0))
    found = report.state_verdict(values)
    assert found.points[0][1].startswith(said)
    assert f"{said.startswith('Take'):d} of 1 questions" in found.headline
    assert "all pairs of models at once" in found.headline


@pytest.mark.parametrize("language", report.LANGUAGES)
def test_every_sentence_of_a_verdict_is_one_short_line(language):
    found = report.state_verdict(cases.comparison(), language)
    lines = [text for _, text in found.points]
    two = [(a, b) for a in (A, C) for b in (B, D)]
    for apart in (two, [(C, b) for b in (A, B, D)], [(C, A)], []):
        means = {C: 0.981234, A: 0.98, B: 0.97, D: 0.9}
        lines.append(only(with_pairs(means, apart), language))
    for line in [found.headline, *lines]:
        assert len(line) <= {"en": 110, "zh": 70}[language] and "\n" not in line, line


def test_tasks_that_were_not_measured_have_no_line():
    values = cases.comparison()
    values["failures"] = []
    titles = {"ood": "OOD inputs", "labels": "Few labels", "missing": "Missing pixels"}
    for task, title in titles.items():
        assert title in points(values)
        values["results"] = [r for r in values["results"] if r["task"] != task]
        assert title not in points(values)
    assert "Classification" in points(values)


def test_a_comparison_without_results_claims_nothing():
    found = report.state_verdict(small([]))
    assert "no two models have numbers" in found.headline
    assert {title for title, _ in found.points} == {"Cost"}


def corrupted(kept):
    results = []
    for model, (clean, after) in kept.items():
        results.append(cases.result("classification", model, "accuracy", clean, 0.004))
        results.append(cases.result("corruptions", model, "accuracy", after, 0.004, "noise", 1))
        results.append(cases.result("corruptions", model, "accuracy", after, 0.004, "blur", 1))
    return small(results)


def leads(values, key):
    return findings.quantities(values)[key].best


@pytest.mark.parametrize(("winner", "loser"), [(A, B), (B, A)])
def test_who_degrades_least_is_who_loses_least(winner, loser):
    values = corrupted({winner: (0.9, 0.85), loser: (0.9, 0.7)})
    assert leads(values, "drop") == [winner]
    assert findings.quantities(values)["drop"].estimates[loser].mean == pytest.approx(0.2)


def test_who_loses_little_from_little_is_not_sold_as_best_under_corruptions():
    values = corrupted({A: (0.5, 0.49), B: (0.95, 0.8)})
    assert leads(values, "drop") == [A]
    assert points(values)["Corrupted inputs"] == "Take Deep ensemble (80.0%): all others are worse."


def test_where_less_is_better_to_degrade_is_to_rise():
    results = [
        cases.result("corruptions", model, "nll", mean, 0.001, "noise", level)
        for model, means in {A: (0.1, 0.2), B: (0.1, 0.5)}.items()
        for level, mean in enumerate(means)
    ]
    found = findings.quantities(small(results))["drop"]
    assert found.best == [A] and found.estimates[A].mean == pytest.approx(0.1)


def test_losses_that_overlap_are_not_told_apart():
    assert len(leads(corrupted({A: (0.9, 0.85), B: (0.9, 0.851)}), "drop")) == 2


def test_a_model_stands_with_its_best_score():
    values = small(
        [
            *asked("ood", {B: 0.8}),
            cases.result("ood", A, "auroc", 0.3, 0.01, "letters/log_px"),
            cases.result("ood", A, "auroc", 0.9, 0.01, "letters/typicality"),
        ]
    )
    assert only(values) == "Take Conditional VAE (0.900): all others are worse."
    assert findings.quantities(values)["ood"].scores[A] == "typicality"


@pytest.mark.parametrize("mean", [0.3, 0.9])
def test_log_p_of_x_that_fails_is_said_to_fail(mean):
    values = small(
        [
            cases.result("ood", A, "auroc", mean, 0.05, "letters/log_px"),
            *asked("ood", {B: 0.8}),
        ]
    )
    said = text(values)
    assert ("no safe OOD detector" in said) == (mean < 0.5)
    assert mean > 0.5 or "in 1 of 1 cases, down to 0.30" in said


def test_abilities_are_those_that_one_family_showed_and_the_other_did_not():
    values = cases.comparison()
    values["failures"] = []
    said = text(values)
    assert "VAE only: log p(x) of an input, new images" in said
    assert "Network only: which uncertainty more data remove" in said
    values["results"].append(cases.result("generation", "bnn", "elbo", -20.0, 0.1))
    assert "new images" not in text(values)


def test_what_a_failure_may_have_prevented_is_not_said_to_be_beyond_a_family():
    values = cases.comparison()
    values["failures"] = [{"model": "bnn", "seed": 0, "stage": "generation", "error": "x"}]
    assert "new images" not in text(values) and "log p(x) of an input" in text(values)
    values["failures"] = [{"model": "bnn", "seed": 0, "stage": "training", "error": "x"}]
    assert "new images" in text(values)  # its other seeds were measured
    values["results"] = [r for r in values["results"] if r["model"] != "bnn"]
    assert "new images" not in text(values)


def test_costs_go_from_the_cheapest_to_the_dearest():
    values = cases.comparison()
    assert "from 9.7 s (Maximum likelihood) to 96.4 s" in text(values)
    values["models"]["ml"]["train_seconds"] = 4000.0
    assert "to 4,000 s (Maximum likelihood)" in text(values)
    assert "from 0.31 ms (Conditional VAE) to 4.87 ms (Deep ensemble)" in text(values)


def test_names_without_texts_stand_for_themselves():
    values = small(asked("accuracy", {A: 0.9, B: 0.8}))
    values["models"]["my_{model}"] = values["models"].pop(A)
    values["results"][0]["model"] = "my_{model}"
    assert "Take my_{model} (90.0%)" in text(values)


def test_models_that_were_not_measured_everywhere_are_left_out_of_averages():
    values = corrupted({A: (0.9, 0.85), B: (0.9, 0.7), C: (0.9, 0.8)})
    values["results"].remove(cases.only(values["results"], model=A, condition="blur")[0])
    assert leads(values, "drop") == [C]


def test_an_unknown_language_is_refused():
    with pytest.raises(ValueError, match=r"Expected one of.*en.*zh.*Received 'fr'"):
        report.state_verdict(cases.comparison(), "fr")
