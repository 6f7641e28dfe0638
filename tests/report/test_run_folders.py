"""Run folders: checked before work starts, files written whole or not at all."""

import importlib.metadata
import json
import math
import os
import platform
import subprocess
import sys

import matplotlib.figure
import numpy as np
import pytest

import tfp_vae as tv
from tfp_vae import files, report

OLD = b"the old file"


def contents(folder):
    """Returns {name: bytes} of every file below `folder`, hidden ones included but no lock."""
    found = {p.relative_to(folder): p for p in folder.rglob("*") if p.is_file()}
    return {str(name): p.read_bytes() for name, p in found.items() if name.name != files.LOCK}


def test_a_run_folder_is_made_by_create_and_not_before(tmp_path):
    run = report.RunFolder(tmp_path / "runs" / "first")
    assert not [*tmp_path.iterdir()]
    run.create()
    assert run.path.is_dir() and run / "a.txt" == tmp_path / "runs" / "first" / "a.txt"


def test_checking_leaves_nothing_behind(tmp_path):
    before = tmp_path.stat().st_mtime_ns
    report.RunFolder(tmp_path / "new")
    report.RunFolder(tmp_path)
    assert not [*tmp_path.iterdir()] and before <= tmp_path.stat().st_mtime_ns


def test_an_empty_folder_may_be_a_run_folder(tmp_path):
    report.RunFolder(tmp_path).create()


def test_a_folder_with_files_is_refused_unless_it_may_be_overwritten(tmp_path):
    (tmp_path / "old.txt").write_bytes(OLD)
    with pytest.raises(FileExistsError, match=r"not empty.*Expected.*--overwrite.*Received.* 1 "):
        report.RunFolder(tmp_path)
    run = report.RunFolder(tmp_path, overwrite=True)
    run.create()
    run.write_text("new.txt", "new")
    assert contents(tmp_path) == {"old.txt": OLD, "new.txt": b"new"}


@pytest.mark.parametrize("overwrite", [False, True], ids=["new", "overwrite"])
def test_a_file_is_refused_as_run_folder(tmp_path, overwrite):
    (tmp_path / "run").write_bytes(OLD)
    with pytest.raises(FileExistsError, match=r"run is not a folder.*Expected.*Received a file"):
        report.RunFolder(tmp_path / "run", overwrite)
    assert contents(tmp_path) == {"run": OLD}


def test_a_folder_below_a_file_is_refused_naming_the_file(tmp_path):
    (tmp_path / "file").write_bytes(OLD)
    with pytest.raises(PermissionError, match=r"Expected a writable folder.*Received.*file, which"):
        report.RunFolder(tmp_path / "file" / "runs" / "first")


@pytest.mark.skipif(not os.path.isdir("/proc/self"), reason="needs /proc, which nobody can write")
def test_a_folder_that_nobody_can_write_is_refused():
    with pytest.raises(PermissionError, match=r"/proc/run cannot be written.*Expected.*Received"):
        report.RunFolder("/proc/run")


class _BrokenFigure:
    def savefig(self, path, **_):
        path.write_bytes(b"half a pict")
        raise OSError(28, "No space left on device")


class _BrokenArray:
    def __array__(self, dtype=None, copy=None):
        raise MemoryError("too large")


WRITERS = {
    "text that is not UTF-8": lambda run: run.write_text("f.npz", "half\ud800"),
    "JSON with NaN": lambda run: run.write_json("f.npz", {"a": math.nan}),
    "JSON with an object": lambda run: run.write_json("f.npz", {"a": object()}),
    "figure on a full disk": lambda run: run.write_figure("f.npz", _BrokenFigure()),
    "arrays too large": lambda run: run.write_arrays("f.npz", a=np.ones(3), b=_BrokenArray()),
}


@pytest.mark.parametrize("write", WRITERS.values(), ids=WRITERS)
@pytest.mark.parametrize("existing", [{"f.npz": OLD}, {}], ids=["old file", "no file"])
def test_a_failed_write_leaves_the_folder_as_it_was(tmp_path, write, existing):
    for name, content in existing.items():
        (tmp_path / name).write_bytes(content)
    with pytest.raises((OSError, ValueError, TypeError, MemoryError)):
        write(report.RunFolder(tmp_path, overwrite=True))
    assert contents(tmp_path) == existing


@pytest.mark.parametrize("error", [OSError, KeyboardInterrupt])
def test_the_old_file_is_whole_until_the_new_one_is(tmp_path, error):
    path = tmp_path / "f.txt"
    path.write_bytes(OLD)
    with pytest.raises(error), files.replacing(path) as temporary:
        temporary.write_text("half")
        assert path.read_bytes() == OLD
        raise error
    assert contents(tmp_path) == {"f.txt": OLD}


def test_a_name_taken_by_a_folder_is_an_error_that_leaves_no_temporary_file(tmp_path):
    (tmp_path / "f.txt").mkdir()
    with pytest.raises(OSError):
        report.RunFolder(tmp_path, overwrite=True).write_text("f.txt", "new")
    assert contents(tmp_path) == {}


