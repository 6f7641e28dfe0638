"""Programs given bad input: one line that starts with "error: ", status not 0, nothing touched."""

import json
import os
import pathlib
import re
import subprocess
import sys
import types
import warnings

import h5py
import keras
import numpy as np
import pytest
import tensorflow as tf
from absl.testing import flagsaver
from PIL import Image

import tfp_vae as tv
from experiments import cli, trained_runs

TINY = ("--hidden=4", "--latent_dim=2", "--epochs=1", "--jit=false")
OLD = b"the old file"


@pytest.fixture
def model_folder(make_vae, tmp_path):
    """Returns a run folder with a model of the digits, and an older evaluation."""
    folder = tmp_path / "run"
    folder.mkdir()
    vae = make_vae((8, 8, 1), hidden=(4,), data_kind="dynamic")
    vae.save(folder / "model.keras")
    (folder / "evaluation.json").write_bytes(OLD)
    return folder


def save_images(folder, count=12, suffix=".png"):
    folder.mkdir()
    rng = np.random.default_rng(0)
    for number in range(count):
        noise = rng.integers(0, 256, (16, 16), np.uint8)
        Image.fromarray(noise).save(folder / f"{number:02d}{suffix}")


# Data.


@pytest.mark.parametrize("kind", ["eight_bit", "unit_interval"])
def test_grey_pixels_into_a_bernoulli_are_refused_with_three_ways_out(refused, kind):
    line = refused("train_vae", f"--kind={kind}", "--likelihood=bernoulli", *TINY)
    assert f"Received kind '{kind}'" in line
    assert re.search(r"\(1\) .*binarise.*\(2\) .*\(3\) ", line)


@pytest.mark.parametrize("likelihood", ["bernoulli", "continuous_bernoulli", "normal"])
def test_nan_pixels_are_refused_naming_file_and_index(refused, likelihood):
    values = np.full((20, 4, 4), 0.5)
    values[7, 1, 2] = np.nan
    np.savez("holes.npz", x=values)
    line = refused("train_vae", "--dataset=holes.npz", f"--likelihood={likelihood}", *TINY)
    assert "holes.npz" in line and "Received nan at index (7, 1, 2)" in line


def test_values_out_of_range_are_refused(refused):
    np.savez("wide.npz", x=np.linspace(-1, 1, 80).reshape(20, 4))
    assert "out of range" in refused(
        "train_vae", "--dataset=wide.npz", "--batch_size=8", "--likelihood=bernoulli", *TINY
    )


def test_an_empty_folder_is_refused_by_name(refused, tmp_path):
    (tmp_path / "photos").mkdir()
    assert "photos holds no images" in refused("train_vae", "--dataset=photos", *TINY)


@pytest.mark.parametrize("suffix", [".png", ".jpg"])
def test_a_truncated_image_is_refused_by_name(refused, tmp_path, suffix):
    save_images(tmp_path / "photos", suffix=suffix)
    file = tmp_path / "photos" / f"05{suffix}"
    file.write_bytes(file.read_bytes()[:100])
    assert f"05{suffix} could not be read" in refused("train_vae", "--dataset=photos", *TINY)


@pytest.mark.parametrize("dataset", ["mnits", "nowhere.npz"])
def test_an_unknown_data_set_is_refused(refused, dataset):
    assert dataset in refused("train_vae", f"--dataset={dataset}", *TINY)


def test_a_data_set_missing_from_data_dir_is_refused(refused, tmp_path):
    (tmp_path / "prepared").mkdir()
    line = refused("train_vae", "--dataset=mnist", "--data_dir=prepared", *TINY)
    assert "'mnist'" in line and "prepared" in line


def test_a_batch_larger_than_the_data_is_refused(refused):
    line = refused("train_vae", "--batch_size=1295", *TINY)
    assert "Expected 1 to 1294" in line and "Received 1295" in line


# Flags.


