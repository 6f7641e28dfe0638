"""The tables of docs/en/latents.md: every member is in them, and what they say of it is so."""

import pathlib
import re

import keras
import numpy as np
import pytest
import tensorflow as tf
from training.training_cases import BATCH_SIZE, MEMBERS, data, model

import tfp_vae as tv
from tfp_vae import methods
from tfp_vae.distributions import encoders, priors

ROOT = pathlib.Path(__file__).parents[1]
YES = {"en": "yes", "zh": "是"}
FLAGS = {
    "latent_prior": {*priors.PRIORS},
    "posterior": {*encoders.ENCODERS},
    "network": {"gated", "resnet"},
    "model": {"hierarchical", "vade", "autoencoder"},
}
# Columns of the second table behind the member.
DIAGNOSE, CODEC, HALF = 1, 2, 3


def _cells(line):
    return [cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]]


def _tables(language):
    """Returns the tables of the page with a column of members, [[cells of a row]]."""
    text = (ROOT / "docs" / language / "latents.md").read_text(encoding="utf-8")
    blocks = re.findall(r"(?m)(?:^\|.*\n)+", text)
    tables = [[_cells(line) for line in block.splitlines()] for block in blocks]
    return [table[2:] for table in tables if table[0][0] in ("member", "成员")]


def _members(cell):
    """Yields (flag, name) of what a row is about: `--flag=` names, or `--flag=name`s."""
    bare = re.sub(r"[(（].*?[)）]", "", cell)
    flag = re.match(r"`--(\w+)=`", bare)
    if flag:
        names = re.findall(r"\w+", bare[flag.end() :])
        yield from ((flag[1], name) for name in names)
    else:
        yield from re.findall(r"`--(\w+)=(\w+)`", bare)


@pytest.mark.parametrize("language", YES)
@pytest.mark.parametrize("number", [0, 1])
def test_every_member_is_in_every_table_once(number, language):
    found = [each for row in _tables(language)[number] for each in _members(row[0])]
    assert len(found) == len({*found})
    for flag, names in FLAGS.items():
        assert {name for each, name in found if each == flag} == names, flag


def test_both_languages_say_yes_of_the_same():
    for english, chinese in zip(_tables("en"), _tables("zh"), strict=True):
        for one, other in zip(english, chinese, strict=True):
            assert [*_members(one[0])] == [*_members(other[0])]
            for a, b in zip(one[1:], other[1:], strict=True):
                assert a.startswith(YES["en"]) == b.startswith(YES["zh"]), (one[0], a, b)


def _said(flag, name, column):
    """Returns whether the second table says yes."""
    (row,) = [row for row in _tables("en")[1] if (flag, name) in _members(row[0])]
    return row[column].startswith(YES["en"])


def _answers(work):
    """Returns whether work is done; what is refused is refused in our words."""
    try:
        work()
    except ValueError as error:
        assert re.search(r"(?s)Expected.*Received", str(error)), error
        return False
    return True


CASES = {**MEMBERS, "network-resnet": {"network": "resnet"}, "model-autoencoder": {}}


def _built(kind, found):
    if kind in MEMBERS:
        return model(kind, found)
    flag, name = kind.split("-")
    recipe = methods.VAERecipe(**{flag: name}, latent_dim=3, hidden=(6,), filters=(2, 2))
    made = recipe.build(found, seed=3)
    made.compile(keras.optimizers.Adam(1e-2), jit_compile=False)
    return made


@pytest.mark.parametrize(
    "kind",
    [
        pytest.param(
            kind, marks=pytest.mark.all_only if kind == "prior-vamp" else pytest.mark.release_only
        )
        for kind in CASES
    ],
)
def test_diagnosis_codec_and_half_precision_take_what_the_table_says(kind):
    found = data()
    flag, name = kind.split("-")
    flag = "latent_prior" if flag == "prior" else flag
    tf.config.run_functions_eagerly(True)
    try:
        made = _built(kind, found)
        made.check_training(found.train, BATCH_SIZE)  # which tells pseudo-inputs where to start
        split = found.test
        asked = {
            DIAGNOSE: lambda: tv.evaluation.diagnose(made, split, 4, most=6, gap_examples=0),
            CODEC: lambda: tv.codec.Codec(made),
        }
        for column, work in asked.items():
            assert _answers(work) == _said(flag, name, column), column
        keras.config.set_dtype_policy("mixed_bfloat16")
        half = _built(kind, found)
        history = half.fit(found.train.take(BATCH_SIZE), batch_size=BATCH_SIZE, verbose=0)
        assert np.isfinite(history.history["loss"]).all() == _said(flag, name, HALF)
        (latent, *_) = half.at(0).infer(split.values(slice(3)), 2)
        assert latent.value.dtype == latent.log_q.dtype == tf.float32
    finally:
        tf.config.run_functions_eagerly(False)
        keras.config.set_dtype_policy("float32")
