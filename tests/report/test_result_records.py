"""Results are generated, never typed: plans, records, and what the documents show of them."""

import json
import pathlib
import re

import pytest

from tfp_vae.report import plans, records
from tfp_vae.studies import reproduction

ROOT = pathlib.Path(__file__).parents[2]
RESULTS = ROOT / "experiments" / "results"
DOCUMENTS = {
    **{"README.md": "en", "README.zh-CN.md": "zh", "experiments/RESULTS.md": "en"},
    **{"docs/en/codec.md": "en", "docs/zh/codec.md": "zh"},
}
TRIAL = """
minutes = 2
[title]
en = "Trial"
zh = "试验"
[[runs]]
name = "trial-{beta}"
program = "train_bnn"
flags = ["--beta={beta}"]
over = {beta = [0.1, 1]}
group = "trial"
[runs.figures]
error = "test_error"
nll = "validation_nll"
[[choices]]
group = "trial"
figure = "nll"
best = "least"
[[tables]]
rows = "run"
[[tables.columns]]
en = "flags"
zh = "选项"
code = "flags"
[[tables.columns]]
en = "error"
zh = "错误率"
figure = "error"
unit = "%"
"""


@pytest.fixture
def plan(tmp_path):
    (tmp_path / "trial.toml").write_text(TRIAL, encoding="utf-8")
    return plans.read_plan(tmp_path / "trial.toml")


def record_of(plan, nlls=(0.2, 0.1)):
    figures = []
    for run, nll in zip(plan.runs, nlls, strict=True):
        figures.append({"run": run.name, "figure": "error", "value": 10 * nll, "se": 0.12})
        figures.append({"run": run.name, "figure": "nll", "value": nll})
    runs = [
        {"name": run.name, "command": run.command(), "commit": commit, "seconds": 3.0}
        for run, commit in zip(plan.runs, ("4be33977c0ffee", "0a5a99ec0ffee+"), strict=False)
    ]
    return {
        "name": plan.name,
        "seed": 0,
        "commit": "0a5a99ec0ffee+",
        "versions": {},
        "machine": "2 cores",
        "seconds": 6.0,
        "runs": runs,
        "chosen": records.chosen(plan, figures),
        "figures": figures,
    }


def known():
    """Returns the plans of the project and the records that there are."""
    every = plans.read_plans(RESULTS / "plans")
    paths = {path.stem: path for path in RESULTS.glob("*.json")}
    return every, {name: records.read_record(path) for name, path in paths.items()}


@pytest.mark.parametrize("name", DOCUMENTS)
def test_documents_show_what_the_records_say(name):
    text = (ROOT / name).read_text(encoding="utf-8")
    filled = records.fill(text, *known(), DOCUMENTS[name], name)
    assert text == filled, "scripts/reproduce --render writes the records into the documents"


@pytest.mark.parametrize("name", DOCUMENTS)
def test_no_row_of_a_table_of_results_is_empty(name):
    every, there = known()
    marks = re.findall(r"<!-- results: (.*) begin -->", (ROOT / name).read_text(encoding="utf-8"))
    for names in marks:
        table = records.block(names.split(), every, there, DOCUMENTS[name])
        assert not re.findall(r"^\| [^|]+ \|(?: +\|)+$", table, re.MULTILINE)


def test_every_plan_is_shown_in_a_document():
    texts = [(ROOT / name).read_text(encoding="utf-8") for name in DOCUMENTS]
    marks = " ".join(re.findall(r"<!-- results: (.*) begin -->", "\n".join(texts)))
    shown = {name.split(".")[0] for name in marks.split()}
    assert set(known()[0]) == shown


@pytest.mark.parametrize("name", DOCUMENTS)
def test_nobody_types_a_measured_figure_with_its_error(name):
    text = records.outside((ROOT / name).read_text(encoding="utf-8"))
    assert not re.findall(r"\d\s*\+-\s*\d", text)


def test_every_record_has_a_plan_and_the_commands_of_it():
    every, found = known()
    assert set(found) <= set(every)
    for name, record in found.items():
        records.check_fits(every[name], record)
        assert record["name"] == name
        assert all(run["seconds"] > 0 and run["commit"] for run in record["runs"])
        assert records.as_text(record) == (RESULTS / f"{name}.json").read_text(encoding="utf-8")


