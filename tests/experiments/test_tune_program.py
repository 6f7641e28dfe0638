"""The program that searches over flags: what it refuses, what it runs and what it leaves."""

import csv
import json
import pathlib
import subprocess

import pytest

from experiments import completion, helping, trial_flags


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--search=latent_dim=2|x"], "--latent_dim=x"),
        (["--search=likelihood=normal|bernouli"], "Did you mean bernoulli?"),
        (["--search=hidden=log:2:3"], "no range"),
        (["--search=latent_dim=linear:0:3"], "--latent_dim=0"),
        (["--search=dataset=digits|mnist"], "--dataset"),
        (["--search=run_dir=a|b"], "--run_dir"),
        (["--search=latent_dim=2|3", "--fixed=--latent_dim=4"], "in both"),
        (["--search=latent_dim=2|3", "--fixed=--preset=mnits"], "Did you mean mnist?"),
        (["--search=latent_dim=2|3", "--fixed=--run_dir=here"], "--run_dir"),
        (["--search=latent_dim=2|3", "--fixed=digits"], "NAME=VALUE only"),
        (["--search=latent_dim=2|3", "--program=train_bnn"], "latent_dim"),
        (["--search=epochs=2|3", "--method=hyperband"], "how long a trial is"),
        (["--search=latent_dim=2|3", "--objective=test_elbo"], "only those choose"),
        (["--search=latent_dim=2|3", "--objective=val_kl"], "--direction"),
    ],
)
def test_what_cannot_be_searched_is_refused_before_work(refused, arguments, words):
    assert words in refused("tune", *arguments)


def test_the_flags_of_another_program_leave_those_of_this_one_alone():
    completion.forget()
    before = helping.by_module()
    with trial_flags.of("train_bnn"):
        assert "method" in helping.own_flags() and "fixed" not in helping.own_flags()
    assert helping.by_module() == before


@pytest.mark.pictures
def test_a_search_leaves_runs_a_table_and_a_picture_and_says_the_best(
    succeeds, tmp_path, monkeypatch
):
    asked = []

    def train(command, **_):
        asked.append(command)
        flags = dict(each[2:].split("=", 1) for each in command[3:] if "=" in each)
        folder = pathlib.Path(flags["run_dir"])
        folder.mkdir(parents=True)
        (folder / "flags.txt").write_text("\n".join(command[3:]) + "\n")
        (folder / "history.csv").write_text(f"epoch,val_elbo\n0,{-int(flags['latent_dim'])}\n")
        return subprocess.CompletedProcess(command, 2 * (flags["latent_dim"] == "9"))

    monkeypatch.setattr(subprocess, "run", train)
    command = ("tune", "--search=latent_dim=9|5|2", "--fixed=--epochs=4 --dataset=digits",
               "--method=grid", "--run_dir=found")  # fmt: skip
    out = succeeds(*command)
    assert len(asked) == 3 and asked[0][1:5] == [
        "-m", "experiments.train_vae", "--epochs=4", "--dataset=digits",
    ]  # fmt: skip
    (best,) = [line for line in out.splitlines() if line.startswith("best:")]
    assert best.endswith("experiments.train_vae --epochs=4 --dataset=digits --latent_dim=2 "
                         "--run_dir=NEW")  # fmt: skip
    assert "(status 2, found/trials/0000.log)" in out
    written = json.loads((tmp_path / "found" / "tuning.json").read_text())
    assert [each["value"] for each in written["trials"]] == [-2.0, -5.0, None]
    assert (tmp_path / "found" / "tuning.png").stat().st_size > 0
    assert (tmp_path / "found" / "tuning.txt").read_text().rstrip() in out
    succeeds("runs", "--run_dir=found", "--format=csv", "--out=runs.csv")
    rows = list(csv.DictReader((tmp_path / "runs.csv").read_text().splitlines()))
    assert [row["latent_dim"] for row in rows] == ["9", "5", "2"]
    again = succeeds("tune", "--flagfile=found/tune.flags")
    assert len(asked) == 3 and best in again
