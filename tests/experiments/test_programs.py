"""The programs run end to end, leave what they promise, and repeat."""

import csv
import json
import pathlib

import numpy as np
import pytest

import tfp_vae as tv

PRESETS = pathlib.Path(__file__).parents[2] / "experiments" / "flags"
# The program of a preset, by the first word of its name; of all others, train_vae.
PROGRAMS = {"latent": "latent_sizes", "bnn": "train_bnn", "ensemble": "train_bnn"}
TINY = ("--hidden=8", "--latent_dim=2", "--epochs=2", "--num_importance_samples=20", "--jit=false")
USUAL = ("train_vae", "--seed=5", *TINY)  # the run that most tests look at
PROMISED = {
    "dataset",
    "seed",
    "num_parameters",
    "train_seconds",
    "examples_per_second",
    "test_elbo",
    "test_elbo_se",
    "test_log_likelihood",
    "test_log_likelihood_se",
    "num_importance_samples",
    "active_units",
    "versions",
}
PICTURES = {
    "training_curve.png",
    "latent_scatter.png",
    "reconstructions.png",
    "prior_samples.png",
    "manifold.png",
}


def _metrics(folder):
    return json.loads((folder / "metrics.json").read_text())


@pytest.mark.pictures
@pytest.mark.always(reason="a program that people run, from its flags to its files")
def test_train_vae_leaves_what_it_promises(trained):
    run = trained(*USUAL)
    assert {p.name for p in run.iterdir()} - {".lock"} == PICTURES | {
        "flags.txt",
        "history.csv",
        "metrics.json",
        "model.keras",
    }
    metrics = _metrics(run)
    assert metrics.keys() >= PROMISED
    assert (metrics["dataset"], metrics["kind"], metrics["epochs"]) == ("digits", "dynamic", 2)
    assert metrics["test_bits_per_dim"] > 0
    assert metrics["digests"].keys() == {"train", "validation", "test"}
    assert metrics["test_elbo"] < metrics["test_log_likelihood"] < 0
    assert metrics["examples_per_second"] == pytest.approx(2 * 1294 / metrics["train_seconds"])
    rows = list(csv.DictReader((run / "history.csv").read_text().splitlines()))
    assert [row["epoch"] for row in rows] == ["0", "1"]
    assert float(rows[1]["elbo"]) > float(rows[0]["elbo"])
    chosen = "p(x|z): bernoulli, of values of kind dynamic, each drawn 0 or 1 with its intensity"
    assert chosen in trained.output  # by the data: no flag says it
    assert "epoch 2/2" in trained.output
    assert f"results: {run}" in trained.output


@pytest.mark.all_only
def test_flags_of_a_run_replay_it(succeeds, trained, tmp_path):
    trained(*USUAL, run_dir="first")
    succeeds("train_vae", "--flagfile=first/flags.txt", "--run_dir=second")
    first, second = (_metrics(tmp_path / name) for name in ("first", "second"))
    for timed in ("train_seconds", "examples_per_second"):
        del first[timed], second[timed]
    assert first == second
    curves = [(tmp_path / name / "history.csv").read_text() for name in ("first", "second")]
    assert curves[0] == curves[1]


@pytest.mark.all_only
def test_another_seed_gives_other_numbers_on_the_same_test_images(succeeds, trained, tmp_path):
    first = _metrics(trained(*USUAL, run_dir="first"))
    succeeds("train_vae", "--flagfile=first/flags.txt", "--seed=2", "--run_dir=second")
    second = _metrics(tmp_path / "second")
    assert first["test_elbo"] != second["test_elbo"]
    assert first["digests"] == second["digests"]


# Likelihood, kind of its data, whether it has bits: each is trained with some of the options.
DYNAMIC = ("bernoulli", "dynamic", True)
CONTINUOUS = ("continuous_bernoulli", "unit_interval", False)
NORMAL = ("normal", "unit_interval", False)
LOGISTIC = ("discretized_logistic", "eight_bit", True)


