"""train_bnn, uci, toys: end to end on small work, what they promise, and what they refuse."""

import json

import numpy as np
import pytest

import tfp_vae as tv
from tfp_vae import methods

TINY = ("--epochs=2", "--num_predictive_samples=3", "--jit=false")
NETWORK = ("--hidden=8", *TINY)


def _metrics(folder):
    return json.loads((folder / "metrics.json").read_text())


def _table(tmp_path, name="table.csv", target=lambda i: f"{i % 3}.5", rows=40):
    lines = ["a,b,target", *(f"{i},{(i * 7) % 11}.25,{target(i)}" for i in range(rows))]
    (tmp_path / name).write_text("\n".join(lines) + "\n")
    return name


@pytest.mark.all_only
@pytest.mark.pictures
@pytest.mark.parametrize(
    "estimator",
    [
        pytest.param(name, marks=() if name == "reparameterization" else pytest.mark.all_only)
        for name in methods.ESTIMATORS
    ],
)
def test_train_bnn_leaves_what_it_promises_for_classes(trained, estimator):
    last = ["--bayesian_layers=last"] if estimator == "deterministic" else []
    run = trained("train_bnn", f"--estimator={estimator}", *last, *NETWORK)
    names = {path.name for path in run.iterdir()} - {".lock"}
    assert names == {
        *("flags.txt", "history.csv", "metrics.json", "model.keras", "pruning.json"),
        "conformal.json",
        *("training_curve.png", "reliability.png", "risk_coverage.png", "uncertainty.png"),
        *("signal_to_noise.png", "pruning.png"),
    }
    metrics = _metrics(run)
    assert {"test_accuracy", "test_nll", "test_brier", "test_ece", "kl", "temperature"} <= {
        *metrics
    }
    assert metrics["kl"] > 0 and metrics["num_train"] == 1294
    # 0.9 of validation images, 144; five standard errors of both splits below.
    assert 0.75 < metrics["test_conformal_coverage"] <= 1 < metrics["test_conformal_set_size"]
    assert tv.conformal.Conformal.from_json(json.loads((run / "conformal.json").read_text()))
    assert metrics["test_accuracy"] == pytest.approx(1 - metrics["test_error"] / 100)


@pytest.mark.pictures
@pytest.mark.always(reason="a program that people run, from its flags to its files")
def test_train_bnn_leaves_what_it_promises_for_numbers_and_reparameterizes_locally(
    succeeds, tmp_path
):
    succeeds("train_bnn", "--dataset=diabetes", "--run_dir=run", *NETWORK)
    run = tmp_path / "run"
    metrics = _metrics(run)
    assert {"test_rmse", "test_log_likelihood", "test_coverage_90", "kl"} <= {*metrics}
    # In the units of the target, whose standard deviation is 77.
    assert 20 < metrics["test_rmse"] < 300
    assert (run / "interval_coverage.png").exists()
    assert "--estimator=local" in (run / "flags.txt").read_text().splitlines()
    layers = tv.load(run / "model.keras").bayesian_layers()
    assert [type(layer) for layer in layers] == [tv.layers.DenseLocalReparameterization] * 2


# One of each sort: a point, random layers, and members from which chains start after training. NUTS
# and Laplace are run by the toys below.
USUAL_METHODS = ("map", "mc_dropout", "sgmcmc")


