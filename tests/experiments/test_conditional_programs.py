"""train_vae with a condition: classes, few classes, quadrants; what it leaves and refuses."""

import json

import numpy as np
import pytest

TINY = (
    *("--hidden=8", "--latent_dim=2", "--epochs=1", "--num_importance_samples=5", "--jit=false"),
    "--batch_size=256",
)
CLASS_METRICS = {"test_accuracy", "test_nll", "test_brier", "test_ece"}
FILES = {"flags.txt", "history.csv", "metrics.json", "model.keras", "training_curve.png"}
CLASS_PICTURES = {"latent_scatter.png", "reconstructions.png", "class_samples.png"}
CONDITIONAL = ("--model=conditional", "--num_class_samples=3")


def _metrics(folder, name="metrics.json"):
    return json.loads((folder / name).read_text())


@pytest.mark.all_only
@pytest.mark.parametrize(
    "options",
    [
        pytest.param((), marks=pytest.mark.pictures),
        ("--class_prior", "--warm_up=linear", "--network=conv", "--filters=4", "--posterior=full"),
    ],
    ids=["mlp", "class_prior_conv"],
)
def test_a_class_as_condition_is_classified_too(trained, tmp_path, options):
    trained("train_vae", *CONDITIONAL, *TINY, *options)
    run = tmp_path / "run"
    assert {p.name for p in run.iterdir()} - {".lock"} == FILES | CLASS_PICTURES
    metrics = _metrics(run)
    assert CLASS_METRICS <= {*metrics} and metrics["num_class_samples"] == 3
    assert metrics["test_elbo"] < metrics["test_log_likelihood"] < 0


@pytest.mark.all_only
def test_a_run_with_classes_is_evaluated_and_generates(succeeds, trained, tmp_path):
    trained("train_vae", *CONDITIONAL, *TINY)
    run = tmp_path / "run"
    succeeds("evaluate", "--run_dir=run", "--num_importance_samples=5", "--num_class_samples=3")
    trained, again = _metrics(run), _metrics(run, "evaluation.json")
    for name in (*CLASS_METRICS - {"test_ece"}, "test_log_likelihood"):
        assert again[name] == pytest.approx(trained[name], abs=1e-4)
    succeeds("generate", "--run_dir=run", "--num_images=12")
    with np.load(run / "generated.npz") as arrays:
        np.testing.assert_array_equal(arrays["given"], np.arange(12) % 10)
    assert (run / "generated.png").exists()


@pytest.mark.all_only  # the models are tried in `tests/models/test_hierarchies.py`
def test_levels_are_trained_evaluated_and_drawn_from(succeeds, tmp_path):
    options = ("--model=hierarchical", "--level_dims=3,2", "--posterior=ladder")
    free = ("--free_bits=0.1", "--free_bits_per=level", "--warm_up=linear")
    succeeds("train_vae", "--run_dir=run", *options, *free, *TINY)
    run = tmp_path / "run"
    metrics = _metrics(run)
    assert metrics["model"] == "hierarchical" and metrics["active_units"] <= 5
    assert metrics["test_elbo"] < metrics["test_log_likelihood"] < 0
    half = ("--num_importance_samples=5", "--likelihood_precision=bfloat16")
    assert "precision_error_largest" in succeeds("evaluate", "--run_dir=run", *half)
    again = _metrics(run, "evaluation.json")
    assert again["likelihood_precision"] == "bfloat16"
    assert abs(again["precision_error"]) <= again["precision_error_largest"] < 1
    assert again["test_elbo"] == pytest.approx(metrics["test_elbo"], abs=1e-4)
    assert {"test_kl_z1", "test_kl_z2"} <= {*again} & {*metrics}
    succeeds("generate", "--run_dir=run", "--num_images=12")
    with np.load(run / "generated.npz") as arrays:
        assert arrays["mean"].shape == (12, 8, 8, 1)
        assert arrays["z2"].shape == (12, 3) and arrays["z1"].shape == (12, 2)


@pytest.mark.all_only
def test_m2_learns_from_few_labels_and_classifies_by_its_recognition(succeeds, tmp_path):
    options = ("--model=m2", "--labels=50", "--alpha=2", "--labelled_share=0.25")
    conv = ("--classifier=conv", "--filters=4", "--warm_up=linear")
    succeeds("train_vae", "--run_dir=run", *options, *conv, *TINY)
    run = tmp_path / "run"
    assert {p.name for p in run.iterdir()} - {".lock"} == FILES | CLASS_PICTURES
    metrics = _metrics(run)
    assert CLASS_METRICS <= {*metrics}
    assert (metrics["model"], metrics["num_labels"]) == ("m2", 50)
    succeeds("evaluate", "--run_dir=run", "--num_importance_samples=5")
    again = _metrics(run, "evaluation.json")
    assert again["test_nll"] == pytest.approx(metrics["test_nll"], abs=1e-5)


