"""A comparison runs part by part, keeps what is done, reports what breaks, and writes a report."""

import dataclasses
import json

import numpy as np
import pytest
import tensorflow as tf
from scipy import stats

import tfp_vae as tv
from tfp_vae import report
from tfp_vae.studies import comparison
from tfp_vae.studies.comparison import entrants, fitting, plan, results

# Of each way to come to a class one; with --release the other VAE that generates, too.
MODELS = ["bnn", "vae_probe", "m2"]
MORE = "conditional_vae"
SIZES = {"train": 60, "validation": 30, "test": 40}
# One pass over sixty examples teaches little: temperatures are at the ends of their range.
pytestmark = [
    pytest.mark.filterwarnings("ignore:No temperature minimises the NLL:UserWarning"),
    pytest.mark.filterwarnings("ignore:Even though the `tf.config.*does not apply to tf.data"),
]
SMALL = {
    "epochs": 1,
    "learning_rate": 1e-2,
    "rate_factors": (1,),
    "hidden": 6,
    "latent_dim": 2,
    "num_samples": 3,
    "num_importance_samples": 4,
    "num_examples": 20,
    "corruptions": {"rotation": (0, 2)},
    "missing": {"random": (0.5,)},
    "label_counts": (10,),
    "tasks": report.TASKS,
}


@pytest.fixture(scope="module")
def data():
    whole = tv.data.load("digits", kind="unit_interval")
    cut = {name: getattr(whole, name).take(count) for name, count in SIZES.items()}
    return dataclasses.replace(whole, **cut)


