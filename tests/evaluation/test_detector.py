"""The detector: exact scores and rates on a linear model, whose log p(x) and means are known."""

import json
import os
import sys
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf
from scipy import stats

import tfp_vae as tv
from tfp_vae.data import Column, Kind, Schema, Split
from tfp_vae.evaluation.detector import Detector
from tfp_vae.export.signatures.answers import answers_of, subject_of

sys.path.insert(0, str(Path(__file__).parents[1] / "oracles"))
import ppca

MIX = np.random.default_rng(3).normal(size=(2, 5))


def _draw(count, seed):
    rng = np.random.default_rng(seed)
    return (rng.normal(size=(count, 2)) @ MIX + 0.3 * rng.normal(size=(count, 5))).astype("float32")


@pytest.fixture(scope="module")
def linear():
    pca = ppca.fit(_draw(2000, 0), 2)
    return pca, ppca.vae_at_the_optimum(pca)


@pytest.fixture(scope="module")
def detector(linear):
    return Detector(linear[1], num_samples=8).fit(_draw(199, 1), 0.05)


def test_scores_are_minus_log_p_and_parts_sum_to_them(linear, detector):
    pca, _ = linear
    x = _draw(50, 2)
    np.testing.assert_allclose(detector.score(x), -pca.score_samples(x), rtol=1e-4, atol=1e-4)
    parts = detector.parts(x)
    assert parts.values.shape == (50, 5)
    total = parts.values.sum(axis=1) + parts.latents
    np.testing.assert_allclose(total, -parts.evidence, atol=1e-4)
    np.testing.assert_allclose(parts.elbo, parts.evidence, atol=1e-3)  # q is exact
    assert detector.score(x[:1]) == pytest.approx(detector.score(x)[:1], abs=1e-5)


def test_p_values_are_ranks_and_labels_keep_their_rate(linear, detector):
    pca, vae = linear
    x = _draw(4000, 4)
    held_out = -pca.score_samples(_draw(199, 1))
    rank = (1 + (held_out[:, None] >= -pca.score_samples(x)).sum(axis=0)) / 200
    p = detector.p_values(x)
    np.testing.assert_allclose(p, rank, atol=0.0051)  # a tie within rounding moves it by one
    np.testing.assert_array_equal(detector.labels(x), p <= 0.05)
    # Over many sets of held-out rows the rate is exact; one set is a draw of Beta(190, 10).
    rates, scores = [], detector.score(x)
    for start in range(0, 4000, 200):
        one = Detector(vae)
        one.held_out = np.sort(scores[start : start + 199])
        one.false_positive_rate = 0.05
        rates.append(np.mean(np.delete(scores, slice(start, start + 199)) > one.threshold))
    spread = stats.beta(190, 10).std() / np.sqrt(len(rates))
    assert abs(np.mean(rates) - 0.05) < 4 * spread + 0.002
    assert detector.labels(x + 4).mean() > 0.9


def test_a_rate_that_takes_more_rows_says_how_many(linear):
    detector = Detector(linear[1])
    with pytest.raises(ValueError, match=r"rate 0.001 takes more.*at least 999.*0.0196.*50 rows"):
        detector.fit(_draw(50, 1), 0.001)
    with pytest.raises(ValueError, match=r"knows no usual.*fit\(held_out\)"):
        detector.labels(_draw(5, 1))
    with pytest.raises(ValueError, match=r"Unknown score.*Did you mean typicality"):
        Detector(linear[1], "typicalit")


def test_an_explanation_names_the_column_and_what_was_expected_of_it(linear, detector):
    pca, _ = linear
    x = _draw(4, 5)
    x[:, 3] += 6
    found = detector.explain(x)
    covariance = pca.get_covariance()
    rest = [0, 1, 2, 4]
    gain = np.linalg.solve(covariance[np.ix_(rest, rest)], covariance[rest, 3])
    expected = pca.mean_[3] + (x[:, rest] - pca.mean_[rest]) @ gain
    spread = np.sqrt(covariance[3, 3] - covariance[rest, 3] @ gain)
    for row in range(4):
        reason = found[row][0]
        assert reason.name == "column 3" and reason.value == pytest.approx(x[row, 3])
        assert abs(reason.expected - expected[row]) < 0.5 * spread
        assert reason.nats > 10 and str(reason).startswith("column 3: ")


def test_reasons_name_classes_and_never_what_is_missing():
    schema = Schema((Column("x"), Column("town", "categorical", ("a", "b", "c"), "text")))
    network = keras.Sequential([tv.layers.TableInput(schema)])
    heads = {"x": tv.heads.NormalInUnits(0.01)}  # of which a usual value has a high density
    vae = tv.VAE(
        tv.priors.StandardNormal(1),
        tv.encoders.Gaussian(network, 1),
        tv.decoders.Columns(tv.networks.mlp([]), schema, heads),
    )
    vae.decoder.projection.set_weights([np.zeros((1, 4)), np.array([0.0, 9.0, 0.0, 0.0])])
    detector = Detector(vae, num_samples=4).fit(np.zeros((20, 2), np.float32), 0.1)
    found = detector.explain(np.array([[np.nan, 2], [0, 0]], np.float32))
    assert [reason.name for reason in found[0]] == ["town"]
    assert str(found[0][0]).startswith("town: c (expected a, ")


