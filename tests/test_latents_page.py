"""The tables of docs/en/latents.md: every member is in them, and what they say of it is so."""

import pathlib
import re

import keras
import numpy as np
import pytest
import tensorflow as tf
from training.training_cases import (
    BATCH_SIZE,
    MEMBERS,
    OTHERS,
    SHARED_LATENTS,
    SHARED_MODELS,
    data,
    model,
)

import tfp_vae as tv
from tfp_vae import methods
from tfp_vae.distributions import codes, encoders, priors
from tfp_vae.export.package import record_examples
from tfp_vae.export.page import web
from tfp_vae.export.signatures.answers import answers_of, subject_of

ROOT = pathlib.Path(__file__).parents[1]
YES = {"en": "yes", "zh": "是"}
# A plain VAE is what priors and posteriors stand in; a condition is no matter of latents.
PLAIN = {"vae", "conditional", "m2", "correlated"}
FLAGS = {
    "latent_prior": {*priors.PRIORS},
    "posterior": {*encoders.ENCODERS},
    "network": {"gated", "resnet"},
    "model": {*methods.VAE_KINDS, *codes.CODES} - PLAIN,
}
# Columns behind the member: of the first table, and of the second.
SIGNATURES, BOUNDS, PAGE, RESUME = 1, 2, 3, 5
DIAGNOSE, CODEC, HALF, DEVICES = 1, 2, 3, 4
LATENT = {"encode", "decode", "reconstruct", "sample"}  # the signatures of the first column
# What two devices are tried with: plain ones, and levels with a ladder.
SHARED = {*SHARED_LATENTS, *SHARED_MODELS}
SHARED |= {"prior-standard", "posterior-diagonal", "posterior-ladder"}


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


def _cell(number, flag, name, column):
    """Returns what a table says of a member."""
    (row,) = [row for row in _tables("en")[number] if (flag, name) in _members(row[0])]
    return row[column]


def _said(number, flag, name, column):
    """Returns whether a table says yes of a member: of all in its row, or by name."""
    cell = _cell(number, flag, name, column)
    named = re.match(r"([\w, ]+) yes", cell)
    return cell.startswith(YES["en"]) or bool(named and name in re.findall(r"\w+", named[1]))


def _answers(work):
    """Returns whether work is done; what is refused is refused in our words."""
    try:
        work()
    except ValueError as error:
        assert re.search(r"(?s)Expected.*Received", str(error)), error
        return False
    return True


CASES = MEMBERS | OTHERS


def _flag(kind):
    flag, name = kind.split("-")
    return {"prior": "latent_prior"}.get(flag, flag), name


def _answered(made, split):
    """Returns the names of what is answered with finite numbers; others say why not."""
    subject = subject_of(made, 2)
    found, refused = answers_of(subject)
    examples, unanswered = record_examples(subject, found, split, 0)
    for reason in (refused | unanswered).values():
        assert len(reason.split()) > 3 and "\n" not in reason, reason
    assert all(np.isfinite(value).all() for value in examples.values())
    return {each.name for each in found} - unanswered.keys()


@pytest.mark.parametrize(
    "kind",
    [
        pytest.param(
            kind, marks=pytest.mark.all_only if kind == "prior-vamp" else pytest.mark.release_only
        )
        for kind in CASES
    ],
)
def test_what_is_answered_drawn_diagnosed_coded_and_halved_is_what_the_tables_say(kind):
    found = data()
    flag, name = _flag(kind)
    tf.config.run_functions_eagerly(True)
    try:
        made = model(kind, found)
        made.check_training(found.train, BATCH_SIZE)  # which tells pseudo-inputs where to start
        split = found.test
        answered, cell = _answered(made, split), _cell(0, flag, name, SIGNATURES)
        assert _said(0, flag, name, SIGNATURES)
        without = re.search(r"no ((?:`\w+`(?:, )?)+)", cell)
        missing = {*re.findall(r"\w+", without[1] if without else "")}
        assert answered & LATENT == LATENT - missing
        assert ({"elbo", "log_evidence"} <= answered) == _said(0, flag, name, BOUNDS)
        assert _answers(lambda: web.render(made)) == _said(0, flag, name, PAGE)
        asked = {
            DIAGNOSE: lambda: tv.evaluation.diagnose(made, split, 4, most=6, gap_examples=0),
            CODEC: lambda: tv.codec.Codec(made),
        }
        for column, work in asked.items():
            assert _answers(work) == _said(1, flag, name, column), column
        keras.config.set_dtype_policy("mixed_bfloat16")
        half = model(kind, found)
        history = half.fit(found.train.take(BATCH_SIZE), batch_size=BATCH_SIZE, verbose=0)
        assert np.isfinite(history.history["loss"]).all() == _said(1, flag, name, HALF)
        (latent, *_) = half.at(0).infer(split.values(slice(3)), 2)
        assert latent.value.dtype == latent.log_q.dtype == tf.float32
    finally:
        tf.config.run_functions_eagerly(False)
        keras.config.set_dtype_policy("float32")


def test_what_is_resumed_and_shared_is_what_is_tried():
    for kind in CASES:
        flag, name = _flag(kind)
        assert _said(0, flag, name, RESUME) == (kind in MEMBERS), kind
        if kind != "model-vade":  # said of its mixture
            assert _said(1, flag, name, DEVICES) == (kind in SHARED), kind