@pytest.mark.all_only
@pytest.mark.parametrize(
    ("likelihood", "options"),
    [
        (
            CONTINUOUS,
            "--latent_prior=flow --posterior=full --warm_up=linear --warm_up_epochs=1",
        ),
        (
            NORMAL,
            "--latent_prior=vamp --prior_components=3 --precision=mixed_bfloat16 --hidden=8,8 "
            "--schedule=constant",
        ),
        (LOGISTIC, "--network=conv --filters=4 --posterior=full --capacity=3 --beta=10"),
        (DYNAMIC, "--bound=iwae --num_samples=3 --patience=1 --tensorboard --activation=tanh"),
        *(
            pytest.param(each, f"--network={network} --posterior=full", marks=pytest.mark.all_only)
            for each in (DYNAMIC, CONTINUOUS, NORMAL, LOGISTIC)
            for network in ("mlp", "conv --filters=4")
        ),
    ],
    ids=lambda value: value[0] if isinstance(value, tuple) else value.split(" --")[-1],
)
def test_likelihoods_networks_objectives_and_options_of_training_work(
    succeeds, tmp_path, likelihood, options
):
    (name, kind, has_bits), chosen = likelihood, options.split()
    succeeds("train_vae", "--run_dir=run", f"--likelihood={name}", *TINY, "--epochs=1", *chosen)
    run = tmp_path / "run"
    metrics = _metrics(run)
    assert metrics["kind"] == kind
    assert np.isfinite(metrics["test_elbo"])
    assert ("test_bits_per_dim" in metrics) == has_bits
    assert (run / "tensorboard").exists() == ("--tensorboard" in chosen)
    if "--bound=iwae" in chosen:
        (row,) = csv.DictReader((run / "history.csv").read_text().splitlines())
        assert float(row["iwae"]) > float(row["elbo"])


@pytest.mark.all_only
def test_a_training_that_finishes_says_both_bounds_and_both_estimators(succeeds, tmp_path):
    out = succeeds("train_vae", "--run_dir=run", *TINY, "--bound=elbo", "--gradient=dreg",
                   "--finish=iwae:3", "--finish_epochs=1",
                   "--encoder_first=2", "--encoder_first_epochs=1")  # fmt: skip
    found = _metrics(tmp_path / "run")
    assert {key: found[key] for key in ("bound", "gradient", "finish", "finish_gradient")} == {
        "bound": "elbo", "gradient": "dreg", "finish": "iwae:3", "finish_gradient": "dreg",
    }  # fmt: skip
    assert found["bound_samples"] == 3
    assert (found["encoder_first"], found["encoder_first_epochs"]) == (2, 1)
    assert found["test_elbo"] < found["test_iwae"] < found["test_log_likelihood"] + 1
    last = next(line for line in out.splitlines() if line.startswith("epoch 2/2"))
    assert "  iwae -" in last and "  val_iwae -" in last


@pytest.mark.all_only
def test_vectors_from_an_npz_train_as_well_as_images_and_are_generated_as_numbers(
    succeeds, tmp_path
):
    rng = np.random.default_rng(0)
    np.savez("table.npz", x=rng.normal(size=(60, 6)), y=rng.integers(0, 3, 60))
    options = ("--warm_up=cyclical", "--free_bits=0.1", "--schedule=step", "--batch_size=16")
    succeeds("train_vae", "--dataset=table.npz", "--kind=real", "--likelihood=normal",
             "--run_dir=run", *TINY, *options)  # fmt: skip
    run = tmp_path / "run"
    assert _metrics(run)["kind"] == "real"
    assert not (run / "reconstructions.png").exists()
    succeeds("generate", "--run_dir=run", "--num_images=3")
    assert not (run / "generated.png").exists()
    with np.load(run / "generated.npz") as arrays:
        assert arrays["mean"].shape == (3, 6)