@pytest.fixture(autouse=True, scope="module")
def one_seed():
    """Lets a comparison have one seed, which is enough but for intervals."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(plan, "LEAST_SEEDS", 1)
        yield


@pytest.fixture(autouse=True, scope="module")
def eager(request):
    """A few steps of each of many graphs cost less than to trace them; --release has the graphs."""
    tf.config.run_functions_eagerly(not request.config.getoption("whole"))
    yield
    tf.config.run_functions_eagerly(False)


def _settings(data, **options):
    return comparison.Settings.of("quick", data, **(SMALL | options))


@pytest.fixture(scope="module")
def models(request):
    return MODELS + [MORE] * request.config.getoption("whole")


@pytest.fixture(scope="module")
def ended():
    """By model, steps of the last training and those of its learning rate: `done` fills it."""
    return {}


@pytest.fixture(scope="module")
def done(data, models, one_seed, eager, ended, tmp_path_factory):
    """A comparison of all kinds of models, all tasks, one seed."""
    folder = tmp_path_factory.mktemp("comparison")
    run = comparison.Comparison(folder, data, _settings(data), models, 1)
    lines = []

    def watched(name, *options):
        model, known = fitting.train(name, *options)
        schedule = model.optimizer.get_config()["learning_rate"]["config"]
        ended[name] = int(model.optimizer.iterations), schedule["decay_steps"]
        return model, known

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(plan, "train", watched)
        run.run(lines.append)
    assert run.failures == [], lines
    return run


@pytest.fixture(scope="module")
def written(done):
    page, verdict = comparison.write(done, "python -m experiments.compare")
    return page, verdict, json.loads((page.parent / "report.json").read_text())


@pytest.mark.all_only
@pytest.mark.all_too(reason="runs the comparison of all models and tasks that the others look at")
@pytest.mark.dear(reason="runs the comparison of all models and tasks that the others look at")
def test_every_task_has_results_of_every_model_that_can_do_it(written, models):
    _, _, values = written
    report.validate(values)
    did = {}
    for result in values["results"]:
        did.setdefault(result["task"], set()).add(result["model"])
        assert result["n"] == 1
        assert result["lower"] <= result["mean"] <= result["upper"]
    everyone = set(models) - {"m2"}
    for task in ("classification", "corruptions", "ood", "missing", "cost"):
        assert did[task] == everyone, task
    assert did["generation"] == everyone - {"bnn"}
    assert did["labels"] == {"m2", "bnn"}
    levels = {r["level"] for r in values["results"] if r["task"] == "labels"}
    assert levels == {10}
    areas = {r["condition"] for r in values["results"] if r["model"] == "vae_probe"}
    assert "uniform_noise/log_px" in areas
    assert "uniform_noise/mutual_information" in areas


@pytest.mark.all_only
def test_schedules_end_with_the_steps_of_their_training_that_of_m2_too(done, ended, models):
    assert set(ended) == set(models)
    for name, (steps, of_schedule) in ended.items():
        assert steps == of_schedule > 0, name


@pytest.mark.all_only
def test_the_report_holds_its_pictures_and_the_verdict(written):
    page, verdict, values = written
    assert verdict.headline in (page.parent / "report.md").read_text()
    names = {figure["name"] for figure in values["figures"]}
    assert names >= {
        "reliability",
        "risk_coverage",
        "corruptions",
        "detection",
        "missing",
        "generated",
    }
    for figure in values["figures"]:
        assert (page.parent / figure["file"]).read_bytes().startswith(b"\x89PNG")


@pytest.mark.all_only
def test_the_score_for_ood_inputs_is_chosen_on_validation_data(done, written):
    values = written[2]
    for model in ("vae_probe", "bnn"):
        found = {}
        for part in done.parts():
            if part.model == model and part.stage == "main":
                for entry in done.found(part)["values"]:
                    if entry["task"] == "ood_validation":
                        found.setdefault(entry["condition"], []).append(entry["value"])
        best = max(found, key=lambda score: np.mean(found[score]))
        assert values["models"][model]["ood_score"] == best
    assert not any(r["task"] == "ood_validation" for r in values["results"])


@pytest.mark.all_only
def test_finished_parts_are_not_run_again(done, data, models, monkeypatch):
    def broken(*_, **__):
        raise AssertionError("trained again")

    monkeypatch.setattr(plan, "train", broken)
    again = comparison.Comparison(done.run_folder.path, data, _settings(data), models, 1)
    again.run(lambda _: None)
    assert again.failures == []


@pytest.mark.all_only
def test_the_order_of_the_models_changes_nothing(done, data, models):
    turned = comparison.Comparison(
        done.run_folder.path, data, _settings(data), models[::-1], seeds=1
    )
    assert turned.parts() == done.parts()
    summaries = [results.summarise(run, "", []) for run in (done, turned)]
    assert summaries[0] == summaries[1]


@pytest.mark.all_only
def test_a_part_repeats_to_the_last_bit(done, data, tmp_path, monkeypatch, request):
    settings = _settings(data)
    again = comparison.Comparison(tmp_path, data, settings, ["bnn"], 1)
    parts = again.parts()
    if not request.config.getoption("whole"):  # the others learn from few labels
        parts = [part for part in parts if part.stage == "main"]
    monkeypatch.setattr(again, "parts", lambda: parts)
    again.run(lambda _: None)
    for part in parts:
        before, now = (
            [v for v in run.found(part)["values"] if v["metric"] not in ("milliseconds", "memory")]
            for run in (done, again)
        )
        assert before == now


@pytest.mark.slow
@pytest.mark.release_only  # that work is shared out: tests/studies/test_jobs.py
@pytest.mark.dear(reason="two processes")
def test_parts_that_run_at_the_same_time_find_the_same(request, done, data, models, tmp_path):
    if not request.config.getoption("whole"):
        pytest.skip("the processes have graphs, and the parts here none")
    again = comparison.Comparison(tmp_path, data, _settings(data), models, 1)
    again.run(lambda _: None, jobs=2)
    assert again.failures == []
    assert {again.found(part)["jobs"] for part in again.parts()} == {2}
    assert results.summarise(again, "", [])["machine"].count("2 parts at the same time") == 1
    for part in again.parts():
        before, now = (
            [v for v in run.found(part)["values"] if v["metric"] not in ("milliseconds", "memory")]
            for run in (done, again)
        )
        assert before == now


def test_several_jobs_are_refused_where_models_have_the_same_seconds(data, tmp_path):
    settings = _settings(data, tasks=("classification",), match="seconds", seconds=0.01)
    run = comparison.Comparison(tmp_path, data, settings, ["bnn", "ml"], 1)
    with pytest.raises(ValueError, match="take each other's seconds"):
        run.run(jobs=2)


@pytest.mark.all_only
def test_a_broken_model_is_reported_and_the_others_go_on(data, tmp_path, monkeypatch):
    def broken(*_):
        raise RuntimeError("the weights\nare gone")

    entrant = dataclasses.replace(entrants.ENTRANTS["ml"], build=broken)
    settings = _settings(data, tasks=("classification",), match="seconds", seconds=0.01)
    run = comparison.Comparison(tmp_path, data, settings, ["bnn", "ml"], 1)
    with monkeypatch.context() as patch:
        patch.setitem(entrants.ENTRANTS, "ml", entrant)
        lines = []
        run.run(lines.append)
    expected = {"model": "ml", "seed": 0, "stage": "main", "error": "the weights are gone"}
    assert run.failures == [expected]
    assert any("FAILED" in line and "the weights are gone" in line for line in lines)
    _, verdict = comparison.write(run, "command")
    values = json.loads((tmp_path / "report" / "report.json").read_text())
    assert values["failures"] == [expected]
    assert {r["model"] for r in values["results"]} == {"bnn"}
    assert verdict.headline
    run.run(lambda _: None)  # now it is whole: what failed is tried again, alone
    assert run.failures == []
    assert all(run.found(part) for part in run.parts())


@pytest.mark.all_only
def test_nothing_done_is_no_report(data, tmp_path, monkeypatch):
    def broken(*_, **__):
        raise RuntimeError("no memory")

    monkeypatch.setattr(plan, "train", broken)
    run = comparison.Comparison(tmp_path, data, _settings(data), ["ml"], 1)
    run.run(lambda _: None)
    with pytest.raises(RuntimeError, match=r"nothing to report.*no memory"):
        comparison.write(run, "command")


@pytest.mark.all_only
def test_another_plan_in_the_folder_is_refused_by_name(done, data, models):
    folder = done.run_folder.path
    with pytest.raises(ValueError, match=r"another plan.*'epochs': 1.*'epochs': 2"):
        comparison.Comparison(folder, data, _settings(data, epochs=2), models, 1)


@pytest.mark.parametrize(
    ("models", "seeds", "message"),
    [(["ml", "oracle"], 1, "models do not fit.*oracle"), (["ml"], 1, "Too few seeds")],
)
def test_impossible_comparisons_are_refused(data, tmp_path, monkeypatch, models, seeds, message):
    monkeypatch.setattr(plan, "LEAST_SEEDS", 2)
    with pytest.raises(ValueError, match=message):
        comparison.Comparison(tmp_path / "new", data, _settings(data), models, seeds)
    assert not (tmp_path / "new").exists()


_OWN = "import keras\n\n\ndef {name}(data):\n    return keras.Sequential([{layers}])\n"


@pytest.mark.parametrize(
    ("name", "layers", "message"),
    [
        ("softmax", 'keras.layers.Flatten(), keras.layers.Dense(10, "softmax")', "'softmax'"),
        ("narrow", "keras.layers.Flatten(), keras.layers.Dense(3)", r"\(B, 10\).*\(None, 3\)"),
        ("wild", "1 / 0", "division by zero"),
    ],
)
def test_networks_of_ones_own_are_looked_at_before_any_is_trained(
    data, tmp_path, monkeypatch, name, layers, message
):
    (tmp_path / f"own_{name}.py").write_text(_OWN.format(name=name, layers=layers))
    monkeypatch.syspath_prepend(tmp_path)
    own = f"own_{name}:{name}"
    with pytest.raises(ValueError, match=rf"{own} cannot be built, and nothing was.*{message}"):
        comparison.Comparison(tmp_path / "new", data, _settings(data), ["ml", own], 1)
    assert not (tmp_path / "new").exists()


def test_few_labels_are_a_task_of_the_quick_budget_where_it_is_asked_for(data, tmp_path):
    options = {key: value for key, value in SMALL.items() if key not in ("tasks", "label_counts")}
    asked = comparison.Settings.of("quick", data, **options, tasks=("labels",))
    run = comparison.Comparison(tmp_path / "a", data, asked, ["logistic_regression"], 1)
    assert [part.stage for part in run.parts()] == ["labels_10"]  # there are no hundred
    plain = comparison.Settings.of("quick", data, **options)
    run = comparison.Comparison(tmp_path / "b", data, plain, ["ml", "logistic_regression"], 1)
    assert run.left_out == ["logistic_regression"] and run.models == ["ml"]
    none = dataclasses.replace(asked, label_counts=(9,))  # fewer than classes
    with pytest.raises(ValueError, match=r"nothing to run.*a number of labels that the data have"):
        comparison.Comparison(tmp_path / "c", data, none, ["logistic_regression"], 1)


def test_binary_images_and_tables_are_refused(tmp_path):
    for name, kind in (("digits", "threshold"), ("wine", None)):
        data = tv.data.load(name, kind=kind)
        settings = comparison.Settings.of("quick", data)
        with pytest.raises(ValueError, match="cannot be compared on"):
            comparison.Comparison(tmp_path, data, settings, ["ml"], 1)


def test_intervals_are_those_of_student(base_seed):
    values = np.random.default_rng(base_seed).normal(size=5)
    mean, lower, upper = results.interval(values)
    expected = stats.ttest_1samp(values, 0).confidence_interval(0.95)
    assert (lower, upper) == pytest.approx((expected.low, expected.high))
    assert mean == pytest.approx(values.mean())
    assert results.interval([0.5]) == (0.5, 0.5, 0.5)
