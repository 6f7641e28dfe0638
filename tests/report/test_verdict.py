"""Every sentence of the verdict follows from the numbers: it flips with them, or cannot tell."""

import pytest
import report_cases as cases

from tfp_vae import report

A, B, C = "conditional_vae", "ensemble", "bnn"
NAMED = {
    "en": {A: "the conditional VAE", B: "the deep ensemble", C: "the Bayesian neural network"},
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
CLEAR = {
    "en": {
        "accuracy": "most accurate is {}",
        "nll": "true label is highest with {}",
        "ece": "best-calibrated probabilities are those of {}",
        "ood": "detected best by {}",
        "labels": "the best is {}",
        "missing": "the best is {}",
    },
    "zh": {
        "accuracy": "最准确的是{}",
        "nll": "概率最高的是{}",
        "ece": "校准得最好的是{}",
        "ood": "识别得最好的是{}",
        "labels": "最好的是{}",
        "missing": "最好的是{}",
    },
}
TIED = {"en": ("cannot be told",), "zh": ("分不出", "无法区分")}


def small(results, failures=()):
    values = cases.comparison()
    values |= {"results": results, "failures": list(failures), "figures": []}
    report.validate(values)
    return values


def text(values, language="en"):
    found = report.state_verdict(values, language)
    return " ".join([found.headline, *(f"{title}: {body}" for title, body in found.points)])


def points(values, language="en"):
    """Returns the sentences below the headline, without costs, which models always have."""
    found = report.state_verdict(values, language)
    return " ".join(body for _, body in found.points[:-1])


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
    said, name = points(values, language), NAMED[language]
    sentence = CLEAR[language][question]
    assert _without_spaces(sentence.format(name[winner])) in _without_spaces(said)
    assert _without_spaces(sentence.format(name[loser])) not in _without_spaces(said)
    assert not any(words in said for words in TIED[language])
    headline = report.state_verdict(values, language).headline
    assert name[winner] in headline and name[loser] not in headline


def _without_spaces(text):
    return text.replace(" ", "")


@pytest.mark.parametrize("language", report.LANGUAGES)
@pytest.mark.parametrize("question", QUESTIONS)
def test_nothing_is_claimed_where_intervals_overlap(question, language):
    good, bad = QUESTIONS[question][-2:]
    values = small(asked(question, {A: good, B: bad}, half=abs(good - bad) / 2 + 0.001))
    said = points(values, language)
    clear = CLEAR[language][question].format(NAMED[language][A])
    assert _without_spaces(clear) not in _without_spaces(said)
    assert any(words in said for words in [*TIED[language], "cannot be told apart"])
    headline = report.state_verdict(values, language).headline
    assert NAMED[language][A] not in headline and NAMED[language][B] not in headline


@pytest.mark.parametrize("question", QUESTIONS)
def test_one_model_alone_is_best_at_nothing(question):
    values = small(asked(question, {A: QUESTIONS[question][-2]}))
    assert "Only the conditional VAE" in points(values) and "has numbers here" in points(values)
    assert "trust the" not in text(values) and "no two models" in text(values)


def test_the_gap_has_the_interval_of_both():
    said = text(small(asked("accuracy", {A: 0.9, B: 0.8}, half=0.03)))
    assert "90.0% (87.0 to 93.0) of the test examples right" in said
    assert "against 80.0% (77.0 to 83.0) for the deep ensemble" in said
    assert "10 (6 to 14) percentage points apart" in said


@pytest.mark.parametrize("task", [q[0] for q in QUESTIONS.values()])
def test_tasks_that_were_not_measured_have_no_sentence(task):
    values = cases.comparison()
    titles = {"ood": "Out-of-distribution (OOD) inputs", "classification": "Classification"}
    before = text(values)
    values["results"] = [r for r in values["results"] if r["task"] != task]
    values["failures"] = []
    after = text(values)
    words = {"labels": "With 50 labels", "missing": "With pixels missing"}.get(
        task, f"{titles.get(task)}:"
    )
    assert words in before and words not in after


def test_a_comparison_without_results_claims_nothing():
    found = report.state_verdict(small([]))
    assert "no two models have numbers" in found.headline
    assert [title for title, _ in found.points] == ["Abilities and cost"]


def test_models_of_one_family_that_tie_ahead_of_the_other_speak_for_their_family():
    values = small(asked("accuracy", {B: 0.9, C: 0.895, A: 0.7}))
    assert "trust one of the networks for classification" in text(values)
    values = small(asked("accuracy", {B: 0.9, C: 0.895}))
    assert "no model alone is the best for" in text(values)


def corrupted(kept):
    results = []
    for model, (clean, after) in kept.items():
        results.append(cases.result("classification", model, "accuracy", clean, 0.004))
        results.append(cases.result("corruptions", model, "accuracy", after, 0.004, "noise", 1))
        results.append(cases.result("corruptions", model, "accuracy", after, 0.004, "blur", 1))
    return small(results)


@pytest.mark.parametrize(("winner", "loser"), [(A, B), (B, A)])
def test_who_degrades_least_is_who_loses_least(winner, loser):
    said = text(corrupted({winner: (0.9, 0.85), loser: (0.9, 0.7)}))
    assert (
        f"over noise and blur, {NAMED['en'][winner]} degrades least: its accuracy worsens by 5.0 "
        in said
    )
    assert f"20.0 (19.4 to 20.6) percentage points for {NAMED['en'][loser]}" in said


def test_who_loses_little_from_little_is_not_sold_as_best_under_corruptions():
    said = text(corrupted({A: (0.5, 0.49), B: (0.95, 0.8)}))
    assert "the conditional VAE degrades least" in said
    assert "But the best accuracy on the corrupted inputs has the deep ensemble: 80.0%" in said
    assert "the deep ensemble for classification and corrupted inputs" in said
    assert "But" not in text(corrupted({A: (0.95, 0.94), B: (0.95, 0.8)}))


def test_where_less_is_better_to_degrade_is_to_rise():
    results = [
        cases.result("corruptions", model, "nll", mean, 0.001, "noise", level)
        for model, means in {A: (0.1, 0.2), B: (0.1, 0.5)}.items()
        for level, mean in enumerate(means)
    ]
    said = text(small(results))
    assert (
        "the conditional VAE degrades least: its negative log-likelihood worsens by 0.1000" in said
    )


def test_losses_that_overlap_are_not_told_apart():
    said = text(corrupted({A: (0.9, 0.85), B: (0.9, 0.851)}))
    assert "who degrades least cannot be told" in said


def test_level_0_is_what_the_inputs_were_before():
    results = [
        cases.result("corruptions", model, "accuracy", mean, 0.001, "noise", level)
        for model, means in {A: (0.9, 0.8), B: (0.9, 0.6)}.items()
        for level, mean in enumerate(means)
    ]
    assert "degrades least: its accuracy worsens by 10.00 (9.86 to 10.14)" in text(small(results))


def test_a_model_stands_with_its_best_score():
    values = small(
        [
            *asked("ood", {B: 0.8}),
            cases.result("ood", A, "auroc", 0.3, 0.01, "letters/log_px"),
            cases.result("ood", A, "auroc", 0.9, 0.01, "letters/typicality"),
        ]
    )
    assert "detected best by the conditional VAE with typicality: AUROC 0.900" in text(values)


@pytest.mark.parametrize(
    ("mean", "half", "words"),
    [
        (
            0.3,
            0.05,
            "down to 0.30 (0.25 to 0.35) for letters with the conditional VAE, which finds",
        ),
        (0.48, 0.05, "which is not to be told from guessing"),
        (0.9, 0.05, None),
    ],
)
def test_log_p_of_x_that_fails_is_said_to_fail(mean, half, words):
    values = small(
        [
            cases.result("ood", A, "auroc", mean, half, "letters/log_px"),
            *asked("ood", {B: 0.8}),
        ]
    )
    said = text(values)
    assert ("not a safe detector" in said) == (words is not None)
    assert words is None or (words in said and "in 1 of 1 cases" in said)


def test_abilities_are_those_that_one_family_showed_and_the_other_did_not():
    values = cases.comparison()
    values["failures"] = []
    said = text(values)
    assert "only the VAE family did this: telling how probable" in said
    assert "describing and drawing new images" in said
    assert "only the networks did this: splitting uncertainty" in said
    values["results"].append(cases.result("generation", "bnn", "elbo", -20.0, 0.1))
    assert "drawing new images" not in text(values)


def test_what_a_failure_may_have_prevented_is_not_said_to_be_beyond_a_family():
    values = cases.comparison()
    values["failures"] = [{"model": "bnn", "seed": 0, "stage": "generation", "error": "x"}]
    assert "drawing new images" not in text(values) and "how probable" in text(values)
    values["failures"] = [{"model": "bnn", "seed": 0, "stage": "training", "error": "x"}]
    assert "drawing new images" in text(values)  # its other seeds were measured
    values["results"] = [r for r in values["results"] if r["model"] != "bnn"]
    assert "drawing new images" not in text(values)


def test_costs_go_from_the_cheapest_to_the_dearest():
    values = cases.comparison()
    assert "from 9.7 s (the maximum-likelihood network) to 96.4 s" in text(values)
    values["models"]["ml"]["train_seconds"] = 4000.0
    assert "to 4,000 s (the maximum-likelihood network)" in text(values)
    assert "from 0.31 ms (the conditional VAE) to 4.87 ms (the deep ensemble)" in text(values)


def test_names_without_texts_stand_for_themselves():
    values = small(asked("accuracy", {A: 0.9, B: 0.8}))
    values["models"]["my_{model}"] = values["models"].pop(A)
    values["results"][0]["model"] = "my_{model}"
    assert "The most accurate is my_{model}:" in text(values)


def test_models_that_were_not_measured_everywhere_are_left_out_of_averages():
    values = corrupted({A: (0.9, 0.85), B: (0.9, 0.7), C: (0.9, 0.8)})
    values["results"].remove(cases.only(values["results"], model=A, condition="blur")[0])
    assert "the Bayesian neural network degrades least" in text(values)


def test_there_are_three_to_six_points_for_a_whole_comparison():
    assert 3 <= len(report.state_verdict(cases.comparison()).points) <= 6


def test_an_unknown_language_is_refused():
    with pytest.raises(ValueError, match=r"Expected one of.*en.*zh.*Received 'fr'"):
        report.state_verdict(cases.comparison(), "fr")
