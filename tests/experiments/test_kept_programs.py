"""What XLA compiled is kept for the next process, apart by what it was compiled for."""

import collections
import importlib.metadata
import os
import pathlib
import subprocess
import sys
import time

import pytest

from experiments import kept_programs
from experiments.kept_programs import compiled_folder

ROOT = pathlib.Path(__file__).parents[2]
# More than one step, so that updates and noise of a read program are looked at too.
TRAINING = """
import experiments

experiments.start()
import keras
import numpy as np
import tfp_vae as tv

keras.utils.set_random_seed(0)
vae = tv.VAE(
    prior=tv.priors.StandardNormal(2),
    encoder=tv.encoders.Gaussian(tv.networks.mlp([4]), 2),
    decoder=tv.decoders.Bernoulli(tv.networks.mlp([4]), (4, 4, 1)),
)
vae.compile(optimizer="adam", jit_compile=True)
train = np.random.default_rng(0).integers(0, 2, (32, 4, 4, 1)).astype(np.float32)
print(vae.fit(train, batch_size=16, epochs=2, verbose=0).history)
"""


Usage = collections.namedtuple("Usage", "total used free")


@pytest.fixture
def home(tmp_path, monkeypatch):
    """A home that nobody else can write to, with nothing said about what is kept."""
    for name in (kept_programs.VARIABLE, "XDG_CACHE_HOME", "TF_XLA_FLAGS"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    return tmp_path


@pytest.mark.all_only
@pytest.mark.slow
@pytest.mark.dear(reason="new processes: what is kept is kept for another one")
def test_a_second_process_reads_what_the_first_compiled_and_trains_alike(request, home):
    def train(**variables):
        command = [sys.executable, "-c", TRAINING]
        done = subprocess.run(
            command,
            env=os.environ | variables,
            cwd=ROOT,
            capture_output=True,
            text=True,
            check=True,
            timeout=600,
        )
        return done.stdout

    first = train()
    kept = {path: path.stat().st_mtime_ns for path in home.rglob("*.pb")}
    assert kept
    (folder,) = {path.parent for path in kept}
    assert folder.stat().st_mode & 0o777 == 0o700
    assert all(kept_programs.is_whole(path) for path in kept)
    assert train() == first
    assert {path: path.stat().st_mtime_ns for path in home.rglob("*.pb")} == kept
    # What would end a program is compiled again.
    largest = max(kept, key=lambda path: path.stat().st_size)
    for broken in (b"", largest.read_bytes()[:-100], bytes(5000)):
        largest.write_bytes(broken)
        assert train() == first
        assert kept_programs.is_whole(largest)
        if not request.config.getoption("whole"):
            break
    if request.config.getoption("whole"):
        assert train(TFP_VAE_XLA_CACHE="") == first


def test_without_a_word_what_is_compiled_stays_in_the_own_cache(home, monkeypatch):
    monkeypatch.setattr("sys.platform", "linux")
    usual = home / ".cache" / "tfp_vae" / "xla"
    before = os.umask(0o002)  # as where every user has a group
    try:
        assert kept_programs.flags()
    finally:
        os.umask(before)
    assert f'_directory="{compiled_folder(usual)}"' in kept_programs.flags()
    assert "_device_types=CPU" in kept_programs.flags()
    assert usual.stat().st_mode & 0o777 == 0o700
    monkeypatch.setattr("sys.platform", "darwin")
    assert str(home / "Library" / "Caches") in kept_programs.flags()
    monkeypatch.setenv("XDG_CACHE_HOME", str(home / "named"))
    assert f'"{home / "named"}/' in kept_programs.flags()
    monkeypatch.setenv("XDG_CACHE_HOME", "relative")
    assert f'"{home / "Library"}/' in kept_programs.flags()
    monkeypatch.setenv(kept_programs.VARIABLE, str(home / "my own"))
    assert f'"{compiled_folder(home / "my own")}"' in kept_programs.flags()
    monkeypatch.setenv(kept_programs.VARIABLE, "")
    assert kept_programs.flags() == ""


def test_nothing_is_kept_where_others_could_put_what_is_run(home, monkeypatch, capsys):
    folder = home / "shared"
    folder.mkdir()
    folder.chmod(0o777)
    monkeypatch.setenv(kept_programs.VARIABLE, str(folder))
    assert kept_programs.flags() == ""
    said = capsys.readouterr().err
    assert "nobody else can write to" in said and str(folder) in said and said.count("\n") == 1
    folder.chmod(0o755)
    assert kept_programs.flags()
    monkeypatch.setattr("os.geteuid", lambda: os.getuid() + 1)  # another's, and another's home
    assert kept_programs.flags() == ""
    assert "another's" in capsys.readouterr().err
    monkeypatch.delenv(kept_programs.VARIABLE)
    assert kept_programs.flags() == ""
    assert capsys.readouterr().err == ""
    assert not (home / ".cache").exists()


def test_a_folder_that_cannot_be_made_costs_a_line_and_no_run(home, monkeypatch, capsys):
    (home / "file").write_text("")
    monkeypatch.setenv(kept_programs.VARIABLE, str(home / "file"))
    assert kept_programs.flags() == ""
    assert capsys.readouterr().err.startswith(f"{kept_programs.VARIABLE}: ")
    monkeypatch.setenv(kept_programs.VARIABLE, str(home / "file" / "below"))
    assert kept_programs.flags() == ""
    assert "Received" in capsys.readouterr().err


def test_nothing_is_written_where_a_disk_is_nearly_full(home, monkeypatch):
    assert "read_only" not in kept_programs.flags()
    monkeypatch.setattr("shutil.disk_usage", lambda path: Usage(2**40, 2**40 - 2**29, 2**29))
    assert kept_programs.flags().endswith("_read_only=true")


def written(path, content, days=0.0):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    when = time.time() - 86400 * days
    os.utime(path, (when, when))
    return path


def field(length):
    """Returns the third field of a program, its executable."""
    return b"\x1a" + bytes([length % 128 + 128, length // 128]) + bytes(length)


def test_broken_old_and_too_many_programs_make_room(home, monkeypatch):
    def kept(name, content, days=0.0):
        folder = compiled_folder(home / "xla")
        return written(folder / f"xla_compile_cache__{name}", content, days)

    whole = kept("whole.pb", field(300))
    two = kept("two.pb", b"\x0a\x02ab" + field(1000))
    broken = [
        kept("empty.pb", b""),
        kept("cut.pb", field(300)[:-1]),
        kept("more.pb", field(300) + b"\x1a"),
        kept("zeros.pb", bytes(300)),
        kept("text.pb", b"What is this?"),
        kept("left.tmp", b"", days=2),
    ]
    old = kept("old.pb", field(300), days=31)
    growing = kept("growing.tmp", b"\x1a")
    kept_programs.tidy(home / "xla")
    assert [path for path in (whole, two, growing) if not path.exists()] == []
    assert [path.name for path in (*broken, old) if path.exists()] == []
    earlier = [kept(f"{day}.pb", field(300), days=day) for day in (1, 2, 3)]
    monkeypatch.setattr(kept_programs, "BYTES", 2000)
    kept_programs.tidy(home / "xla")
    assert [path.exists() for path in (whole, two, *earlier)] == [True, True, True, True, False]


def test_what_else_lies_in_a_folder_that_was_named_stays(home, monkeypatch):
    theirs = [
        written(home / "thesis" / "chapter.tex", b"Long ago", days=400),
        written(home / "0123456789abcdef" / "weights.pb", b"Not ours", days=400),
        written(home / "other" / "xla_compile_cache__1__2__XLA_CPU_JIT.pb", b"", days=400),
        written(home / "xla_compile_cache__1__2__XLA_CPU_JIT.pb", b"", days=400),
    ]
    ours = written(compiled_folder(home) / "xla_compile_cache__1__2__XLA_CPU_JIT.pb", b"")
    monkeypatch.setenv(kept_programs.VARIABLE, str(home))
    assert kept_programs.flags()
    assert [path.name for path in theirs if not path.exists()] == []
    assert not ours.exists()


def test_a_home_or_a_tensorflow_that_cannot_be_asked_costs_the_cache_alone(home, monkeypatch):
    def lost(*_):
        raise PermissionError(13, "Permission denied")

    def unknown(name):
        raise importlib.metadata.PackageNotFoundError(name)

    with monkeypatch.context() as patch:
        patch.setattr("importlib.metadata.version", unknown)  # as tensorflow-cpu is named
        assert kept_programs.flags() == ""
    monkeypatch.setattr("pathlib.Path.is_dir", lost)
    assert kept_programs.flags() == ""


def test_what_was_compiled_otherwise_lies_elsewhere(tmp_path, monkeypatch):
    monkeypatch.setenv("XLA_FLAGS", "")
    usual = compiled_folder(tmp_path)
    assert usual.parent == tmp_path
    assert compiled_folder(tmp_path) == usual
    found = {usual}
    monkeypatch.setenv("XLA_FLAGS", "--xla_cpu_enable_fast_math=true")
    found.add(compiled_folder(tmp_path))
    monkeypatch.setattr("importlib.metadata.version", lambda name: "0.0")
    found.add(compiled_folder(tmp_path))
    monkeypatch.setattr("platform.machine", lambda: "another")
    found.add(compiled_folder(tmp_path))
    assert len(found) == 4
