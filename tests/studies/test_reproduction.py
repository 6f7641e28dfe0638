"""Plans are run one program after the other, and go on where they were."""

import json
import shutil
import subprocess
import sys

import pytest

from tfp_vae.report import plans
from tfp_vae.studies import reproduction

PLAN = """
minutes = 1
[title]
en = "Trial"
zh = "试验"
[[runs]]
name = "first"
program = "good"
flags = ["--value=3"]
quick = ["--value=1"]
data = "tfds"
[runs.figures]
value = "value"
[[runs]]
name = "second"
program = "maybe"
folder = "first"
file = "more.json"
[runs.figures]
more = "more"
[[tables]]
rows = "run"
[[tables.columns]]
en = "value"
zh = "值"
figure = "value"
"""
GOOD = """
import json, pathlib, sys, time
time.sleep(0.1)  # a record counts tenths of a second
flags = dict(each[2:].split("=", 1) for each in sys.argv[1:])
folder = pathlib.Path(flags["run_dir"])
assert not folder.exists(), "a run starts in an empty folder"
folder.mkdir(parents=True)
(folder / "metrics.json").write_text(json.dumps({"value": int(flags["value"]), "value_se": 0.5}))
(folder / "given.txt").write_text(" ".join(sys.argv[1:]))
"""
MAYBE = """
import pathlib, sys
folder = pathlib.Path(sys.argv[-1].split("=", 1)[1])
if not (folder.parents[3] / "allowed").exists():
    sys.exit(3)
(folder / "more.json").write_text('{"more": 7}')
"""


@pytest.fixture
def place(tmp_path):
    """Returns a checkout with two programs and a plan that runs them."""
    (tmp_path / "experiments").mkdir()
    (tmp_path / "experiments" / "__init__.py").write_text("")
    (tmp_path / "experiments" / "good.py").write_text(GOOD)
    (tmp_path / "experiments" / "maybe.py").write_text(MAYBE)
    (tmp_path / "trial.toml").write_text(PLAN, encoding="utf-8")
    (tmp_path / "results").mkdir()
    return tmp_path


def run(place, **options):
    said = []
    path = reproduction.reproduce(
        plans.read_plan(place / "trial.toml"),
        place,
        place / "results",
        place / "runs" / "reproduce",
        say=said.append,
        **options,
    )
    return path, said


def test_a_record_is_written_at_the_end_and_what_is_done_is_not_done_again(place):
    with pytest.raises(ValueError, match="second has not come to its end"):
        run(place)
    assert not list((place / "results").iterdir())
    (place / "allowed").touch()
    path, said = run(place)  # the first one would refuse to start in a folder that is there
    assert path == place / "results" / "trial.json"
    assert [line.split(":")[0].split(",")[0] for line in said] == ["trial 2/2"]
    record = json.loads(path.read_text())
    assert record["figures"] == [
        {"run": "first", "figure": "value", "value": 3, "se": 0.5},
        {"run": "first", "figure": "more", "value": 7},
    ]
    assert record["runs"][0]["command"] == "python -m experiments.good --value=3"
    assert record["commit"] == "unknown" and record["seconds"] > 0
    assert run(place)[1] == []


def test_a_record_that_takes_hours_is_measured_in_several_sittings(place, monkeypatch):
    record, plan = place / "results" / "trial.json", place / "trial.toml"
    plan.write_text(PLAN.replace('folder = "first"\n', ""), encoding="utf-8")
    made = MAYBE.replace('(folder / "more', 'folder.mkdir()\n(folder / "more')
    (place / "experiments" / "maybe.py").write_text(made)
    with pytest.raises(ValueError, match="second has not come to its end"):
        run(place, more=True)
    first = json.loads(record.read_text())
    assert [each["name"] for each in first["runs"]] == ["first"]
    assert first["figures"] == [{"run": "first", "figure": "value", "value": 3, "se": 0.5}]
    # Another day, on another machine, with nothing but what was committed.
    shutil.rmtree(place / "runs")
    (place / "allowed").touch()
    monkeypatch.setattr(reproduction, "commit_of", lambda root: "later")
    monkeypatch.setattr(reproduction, "machine", lambda: "another machine")
    _, said = run(place, more=True)
    assert said[0].startswith("trial 2/2") and "several commits" in said[-1]
    whole = json.loads(record.read_text())
    assert whole["runs"][0] == first["runs"][0] | {"machine": first["machine"]}
    assert whole["runs"][1]["commit"] == "later" and whole["machine"] == "another machine"
    assert whole["figures"][0] == first["figures"][0] and len(whole["figures"]) == 2
    assert run(place, more=True)[1] == said[-1:]  # nothing is left to run
    # Without it all is measured again, and until then the record stays.
    assert len(run(place)[1]) == 1  # the second one is of this commit
    assert json.loads(record.read_text())["runs"][0]["commit"] == "later"


def test_runs_in_one_folder_are_taken_from_a_record_together_or_not_at_all(place):
    with pytest.raises(ValueError, match="second has not come to its end"):
        run(place, more=True)
    shutil.rmtree(place / "runs")
    (place / "allowed").touch()
    assert [line[:9] for line in run(place, more=True)[1]] == ["trial 1/2", "trial 2/2"]


def test_quick_touches_no_record_and_prepared_data_are_handed_on(place):
    (place / "allowed").touch()
    path, _ = run(place, quick=True, data={"tfds": "/some/where"})
    assert path == place / "runs" / "reproduce" / "trial-quick" / "trial.json"
    given = (path.parent / "first" / "given.txt").read_text()
    assert "--value=3 --value=1" in given and "--data_dir=/some/where" in given
    record = path.read_text()
    assert "/some/where" not in record and not list((place / "results").iterdir())


def test_runs_of_another_commit_are_run_again_unless_they_are_to_be_kept(place, monkeypatch):
    (place / "allowed").touch()
    run(place)
    monkeypatch.setattr(reproduction, "commit_of", lambda root: "later")
    assert run(place, keep=True)[1] == ["the runs are of 1 commits"][:0]
    _, said = run(place)
    assert len(said) == 2  # in a folder that was made empty
    assert json.loads((place / "results" / "trial.json").read_text())["commit"] == "later"


def test_a_figure_that_a_program_did_not_write_is_an_error(place):
    (place / "allowed").touch()
    text = (place / "trial.toml").read_text(encoding="utf-8")
    (place / "trial.toml").write_text(text.replace('more = "more"', 'more = "most"'), "utf-8")
    with pytest.raises(ValueError, match="There is no figure at most"):
        run(place)


def test_the_commit_says_if_the_code_differs_from_it(tmp_path):
    def git(*arguments):
        who = ["-c", "user.name=A", "-c", "user.email=a@b"]
        subprocess.run(["git", "-C", str(tmp_path), *who, *arguments], check=True)

    (tmp_path / "tfp_vae").mkdir()
    (tmp_path / "tfp_vae" / "a.py").write_text("a")
    (tmp_path / "README.md").write_text("a")
    git("init", "-q")
    git("add", ".")
    git("commit", "-q", "-m", "a")
    commit = reproduction.commit_of(tmp_path)
    assert len(commit) == 40
    (tmp_path / "README.md").write_text("b")
    assert reproduction.commit_of(tmp_path) == commit
    (tmp_path / "tfp_vae" / "a.py").write_text("b")
    assert reproduction.commit_of(tmp_path) == f"{commit}+"


def test_the_machine_is_named_without_tensorflow():
    code = (
        "import sys; from tfp_vae.studies import reproduction; print(reproduction.machine(), "
        "'tensorflow' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert " cores of " in done.stdout and done.stdout.strip().endswith("False")