def test_written_files_hold_what_was_given_and_nothing_else_is_left(tmp_path):
    run = report.RunFolder(tmp_path)
    run.write_text("a.txt", "z ~ N(0, I), naïve\n")
    run.write_text("a.txt", "z ~ N(0, I), naïve, again\n")
    run.write_json("b.json", {"elbo": -1.5, "versions": {"numpy": "2"}})
    run.write_arrays("c.npz", z=np.arange(3))
    run.write_figure("d.png", matplotlib.figure.Figure())
    files = contents(tmp_path)
    assert set(files) == {"a.txt", "b.json", "c.npz", "d.png"}
    assert files["a.txt"].decode() == "z ~ N(0, I), naïve, again\n"
    assert report.read_json(run / "b.json") == {"elbo": -1.5, "versions": {"numpy": "2"}}
    with np.load(run / "c.npz") as arrays:
        np.testing.assert_array_equal(arrays["z"], [0, 1, 2])
    assert files["d.png"].startswith(b"\x89PNG")


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf], ids=str)
def test_json_refuses_numbers_that_it_does_not_have(tmp_path, bad):
    with pytest.raises(ValueError, match=r"metrics\.json.*Expected finite numbers.*Received"):
        report.RunFolder(tmp_path).write_json("metrics.json", {"elbo": 1.0, "kl": {"z": bad}})
    assert not [*tmp_path.iterdir()]


@pytest.mark.parametrize(
    ("content", "error"),
    [
        pytest.param(None, FileNotFoundError, id="missing"),
        pytest.param(b'{"elbo": -1', ValueError, id="truncated"),
        pytest.param(b"", ValueError, id="empty"),
        pytest.param(b"[1, 2]", ValueError, id="a list"),
        pytest.param(b"[" * 10**5, ValueError, id="too deep"),
        pytest.param(b"\xff\xfe", ValueError, id="no text"),
    ],
)
def test_json_that_is_missing_or_damaged_is_refused_by_name(tmp_path, content, error):
    if content is not None:
        (tmp_path / "m.json").write_bytes(content)
    with pytest.raises(error, match=r"m\.json is .*Expected.*Received"):
        report.read_json(tmp_path / "m.json")


def test_summary_shows_results_with_their_standard_errors():
    metrics = {
        "dataset": "digits",
        "epochs": 100,
        "test_elbo": -1234.5678,
        "test_elbo_se": 0.123,
        "kl": 3.0,
        "versions": {"numpy": "2"},
    }
    assert report.summary(metrics).splitlines() == [
        "  dataset    digits",
        "  epochs     100",
        "  test_elbo  -1,234.57 +- 0.12",
        "  kl         3.00",
    ]


def test_summary_of_nothing_is_empty():
    assert report.summary({}) == report.summary({"versions": {}}) == ""


def test_versions_name_what_computed():
    versions = report.versions()
    assert versions["tfp_vae"] == tv.__version__
    assert versions["python"] == platform.python_version()
    for name in ("tensorflow", "tensorflow-probability", "keras", "numpy"):
        assert versions[name] == importlib.metadata.version(name)
    json.dumps(versions)


def test_summary_has_the_digits_that_the_errors_leave_and_the_intervals():
    metrics = {
        "test_nll": 0.046544,
        "test_nll_se": 0.003545,
        "test_ece": 0.003648,
        "test_ece_low": 0.003259,
        "test_ece_high": 0.006573,
        "zero": 0.0,
        "a_low": 2.5,
    }
    assert report.summary(metrics).splitlines() == [
        "  test_nll  0.0465 +- 0.0035",
        "  test_ece  0.00365 (0.00326 to 0.00657)",
        "  zero      0.00",
        "  a_low     2.50",
    ]


# Two programs in one folder.

_HOLDER = (
    "import sys, time, pathlib, runpy\n"
    "files = runpy.run_path(sys.argv[1])\n"  # alone, without TensorFlow
    "lock = files['Lock'](pathlib.Path(sys.argv[2]))\n"
    "print('held', flush=True)\n"
    "time.sleep(60)\n"
)


def test_a_folder_that_another_process_writes_is_refused_until_that_one_is_killed(tmp_path):
    early = report.RunFolder(tmp_path)  # looked at before the other one began
    command = [sys.executable, "-c", _HOLDER, files.__file__, str(tmp_path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdout.readline() == "held\n"
        text = rf"in use.*Expected.*Received.*process {holder.pid} on"
        for refusing in (
            early.create,
            early.lock,
            lambda: report.RunFolder(tmp_path),
            lambda: report.RunFolder(tmp_path, overwrite=True),
        ):
            with pytest.raises(FileExistsError, match=text):
                refusing()
        holder.kill()
    assert [*tmp_path.iterdir()], "the file stays, and locks nothing"
    early.create()
    assert f"process {os.getpid()} on" in (tmp_path / files.LOCK).read_text()


def test_a_folder_that_was_filled_since_the_look_is_refused(tmp_path):
    run = report.RunFolder(tmp_path)
    (tmp_path / "history.csv").write_bytes(OLD)
    with pytest.raises(FileExistsError, match=r"not empty.*Expected.*Received"):
        run.create()


def test_a_lock_is_shared_in_a_process_and_gone_with_the_last_who_has_it(tmp_path):
    first, second = report.RunFolder(tmp_path), report.RunFolder(tmp_path)
    first.create()
    second.create()
    del first
    assert [entry.name for entry in tmp_path.iterdir()] == [files.LOCK]
    del second
    assert not [*tmp_path.iterdir()]
