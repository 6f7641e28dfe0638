"""The README keeps its word: its example runs, and its Chinese twin says the same."""

import pathlib
import re

import numpy as np
import pytest

ROOT = pathlib.Path(__file__).parents[1]
ENGLISH = (ROOT / "README.md").read_text(encoding="utf-8")
CHINESE = (ROOT / "README.zh-CN.md").read_text(encoding="utf-8")


def _blocks(text: str) -> list[str]:
    return re.findall(r"```\w*\n(.*?)```", text, re.S)


def _without_comments(block: str) -> str:
    return re.sub(r"\s*#.*", "", block)


@pytest.mark.slow
@pytest.mark.dear(reason="the example of the README is what people run first")
@pytest.mark.always(reason="the example of the README is what people run first")
def test_example_of_the_readme_runs(request, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    example = re.search(r"```python\n(.*?)```", ENGLISH, re.S).group(1)
    assert len(example.splitlines()) <= 30
    whole = request.config.getoption("whole")
    dear = {"jit_compile=True": "jit_compile=False", "epochs=20": "epochs=1", "1000": "10"}
    for said, instead in () if whole else dear.items():
        assert said in example
        example = example.replace(said, instead)
    names: dict = {}
    exec(compile(example, "README.md", "exec"), names)
    assert names["log_prob"].shape == (5, 359)
    assert names["again"].num_data == len(names["data"].train)
    if whole:
        assert names["vae"].log_evidence(names["data"].test, 500).mean() > -27


@pytest.mark.always(reason="documents change with every commit")
def test_a_part_of_ones_own_is_checked_saved_and_loaded_as_its_page_says(tmp_path, monkeypatch):
    import tfp_vae as tv

    monkeypatch.chdir(tmp_path)
    page = (ROOT / "docs" / "en" / "own_parts.md").read_text(encoding="utf-8")
    names: dict = {}
    with tv.priors.PRIORS.temporary():
        exec(compile(_blocks(page)[0], "own_parts.md", "exec"), names)
    assert type(names["again"].prior) is names["LogisticPrior"]


def test_both_readmes_have_the_same_commands_code_and_numbers():
    blocks = [[_without_comments(b) for b in _blocks(text)] for text in (ENGLISH, CHINESE)]
    assert blocks[0] == blocks[1]
    numbers = [re.findall(r"\d+(?:[.,]\d+)*", text.split("```")[-1]) for text in (ENGLISH, CHINESE)]
    assert sorted(numbers[0]) == sorted(numbers[1])
    rows = [[r for r in text.splitlines() if r.startswith("|")] for text in (ENGLISH, CHINESE)]
    assert len(rows[0]) == len(rows[1])


DOCUMENTS = [
    *("README.md", "README.zh-CN.md", "BUILD.md", "CHANGELOG.md", "experiments/RESULTS.md"),
    *(str(path.relative_to(ROOT)) for path in sorted((ROOT / "docs" / "decisions").glob("*.md"))),
]


@pytest.mark.parametrize("name", DOCUMENTS)
def test_links_and_paths_of_the_documents_exist(name):
    text = (ROOT / name).read_text(encoding="utf-8")
    for target in re.findall(r"\]\((?!https?:)([^)#]+)\)", text):
        assert ((ROOT / name).parent / target).exists(), target
    for target in re.findall(r"experiments/flags/([a-z0-9_-]+\.flags)", text):
        assert (ROOT / "experiments" / "flags" / target).exists(), target


def test_every_room_with_a_reason_has_a_page_of_decisions():
    pages = {path.stem for path in (ROOT / "docs" / "decisions").glob("*.md")}
    rooms = {path.stem for path in (ROOT / "tfp_vae").iterdir()}
    assert pages <= rooms | {"packaging", "docs"}
    text = (ROOT / "BUILD.md").read_text(encoding="utf-8")
    for page in pages:
        assert f"docs/decisions/{page}.md" in text, page


@pytest.mark.parametrize("text", [ENGLISH, CHINESE], ids=["en", "zh"])
def test_a_readme_is_read_in_one_sitting(text):
    assert len(text.splitlines()) <= 125 and text.count("](docs/report-digits.png)") == 1
    assert len(re.findall(r"!\[", text)) == 1
    heads = len(re.findall(r"^\|(?: --- \|)+$", text, re.M))
    assert len(re.findall(r"^\|", text, re.M)) - 2 * heads == 5  # rows of results


@pytest.mark.all_only  # the example of the README is of the same classes
def test_the_code_of_the_start_page_ends_with_a_vae_of_ones_own_data(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    page = (ROOT / "docs" / "en" / "start.md").read_text(encoding="utf-8")
    code = "\n".join(re.findall(r"```python\n(.*?)```", page, re.S))
    names: dict = {}
    exec(compile(code.replace("epochs=5", "epochs=1"), "start.md", "exec"), names)
    assert names["drawn"]["mean"].shape == (10, 8, 8, 1)
    assert type(names["again"]) is names["tv"].VAE
    assert names["predictive"].probs.shape == (359, 10)


@pytest.mark.all_only
def test_a_weighted_mean_of_squares_moves_with_the_same_loss(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    page = (ROOT / "docs" / "en" / "other_code.md").read_text(encoding="utf-8")
    (code,) = re.findall(r"```python\n(.*?)```", page, re.S)
    names: dict = {}
    exec(compile(code.replace("epochs=5", "epochs=1"), "other_code.md", "exec"), names)
    vae, scale, weight = names["vae"], names["scale"], names["weight"]
    assert np.isfinite(names["elbo"]) and "1.54 for 0.00025 and 64x64x3" in page
    assert round(0.00025 * 64 * 64 * 3 / 2, 2) == 1.54
    x = names["data"].test.values()[:50]
    outputs = vae(x, seed=1)
    squares = np.mean((x - outputs.likelihood.mean()) ** 2)
    theirs = squares + weight * np.mean(outputs.posterior.kl_divergence(vae.prior()))
    loss = float(vae.compute_loss(x=x, y_pred=outputs))
    constant = x[0].size * np.log(scale * np.sqrt(2 * np.pi))
    assert weight * (loss - constant) == pytest.approx(theirs, rel=1e-4)
