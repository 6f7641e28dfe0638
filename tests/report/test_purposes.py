"""The table "which model for what" is written from records."""

import pathlib

import pytest

from tfp_vae.report import plans, purposes, records

ROOT = pathlib.Path(__file__).parents[2]
RESULTS = ROOT / "experiments" / "results"
PURPOSE = {
    "record": "trial",
    "key": "model",
    "figure": "nll",
    "best": "least",
    "want": {"en": "likely", "zh": "可能"},
}


def figure(model, value, se):
    return {"figure": "nll", "model": model, "value": value, "se": se}


def test_the_best_is_named_with_all_that_its_error_does_not_tell_it_apart_from():
    # Of a standard error of 0.1 each, two of the difference are 0.283.
    every = [figure(n, v, 0.1) for n, v in (("far", 1.3), ("best", 1.0), ("near", 1.28))]
    near, behind = purposes.ranked(PURPOSE, every)
    assert [f["model"] for f in near] == ["best", "near"]
    assert [f["model"] for f in behind] == ["far"]
    near, _ = purposes.ranked(PURPOSE | {"best": "most"}, every)
    assert [f["model"] for f in near] == ["far", "near"]


def test_an_interval_counts_as_its_error_and_a_figure_without_one_as_exact():
    wide = {"figure": "nll", "model": "wide", "value": 1.2, "low": 1.0, "high": 1.4}
    exact = {"figure": "nll", "model": "exact", "value": 1.0}
    near, _ = purposes.ranked(PURPOSE, [wide, exact])
    assert [f["model"] for f in near] == ["exact", "wide"]  # 0.2 < 2 * 0.4 / (2 * 1.96)
    near, _ = purposes.ranked(PURPOSE, [exact, wide | {"low": 1.15, "high": 1.25}])
    assert [f["model"] for f in near] == ["exact"]


@pytest.mark.parametrize("language", ["en", "zh"])
def test_the_guide_has_the_table_that_the_records_make(language):
    known = plans.read_plans(RESULTS / "plans")
    found = {path.stem: records.read_record(path) for path in RESULTS.glob("*.json")}
    wanted = purposes.read_purposes(RESULTS / "purposes.toml")
    text = (ROOT / "docs" / language / "guide.md").read_text(encoding="utf-8")
    assert "<!-- purposes begin -->" in text
    assert text == purposes.fill(text, wanted, known, found, language), (
        "scripts/reproduce --render writes the records into the documents"
    )
    for purpose in wanted:  # a purpose of a figure that no record has would be left out in silence
        names = {f["figure"] for f in found[purpose["record"]]["figures"]}
        assert purpose["figure"] in names


def test_a_purpose_that_is_not_whole_is_refused_by_what_it_lacks(tmp_path):
    path = tmp_path / "purposes.toml"
    path.write_text('[[purposes]]\nrecord = "quickstart"\nkey = "model"\nfigure = "nll"\n')
    with pytest.raises(ValueError, match="without best, want"):
        purposes.read_purposes(path)
