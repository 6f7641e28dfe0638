"""Programs that are interrupted, stopped, or run out of disk lose nothing that was saved."""

import contextlib
import json
import os
import shutil
import signal
import subprocess

import keras
import pytest

from experiments import running_flags
from tfp_vae import training

TINY = ("--hidden=4", "--epochs=2", "--jit=false", "--batch_size=256", "--checkpoint_every=2")
VAE = ("train_vae", "--latent_dim=2", "--num_importance_samples=5", *TINY)
BNN = ("train_bnn", "--num_predictive_samples=5", *TINY)


def results(folder):
    """Returns what a run found, without what it took."""
    found = json.loads((folder / "metrics.json").read_text())
    for timed in ("train_seconds", "examples_per_second", "num_checkpoints", "checkpoint_seconds"):
        del found[timed]
    for by_layer in ("posterior_scale", "signal_to_noise"):
        if by_layer in found:  # Keras numbers the names of layers on in the same process
            found[by_layer] = [*found[by_layer].values()]
    return found, (folder / "history.csv").read_text()


def crash():
    """Ends a program at once."""
    raise KeyboardInterrupt


@pytest.fixture
def breaks(monkeypatch):
    """Returns a function that lets something happen to a training after some checkpoints."""

    def set_up(saves, event=crash):
        save = training.Checkpoints._save

        def saving(self, *args, **kwargs):
            save(self, *args, **kwargs)
            if self.saves == saves:
                event()

        monkeypatch.setattr(training.Checkpoints, "_save", saving)
        return lambda: monkeypatch.setattr(training.Checkpoints, "_save", save)

    return set_up


def stop():
    """Asks a program to end."""
    os.kill(os.getpid(), signal.SIGTERM)


@pytest.fixture(scope="module")
def stopped(tmp_path_factory):
    """Where the folder of a VAE that was stopped is kept, for the tests that start from one."""
    return tmp_path_factory.mktemp("stopped") / "parts"


@pytest.fixture
def interrupted(program, breaks, stopped, tmp_path):
    """Returns a function that leaves a training of a VAE in `parts`, stopped by SIGTERM."""

    def run():
        if not stopped.exists():
            mend = breaks(1, stop)
            status, out, _ = program(*VAE, "--run_dir=parts")
            mend()
            assert status == 0
            assert "stopped by SIGTERM after step 4; everything is saved" in out
            shutil.copytree(tmp_path / "parts", stopped)
        else:
            shutil.copytree(stopped, tmp_path / "parts")

    return run


@pytest.mark.dear(reason="three runs of a program, from start to end")
@pytest.mark.filterwarnings("ignore:No temperature")
@pytest.mark.parametrize(
    "command",
    [pytest.param(VAE, id="vae"), pytest.param(BNN, id="bnn", marks=pytest.mark.all_only)],
)
def test_the_same_command_goes_on_and_ends_as_if_nothing_had_happened(
    command, succeeds, program, trained, interrupted, breaks, tmp_path
):
    trained(*command, run_dir="whole")
    if command is VAE:  # is asked to end, and says that it did
        interrupted()
    else:  # Ctrl-C
        mend = breaks(2)
        assert program(*command, "--run_dir=parts")[0] == 130
        mend()
    assert not (tmp_path / "parts" / "model.keras").exists()
    out = succeeds(*command, "--run_dir=parts")
    assert "going on after step 4 (epoch 1, batch 4)" in out
    (parts, rows), (whole, whole_rows) = results(tmp_path / "parts"), results(tmp_path / "whole")
    assert rows == whole_rows
    assert {name for name in whole if parts[name] != whole[name]} == set()
    models = [
        keras.saving.load_model(tmp_path / name / "model.keras") for name in ("parts", "whole")
    ]
    for one, other in zip(*(model.get_weights() for model in models), strict=True):
        assert one.tobytes() == other.tobytes()


def test_a_training_of_other_flags_is_refused_and_they_are_named(
    program, refused, interrupted, breaks
):
    interrupted()
    status, _, err = program(*VAE, "--run_dir=parts", "--learning_rate=0.01", "--seed=3")
    assert status == 2
    assert "Expected --learning_rate=0.001, --seed=0" in err
    assert "Received --learning_rate=0.01, --seed=3" in err
    plain = [flag for flag in VAE[1:] if "checkpoint" not in flag]
    assert "or --checkpoint_every to continue" in refused("train_vae", *plain, "--run_dir=parts")
    breaks(1)  # to have begun is enough
    options = ("--learning_rate=0.01", "--overwrite")
    status, out, _ = program(*VAE, "--run_dir=parts", *options)
    assert status == 130
    assert "going on" not in out


@pytest.mark.parametrize("value", ["0", "often", "-2s"])
def test_impossible_distances_are_refused(value, refused):
    line = refused("train_vae", f"--checkpoint_every={value}")
    assert f"Received {value!r}" in line


@contextlib.contextmanager
def small_disk(folder, *options):
    """A file system of its own in `folder`."""
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", ",".join(["size=700k", *options]), "tmpfs", str(folder)]
    try:
        done = subprocess.run(mount, capture_output=True, text=True)
    except FileNotFoundError:
        pytest.skip("skipped: needs mount")
    if done.returncode:
        pytest.skip(f"skipped: needs the right to mount a small disk ({done.stderr.strip()})")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=True)


@pytest.mark.all_only
def test_a_full_disk_costs_checkpoints_but_no_training(
    succeeds, program, trained, breaks, tmp_path
):
    trained(*VAE, run_dir="whole")
    with small_disk(tmp_path / "disk") as disk:

        def fill():
            with contextlib.suppress(OSError), open(disk / "other", "wb") as file:
                while True:
                    file.write(b"x" * 512)
                    file.flush()

        mend = breaks(2, fill)
        status, out, err = program(*VAE, "--run_dir=disk/run")
        assert "not written: [Errno 28] No space left on device. Training goes on" in out
        assert status == 2
        assert "No space left on device" in err
        mend()
        (disk / "other").unlink()
        out = succeeds(*VAE, "--run_dir=disk/run")
        assert "going on after step 4" in out
        assert results(disk / "run") == results(tmp_path / "whole")


@pytest.mark.all_only  # a full disk is as bad, above
def test_a_folder_that_became_read_only_keeps_what_was_saved(succeeds, program, breaks, tmp_path):
    with small_disk(tmp_path / "disk") as disk:

        def protect():
            subprocess.run(["mount", "-o", "remount,ro", str(disk)], check=True)

        mend = breaks(2, protect)
        status, _, err = program(*VAE, "--run_dir=disk/run")
        assert (status, "Read-only file system" in err) == (2, True)
        mend()
        status, _, err = program(*VAE, "--run_dir=disk/run")
        assert (status, "cannot be written" in err) == (2, True)
        subprocess.run(["mount", "-o", "remount,rw", str(disk)], check=True)
        assert "going on after step 4" in succeeds(*VAE, "--run_dir=disk/run")


@pytest.mark.parametrize(
    ("text", "plan"),
    [
        ("500", (500, None)),
        ("1 step", (1, None)),
        ("20 steps", (20, None)),
        ("30s", (None, 30.0)),
        ("0.5 seconds", (None, 0.5)),
    ],
)
def test_distances_between_checkpoints_are_steps_or_seconds(text, plan):
    assert running_flags.parse_every(text) == plan


@pytest.mark.parametrize("text", ["", "0", "-3", "1.5 steps", "two", "0s", "5 minutes"])
def test_other_distances_are_refused(text):
    with pytest.raises(ValueError, match=r"Expected steps .* or seconds .*Received"):
        running_flags.parse_every(text)
