"""Tables leave with their columns, and a score with its threshold, for rows that have gaps too."""

import json

import keras
import numpy as np
import pytest
import tensorflow as tf

import tfp_vae as tv
from tfp_vae.data import Column, Kind, Schema, Split
from tfp_vae.export import card
from tfp_vae.export.formats import base
from tfp_vae.export.package import Package, record_examples
from tfp_vae.export.signatures.answers import answers_of, subject_of

SCHEMA = Schema(
    (
        Column("age"),
        Column("income", "positive"),
        Column("sex", "binary", ("f", "m"), "text"),
        Column("town", "categorical", ("a", "b", "c"), "text"),
    )
)


def rows(count, seed=0):
    rng = np.random.default_rng(seed)
    columns = [rng.normal(40, 10, count), np.exp(rng.normal(10, 1, count))]
    columns += [rng.integers(0, k, count) for k in (2, 3)]
    x = np.stack(columns, axis=1).astype(np.float32)
    x[rng.random(x.shape) < 0.2] = np.nan
    return x


def of_a_table(missing):
    network = keras.Sequential([tv.layers.TableInput(SCHEMA), keras.layers.Dense(4, "tanh")])
    vae = tv.VAE(
        tv.priors.StandardNormal(1),
        tv.encoders.Gaussian(network, 1),
        tv.decoders.Columns(tv.networks.mlp([4]), SCHEMA, missing=missing),
        data_kind=Kind.REAL,
    )
    vae.compile(jit_compile=False)
    vae.take_units(Split(rows(60), schema=SCHEMA, name="train"))
    splits = (Split(rows(30, seed), schema=SCHEMA, name="some") for seed in (1, 2))
    return vae, *splits


def of_images(make_vae, binary_images):
    x = binary_images(60)
    return make_vae(), *(Split(each, Kind.STATIC, name="some") for each in (x[:30], x[30:]))


def _score_alone(detector, test):
    subject = subject_of(detector, 2)
    signatures, refused = answers_of(subject)
    score = tuple(each for each in signatures if each.name == "score")
    assert "score" not in refused and len(score) == 1
    examples, unanswered = record_examples(subject, score, test, 0)
    assert not unanswered
    return Package(detector.model, detector, score, examples, test, "tiny")


@pytest.mark.parametrize("missing", ["at_random", "not_at_random"])
def test_the_card_of_a_model_of_a_table_lists_its_parts(missing):
    model = of_a_table(missing)[0]
    found = {each["layer"]: each["parameters"] for each in card.architecture(model)}
    names = {"at_random": "AtRandom", "not_at_random": "NotAtRandom"}
    assert found["TableInput"] > 0 and (found[names[missing]] > 0) == (missing != "at_random")
    layer = model.decoder.missingness
    again = type(layer).from_config(layer.get_config())
    assert again.schema == SCHEMA and len(again.weights) == len(layer.weights)


FORMS = ["savedmodel", "onnx", "litert"]


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("what", ["at_random", "not_at_random", "images"])
@pytest.mark.all_only
def test_an_exported_score_is_that_of_python_and_flags_the_same_rows(
    form, what, tmp_path, make_vae, binary_images
):
    kind = base.FORMATS[form]
    try:
        kind().check_installed()
    except ImportError as error:
        pytest.skip(str(error))
    made = of_images(make_vae, binary_images) if what == "images" else of_a_table(what)
    vae, held_out, test = made
    detector = tv.Detector(vae, num_samples=8).fit(held_out, 0.2)
    package = _score_alone(detector, test)
    written = kind().write(package, tmp_path)
    assert not written.refused
    expected, labels = detector.score(test), detector.labels(test)
    clear = np.abs(expected - detector.threshold) > 1e-3  # which rounding moves no more
    assert 0 < labels.sum() < 20 and clear.sum() > 25
    for artefact in written.artefacts:
        if not artefact.exact:
            continue
        runs, _, outside = kind.load(tmp_path / artefact.path, [*artefact.signatures])
        assert not outside
        for start in range(0, 30, 3):
            x = test.values(np.arange(start, start + 3))
            found = runs["score"]({"x": x})
            here = slice(start, start + 3)
            np.testing.assert_allclose(found["score"], expected[here], rtol=1e-4, atol=1e-4)
            same = (found["flagged"] == 1) == labels[here]
            assert same[clear[here]].all()


def test_a_score_has_an_answer_for_rows_with_gaps_and_none_for_what_is_infinite():
    vae, held_out, test = of_a_table("at_random")
    detector = tv.Detector(vae, num_samples=2).fit(held_out, 0.2)
    score = {each.name: each for each in answers_of(subject_of(detector, 2))[0]}["score"]
    x = test.values(slice(0, 6)).copy()
    assert np.isnan(x).any() and score.inputs[0].to_json()["gaps"]
    expected = detector.score(x)
    x[2, 0] = np.inf
    found = score.answer(x=tf.constant(x))
    assert np.isnan(found["score"]).tolist() == [i == 2 for i in range(6)]
    np.testing.assert_allclose(
        np.delete(found["score"], 2), np.delete(expected, 2), rtol=1e-4, atol=1e-4
    )
    np.testing.assert_array_equal(
        np.delete(found["flagged"], 2) == 1, np.delete(expected, 2) > detector.threshold
    )
    with pytest.raises(tf.errors.InvalidArgumentError, match="has no answer"):
        score.seeded(x=tf.constant(x))


def test_a_package_says_what_its_columns_and_classes_are():
    vae, test, _ = of_a_table("not_at_random")
    found = json.loads(json.dumps(Package(vae, vae, (), {}, test, "tiny").table()))
    assert found["missing"] == "not_at_random" and found["class_names"] is None
    names = [column["name"] for column in found["columns"]]
    assert names == list(SCHEMA.names) and found["columns"][3]["levels"] == ["a", "b", "c"]
    age, income = (found["columns"][i] for i in range(2))
    known = rows(60)
    assert age["units"]["target_mean"] == pytest.approx(np.nanmean(known[:, 0]), rel=1e-4)
    logs = np.log(known[:, 1])
    assert income["units"]["target_scale"] == pytest.approx(np.nanstd(logs), rel=1e-4)
    assert (income["kind"], income["likelihood"]) == ("positive", "LogNormal")
    text = "\n".join(card._columns(found))
    assert "0 a, 1 b, 2 c" in text and "missing not_at_random" in text.replace("\\", "")
    network = tv.BayesianNetwork(keras.Sequential([keras.layers.Dense(2)]),
                                 tv.likelihoods.Categorical(2))  # fmt: skip
    split = Split(np.ones((2, 2), np.float32), "real", labels=["no", "yes"], columns=("a", "b"))
    named = Package(network, network, (), {}, split, "tiny").table()
    assert named == {"columns": [{"name": "a"}, {"name": "b"}], "class_names": ["no", "yes"],
                     "missing": None}  # fmt: skip