def test_every_plan_names_programs_and_presets_that_exist():
    every, _ = known()
    for plan in every.values():
        for run in plan.runs:
            path = run.script or f"experiments/{run.program}.py"
            assert (ROOT / path).is_file(), f"{plan.name}: {path}"
            for preset in re.findall(r"--preset=(\S+)", run.command()):
                assert (ROOT / "experiments" / "flags" / f"{preset}.flags").is_file(), preset


def test_the_kl_weights_of_mnist_networks_are_chosen_on_validation_images():
    every, _ = known()
    assert {choice["figure"] for choice in every["networks"].choices} == {"validation_nll"}
    groups = {run.group for run in every["networks"].runs if run.group}
    assert {choice["group"] for choice in every["networks"].choices} == groups


def test_a_run_over_values_is_one_run_for_each(plan):
    assert [run.name for run in plan.runs] == ["trial-0.1", "trial-1"]
    assert plan.runs[1].command() == "python -m experiments.train_bnn --beta=1"


@pytest.mark.parametrize(
    ("old", "new", "match"),
    [
        ('program = "train_bnn"', "", "either a program or a script"),
        ('program = "train_bnn"', 'programme = "train_bnn"', "programme"),
        ('best = "least"', 'best = "first"', "least or most"),
        ('group = "trial"\nfigure', 'group = "other"\nfigure', "the group of a run"),
        ('figure = "error"', 'figure = "errors"', "a figure among"),
        ('zh = "试验"', "", "a text for each of en, zh"),
        ("minutes = 2", "", "minutes"),
        ("minutes = 2", "minutes =", "Expected TOML"),
        ('{beta}"]', '{beta}"]\nfolder = "nowhere"', "the folder of an earlier run"),
        ("trial-{beta}", "trial", "another name for each run"),
    ],
)
def test_a_plan_that_is_wrong_is_refused_in_our_words(tmp_path, old, new, match):
    assert old in TRIAL
    (tmp_path / "trial.toml").write_text(TRIAL.replace(old, new, 1), encoding="utf-8")
    with pytest.raises(ValueError, match=match):
        plans.read_plan(tmp_path / "trial.toml")


SERIES = """
minutes = 2
[title]
en = "Trial"
zh = "试验"
[[runs]]
name = "plain-{seed}"
series = "plain"
program = "train_vae"
flags = ["--seed={seed}"]
over = {seed = [0, 1, 2, 3, 4]}
[runs.figures]
mig = "mig"
[[runs]]
name = "other-{seed}"
series = "other"
program = "train_vae"
flags = ["--beta=4", "--seed={seed}"]
over = {seed = [0, 1, 2, 3, 4]}
[runs.figures]
mig = "mig"
[names]
other = {en = "Other", zh = "其他"}
[[tables]]
rows = "series"
[[tables.apart]]
en = "MIG"
zh = "MIG"
figure = "mig"
more = "other"
less = "plain"
[[tables.columns]]
en = "bound"
zh = "界"
[[tables.columns]]
en = "MIG"
zh = "MIG"
figure = "mig"
digits = 3
"""


def _series_record(tmp_path, plain, other):
    (tmp_path / "trial.toml").write_text(SERIES, encoding="utf-8")
    plan = plans.read_plan(tmp_path / "trial.toml")
    values = [*plain, *other]
    record = {
        "seed": [0, 1, 2, 3, 4],
        "commit": "4be33977c0ffee",
        "machine": "2 cores",
        "seconds": 6.0,
        "runs": [{"name": run.name, "command": run.command()} for run in plan.runs],
        "chosen": {},
        "figures": [
            {"run": run.name, "figure": "mig", "value": value}
            for run, value in zip(plan.runs, values, strict=False)
        ],
    }
    return plan, record


def _series_block(tmp_path, plain, other, language="en"):
    plan, record = _series_record(tmp_path, plain, other)
    return records.block(["trial"], {"trial": plan}, {"trial": record}, language)