@pytest.mark.all_only
@pytest.mark.pictures
def test_quadrants_are_completed(succeeds, refused, tmp_path):
    succeeds("train_vae", "--run_dir=run", "--model=conditional", "--quadrants=3", *TINY)
    run = tmp_path / "run"
    names = {p.name for p in run.iterdir()} - {".lock"}
    assert names == FILES | {"latent_scatter.png", "completions.png"}
    metrics = _metrics(run)
    assert metrics["quadrants"] == 3 and not CLASS_METRICS & {*metrics}
    nats = metrics["test_bits_per_dim"] * 16 * np.log(2)  # of 16 unseen pixels
    assert nats == pytest.approx(-metrics["test_log_likelihood"])
    succeeds("evaluate", "--run_dir=run", "--num_importance_samples=5")
    again = _metrics(run, "evaluation.json")
    assert again["digest"] == metrics["digests"]["test"]
    assert again["test_log_likelihood"] == pytest.approx(metrics["test_log_likelihood"], abs=1e-4)
    assert "condition of 48 numbers" in refused("generate", "--run_dir=run")


@pytest.mark.all_only
def test_a_vector_of_targets_is_a_condition(succeeds, tmp_path):
    succeeds("train_vae", "--dataset=diabetes", "--kind=real", "--likelihood=normal",
             "--model=conditional", "--run_dir=run", *TINY, "--batch_size=64")  # fmt: skip
    assert np.isfinite(_metrics(tmp_path / "run")["test_log_likelihood"])


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ("--labels=100", "--labels has no effect"),
        ("--model=conditional --alpha=1", "--alpha has no effect"),
        ("--class_prior", "--class_prior has no effect"),
        ("--num_class_samples=7", "--num_class_samples has no effect"),
        ("--model=m2 --num_class_samples=7", "--num_class_samples has no effect"),
        ("--quadrants=1", "--quadrants has no effect"),
        ("--model=conditional --filters=3", "--filters has no effect"),
        ("--model=conditional --quadrants=4", "Received 4"),
        ("--model=conditional --quadrants=1 --class_prior", "--class_prior has no effect"),
        ("--model=conditional --quadrants=1 --network=conv", "Received shape (48,)"),
        ("--levels=3", "--levels has no effect"),
        ("--model=hierarchical --levels=3 --level_dims=2,3", "Expected level_dims of 3 sizes"),
        ("--free_bits_per=level", "--free_bits_per has no effect"),
        ("--clusters=3", "--clusters has no effect"),
        ("--model=vade", "a start of 30 epochs. Expected more"),
        ("--model=vade --latent_prior=flow", "--latent_prior has no effect"),
        ("--fit_prior_components=3", "--fit_prior_components has no effect"),
        ("--fit_prior=flow --posterior=residual", "would change q(z|x)"),
        ("--model=m2 --labels=5", "Received 5"),
        ("--model=m2 --labels=1295", "Received 1295"),
        ("--model=m2 --labels=100 --labelled_share=0", "Impossible labelled_share"),
        ("--model=m2 --classifier=conv --hidden=8,8", "Received [8, 8]"),
        ("--model=autoregressive", "conditional|m2"),
        ("--code_places=3", "--code_places has no effect"),
        ("--model=fsq --latent_dim=20 --code_levels=8,2", "three levels or more"),
        ("--model=fsq --latent_dim=20 --code_width=3", "--code_width has no effect"),
        ("--model=fsq --latent_dim=20 --posterior=full", "--posterior has no effect"),
        (
            "--model=vq --latent_dim=20 --code_count=2000 --batch_size=32",
            "more codes than a batch can start",
        ),
        ("--receptive_field=2", "--receptive_field has no effect"),
        ("--model=aae --posterior=full", "--posterior has no effect"),
        ("--noise=0.1", "Expected it with --model=autoencoder"),
        ("--model=autoencoder --latent_prior=flow", "--latent_prior has no effect"),
        ("--model=vae_gan --bound=iwae", "--bound has no effect"),
    ],
)
def test_flags_that_do_not_go_together_are_refused(refused, options, words):
    assert words in refused("train_vae", "--run_dir=run", *TINY, *options.split())


def test_unknown_classes_of_test_data_are_told_before_training(refused, tmp_path):
    y = np.where(np.arange(60) % 2, np.arange(60) % 3, -1)
    np.savez("some.npz", x=np.random.default_rng(0).normal(size=(60, 6)), y=y)
    line = refused("train_vae", *TINY, "--dataset=some.npz", "--kind=real", "--model=m2",
                   "--likelihood=normal", "--batch_size=16", "--run_dir=run")  # fmt: skip
    assert "Expected a class for every test example" in line


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ("--model=m2", "Expected data with labels"),
        ("--model=conditional", "Expected data with labels or targets"),
        ("--model=conditional --quadrants=1", "Only images have quadrants"),
    ],
)
def test_data_without_what_the_model_needs_are_refused(refused, tmp_path, options, words):
    np.savez("plain.npz", x=np.random.default_rng(0).normal(size=(60, 6)))
    real = ("--dataset=plain.npz", "--kind=real", "--likelihood=normal", "--batch_size=16")
    assert words in refused("train_vae", *TINY, *real, *options.split())