@pytest.mark.parametrize(
    ("argument", "words"),
    [
        ("--latent_dim=0", "latent_dim"),
        ("--latent_dim=two", "latent_dim"),
        ("--epochs=0", "epochs"),
        ("--batch_size=0", "batch_size"),
        ("--seed=-1", "seed"),
        ("--likelihood=foo", "bernoulli|continuous_bernoulli"),
        ("--kind=grayish", "threshold"),
        ("--posterior=foo", "posterior"),
        ("--latent_prior=uniform", "as box"),
        ("--latent_prior=von_mises_fisher", "would be infinite"),
        ("--latent_prior=mixture --prior_components=0", "prior_components"),
        ("--latent_prior=flow --latent_dim=1", "latent_dim >= 2"),
        ("--latent_prior=vamp --prior_components=1295", "components <= 1294"),
        ("--prior_components=9", "--latent_prior=mixture or vamp only"),
        ("--no_such_flag=1", "no_such_flag"),
        ("--latent_dims=3", "latent_dim"),
        ("--flagfile=nowhere.flags", "nowhere.flags"),
        ("digits", "Received ['digits']"),
        ("--hidden=0", "Received (0,)"),
        ("--hidden=wide", "hidden"),
        ("--likelihood=normal --scale=0", "Received 0.0"),
        ("--likelihood=normal --scale=big", "scale"),
        ("--network=conv --hidden=", "hidden"),
        ("--network=conv --filters=", "filters"),
        ("--bound=iwae --num_samples=0", "num_samples"),
        ("--bound=renyi --renyi_alpha=inf", "Expected a finite alpha"),
        ("--bound=ciwae --ciwae_share=1.5", "ciwae_share"),
        ("--bound=iwae --beta=2", "--beta has no effect"),
        ("--bound=iwae --ciwae_share=0.3", "--ciwae_share has no effect"),
        ("--bound=piwae --gradient=vimco --num_samples=2", "Expected one of path, stl, dreg"),
        ("--bound=iwae --gradient=vimco", "Expected num_samples >= 2. Received 1"),
        ("--bound=miwae --miwae_groups=3 --num_samples=4", "multiple of groups=3"),
        ("--model=bernoulli --gradient=dreg", "Expected draws that are reparameterised"),
        ("--finish=iwae:50", "Expected --finish_epochs of 1 to --epochs=100. Received None"),
        ("--finish=iwae:50 --finish_epochs=4 --epochs=3", "1 to --epochs=3. Received 4"),
        ("--finish=iwae --finish_epochs=1", "Expected BOUND:K or BOUND:K:GRADIENT"),
        ("--finish=iwea:5 --finish_epochs=1", "Did you mean iwae"),
        ("--finish=iwae:5 --finish_epochs=1 --patience=3", "--patience=0 takes that of a preset"),
        ("--finish=iwae:1:vimco --finish_epochs=1", "Expected num_samples >= 2. Received 1"),
        ("--finish_epochs=1", "--finish_epochs has no effect"),
        ("--encoder_first=2", "--encoder_first_epochs of 1 to --epochs=100. Received None"),
        ("--encoder_first_epochs=2", "--encoder_first_epochs has no effect"),
    ],
)
def test_an_impossible_flag_is_refused(refused, argument, words):
    assert words in refused("train_vae", *argument.split())


# Run folders.


def test_a_run_folder_with_files_is_refused_without_overwrite(refused, tmp_path):
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "model.keras").write_bytes(OLD)
    line = refused("train_vae", "--run_dir=run", *TINY)
    assert "not empty" in line and "--overwrite" in line


def test_overwrite_touches_no_file_before_the_input_is_known_to_be_good(refused, tmp_path):
    (tmp_path / "run").mkdir()
    for name in ("flags.txt", "model.keras", "metrics.json", "history.csv"):
        (tmp_path / "run" / name).write_bytes(OLD)
    refused(
        "train_vae",
        "--run_dir=run",
        "--overwrite",
        "--kind=eight_bit",
        "--likelihood=bernoulli",
        *TINY,
    )


@pytest.mark.parametrize("name", ["train_vae", "evaluate", "generate"])
def test_a_file_is_refused_as_run_folder(refused, tmp_path, name):
    (tmp_path / "run").write_bytes(OLD)
    assert "run is not a folder" in refused(name, "--run_dir=run")


@pytest.mark.parametrize("name", ["train_vae", "evaluate", "generate"])
def test_a_run_folder_that_cannot_be_written_is_refused(refused, tmp_path, name):
    (tmp_path / "file").write_bytes(OLD)  # no folder can be made below a file, not even by root
    assert "cannot be written" in refused(name, "--run_dir=file/runs/first")


@pytest.mark.skipif(not os.path.isdir("/proc/self"), reason="needs /proc, which nobody can write")
def test_a_run_folder_on_a_read_only_file_system_is_refused(refused):
    assert "cannot be written" in refused("train_vae", "--run_dir=/proc/runs/first")


def test_missing_tensorboard_is_found_before_the_run_folder_is_made(refused, monkeypatch):
    monkeypatch.setitem(sys.modules, "tensorboard", None)
    assert "pip install" in refused("train_vae", "--tensorboard", *TINY)


