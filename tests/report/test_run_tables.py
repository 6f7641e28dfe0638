"""Tables of run folders: flags that differ, metrics, order; bad folders are named, never fatal."""

import csv
import json
import os
import pathlib
import re
import subprocess
import sys

import numpy as np
import pytest

from tfp_vae import report
from tfp_vae.report.runs import DAMAGED, FINISHED, UNFINISHED

NASTY = "<script>alert(1)</script>\x1b[2J"


def write(folder, flags="", **files):
    folder.mkdir(parents=True)
    if flags:
        (folder / "flags.txt").write_text(flags, encoding="utf-8")
    for name, values in files.items():
        (folder / f"{name}.json").write_text(json.dumps(values), encoding="utf-8")


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    """Four good runs, an unfinished one and three that are damaged in ways of their own."""
    root = tmp_path_factory.mktemp("runs")
    vae, bnn = "# tfp-vae train-vae\n--epochs=3\n", "# tfp-vae train-bnn\n--epochs=3\n--hidden=8\n"
    for place, size, value in (("run2", 2, -90.0), ("run10", 10, -80.5), ("deep/run", 5, -85.0)):
        found = {"test_elbo": value, "test_elbo_se": 0.25, "kl": 3.0, "train_seconds": 12.0}
        write(root / place, f"{vae}--latent_dim={size}\n--run_dir={place}\n--jit\n", metrics=found)
    write(root / "bnn", f"{bnn}--nojit\n", metrics={"test_rmse": 2.0, "table": {"a": {"b": 1}}})
    write(root / "stopped", f"{vae}--latent_dim=2\n--jit\n--patience=5\n--name={NASTY}\n")
    (root / "stopped" / "history.csv").write_text("epoch,elbo\n1,-3\n2,-2\n", encoding="utf-8")
    write(root / "cut", vae, metrics={})
    (root / "cut" / "metrics.json").write_text('{"test_elbo": -1', encoding="utf-8")
    write(root / "deeply", metrics={})
    (root / "deeply" / "metrics.json").write_text("[" * 100_000, encoding="utf-8")
    write(root / "bytes", metrics={"test_elbo": -1.0})
    (root / "bytes" / "flags.txt").write_bytes(b"--epochs=\xff\xfe\n")
    write(root / "run2" / "checkpoints", metrics={"test_elbo": 1.0})  # part of a run, and no run
    return root


@pytest.fixture(scope="module")
def found(root):
    return report.find_runs([root])


def names(table, root):
    return [run.folder.removeprefix(f"{root}/") for run in table.runs]


def test_every_run_is_in_the_table_and_says_what_is_wrong_with_it(found, root):
    states = {run.folder.removeprefix(f"{root}/"): run.state for run in found}
    good = dict.fromkeys(("bnn", "deep/run", "run2", "run10"), FINISHED)
    bad = dict.fromkeys(("bytes", "cut", "deeply"), DAMAGED)
    assert states == good | bad | {"stopped": UNFINISHED}
    reasons = {run.state: run.reason for run in found}
    assert "2 epochs in history.csv" in reasons[UNFINISHED] and reasons[FINISHED] == ""
    text = report.tabulate(found).text()
    assert f"{root}/cut: damaged: " in text and "\x1b" not in text


def test_numbers_of_any_length_are_sorted_by_size(tmp_path):
    for name, value in (("a", "9" * 5000), ("b", "x"), ("c", "10"), ("d", "9")):
        write(tmp_path / name, f"--size={value}\n", metrics={"loss": 1.0})
    table = report.tabulate(report.find_runs([tmp_path]), sort="size")
    assert [run.folder[-1] for run in table.runs] == ["d", "c", "a", "b"]
    write(tmp_path / ("7" * 200), metrics={"loss": 1.0})
    assert len(report.find_runs([tmp_path])) == 5


@pytest.mark.parametrize("found", [{}, {"settings": [1], "sets": {}}, {"settings": {}, "sets": 3}])
def test_a_table_that_is_gone_on_with_is_looked_at(found, tmp_path):
    (tmp_path / "results.json").write_text(json.dumps(found))
    with pytest.raises(ValueError, match=r"results.json is damaged. Expected settings and sets"):
        report.resume_table(tmp_path, {"seed": 0})


