"""Programs run in this process: a second of work, where a process of its own costs ten."""

import faulthandler
import pathlib
import re
import runpy
import shutil
import sys
import warnings

import pytest
from absl.testing import flagsaver

from experiments import completion
from tfp_vae.files import LOCK


def snapshot(folder):
    """Returns everything below `folder`: names, contents, times.

    Without the locks of folders, which go with the process that took them: here that is this one.
    """
    return {
        str(p.relative_to(folder)): (p.stat().st_mtime_ns, p.read_bytes()) if p.is_file() else None
        for p in sorted(folder.rglob("*"))
        if p.name != LOCK
    }


@pytest.fixture(autouse=True)
def empty_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    # absl would point it at a captured stderr that closes with the test.
    monkeypatch.setattr(faulthandler, "enable", lambda *_, **__: None)


@pytest.fixture(autouse=True)
def few_pictures(request, monkeypatch):
    """Lets programs write empty files for pictures, unless the test is one of `pictures`."""
    if request.node.get_closest_marker("pictures"):
        return

    def savefig(figure, file, **_):
        file.write(b"") if hasattr(file, "write") else pathlib.Path(file).write_bytes(b"")

    monkeypatch.setattr("matplotlib.figure.Figure.savefig", savefig)


@pytest.fixture
def in_process(monkeypatch, capfd):
    """Returns a function that runs a program in this process -> (status, stdout, stderr).

    The module runs anew as `__main__`, as `python -m` would have it; its flags go with it.
    """

    def run(start, *arguments):
        monkeypatch.setattr(sys, "argv", ["program", *arguments])
        capfd.readouterr()
        with flagsaver.flagsaver(), warnings.catch_warnings(), pytest.raises(SystemExit) as exit:
            start()
        out, err = capfd.readouterr()
        return exit.value.code or 0, out, err

    return run


@pytest.fixture
def program(in_process):
    """Returns a function that runs `experiments.NAME` here -> (status, stdout, stderr)."""

    def run(name, *arguments):
        module = f"experiments.{name}"
        completion.forget()  # flags of one program at a time
        return in_process(
            lambda: runpy.run_module(module, run_name="__main__", alter_sys=True), *arguments
        )

    return run


@pytest.fixture
def succeeds(program):
    """Returns a function that runs a program, checks that it succeeds, and returns its output."""

    def run(name, *arguments):
        status, out, err = program(name, *arguments)
        assert status == 0, err
        return out

    return run


@pytest.fixture(scope="session")
def runs(tmp_path_factory):
    """Where runs are kept that tests start from, {(flags, with pictures): (folder, output)}."""
    return tmp_path_factory.mktemp("runs"), {}


@pytest.fixture
def trained(request, succeeds, runs, tmp_path):
    """Returns a function that leaves in `run_dir` what a program with these flags leaves there.

    The program runs once, for a test of `pictures` with them; later tests get copies. What it
    printed is `output` of the function.
    """
    pictures = request.node.get_closest_marker("pictures") is not None

    def run(*command, run_dir="run"):
        folder, kept = runs
        found = kept.get((command, True)) or kept.get((command, pictures))
        if found is None:
            run.output = succeeds(*command, f"--run_dir={run_dir}")
            copy = shutil.copytree(tmp_path / run_dir, folder / str(len(kept)))
            kept[command, pictures] = copy, run.output
        else:
            shutil.copytree(found[0], tmp_path / run_dir)
            run.output = found[1]
        return tmp_path / run_dir

    return run


@pytest.fixture
def refused(program, tmp_path):
    """Returns a function that runs a program, checks that it fails well, and returns its line."""

    def run(name, *arguments):
        before = snapshot(tmp_path)
        status, out, err = program(name, *arguments)
        assert status == 2
        assert re.fullmatch(r"error: [^\n]+\n", err), err
        assert out == ""
        assert snapshot(tmp_path) == before
        return err

    return run