def test_a_series_is_shown_by_its_mean_and_the_interval_of_students_t_over_seeds(tmp_path):
    shown = _series_block(tmp_path, [0.1, 0.2, 0.3, 0.4, 0.5], [0.8, 0.9, 1.0, 1.1, 1.2])
    # 2.776 = t of 4 degrees; the deviation of five equal steps of 0.1 is 0.1581.
    half = 2.776445 * 0.1581139 / 5**0.5
    assert f"| `plain` | 0.300 ({0.3 - half:.3f} to {0.3 + half:.3f}) |" in shown
    assert f"| Other | 1.000 ({1 - half:.3f} to {1 + half:.3f}) |" in shown
    assert "MIG: Other is above `plain`, their 95 % intervals lie apart." in shown


def test_the_picture_of_a_table_by_series_has_its_means_and_intervals(tmp_path):
    plan, record = _series_record(tmp_path, [0.1, 0.2, 0.3, 0.4, 0.5], [0.8])
    half = pytest.approx(2.776445 * 0.1581139 / 5**0.5, rel=1e-5)
    found = records.intervals(plan, record, plan.tables[0], "en")
    assert found == {"MIG": {"`plain`": (pytest.approx(0.3), half), "Other": (0.8, 0.0)}}
    said = []
    reproduction.draw_series(plan, record, tmp_path, said.append)
    assert (tmp_path / "trial.png").read_bytes().startswith(b"\x89PNG")
    assert said == [f"picture: {tmp_path / 'trial.png'}"]


@pytest.mark.parametrize(
    ("plain", "other", "said"),
    [
        ([0.1, 0.2, 0.3, 0.4, 0.5], [0.2, 0.3, 0.4, 0.5, 0.6], "区间相交"),
        ([0.8, 0.9, 1.0, 1.1, 1.2], [0.1, 0.2, 0.3, 0.4, 0.5], "其他 低于 `plain`"),
        ([0.1, 0.2, 0.3, 0.4, 0.5], [0.9], "只运行了一次"),
    ],
    ids=["overlap", "below", "one_seed"],
)
def test_which_of_two_series_is_higher_is_said_by_their_intervals_alone(
    tmp_path, plain, other, said
):
    assert said in _series_block(tmp_path, plain, other, "zh")


@pytest.mark.parametrize(
    ("language", "said"),
    [
        ("en", "Runs of one seed in pairs, Other minus `plain` is {} ({} to {})."),
        ("zh", "同一种子的运行两两配对，其他 减 `plain` 为 {}（{} 至 {}）。"),
    ],
)
def test_a_difference_of_seeds_in_pairs_stands_beside_intervals_that_overlap(
    tmp_path, language, said
):
    plain, gains = [0.1, 0.2, 0.3, 0.4, 0.5], [0.10, 0.12, 0.08, 0.11, 0.09]
    other = [value + gain for value, gain in zip(plain, gains, strict=True)]
    shown = _series_block(tmp_path, plain, other, language)
    half = 2.776445 * 0.0158114 / 5**0.5
    assert said.format("0.100", f"{0.1 - half:.3f}", f"{0.1 + half:.3f}") in shown
    untold = {"en": "not told apart", "zh": "无法区分"}[language]
    assert untold not in shown
    assert untold in _series_block(tmp_path, plain, plain[::-1], language)
    assert said.partition(" ")[0] not in _series_block(tmp_path, plain, [0.9], language)


@pytest.mark.parametrize(
    ("old", "new", "match"),
    [
        ('more = "other"', 'more = "none"', "a series among other, plain"),
        ('rows = "series"', 'rows = "run"', "apart beside rows"),
        ('less = "plain"', "", "less"),
        ('figure = "mig"\nmore', 'figure = "sap"\nmore', "a figure among mig"),
    ],
)
def test_a_comparison_of_series_that_is_wrong_is_refused(tmp_path, old, new, match):
    assert old in SERIES
    (tmp_path / "trial.toml").write_text(SERIES.replace(old, new), encoding="utf-8")
    with pytest.raises(ValueError, match=match):
        plans.read_plan(tmp_path / "trial.toml")


def test_representations_are_compared_over_five_seeds_each():
    plan = plans.read_plan(RESULTS / "plans" / "representation.toml")
    table = plan.table("scores")
    assert table["rows"] == "series" and len(plan.seed) == 5
    for series in {run.series for run in plan.runs if run.series}:
        trained = [run for run in plan.runs if run.series == series and not run.folder]
        explored = [run for run in plan.runs if run.series == series and run.folder]
        beside = [run for run in explored if run.name == f"{series}-udr"]  # by what all five left
        assert len(trained) == 5 and len(explored) == 6 and len(beside) == 1
        assert len({run.command() for run in trained}) == 5
    assert table["apart"][0]["more"] == "beta_tc" and table["apart"][0]["less"] == "vae"


