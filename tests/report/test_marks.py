"""Marks follow from means and intervals alone, by one rule that a reader can check by eye."""

import numpy as np
import pytest
import report_cases as cases

from tfp_vae import report
from tfp_vae.report import texts

UP, DOWN, NEITHER = 1, -1, 0


def around(mean, half):
    return report.Estimate(mean, mean - half, mean + half, 3)


def estimates(**intervals):
    return {name: around(mean, half) for name, (mean, half) in intervals.items()}


def best(direction, **intervals):
    return report.best_within_error(estimates(**intervals), direction)


@pytest.mark.parametrize("name", "accuracy auroc aupr log_likelihood elbo".split())
def test_more_is_better(name):
    assert report.DIRECTIONS[name] == UP


@pytest.mark.parametrize(
    "name",
    "nll brier ece aurc fpr95 error seconds milliseconds parameters memory".split(),
)
def test_less_is_better(name):
    assert report.DIRECTIONS[name] == DOWN


def test_the_best_mean_and_all_whose_interval_overlaps_with_its_interval_are_marked():
    numbers = {"a": (0.9, 0.02), "b": (0.87, 0.02), "c": (0.85, 0.02)}
    assert best(UP, **numbers) == {"a", "b"}  # c reaches 0.87, a starts at 0.88
    assert best(DOWN, **numbers) == {"c", "b"}


def test_overlap_with_another_marked_model_is_not_enough():
    assert best(UP, a=(3.0, 0.6), b=(2.0, 0.6), c=(1.0, 0.6)) == {"a", "b"}


def test_the_marks_flip_when_the_numbers_flip():
    assert best(UP, a=(0.9, 0.01), b=(0.8, 0.01)) == {"a"}
    assert best(UP, a=(0.8, 0.01), b=(0.9, 0.01)) == {"b"}


def test_nothing_is_marked_if_there_is_one_model_only_or_no_direction():
    assert best(UP, a=(1.0, 0.1)) == best(UP) == best(NEITHER, a=(1, 0.1), b=(2, 0.1)) == set()


def test_a_single_value_without_an_interval_sets_nobody_apart_unless_it_is_a_cost():
    def single(exact):
        values = {"a": 1.0, "b": 2.0}
        return {n: report.Estimate(v, v, v, 1, exact) for n, v in values.items()}

    assert report.best_within_error(single(False), UP) == {"a", "b"}
    assert report.best_within_error(single(True), UP) == {"b"}


def test_results_are_marked_within_their_task_metric_condition_and_level():
    marked = report.mark(
        [
            cases.result("corruptions", "a", "accuracy", 0.9, 0.01, "noise", 1),
            cases.result("corruptions", "b", "accuracy", 0.8, 0.01, "noise", 1),
            cases.result("corruptions", "a", "accuracy", 0.6, 0.01, "noise", 2),
            cases.result("corruptions", "b", "accuracy", 0.7, 0.01, "noise", 2),
            cases.result("corruptions", "a", "nll", 0.1, 0.01, "noise", 2),
            cases.result("corruptions", "b", "nll", 0.2, 0.01, "noise", 2),
            cases.result("corruptions", "a", "colour", 0.1, 0.01, "noise", 2),
            cases.result("corruptions", "b", "colour", 0.2, 0.01, "noise", 2),
        ]
    )
    won = {key: [one.model for one in rows if one.best] for key, rows in marked.items()}
    assert won == {
        ("corruptions", "accuracy", "noise", 1): ["a"],
        ("corruptions", "accuracy", "noise", 2): ["b"],
        ("corruptions", "nll", "noise", 2): ["a"],
        ("corruptions", "colour", "noise", 2): [],  # nobody knows which way is better
    }


def test_the_interval_of_a_difference_is_that_of_independent_normal_values(base_seed):
    rng = np.random.default_rng(base_seed)
    gap = around(5, 3 * 1.96).minus(around(1, 4 * 1.96))
    draws = rng.normal(5, 3, 100_000) - rng.normal(1, 4, 100_000)
    inside = np.mean((gap.lower <= draws) & (draws <= gap.upper))
    assert gap.mean == 4 and abs(inside - 0.95) < 5 * np.sqrt(0.05 * 0.95 / len(draws))


@pytest.mark.parametrize(
    ("metric", "numbers", "shown"),
    [
        ("accuracy", (0.98712, 0.0061), ("98.7", "98.1", "99.3")),
        ("nll", (0.07123, 0.0123), ("0.071", "0.059", "0.084")),
        ("auroc", (0.97216, 0.0072), ("0.972", "0.965", "0.979")),
        ("log_likelihood", (-1234.567, 12.0), ("-1,235", "-1,247", "-1,223")),
        ("nll", (-0.0001, 0.01), ("0.000", "-0.010", "0.010")),
        ("parameters", (51210, 0), ("51,210", "", "")),
        ("seconds", (12.3456, 0), ("12.3", "", "")),
    ],
)
def test_numbers_have_the_digits_that_their_interval_leaves(metric, numbers, shown):
    mean, half = numbers
    assert texts.numbers(metric, report.Estimate(mean, mean - half, mean + half)) == shown


@pytest.mark.parametrize(
    ("seconds", "shown"), [(8.123, "8.12 s"), (812.5, "13.5 min"), (9000, "2.5 h")]
)
def test_durations_are_short(seconds, shown):
    assert texts.duration(seconds) == shown