def test_columns_are_the_flags_that_differ_and_the_metrics_of_test_examples(found, root):
    table = report.tabulate(found)
    assert set(table.flags) == {"jit", "latent_dim", "name", "patience"} and table.has_programs
    assert table.metrics == ("test_rmse", "test_elbo", "train_seconds")
    assert names(table, root)[-3:] == ["run2", "run10", "stopped"]
    assert report.tabulate(found, metrics=["kl", "table/*"]).metrics == ("kl", "table/a/b")
    line = next(line for line in table.text().splitlines() if "run10" in line)
    assert "-80.50 +- 0.25" in line


def test_runs_are_sorted_the_best_first_and_those_without_the_number_last(found, root):
    best = names(report.tabulate(found, sort="test_elbo"), root)
    assert best[:3] == ["run10", "deep/run", "run2"] and "bnn" in best[3:]
    worst = names(report.tabulate(found, sort="test_elbo", reverse=True), root)
    assert worst[:3] == ["run2", "deep/run", "run10"]
    by_flag = names(report.tabulate(found, sort="latent_dim"), root)
    assert by_flag[:4] == ["run2", "stopped", "deep/run", "run10"]  # 2, 2, 5, 10
    with pytest.raises(ValueError, match=r"to sort by.*test_elbo.*Received 'test_elb'"):
        report.tabulate(found, sort="test_elb")
    with pytest.raises(ValueError, match=r"metrics.*Received 'nothing\*'"):
        report.tabulate(found, metrics=["nothing*"])


def test_csv_has_all_digits_with_errors_and_reasons(found, root):
    rows = list(csv.DictReader(report.tabulate(found).csv().splitlines()))
    row = next(row for row in rows if row["run"] == f"{root}/run2")
    assert (row["test_elbo"], row["test_elbo_se"], row["latent_dim"]) == ("-90.0", "0.25", "2")
    assert next(r for r in rows if r["run"].endswith("cut"))["reason"].startswith(f"{root}/cut")


@pytest.mark.parametrize("language", report.LANGUAGES)
def test_the_page_of_runs_holds_text_of_runs_as_text_alone(found, language):
    html = report.tabulate(found).html(language)
    assert "<script>alert" not in html and "&lt;script&gt;alert(1)" in html
    assert {"en": "Program", "zh": "程序"}[language] in html
    assert html.count("<tr>") == 1 + len(found) and 'class="sortable"' in html


def test_the_chinese_page_says_in_chinese_why_a_run_is_unfinished_or_damaged(found, root, tmp_path):
    write(tmp_path / "list", metrics=[1])
    write(tmp_path / "stopped", metrics={"epochs": 5, "interrupted": True})
    write(tmp_path / "new", "--epochs=3\n")
    runs = [*found, *report.find_runs([tmp_path])]
    causes = {run.cause.key for run in runs if run.cause}
    assert causes == {*"not_json too_deep not_text foreign epochs interrupted no_metrics".split()}
    words = " ".join(run.cause.say("zh") for run in runs if run.cause)
    for path in (root, tmp_path):
        words = words.replace(str(path), "")
    names = r"[\w./]+\.(json|csv|txt)|JSON|UTF-8"
    assert not re.search("[A-Za-z]", re.sub(names, "", words))
    page = report.tabulate(runs).html("zh")
    assert all(f"：{run.cause.say('zh')}" in page for run in runs if run.cause)


def test_a_folder_that_is_not_there_is_an_error(tmp_path):
    with pytest.raises(FileNotFoundError, match="Expected a folder of runs"):
        report.find_runs([tmp_path / "none"])


def test_a_run_that_was_interrupted_is_unfinished_though_it_has_metrics(tmp_path):
    write(tmp_path / "a", metrics={"elbo": -1.0, "epochs": 5, "interrupted": True})
    write(tmp_path / "b", metrics={"elbo": -1.0, "epochs": 5})
    states = {run.folder[-1]: (run.state, run.reason) for run in report.find_runs([tmp_path])}
    assert states == {"a": (UNFINISHED, "interrupted after epoch 5"), "b": (FINISHED, "")}


