"""The program that compares: what it writes, how it goes on, what it refuses."""

import json

import pytest

TINY = ("--models=ml,bnn", "--tasks=classification", "--epochs=1", "--hidden=8", "--seeds=2")


@pytest.mark.pictures
def test_a_comparison_is_reported_and_gone_on_with(succeeds, tmp_path):
    out = succeeds("compare", "--run_dir=run", *TINY)
    assert "part 4/4" in out
    assert f"report: {tmp_path / 'run/report/index.html'}" in out
    values = json.loads((tmp_path / "run/report/report.json").read_text())
    assert {r["model"] for r in values["results"]} == {"ml", "bnn"}
    headline = next(line for line in out.splitlines() if line.startswith("On "))
    assert headline in (tmp_path / "run/report/report.md").read_text()
    assert "--flagfile" in values["command"]
    more = succeeds("compare", "--run_dir=run", *TINY[:-1], "--seeds=3", "--language=zh")
    assert "4 of 6 parts are done already" in more
    assert f"report: {tmp_path / 'run/report/index.zh.html'}" in more
    assert "<html lang=" in (tmp_path / "run/report/index.html").read_text()
    values = json.loads((tmp_path / "run/report/report.json").read_text())
    assert all(result["n"] == 3 for result in values["results"])


@pytest.mark.pictures
def test_another_plan_needs_another_folder_or_overwrite(succeeds, program):
    changed = ["--models=ml", *(flag for flag in TINY[1:] if "hidden" not in flag)]
    succeeds("compare", "--run_dir=run", *changed, "--hidden=8")
    status, _, err = program("compare", "--run_dir=run", *changed, "--hidden=9")
    assert status == 2
    assert "another plan" in err
    assert "'hidden': 9" in err
    out = succeeds("compare", "--run_dir=run", *changed, "--hidden=9", "--overwrite")
    assert "are done already" not in out


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (("--models=ml,nobody",), "nobody"),
        (("--tasks=dancing",), "dancing"),
        (("--seconds=3",), "--seconds has no effect"),
        (("--match=seconds", "--epochs=3"), "--epochs has no effect"),
        (("--dataset=wine",), "out of range"),
        (("--dataset=nowhere",), "nowhere"),
        (("--models=m2",), "nothing to run"),
    ],
)
def test_bad_flags_are_refused_before_any_work(refused, flags, message):
    assert message in refused("compare", "--run_dir=run", *flags)