# Models.


@pytest.mark.parametrize("name", ["diagnose", "evaluate", "explore", "generate"])
def test_a_run_folder_without_a_model_is_refused(refused, tmp_path, name):
    (tmp_path / "run").mkdir()
    assert "no model at run/model.keras" in refused(name, "--run_dir=run")


def _network():
    network = tv.BayesianNetwork(
        keras.Sequential([keras.layers.Flatten(), tv.layers.DenseFlipout(10)]),
        tv.likelihoods.Categorical(10),
        num_data=10,
        data_kind="dynamic",
    )
    network(np.zeros((1, 8, 8, 1), np.float32))
    return network


@pytest.mark.parametrize("name", ["diagnose", "explore", "generate", "gradients"])
def test_a_program_of_a_vae_refuses_the_run_of_a_network(refused, model_folder, name):
    _network().save(model_folder / "model.keras")
    dataset = [] if name == "generate" else ["--dataset=digits"]
    line = refused(name, "--run_dir=run", *dataset)
    assert "those of a VAE" in line and "Received a BayesianNetwork" in line


def test_a_prior_after_training_is_refused_of_a_model_without_an_encoder(refused, model_folder):
    _network().save(model_folder / "model.keras")
    line = refused("evaluate", "--run_dir=run", "--dataset=digits", "--fit_prior=mixture")
    assert "--fit_prior has no effect" in line and "the run of a VAE" in line


@pytest.mark.parametrize("share", [0.0, 0.5, 0.99])
@pytest.mark.parametrize("name", ["evaluate", "generate"])
def test_a_truncated_model_is_refused(refused, model_folder, name, share):
    content = (model_folder / "model.keras").read_bytes()
    (model_folder / "model.keras").write_bytes(content[: int(share * len(content))])
    assert "model.keras is truncated" in refused(name, "--run_dir=run")