def test_typicality_ranks_the_half_that_its_reference_has_not_seen(linear):
    pca, vae = linear
    held_out, x = _draw(100, 6), _draw(20, 7)
    detector = Detector(vae, "typicality", num_samples=4).fit(held_out, 0.1)
    log_p = pca.score_samples(held_out)
    assert len(detector.held_out) == 50
    assert detector.reference == pytest.approx(log_p[:50].mean(), abs=1e-4)
    expected = np.abs(pca.score_samples(x) - log_p[:50].mean())
    np.testing.assert_allclose(detector.score(x), expected, atol=1e-4)


def test_a_saved_detector_is_the_same_and_another_file_is_refused(linear, detector, tmp_path):
    detector.save(tmp_path / "detector.json")
    again = Detector.load(tmp_path / "detector.json", linear[1])
    x = _draw(10, 8)
    np.testing.assert_array_equal(again.score(x), detector.score(x))
    assert again.threshold == detector.threshold
    (tmp_path / "other.json").write_text("{}")
    with pytest.raises(ValueError, match="holds no detector"):
        Detector.load(tmp_path / "other.json", linear[1])


def _saved(detector, path):
    detector.save(path)
    return json.loads(path.read_text())


@pytest.mark.parametrize(
    ("key", "value"),
    [
        *(("held_out", value) for value in ("x", [], [[1.0]], [1.0, float("nan")])),
        *(("usual", value) for value in ([0.0], [None] * 5)),
        *(("false_positive_rate", value) for value in (5, "0.1", None, 1e-6)),
        *(("score", "nothing"), ("score", ["a"]), ("seed", "x"), ("options", 3)),
        *(("num_samples", -1), ("reference", "x"), ("reference", 10**400)),
    ],
)
def test_a_damaged_detector_is_refused_before_it_flags(linear, detector, tmp_path, key, value):
    known = _saved(detector, tmp_path / "detector.json")
    (tmp_path / "detector.json").write_text(json.dumps(known | {key: value}))
    with pytest.raises(ValueError, match=r"holds no detector of this model. Expected .* Received"):
        Detector.load(tmp_path / "detector.json", linear[1])


def test_held_out_scores_of_a_file_are_ranked_whatever_their_order(linear, detector, tmp_path):
    known = _saved(detector, tmp_path / "detector.json")
    known["held_out"].reverse()
    (tmp_path / "detector.json").write_text(json.dumps(known))
    again = Detector.load(tmp_path / "detector.json", linear[1])
    np.testing.assert_array_equal(again.held_out, detector.held_out)


def test_a_detector_of_a_pipe_or_of_brackets_without_end_is_refused(linear, tmp_path):
    os.mkfifo(tmp_path / "pipe.json")
    (tmp_path / "deep.json").write_text("[" * 100_000)
    for name, words in (("pipe.json", "named pipe"), ("deep.json", "nested too deeply")):
        with pytest.raises(ValueError, match=words):
            Detector.load(tmp_path / name, linear[1])


def test_an_exported_score_flags_the_rows_that_python_flags(linear, detector):
    signatures, refused = answers_of(subject_of(detector, 4))
    named = {each.name: each for each in signatures}
    assert {"encode", "elbo", "score"} <= named.keys() and not refused
    x = np.concatenate([_draw(30, 9), _draw(10, 10) + 3])
    graph = tf.function(named["score"].answer, autograph=False)
    found = graph.get_concrete_function(x=tf.TensorSpec([None, 5]))(x=tf.constant(x))
    np.testing.assert_allclose(found["score"], detector.score(x), rtol=1e-4, atol=1e-4)
    np.testing.assert_array_equal(found["flagged"] == 1, detector.labels(x))
    np.testing.assert_allclose(found["parts"], detector.parts(x).values, rtol=1e-3, atol=1e-3)
    regret = Detector(linear[1], "likelihood_regret")
    regret.held_out = np.arange(200.0)
    assert "no function of tensors" in answers_of(subject_of(regret, 4))[1]["score"]


def test_images_have_parts_of_every_pixel_(make_vae, binary_images):
    vae = make_vae()
    detector = Detector(vae, num_samples=16).fit(binary_images(9), 0.1)
    split = Split(binary_images(10), Kind.STATIC)
    parts = detector.parts(split)
    assert parts.values.shape == (10, 4, 4, 1) and detector.names()[5] == "pixel (1, 1, 0)"
    total = parts.values.sum(axis=(1, 2, 3)) + parts.latents
    np.testing.assert_allclose(total, detector.score(split), rtol=1e-5)
    assert np.all(parts.elbo < parts.evidence)  # of the same draws
