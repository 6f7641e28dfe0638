"""Both languages say the same things, and everything that a report names has a title."""

import json
import pathlib
import re

import pytest

import tfp_vae
from tfp_vae import methods, report
from tfp_vae.report import comparison, findings

FOLDER = pathlib.Path(tfp_vae.__file__).parent / "report" / "texts"
WORDS = {p.stem: json.loads(p.read_text(encoding="utf-8")) for p in FOLDER.glob("*.json")}
MODELS = "conditional_vae vae_probe bnn ml mc_dropout ensemble bayesian_decoder_vae".split()


def leaves(words, path=()):
    for key, value in words.items():
        if isinstance(value, dict):
            yield from leaves(value, (*path, key))
        else:
            yield (*path, key), value


def test_every_language_has_its_file():
    assert sorted(WORDS) == sorted(report.LANGUAGES)


def test_languages_have_the_same_keys():
    keys = [[path for path, _ in leaves(words)] for words in WORDS.values()]
    assert sorted(keys[0]) == sorted(keys[1])


def test_languages_fill_in_the_same_values():
    slots = [
        {path: sorted(set(re.findall(r"{(\w+)}", text))) for path, text in leaves(words)}
        for words in WORDS.values()
    ]
    assert slots[0] == slots[1]


@pytest.mark.parametrize("language", WORDS)
@pytest.mark.parametrize(
    ("kind", "names"),
    [
        ("metrics", [*report.DIRECTIONS]),
        ("tasks", report.TASKS),
        ("models", [*MODELS, *methods.METHODS]),
        ("families", comparison.FAMILIES),
        ("purposes", findings.PURPOSES),
        ("points", findings.PURPOSES),
        ("scores", findings.density_scores()),
    ],
)
def test_everything_that_a_report_names_has_a_text(language, kind, names):
    assert set(names) <= set(WORDS[language][kind])


def test_chinese_is_chinese():
    latin = {"VAE", "SWAG", "NUTS"}
    for path, text in leaves(WORDS["zh"]):
        prose = path[0] in ("page", "verdict", "points", "purposes", "abilities")
        assert not prose or re.search(r"[一-鿿]", text) or text in latin, path