def test_a_model_with_a_flipped_bit_is_refused(refused, model_folder):
    content = bytearray((model_folder / "model.keras").read_bytes())
    content[len(content) // 2] ^= 1
    (model_folder / "model.keras").write_bytes(content)
    assert "model.keras is damaged" in refused("evaluate", "--run_dir=run")


def test_a_model_that_is_not_ours_is_refused(refused, model_folder):
    other = keras.Sequential([keras.Input((64,)), keras.layers.Dense(1)])
    other.save(model_folder / "model.keras")
    assert "not one of our models" in refused("evaluate", "--run_dir=run")


def test_a_legacy_h5_file_is_refused_under_any_name(refused, model_folder):
    with h5py.File(model_folder / "model.h5", "w") as file:
        file.attrs["model_config"] = "{}"
    with pytest.raises(ValueError, match=r"HDF5.*Expected.*Received a \.h5 file"):
        tv.load(model_folder / "model.h5")
    (model_folder / "model.h5").rename(model_folder / "model.keras")
    assert "legacy HDF5 format" in refused("evaluate", "--run_dir=run")


def test_a_model_is_not_evaluated_on_data_of_another_shape(refused, model_folder):
    np.savez("small.npz", x=np.eye(25, dtype=np.uint8).reshape(25, 5, 5))
    line = refused("evaluate", "--run_dir=run", "--dataset=small.npz")
    assert "Expected (8, 8, 1)" in line and "Received (5, 5, 1)" in line


def test_a_model_is_not_evaluated_on_data_of_another_kind(refused, model_folder):
    np.savez("real.npz", x=np.full((25, 8, 8), -1.0))
    assert "out of range" in refused("evaluate", "--run_dir=run", "--dataset=real.npz")


def test_a_good_model_is_not_refused(program, model_folder):
    status, out, err = program("generate", "--run_dir=run", "--num_images=4")
    assert (status, err) == (0, "")
    assert "results: " in out and (model_folder / "generated.npz").is_file()


# What all programs share.


@pytest.mark.parametrize(
    "error", [ValueError, OSError, FileExistsError, ImportError, RuntimeError, MemoryError]
)
def test_an_expected_error_is_one_line_whatever_its_message(in_process, error):
    def main():
        raise error("two\n  lines")

    assert in_process(lambda: cli.run(main)) == (2, "", "error: two lines\n")


def test_an_error_of_tensorflow_is_the_line_that_says_what_is_wrong(in_process):
    @tf.function
    def fails(x):
        return tf.reshape(x, [-1, tf.shape(x)[0] + 1])

    status, out, err = in_process(lambda: cli.run(lambda: fails(tf.zeros([3]))))
    assert (status, out) == (2, "") and re.fullmatch(r"error: [^\n]*reshape[^\n]*\n", err), err


@pytest.mark.parametrize("error", [NotImplementedError, KeyError, RecursionError])
def test_an_error_of_the_program_itself_keeps_its_traceback(monkeypatch, error):
    monkeypatch.setattr(sys, "argv", ["program"])

    def main():
        raise error("a fault")

    with flagsaver.flagsaver(), pytest.raises(error):
        cli.run(main)


def test_an_interrupt_is_one_line_and_status_130(in_process):
    def main():
        raise KeyboardInterrupt

    assert in_process(lambda: cli.run(main)) == (130, "", "error: interrupted.\n")


@pytest.mark.parametrize("epochs", [[0, 1], []])
def test_an_interrupted_training_saves_its_last_whole_epoch_and_says_so(
    program, monkeypatch, epochs
):
    def fit(self, *_, **__):
        self.history = types.SimpleNamespace(epoch=epochs)
        raise KeyboardInterrupt

    monkeypatch.setattr(tv.VAE, "fit", fit)
    status, out, err = program("train_vae", "--run_dir=run", *TINY)
    assert (status, err) == (130, "error: interrupted.\n")
    saved = pathlib.Path("run/model.keras")
    assert saved.exists() == bool(epochs)
    assert out.endswith(f"saved {saved} of epoch 2\n") == bool(epochs)


def test_a_warning_is_one_line_and_no_failure(in_process):
    def main():
        warnings.simplefilter("always")
        warnings.warn("few samples", UserWarning, stacklevel=1)

    assert in_process(lambda: cli.run(main)) == (0, "", "warning: few samples\n")


@pytest.mark.parametrize("method", ["nothing", ["a"]], ids=["unknown", "list"])
def test_a_run_of_no_method_that_there_is_is_damaged(model_folder, method):
    (model_folder / "metrics.json").write_text(json.dumps({"method": method}))
    with pytest.raises(ValueError, match=r"metrics.json is damaged. Expected a method, one of vi"):
        trained_runs.model(tv.report.RunFolder(model_folder, overwrite=True))


@pytest.mark.parametrize(
    "flag", ["beta=nan", "learning_rate=nan", "learning_rate=inf", "free_bits=nan", "augment=nan"]
)
def test_what_is_no_finite_number_is_refused_before_the_data_are_read(flag, refused):
    name = flag.partition("=")[0]
    line = refused("train_vae", "--dataset=none", f"--{flag}")
    assert f"--{name} does not fit. Expected a finite number. Received --{flag}." in line


def test_the_note_of_an_interrupted_run_is_no_command(tmp_path, capsys):
    run = tv.report.RunFolder(tmp_path)
    trained_runs.tell_interrupted(run, {"interrupted": True, "epochs": "\x1b[2J"})
    assert capsys.readouterr().out.endswith("after epoch ?[2J\n")


def test_no_terminal_obeys_an_error_or_a_warning(in_process):
    def main():
        warnings.simplefilter("always")
        warnings.warn("a class \x1b[2J\u202e", UserWarning, stacklevel=1)
        raise ValueError("no file \x1b]0;mine\x07 here")

    expected = "warning: a class ?[2J?\nerror: no file ?]0;mine? here\n"
    assert in_process(lambda: cli.run(main)) == (2, "", expected)


def test_a_mistake_of_ours_keeps_its_traceback(monkeypatch):
    def main():
        raise TypeError("a bug")

    monkeypatch.setattr(sys, "argv", ["program"])
    with flagsaver.flagsaver(), pytest.raises(TypeError, match="a bug"):
        cli.run(main)


@pytest.mark.parametrize(
    ("argument", "words"),
    [
        pytest.param("--likelihood=foo", "--likelihood", id="a flag"),
        pytest.param(
            "--kind=eight_bit --likelihood=bernoulli",
            "(3)",
            id="the data",
            marks=pytest.mark.all_only,
        ),
    ],
)
def test_a_process_of_its_own_says_the_same(tmp_path, argument, words):
    done = subprocess.run(
        [sys.executable, "-m", "experiments.train_vae", *argument.split()],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(pathlib.Path(__file__).parents[2])},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 2
    assert re.fullmatch(r"error: [^\n]+\n", done.stderr) and words in done.stderr
    assert done.stdout == "" and not [*tmp_path.iterdir()]