def test_evaluate_agrees_with_training_and_knows_the_data(succeeds, trained, tmp_path):
    trained(*USUAL)
    succeeds("evaluate", "--run_dir=run", "--num_importance_samples=20")
    trained = _metrics(tmp_path / "run")
    evaluated = json.loads((tmp_path / "run" / "evaluation.json").read_text())
    assert evaluated["test_log_likelihood"] == pytest.approx(
        trained["test_log_likelihood"], abs=1e-5
    )
    assert evaluated["digest"] == trained["digests"]["test"]
    out = succeeds("evaluate", "--run_dir=run", "--num_importance_samples=20", "--split=validation")
    assert "validation_elbo" in out


def test_diagnose_says_what_the_latents_carry(succeeds, trained, tmp_path):
    trained(*USUAL)
    out = succeeds("diagnose", "--run_dir=run", "--num_samples=2", "--language=zh",
                   "--num_gap_examples=0")  # fmt: skip
    run = tmp_path / "run"
    assert "互信息" in out and (run / "diagnosis.txt").read_text(encoding="utf-8") in out
    found = json.loads((run / "diagnosis.json").read_text())
    assert found["num_examples"] == _metrics(run)["num_train"] and (run / "diagnosis.png").exists()


@pytest.mark.all_only
def test_gradients_measures_the_estimators_of_a_run_and_of_exact_models(
    succeeds, trained, tmp_path
):
    trained(*USUAL)
    few = ("--draws=1", "--num_repeats=2", "--num_examples=2")
    out = succeeds("gradients", "--run_dir=run", *few)
    run = tmp_path / "run"
    rows = json.loads((run / "gradients.json").read_text())["rows"]
    found = {(row["problem"], row["gradient"]): row for row in rows}
    assert {name for problem, name in found if problem == "run"} == {"path", "dreg", "score", "stl"}
    assert found["linear_normal", "dreg"]["encoder_bias"] < 4.5
    assert "snr: length of the gradient" in out and (run / "gradients.png").exists()


@pytest.mark.always(reason="a program that people run, from its flags to its files")
def test_explore_writes_embeddings_that_trace_back_to_rows_and_classes(succeeds, trained, tmp_path):
    trained(*USUAL)
    out = succeeds("explore", "--run_dir=run", "--count=3")
    run = tmp_path / "run"
    found = json.loads((run / "explore.json").read_text())
    assert "linear_accuracy" in out and found["table"]["linear_accuracy"] > 0
    split = tv.data.load("digits").test
    with np.load(run / "embeddings.npz") as arrays:
        np.testing.assert_array_equal(arrays["row"], np.arange(len(split)))
        np.testing.assert_array_equal(arrays["label"], split.labels)
        loc = arrays["loc"]
    vae = tv.load(run / "model.keras")
    np.testing.assert_allclose(loc, tv.evaluation.posterior_means(vae, split), atol=1e-5)
    header, *rows = (run / "embeddings.csv").read_text().splitlines()
    assert header.startswith("row,split,label,z0") and len(rows) == len(split)
    drawn = "traversals interpolations neighbours map attributes denoising strokes"
    for name in drawn.split():
        assert (run / f"{name}.png").exists(), name
    assert {*found["denoising"]["0.8"]} == {"noisy", "median", "wiener", "encoded", "fitted"}
    assert len(found["strokes"]["width"]) == 3


def test_explore_refuses_noise_out_of_range_before_work(refused):
    for noise in ("0", "1.5", "nan"):
        assert "Expected it in (0, 1]" in refused("explore", "--run_dir=run", f"--noise={noise}")
    assert "four folders" in refused("explore", "--run_dir=run", "--beside=one")


@pytest.mark.all_only
def test_a_bound_with_a_penalty_and_its_flags_are_trained_from_the_command_line(succeeds, tmp_path):
    flags = ("--bound=beta_tc", "--beta=4", "--beta_tc_estimate=mws", "--run_dir=run")
    succeeds(USUAL[0], *USUAL[1:], *flags)
    objective = tv.load(tmp_path / "run" / "model.keras").objective
    assert (type(objective).__name__, objective.beta, objective.estimate) == ("BetaTC", 4.0, "mws")


