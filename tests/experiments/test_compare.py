"""The program that compares: what it writes, how it goes on, what it refuses."""

import html
import json

import pytest

TINY = ("--models=ml,bnn", "--tasks=classification", "--epochs=1", "--hidden=8", "--seeds=2")


@pytest.mark.pictures
@pytest.mark.dear(reason="three parts of a comparison, two reports with their pictures")
@pytest.mark.always(reason="the main program, from its flags to its report")
def test_a_comparison_is_reported_and_gone_on_with(request, succeeds, tmp_path):
    out = succeeds("compare", "--run_dir=run", *TINY)
    assert "part 4/4" in out
    assert f"report: {tmp_path / 'run/report/index.html'}" in out
    values = json.loads((tmp_path / "run/report/report.json").read_text())
    assert {r["model"] for r in values["results"]} == {"ml", "bnn"}
    headline = next(line for line in out.splitlines() if "questions decided" in line)
    assert html.escape(headline) in (tmp_path / "run/report/report.md").read_text()
    assert "--flagfile" in values["command"]
    # One part more with --release; tests/studies/test_plan.py goes on with one that failed.
    seeds = 2 + request.config.getoption("whole")
    more = succeeds("compare", "--run_dir=run", "--models=ml", *TINY[1:-1], f"--seeds={seeds}",
                    "--language=zh")  # fmt: skip
    assert f"2 of {seeds} parts are done already" in more
    assert f"report: {tmp_path / 'run/report/index.zh.html'}" in more
    assert "<html lang=" in (tmp_path / "run/report/index.html").read_text()
    values = json.loads((tmp_path / "run/report/report.json").read_text())
    assert {(r["model"], r["n"]) for r in values["results"]} == {("ml", seeds)}


@pytest.mark.all_only
@pytest.mark.pictures
@pytest.mark.dear(reason="four parts of a comparison, one of them of levels")
@pytest.mark.all_too(reason="the one look at levels in a comparison")
def test_levels_have_a_row_in_the_report_beside_the_others(succeeds, tmp_path):
    models = "--models=ml,hierarchical_vae"
    succeeds("compare", "--run_dir=run", models, "--tasks=classification,missing", *TINY[2:])
    values = json.loads((tmp_path / "run/report/report.json").read_text())
    found = {(r["model"], r["task"]) for r in values["results"]}
    both = {("ml", "classification"), ("hierarchical_vae", "classification")}
    assert both <= found and ("hierarchical_vae", "missing") in found
    assert "Hierarchical" in (tmp_path / "run/report/report.md").read_text()


def test_another_plan_needs_another_folder_or_overwrite(program, monkeypatch, tmp_path):
    def broken(*_, **__):
        raise RuntimeError("nothing is trained here")

    monkeypatch.setattr("tfp_vae.studies.comparison.plan.train", broken)
    # What was written when the first part broke is a plan as that of a comparison that is done.
    status, _, err = program("compare", "--run_dir=run", *TINY)
    assert (status, "nothing is trained here" in err) == (2, True)
    part = tmp_path / "run/parts/ml-0-main.json"
    part.write_text("{}")
    changed = [flag for flag in TINY if "hidden" not in flag]
    status, _, err = program("compare", "--run_dir=run", *changed, "--hidden=9")
    assert status == 2
    assert "another plan" in err
    assert "'hidden': 9" in err
    assert part.exists()

    def interrupted(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr("tfp_vae.studies.comparison.plan.train", interrupted)
    status, out, err = program("compare", "--run_dir=run", *changed, "--hidden=9", "--overwrite")
    assert status == 130 and "Interrupted: 0 of 4 parts are kept; the same command" in out
    assert "another plan" not in err
    assert "are done already" not in out
    assert not part.exists()


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (("--models=ml,nobody",), "nobody"),
        (("--models=ml,nowhere:network",), "no network nowhere:network"),
        (("--tasks=dancing",), "dancing"),
        (("--seconds=3",), "--seconds has no effect"),
        (("--match=seconds", "--epochs=3"), "--epochs has no effect"),
        (("--match=seconds", "--jobs=2"), "--jobs has no effect"),
        (("--dataset=wine",), "out of range"),
        (("--dataset=nowhere",), "nowhere"),
        (("--models=m2",), "nothing to run"),
        (("--seeds=1",), "1 is not integer >= 2"),
        (("--models=ml,laplace_last_layer", "--hidden=900"), "laplace_last_layer cannot be built"),
    ],
)
def test_bad_flags_are_refused_before_any_work(refused, flags, message):
    assert message in refused("compare", "--run_dir=run", *flags)