@pytest.mark.parametrize(
    "method",
    [
        pytest.param(name, marks=() if name in USUAL_METHODS else pytest.mark.all_only)
        for name in methods.METHODS
        if name != "vi"
    ],
)
def test_every_method_is_a_flag(succeeds, tmp_path, method):
    kind = methods.METHODS[method]
    steps = [f"--{flag}" for flag in ("posterior_steps=4", "members=2") if flag[:-2] in kind.uses]
    name = _table(tmp_path)
    succeeds(
        "train_bnn", f"--dataset={name}", f"--method={method}", "--run_dir=run", *steps,
        "--batch_size=8", *NETWORK,
    )  # fmt: skip
    metrics = _metrics(tmp_path / "run")
    assert metrics["method"] == method
    assert (metrics["kl"] is None) == methods.METHODS[method].point_weights
    assert np.isfinite(metrics["test_rmse"])
    assert ("rhat_max" in metrics) == (method in ("nuts", "mile", "sgmcmc"))
    drawn = tmp_path / "run" / "posterior.keras"
    assert drawn.exists() == kind.post_hoc
    if drawn.exists():
        again = tv.load(drawn).predictive(np.array([[1.5, 2.0], [30.0, 4.25]]), 3)
        assert np.isfinite(again.mean()).all()
        assert again.components_distribution.batch_shape == (2, 3)


@pytest.mark.all_only
def test_a_table_of_classes_and_counts_can_be_learned(succeeds, tmp_path):
    options = ("--batch_size=8", "--estimator=deterministic", "--bayesian_layers=last", *NETWORK)
    name = _table(tmp_path, target=lambda i: "abc"[i % 3])
    succeeds("train_bnn", f"--dataset={name}", "--run_dir=a", *options)
    assert 0 <= _metrics(tmp_path / "a")["test_accuracy"] <= 1
    name = _table(tmp_path, "counts.csv", target=lambda i: i % 4)
    counts = ("--task=regression", "--scale=poisson")
    succeeds("train_bnn", f"--dataset={name}", *counts, "--run_dir=b", *options)
    assert _metrics(tmp_path / "b")["test_log_likelihood"] < 0


@pytest.mark.all_only
def test_a_run_repeats_and_can_be_evaluated_again(succeeds, refused, trained, tmp_path):
    trained("train_bnn", "--estimator=reparameterization", *NETWORK, run_dir="first")
    succeeds("train_bnn", "--flagfile=first/flags.txt", "--run_dir=second")
    first, second = _metrics(tmp_path / "first"), _metrics(tmp_path / "second")
    for key in ("test_nll", "test_accuracy", "kl", "digests"):
        assert first[key] == second[key]
    succeeds("evaluate", "--run_dir=first", "--num_predictive_samples=3")
    again = json.loads((tmp_path / "first" / "evaluation.json").read_text())
    assert again["test_nll"] == pytest.approx(first["test_nll"], abs=1e-6)
    line = refused("evaluate", "--run_dir=first", "--likelihood_precision=bfloat16")
    assert "Expected it with a VAE on a bound only" in line


