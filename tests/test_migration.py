"""The migration page keeps its word: its old code and its new code run, and agree."""

import pathlib
import re
import warnings

import numpy as np
import pytest

ROOT = pathlib.Path(__file__).parents[1]
ENGLISH = (ROOT / "docs" / "en" / "migration.md").read_text(encoding="utf-8")
CHINESE = (ROOT / "docs" / "zh" / "migration.md").read_text(encoding="utf-8")
PYTHON = r"```python\n(.*?)```"
SIDES = {"both": ("before", "after"), "before": ("before",), "after": ("after",)}


def _without_comments(block: str) -> str:
    return re.sub(r"\s*#.*", "", block)


def _marks(text: str) -> list[str]:
    return [block.splitlines()[0] for block in re.findall(PYTHON, text, re.S)]


@pytest.mark.all_only
@pytest.mark.slow
@pytest.mark.dear(reason="all code of the page, which trains twice")
def test_code_of_the_page_runs_in_order_before_and_after(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    names: dict = {"before": {}, "after": {}}
    for block in re.findall(PYTHON, ENGLISH, re.S):
        block = block.replace("range(30)", "range(3)").replace("num_samples=30", "num_samples=3")
        for side in SIDES[block.splitlines()[0].removeprefix("# ")]:
            with warnings.catch_warnings():
                if side == "before":  # what Keras 2 warns of is what the page leads away from
                    warnings.simplefilter("ignore")
                exec(compile(block, f"migration.md, {side}", "exec"), names[side])

    before, after = names["before"], names["after"]
    for probs in (before["probs"], after["probs"], after["stock_probs"].numpy()):
        assert probs.shape == (300, 10)
        np.testing.assert_allclose(probs.sum(-1), 1, rtol=1e-4)
    assert before["means"].shape == (3, 300, 1)
    assert after["mean"].shape == after["log_prob"].shape == (300,)
    total = after["noise"] + after["from_weights"]
    np.testing.assert_allclose(after["p_y"].variance(), total, rtol=1e-3)
    assert after["bnn"].num_data == before["images"].shape[0] - 300

    # The old posteriors, with the scales of their floor apart, and the old network at its means.
    ours = after["bnn"].network.layers
    for old, new in zip(before["model"].layers, ours, strict=True):
        if not hasattr(old, "kernel_posterior"):
            continue
        theirs = old.kernel_posterior
        for moment in ("mean", "stddev"):
            expected = getattr(theirs, moment)().numpy()
            found = getattr(new.posterior, moment)().numpy().reshape(expected.shape)
            np.testing.assert_allclose(found, expected, atol=2e-6)
        old.kernel_posterior_tensor_fn = lambda distribution: distribution.mean()
    images = after["images"][after["test"]]
    expected = before["model"](images).numpy()
    np.testing.assert_allclose(after["bnn"].mean_parameters(images), expected, atol=1e-4)

    assert float(after["kl"]) == pytest.approx(float(ours[-1].kl_divergence()), rel=1e-6)
    assert after["covariance"].shape == (22, 22)
    for loaded, saved in ((after["again"], after["bnn"]), (after["stock_again"], after["stock"])):
        for one, other in zip(loaded.trainable_weights, saved.trainable_weights, strict=True):
            np.testing.assert_array_equal(one, other)
    assert np.isfinite(after["elbo"]) and after["z"].shape == (300, 4)
    assert np.isfinite(after["robust"].predictive(after["table"], 3).log_prob(1.0)).all()


def test_the_pages_start_where_tfp_starts():
    import keras

    import tfp_vae as tv

    assert "softplus(-3) = 0.0486 " in ENGLISH and "`initial_scale=0.0486 * F**0.5`" in ENGLISH
    assert np.log1p(np.exp(-3)) == pytest.approx(0.0486, abs=5e-5)
    start = keras.initializers.RandomNormal(stddev=0.1)
    for inputs in (2, 200):
        scale = 0.0486 * inputs**0.5
        layer = tv.layers.DenseFlipout(300, initial_scale=scale, kernel_initializer=start)
        layer.build((None, inputs))
        np.testing.assert_allclose(layer.posterior.stddev(), 0.0486, rtol=1e-5)
        assert np.std(layer.loc) == pytest.approx(0.1, rel=0.2)


def test_both_pages_have_the_same_code_tables_and_numbers():
    assert _marks(ENGLISH) == _marks(CHINESE)
    assert set(_marks(ENGLISH)) == {f"# {mark}" for mark in SIDES}
    pages = [ENGLISH, CHINESE]
    blocks = [[_without_comments(b) for b in re.findall(PYTHON, page, re.S)] for page in pages]
    assert blocks[0] == blocks[1]
    text = [re.sub(r"```.*?```", "", page, flags=re.S) for page in pages]
    numbers = [sorted(re.findall(r"\d+(?:[.,]\d+)*", page)) for page in text]
    assert numbers[0] == numbers[1]
    code = [sorted(re.findall(r"`[^`]+`", page)) for page in text]
    assert code[0] == code[1]
    for line in (r"^\|", r"^## ", r"^- "):
        counts = [len(re.findall(line, page, re.M)) for page in text]
        assert counts[0] == counts[1]


@pytest.mark.parametrize("page", [ENGLISH, CHINESE], ids=["en", "zh"])
def test_names_that_the_page_mentions_exist(page):
    import tensorflow_probability as tfp

    import tfp_vae as tv

    rooms = {"tv": tv, "tfp_vae": tv, "tvl": tv.layers, "tfpl": tfp.layers}
    found = re.findall(r"\b(tv|tfp_vae|tvl|tfpl)((?:\.\w+)+)(\.\.\.)?", page)
    assert len(found) > 40
    for room, path, more in found:
        place = rooms[room]
        for name in path[1:].split("."):
            last = path.endswith(name)
            if more and last:
                assert any(n.startswith(name) for n in dir(place)), path
            else:
                assert hasattr(place, name), room + path
                place = getattr(place, name)
    for target in re.findall(r"\]\((?!https?:)([^)#]+)\)", page):
        assert (ROOT / "docs" / target).exists(), target