VALUES = {
    "elbo": -9.5,
    "elbo_se": 0.1,
    "ece": 0.02,
    "ece_low": 0.01,
    "ece_high": 0.03,
    "absent": None,
    "table": {"yacht": {"vi": {"rmse": 1.0, "rmse_se": 0.5}}, "wine": {"map": {"rmse": 2}}},
    "results": [
        {"task": "ood", "condition": "letters/entropy", "mean": 0.9, "lower": 0.8, "upper": 1.0},
        {"task": "ood", "condition": "letters", "mean": 0.5},
        {"task": "shift", "condition": "noise", "mean": 0.1},
    ],
    "rows": [{"item": "V1", "per_second": 10.0, "spread": [9.0, 11.0]}, {"item": "S1"}],
}


@pytest.mark.parametrize(
    ("place", "expected"),
    [
        ("elbo", [{"value": -9.5, "se": 0.1}]),
        ("ece", [{"value": 0.02, "low": 0.01, "high": 0.03}]),
        (
            "table.{set}.{method}.rmse",
            [
                {"set": "yacht", "method": "vi", "value": 1.0, "se": 0.5},
                {"set": "wine", "method": "map", "value": 2},
            ],
        ),
        (
            "results.[task=ood,condition={inputs}/{score}].mean",
            [{"inputs": "letters", "score": "entropy", "value": 0.9, "low": 0.8, "high": 1.0}],
        ),
        (
            "rows.[item={item}].per_second",
            [{"item": "V1", "value": 10.0, "low": 9.0, "high": 11.0}],
        ),
    ],
)
def test_figures_are_found_with_their_errors(place, expected):
    assert records.found(VALUES, place) == expected


@pytest.mark.parametrize("place", ["nothing", "absent", "table.{set}.nuts.rmse", "table.yacht"])
def test_a_figure_that_is_not_there_is_an_error(place):
    with pytest.raises(ValueError, match="Expected a number"):
        records.found(VALUES, place)


@pytest.mark.parametrize(
    ("entry", "form", "text"),
    [
        ({"value": -165.013, "se": 1.153}, {"times": -1}, "165.0 +- 1.2"),
        ({"value": 1.4312, "se": 0.1188}, {"unit": "%"}, "1.43 +- 0.12 %"),
        ({"value": 0.0037, "low": 0.0031, "high": 0.006}, {}, "0.0037 (0.0031 to 0.0060)"),
        ({"value": 35031.2}, {"digits": 0}, "35,031"),
        ({"value": 100}, {}, "100"),
        ({"value": 0.123456}, {}, "0.123"),
        ({"value": -0.2, "low": -0.3, "high": -0.1}, {"times": -1}, "0.20 (0.10 to 0.30)"),
        ({"value": 0.5, "se": 0.0}, {}, "0.500 +- 0.000"),
        ({"value": 0.5, "low": 0.5, "high": 0.5}, {}, "0.500"),
        ({"value": 0}, {}, "0"),
    ],
)
def test_a_figure_has_two_digits_of_its_error(entry, form, text):
    assert records.number(entry, form) == text


def test_chinese_tables_say_intervals_and_machines_in_chinese():
    entry = {"value": 0.5, "low": 0.25, "high": 0.75}
    assert records.number(entry, {}, "zh") == "0.50（0.25 至 0.75）"
    shown = records.block(["digits_networks.labels"], *known(), "zh")
    assert "2 核 AMD" in shown and "| 准确率 | 10 个标签 |" in shown
    assert not re.search(r" to | cores ", shown)


def test_a_short_table_has_some_rows_of_the_whole_one():
    names = ("digits_networks.classification", "digits_networks.short")
    whole, short = (set(records.block([n], *known(), "en").splitlines()) for n in names)
    assert short < whole and len([line for line in short if line.startswith("| ")]) == 3 + 2