def test_generate_draws_by_seed(succeeds, trained, tmp_path):
    trained(*USUAL)
    drawn = []
    for seed in (1, 1, 2):
        succeeds("generate", "--run_dir=run", "--num_images=7", f"--seed={seed}")
        with np.load(tmp_path / "run" / "generated.npz") as arrays:
            drawn.append(arrays["sample"])
        assert (tmp_path / "run" / "generated.png").exists()
    assert drawn[0].shape == (7, 8, 8, 1)
    np.testing.assert_array_equal(drawn[0], drawn[1])
    assert np.any(drawn[0] != drawn[2])


@pytest.mark.all_only
@pytest.mark.pictures
def test_latent_sizes_draws_a_curve_per_size(succeeds, tmp_path):
    arguments = [option for option in TINY if "latent" not in option and "importance" not in option]
    succeeds("latent_sizes", "--latent_dims=1,3", "--run_dir=run", *arguments)
    results = _metrics(tmp_path / "run")["latent_dims"]
    assert results.keys() == {"1", "3"}
    for result in results.values():
        assert result["examples_seen"] == [1294, 2 * 1294]
        assert len(result["test_elbo_curve"]) == 2
    assert (tmp_path / "run" / "latent_sizes.png").exists()


@pytest.mark.parametrize("name", sorted(p.name for p in PRESETS.iterdir()))
def test_presets_name_flags_that_exist(program, monkeypatch, name):
    monkeypatch.chdir(PRESETS.parents[1])
    which = PROGRAMS.get(name.removesuffix(".flags").split("_")[0], "train_vae")
    for flag in (f"--flagfile=experiments/flags/{name}", f"--preset={name[:-6]}"):
        _, _, err = program(which, flag, "--run_dir=/dev/null/x")
        assert "flag" not in err
        assert "/dev/null/x" in err


@pytest.mark.all_only
def test_a_dozen_images_are_enough_and_a_run_overwritten_leaves_only_other_files(
    succeeds, trained, tmp_path
):
    trained(*USUAL)
    run = tmp_path / "run"
    assert (run / "manifold.png").exists()
    for name in ("evaluation.json", "notes.txt"):
        (run / name).write_text("mine")
    np.savez("few.npz", x=np.random.default_rng(0).integers(0, 256, (12, 4, 4)).astype(np.uint8))
    succeeds("train_vae", "--dataset=few.npz", "--run_dir=run", "--overwrite", "--batch_size=4",
             *TINY, "--latent_dim=3")  # fmt: skip
    assert _metrics(run)["test_elbo_se"] is None
    names = {path.name for path in run.iterdir()}
    assert "notes.txt" in names
    assert not names & {"manifold.png", "evaluation.json"}


@pytest.mark.pictures
def test_runs_are_drawn_against_their_time_and_what_cannot_be_is_refused(program, tmp_path):
    for name, prior in (("a", "standard"), ("b", "flow")):
        folder = tmp_path / "found" / name
        folder.mkdir(parents=True)
        (folder / "flags.txt").write_text(f"# tfp-vae train-vae\n--latent_prior={prior}\n")
        (folder / "metrics.json").write_text('{"test_elbo": -3.0, "train_seconds": 60}')
        (folder / "history.csv").write_text("epoch,val_elbo\n0,-9\n1,-3\n")
    status, out, err = program("runs", "--run_dir=found", "--picture=pace.png")
    assert status == 0, err
    assert f"2 runs in the picture: {(tmp_path / 'pace.png').resolve()}" in out
    assert (tmp_path / "pace.png").read_bytes().startswith(b"\x89PNG")
    status, _, err = program("runs", "--run_dir=found", "--picture=pace.jpg")
    assert status == 2 and "Expected a name as pace.png" in err
    (tmp_path / "found" / "a" / "history.csv").unlink()
    (tmp_path / "found" / "b" / "history.csv").write_text("epoch,loss\n0,1\n")
    status, out, err = program("runs", "--run_dir=found", "--picture=other.png")
    assert status == 2 and "val_elbo" in err and not out and not (tmp_path / "other.png").exists()