def runs_program(root, *flags, **more):
    command = [sys.executable, "-m", "experiments.runs", f"--run_dir={root}", *flags]
    place = {"PYTHONPATH": str(pathlib.Path(__file__).parents[2])}
    env = os.environ | place | more.pop("env", {})
    return subprocess.Popen(command, stderr=subprocess.PIPE, env=env, **more)


def test_whoever_reads_a_program_may_stop_and_a_terminal_may_lack_letters(tmp_path):
    write(tmp_path / "运行", metrics={"elbo": -1.0})
    read, stopped = os.pipe()
    os.close(read)
    head = runs_program(tmp_path, stdout=stopped)
    os.close(stopped)
    ascii_only = runs_program(tmp_path, stdout=subprocess.PIPE, env={"PYTHONIOENCODING": "ascii"})
    out, err = ascii_only.communicate()
    assert (ascii_only.returncode, err) == (0, b"") and rb"\u8fd0\u884c" in out
    assert head.communicate()[1] == b"" and head.returncode == 141


@pytest.fixture
def histories(tmp_path):
    """Two trained runs, one that is not finished, and one whose history is damaged."""
    for name, prior, values, seconds in (
        ("a", "standard", (-90.0, -70.0, -65.0, -64.0), 8.0),
        ("b", "flow", (-100.0, -60.0), 20.0),
    ):
        metrics = {"test_elbo": values[-1], "train_seconds": seconds}
        flags = f"# tfp-vae train-vae\n--latent_prior={prior}\n--run_dir={name}\n"
        write(tmp_path / name, flags, metrics=metrics)
        lines = [f"{epoch},{value},\n" for epoch, value in enumerate(values)]
        (tmp_path / name / "history.csv").write_text("epoch,val_elbo,rate\n" + "".join(lines))
    write(tmp_path / "stopped", "# tfp-vae train-vae\n--latent_prior=vamp\n")
    (tmp_path / "stopped" / "history.csv").write_text("epoch,val_elbo\n0,-1\n")
    flags = "# tfp-vae train-vae\n--latent_prior=iaf\n"
    write(tmp_path / "cut", flags, metrics={"train_seconds": 1})
    (tmp_path / "cut" / "history.csv").write_text("epoch,val_elbo\n0,no number\n")
    return tmp_path


def test_a_pace_is_the_history_of_a_finished_run_against_its_seconds(histories):
    found = report.paces(report.tabulate(report.find_runs([histories])))
    assert {name: [[*x] for x in curve] for name, curve in found.items()} == {
        "latent_prior=standard": [[2.0, 4.0, 6.0, 8.0], [-90.0, -70.0, -65.0, -64.0]],
        "latent_prior=flow": [[10.0, 20.0], [-100.0, -60.0]],
    }
    for name in "ab":
        (histories / name / "history.csv").write_text("epoch,loss\n0,1\n")
    with pytest.raises(ValueError, match=r"a finished run with val_elbo in its history\.csv"):
        report.paces(report.tabulate(report.find_runs([histories])))


def test_runs_with_the_same_flags_are_told_apart_by_their_folders(histories):
    (histories / "b" / "flags.txt").write_text((histories / "a" / "flags.txt").read_text())
    for name in ("stopped", "cut"):
        (histories / name / "flags.txt").unlink()
    found = report.paces(report.tabulate(report.find_runs([histories])))
    assert set(found) == {str(histories / "a"), str(histories / "b")}


def test_the_picture_of_the_pace_shows_all_but_the_first_tenth():
    from tfp_vae.plots.pace import pace

    ends = np.arange(1.0, 21.0)
    curves = {"slow": (60 * ends, -50 - 1000 * 0.5**ends), "fast": (30 * ends, -40 - 10 / ends)}
    (axis,) = pace(curves).axes
    low, high = axis.get_ylim()
    assert -200 < low < -174 and -40.5 < high < -20
    lines = axis.get_lines()
    assert [line.get_label() for line in lines] == ["fast: -40.5", "slow: -50"]
    assert [line.get_xdata()[-1] for line in lines] == [10.0, 20.0]