def test_the_run_of_a_group_is_chosen_by_its_figure_and_others_are_not_shown(plan):
    record = record_of(plan)
    assert record["chosen"] == {"trial": "trial-1"}
    text = records.block(["trial"], {"trial": plan}, {"trial": record}, "en")
    assert "| `--beta=1` | 1.00 +- 0.12 % |" in text and "--beta=0.1" not in text
    assert "commit `4be3397`, `0a5a99e+`, 2 cores" in text and "6 s" in text
    with pytest.raises(ValueError, match="Nothing to choose by among trial"):
        records.chosen(plan, record["figures"][:2])


def test_a_record_of_some_runs_says_so_and_shows_no_row_of_a_choice_that_is_open(plan):
    record = record_of(plan)
    record["runs"] = record["runs"][:1]
    record["figures"] = [f for f in record["figures"] if f["run"] == "trial-0.1"]
    record["chosen"] = records.chosen(plan, record["figures"], ["trial-0.1"])
    assert record["chosen"] == {}
    records.check_fits(plan, record)
    text = records.block(["trial"], {"trial": plan}, {"trial": record}, "en")
    assert "1 of 2 runs;" in text and "--beta=" not in text
    assert "--more" in records.block(["trial"], {"trial": plan}, {"trial": record}, "zh")


def test_what_was_not_measured_is_a_command_and_no_number(plan):
    english = records.block(["trial"], {"trial": plan}, {}, "en")
    assert "`scripts/reproduce trial`" in english and "|" not in english
    assert "`scripts/reproduce trial`" in records.block(["trial"], {"trial": plan}, {}, "zh")


def test_tables_of_several_plans_are_one(plan, tmp_path):
    (tmp_path / "second.toml").write_text(TRIAL, encoding="utf-8")
    (tmp_path / "other.toml").write_text(TRIAL.replace('"error"\nzh', '"mistakes"\nzh'), "utf-8")
    every = plans.read_plans(tmp_path)
    found = {name: record_of(each) for name, each in every.items()}
    text = records.block(["trial", "second"], every, found, "en")
    assert text.count("| flags |") == 1 and text.count("`--beta=1`") == 2
    half = records.block(["trial", "second"], every, {"second": found["second"]}, "en")
    assert "`scripts/reproduce trial` (about 2 min)" in half and half.count("`--beta=1`") == 1
    with pytest.raises(ValueError, match="do not fit together"):
        records.block(["trial", "other"], every, found, "en")


def test_a_document_is_filled_and_filled_again(plan):
    text = "a\n<!-- results: trial begin -->\nold\n<!-- results: trial end -->\nb\n"
    once = records.fill(text, {"trial": plan}, {"trial": record_of(plan)}, "en")
    assert once.startswith("a\n<!-- results: trial begin -->\n| flags | error |\n")
    assert once.endswith("<!-- results: trial end -->\nb\n") and "old" not in once
    assert records.fill(once, {"trial": plan}, {"trial": record_of(plan)}, "en") == once
    assert "|" not in records.outside(once)


@pytest.mark.parametrize(
    ("text", "match"),
    [
        ("<!-- results: trial begin -->\n", "marks of results"),
        ("<!-- results: trial begin -->\n<!-- results: other end -->\n", "marks of results"),
        ("<!-- results: no begin -->\n<!-- results: no end -->\n", "Unknown name of results"),
        ("<!-- results: trial.x begin -->\n<!-- results: trial.x end -->\n", "no such table"),
    ],
)
def test_marks_that_are_wrong_are_refused(plan, text, match):
    with pytest.raises(ValueError, match=match):
        records.fill(text, {"trial": plan}, {}, "en")


def test_a_record_of_other_commands_is_refused(plan):
    record = record_of(plan)
    records.check_fits(plan, record)
    record["runs"][0]["command"] += " --epochs=1"
    with pytest.raises(ValueError, match=r"other runs: trial-0\.1"):
        records.check_fits(plan, record)


def test_a_record_is_read_as_it_was_written(plan, tmp_path):
    record = record_of(plan)
    path = tmp_path / "trial.json"
    path.write_text(records.as_text(record), encoding="utf-8")
    assert records.read_record(path) == record
    path.write_text(json.dumps(record | {"seconds": "six"}), encoding="utf-8")
    with pytest.raises(ValueError, match="seconds is wrong"):
        records.read_record(path)