@pytest.mark.all_only
def test_lenet_learns_images(succeeds, tmp_path):
    x = np.random.default_rng(0).random((40, 14, 14)).astype(np.float32)
    np.savez(tmp_path / "images.npz", x=x, y=np.arange(40) % 2)
    succeeds(
        "train_bnn", "--dataset=images.npz", "--network=lenet", "--estimator=flipout",
        "--run_dir=run", "--batch_size=16", *TINY,
    )  # fmt: skip
    assert _metrics(tmp_path / "run")["kl"] > 0


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ("--method=map --estimator=flipout", "--estimator has no effect"),
        ("--method=ml --prior_scale=2", "--prior_scale has no effect"),
        ("--members=3", "--members has no effect"),
        ("--dropout=0.5", "--dropout has no effect"),
        ("--scale=per_example", "--scale has no effect"),
        ("--network=lenet --hidden=3", "--hidden has no effect"),
        ("--bayesian_layers=9", "Expected bayesian_layers of at most 2"),
        ("--bayesian_layers=0", "'last', 'all' or an integer >= 1"),
        ("--method=map --bayesian_layers=last", "--bayesian_layers has no effect"),
        ("--estimator=deterministic", "Expected bayesian_layers='last'"),
        ("--method=laplace --posterior_precision=much", "prior, validation, evidence or a number"),
        ("--method=nuts --hidden=900", "too large for nuts"),
        ("--network=lenet --dataset=wine", "LeNet is a network of images"),
        ("--network=lenet", "at least 12"),
        ("--method=laplace_last_layer --hidden=500", "too many for all their covariances"),
        ("--method=nuts --posterior_steps=3", "Too few samples"),
        ("--method=mile --posterior_steps=3", "Too few samples"),
        ("--method=sgmcmc --posterior_steps=3", "Too few samples"),
        ("--method=ivon --prior_scale=fan_in", "one prior for all weights"),
        ("--method=map --num_samples=2", "--num_samples has no effect"),
        ("--method=ml --beta=0.5", "--beta has no effect"),
        ("--bound=iwae", "needs latents of each example"),
        ("--bound=iwae --beta=0.5", "--beta has no effect"),
        ("--prior_scale=-1", "Impossible prior scale"),
        ("--batch_size=5000", "batch_size does not fit"),
        ("--uci_split=1", "split"),
        ("--warm_up=cyclical --beta=0.5", "ends at 1"),
    ],
)
def test_flags_that_do_not_fit_are_refused_before_work_starts(refused, tmp_path, arguments, words):
    assert words in refused("train_bnn", "--run_dir=run", *arguments.split())
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("y", "words"),
    [
        (np.where(np.arange(40) == 7, np.nan, 1.5), "not finite"),
        (np.zeros(40, int), "nothing to tell apart"),
        (np.full(40, 2.5), "do not vary"),
    ],
    ids=["nan", "one_class", "constant"],
)
def test_targets_that_teach_nothing_are_refused(refused, tmp_path, y, words):
    x = np.random.default_rng(0).normal(size=(40, 3))
    np.savez(tmp_path / "bad.npz", x=x, y=y)
    assert words in refused("train_bnn", "--dataset=bad.npz", "--run_dir=run", "--batch_size=8")
    assert not (tmp_path / "run").exists()


def test_data_without_targets_are_refused(refused, tmp_path):
    np.savez(tmp_path / "plain.npz", x=np.random.default_rng(0).normal(size=(40, 3)))
    assert "nothing to predict" in refused("train_bnn", "--dataset=plain.npz", "--run_dir=run")


@pytest.mark.all_only
def test_the_uci_table_runs_and_goes_on_with_the_same_settings_alone(
    request, succeeds, refused, prepared, tmp_path
):
    more = ["vi", *["ensemble"] * request.config.getoption("whole")]
    plain = ("--sets=yacht", f"--data_dir={prepared('uci', 'yacht.npz')}", "--run_dir=run")
    arguments = ("--steps=9", "--members=2", *plain)
    succeeds("uci", "--methods=map", *arguments)
    results = tmp_path / "run" / "results.json"
    before = json.loads(results.read_text())["sets"]["uci/yacht"]
    assert len(before["map"]["rmse"]) == 20
    succeeds("uci", f"--methods={','.join(['map', *more])}", *arguments)
    after = json.loads(results.read_text())["sets"]["uci/yacht"]
    assert after["map"] == before["map"] and {*after} == {"map", *more}
    assert "| uci/yacht |" in (tmp_path / "run" / "table.md").read_text()
    assert "other settings" in refused("uci", "--methods=map", "--steps=10", *plain)


@pytest.mark.all_only
@pytest.mark.pictures
@pytest.mark.dear(reason="NUTS of two problems, compiled by XLA")
def test_the_toys_are_compared_with_nuts(succeeds, tmp_path):
    succeeds(
        "toys", "--run_dir=run", "--methods=map,laplace", "--steps=20", "--chain=10", "--hidden=2"
    )
    metrics = _metrics(tmp_path / "run")
    for problem in ("regression", "two_moons"):
        found = {k: row["total_variation"] for k, row in metrics[problem]["methods"].items()}
        assert {*found} == {"nuts", "map", "laplace"} and 0 < min(found.values())
        assert max(found.values()) <= 1  # that of nuts is between two runs of it
        assert metrics[problem]["reference"]["rhat_max"] > 0
    assert {p.name for p in (tmp_path / "run").glob("*.png")} == {
        *("regression.png", "two_moons.png", "two_moons_epistemic.png"),
    }
