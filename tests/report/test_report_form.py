"""The form of a comparison is checked, by name, before anything is written."""

import math

import pytest
import report_cases as cases

from tfp_vae import report


def test_the_made_up_comparison_is_valid():
    report.validate(cases.comparison())


def _set(path, value):
    def change(values):
        *inner, last = path
        for part in inner:
            values = values[part]
        values[last] = value

    return change


def _drop(*path):
    def change(values):
        *inner, last = path
        for part in inner:
            values = values[part]
        del values[last]

    return change


WRONG = {
    "a part is missing": (_drop("command"), r"report is wrong.*'command'"),
    "a part of the data is missing": (_drop("dataset", "digest"), r"report\['dataset'\].*'digest'"),
    "results are not a list": (_set(["results"], {}), r"report\['results'\].*a list"),
    "unknown budget": (_set(["settings", "budget"], "huge"), r"'budget'.*quick.*full.*huge"),
    "unknown match": (_set(["settings", "match"], "luck"), r"'match'.*parameters.*luck"),
    "unknown family": (_set(["models", "ml", "family"], "tree"), r"'ml'.*'family'.*vae.*tree"),
    "a share of a parameter": (_set(["models", "ml", "parameters"], 1.5), r"'parameters'.*integer"),
    "unknown task": (_set(["results", 0, "task"], "chess"), r"\['results'\]\[0\].*'task'.*chess"),
    "unknown model": (_set(["results", 0, "model"], "gpt"), r"\['results'\]\[0\].*'model'.*gpt"),
    "unknown model failed": (_set(["failures", 0, "model"], "gpt"), r"failures.*'model'.*gpt"),
    "no number": (_set(["results", 3, "mean"], "0.9"), r"\[3\]\['mean'\].*finite number.*'0.9'"),
    "a truth value for a number": (_set(["results", 3, "mean"], True), r"\['mean'\].*True"),
    "no values": (_set(["results", 0, "n"], 0), r"\['n'\].*integer >= 1.*0"),
    "level in words": (_set(["results", 0, "level"], "high"), r"\['level'\].*None.*'high'"),
    "NaN": (_set(["results", 2, "lower"], math.nan), r"\[2\]\['lower'\].*finite.*nan"),
    "infinity deep inside": (
        _set(["settings", "hidden"], [1, math.inf]),
        r"\['settings'\]\['hidden'\]\[1\].*finite.*inf",
    ),
    "an object": (_set(["versions", "x"], object()), r"\['versions'\]\['x'\].*plain value"),
    "a number as key": (_set(["versions", 3], "x"), r"A key of report\['versions'\].*text.*3"),
    "interval upside down": (
        _set(["results", 1, "upper"], -9.0),
        r"interval.*\[1\].*lower <=",
    ),
    "a path as figure": (
        _set(["figures", 0, "file"], "../x.png"),
        r"\['figures'\]\[0\]\['file'\].*x\.png.*\.\./x\.png",
    ),
    "two figures in one file": (
        _set(["figures", 0, "file"], "corruptions.png"),
        r"another file name",
    ),
    "figure without words": (_set(["figures", 0, "alt"], " "), r"\['alt'\].*cannot"),
}


@pytest.mark.parametrize(("change", "message"), WRONG.values(), ids=WRONG)
def test_another_form_is_refused_naming_the_place(change, message):
    values = cases.comparison()
    change(values)
    with pytest.raises(ValueError, match=rf"(?s){message}") as error:
        report.validate(values)
    assert "Expected" in str(error.value) and "Received" in str(error.value)


def test_a_result_given_twice_is_refused():
    values = cases.comparison()
    values["results"].append(values["results"][0])
    with pytest.raises(ValueError, match=r"one result per.*Received.*'conditional_vae'"):
        report.validate(values)


def test_a_mean_outside_of_its_interval_is_allowed_as_bootstraps_of_calibration_give_such():
    values = cases.comparison()
    values["results"][2] |= {"mean": 0.01, "lower": 0.02, "upper": 0.03}
    report.validate(values)
    report.render_html(values, cases.pictures(values))
