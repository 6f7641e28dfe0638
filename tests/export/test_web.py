"""What a page of a decoder is made of, and what is refused before anything is written."""

import base64
import json
import os
import re
import subprocess
import types

import keras
import numpy as np
import pytest
import tensorflow_probability as tfp
import web_cases as cases

import tfp_vae as tv
from tfp_vae.data import Split
from tfp_vae.export.formats import FORMATS
from tfp_vae.export.page import browser, steps, web
from tfp_vae.report import sealed


def _vae(network, shape=(4,), latent_dim=2, decoder=tv.decoders.Normal):
    return tv.VAE(
        prior=tv.priors.StandardNormal(latent_dim),
        encoder=tv.encoders.Gaussian(tv.networks.mlp([4]), latent_dim),
        decoder=decoder(network, shape),
    )


def values_of(page):
    return json.loads(re.search(r'id="values">(.*?)</script>', page, re.S).group(1))


def numbers(text):
    return np.frombuffer(base64.b64decode(text), "<f4")


class OwnDense(keras.layers.Dense):
    """A layer that may do anything."""


class OwnHead(tv.heads.Head):
    """A likelihood whose mean may be anything."""

    def distribution(self, parameters):
        return tfp.distributions.Laplace(parameters[..., 0], 1.0)


class OwnDecoder(tv.decoders.Decoder):
    """A decoder whose mean may be anything."""


def _functional():
    inputs = keras.Input((2,))
    return keras.Model(inputs, keras.layers.Dense(3)(inputs))


@pytest.mark.parametrize(
    ("network", "received"),
    [
        (lambda: keras.Sequential([keras.layers.Dense(4), OwnDense(3)]), "OwnDense"),
        (_functional, "Functional"),
        (lambda: keras.layers.Dense(3, "hard_sigmoid"), "activation hard_sigmoid"),
        (lambda: keras.Sequential([keras.layers.Reshape((2, 1)), keras.layers.GRU(3)]), "GRU"),
        (
            lambda: keras.Sequential([
                keras.layers.Reshape((1, 2, 1)),
                keras.layers.UpSampling2D(2, interpolation="bilinear"),
                keras.layers.Flatten(),
            ]),
            "interpolation='bilinear'",
        ),
        (
            lambda: keras.Sequential([
                keras.layers.Reshape((1, 1, 2)),
                keras.layers.Conv2D(2, 1, groups=2),
                keras.layers.Flatten(),
            ]),
            "groups=2",
        ),
        (lambda: keras.layers.ReLU(max_value=3.0), "max_value=3.0"),
    ],
    ids="own_class functional softmax recurrent bilinear groups clipped".split(),
)  # fmt: skip
def test_a_layer_that_the_page_cannot_draw_is_named_before_anything_is_written(
    tmp_path, network, received
):
    model = _vae(network())
    with pytest.raises(ValueError, match=r"cannot be drawn.*Expected.*Dense.*Received") as caught:
        web.write(model, tmp_path / "page")
    assert received in str(caught.value)
    assert not (tmp_path / "page").exists()


def _of(decoder, head):
    return lambda network, shape: decoder(network, shape, head)


def test_models_without_a_decoder_to_draw_are_refused(tmp_path):
    network = tv.BayesianNetwork(keras.layers.Dense(3), tv.likelihoods.Categorical(3))
    vector = tv.ConditionalVAE(
        prior=tv.priors.StandardNormal(2),
        encoder=tv.encoders.Gaussian(tv.networks.mlp([4]), 2),
        decoder=tv.decoders.Normal(tv.networks.mlp([4]), (4,)),
        condition_dim=2,
    )
    own = _vae(tv.networks.mlp([4]), (2, 2, 1), decoder=_of(OwnDecoder, tv.heads.Bernoulli()))
    lacking = _vae(tv.networks.mlp([4]), (2, 2, 1), decoder=_of(tv.decoders.Decoder, OwnHead()))
    for model, reason in (
        (network, "Expected a VAE.*BayesianNetwork"),
        (vector, "model of classes.*condition_dim=2"),
        (own, "no mean to draw.*OwnDecoder"),
        (lacking, "OwnHead has no mean that a page can draw.*method steps"),
    ):
        with pytest.raises(ValueError, match=f"{reason}"):
            web.write(model, tmp_path / "page")
    assert not (tmp_path / "page").exists()


def test_wrong_examples_languages_and_weights_are_refused(tmp_path):
    model = cases.make(cases.bernoulli)
    with pytest.raises(ValueError, match=r"wrong shape.*Expected.*Received"):
        web.write(model, tmp_path / "page", examples=np.zeros((3, 5, 5, 1)))
    with pytest.raises(ValueError, match=r"language.*Expected.*Received 'fr'"):
        web.write(model, tmp_path / "page", language="fr")
    model.decoder.projection.bias.assign(np.full(16, np.nan))
    with pytest.raises(ValueError, match=r"not numbers.*Expected.*Received 16"):
        web.write(model, tmp_path / "page")
    assert not (tmp_path / "page").exists()


def test_a_page_replaces_the_one_before_and_nothing_else(tmp_path):
    (tmp_path / "model.keras").write_text("kept")
    model = cases.make(cases.bernoulli)
    first = web.write(model, tmp_path).read_text(encoding="utf-8")
    second = web.write(model, tmp_path, language="zh").read_text(encoding="utf-8")
    assert first != second and "解码器" in second
    assert sorted(os.listdir(tmp_path)) == ["index.html", "model.keras"]


def test_the_same_model_gives_the_same_page():
    model = cases.make(cases.bernoulli)
    assert web.render(model) == web.render(model)


def test_the_page_has_every_weight_of_the_decoder_once_and_none_of_the_encoder():
    model = cases.make(cases.normal_conv)
    values = values_of(web.render(model))
    kept = [w for w in model.decoder.weights if w.name != "running"]
    inside = numbers(values["weights"])
    assert inside.size == values["num_weights"] == sum(np.size(w) for w in kept)
    np.testing.assert_allclose(
        np.sort(inside), np.sort(np.concatenate([np.ravel(w) for w in kept]))
    )


def test_bayesian_weights_are_at_their_means():
    model = cases.make(cases.bayesian)
    found = steps.decoder_steps(model.decoder)
    first = model.decoder.network.layers[0]
    kernel = found.weights[: 2 * 12].reshape(2, 12)
    np.testing.assert_array_equal(kernel, np.asarray(first.loc)[:2])


def test_more_dimensions_are_seen_along_the_principal_directions_of_the_examples():
    model = _vae(tv.networks.mlp([4]), (3,), latent_dim=12)
    rng = np.random.default_rng(0)
    x = rng.normal(size=(200, 3)).astype(np.float32)
    latent = values_of(web.render(model, examples=Split(x, "real")))["latent"]
    directions = np.array(latent["directions"])
    assert directions.shape == (8, 12) and not latent["plain"]
    np.testing.assert_allclose(directions @ directions.T, np.eye(8), atol=1e-9)
    cloud = tv.evaluation.latent.posterior_means(model, Split(x, "real"))
    variances = (cloud @ directions.T).var(axis=0)
    assert (np.diff(variances) <= 1e-6).all()
    eigenvalues = np.linalg.eigvalsh(np.cov(cloud.T, ddof=0))[::-1]
    np.testing.assert_allclose(variances, eigenvalues[:8], atol=1e-5)


def test_the_points_are_the_posterior_means_of_at_most_some_examples():
    model = cases.make(cases.normal_table)
    x = np.random.default_rng(0).normal(size=(2000, 5)).astype(np.float32)
    split = Split(x, "real", labels=np.arange(2000) % 7)
    values = values_of(web.render(model, examples=split))
    points = values["points"]
    assert points["count"] == 1500 == len(points["labels"])
    places = numbers(points["places"]).reshape(-1, 2)
    means = tv.evaluation.latent.posterior_means(model, split)
    np.testing.assert_allclose(places[[0, -1]], means[[0, -1]], atol=1e-5)
    assert points["labels"][-1] == 1999 % 7
    assert np.abs(places).max() <= 1.1 * values["latent"]["extent"]


def test_the_page_opens_at_an_example_and_not_in_the_grey_middle():
    model = cases.make(cases.conditional)
    values = np.random.default_rng(0).integers(0, 2, (30, 3, 2, 1)).astype(np.float32)
    split = Split(values, "static", labels=np.arange(30) % 3)
    found = web.describe(model, split)
    start = found["start"]
    distances = np.linalg.norm(model.encode(values, split.labels) - start["z"], axis=1)
    assert distances.min() < 1e-6 and split.labels[distances.argmin()] == start["label"]
    assert np.linalg.norm(np.subtract(start["z"], found["latent"]["centre"])) > 1e-3


def test_one_drags_between_encoded_examples_of_every_class():
    model = cases.make(cases.normal_table)
    x = np.random.default_rng(0).normal(size=(60, 5)).astype(np.float32)
    split = Split(x, "real", labels=np.arange(60) % 3, class_names=["a", "b", "c"])
    found = web.describe(model, split)
    ends, codes = found["ends"], model.encode(x).numpy()
    rows = [np.abs(codes - z).max(axis=1).argmin() for z in ends["z"]]
    np.testing.assert_allclose(codes[rows], ends["z"], atol=1e-6)
    assert len(set(rows)) == len(rows) == 10 and ends["names"] == ["a", "b", "c"]
    assert ends["labels"] == split.labels[rows].tolist()
    assert sorted(np.bincount(ends["labels"])) == [3, 3, 4]  # classes take turns
    assert found["start"] == {"z": ends["z"][0], "label": 0}


def test_examples_of_one_code_have_no_line_between_them():
    model = cases.make(cases.normal_table)
    page = web.render(model, examples=Split(np.ones((5, 5), np.float32), "real"))
    assert values_of(page)["ends"] is None and 'id="between"' not in page
    assert len(values_of(page)["start"]["z"]) == 2


@pytest.mark.parametrize("language", web.LANGUAGES)
def test_an_exported_page_is_in_the_language_that_was_asked_for(tmp_path, language):
    package = types.SimpleNamespace(
        model=cases.make(cases.bernoulli), split=None, language=language
    )
    FORMATS["web"]().write(package, tmp_path)
    html = (tmp_path / "web" / "index.html").read_text(encoding="utf-8")
    assert f'<html lang="{sealed.html_name(language)}">' in html


def test_one_dimension_has_a_slider_and_no_plane():
    page = web.render(_vae(tv.networks.mlp([4]), latent_dim=1))
    assert page.count("data-direction=") == 1 and 'id="plane"' not in page


def test_labels_of_an_example_cannot_end_their_element():
    page = web.render(cases.make(cases.bernoulli))
    inside = re.search(r'id="values">(.*?)</script>\s*<script>', page, re.S).group(1)
    assert "<" not in inside and "{{" not in page


def _leaves(words, path=()):
    for key, value in words.items():
        if isinstance(value, dict):
            yield from _leaves(value, (*path, key))
        else:
            yield (*path, key), sorted(re.findall(r"{(\w+)}", value))


def test_languages_say_the_same_things_with_the_same_values():
    words = [sealed.words_of("tfp_vae.export.page", language) for language in sealed.LANGUAGES]
    assert dict(_leaves(words[0])) == dict(_leaves(words[1]))


def test_without_chromium_the_check_says_how_to_get_it(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(FileNotFoundError, match=r"Chromium.*apt-get install.*Expected.*Received"):
        web.check(tmp_path / "index.html", [[0.0]], [[0.0]])


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        ({"means": [[0.0, None]]}, "1 not finite"),
        ({"means": [[0.0, 1.0, 2.0]]}, r"something else.*Received shape \(1, 3\)"),
        ({"error": "Expected 2 numbers"}, "cannot decode.*Expected 2 numbers"),
        (None, "cannot decode.*no answer"),
    ],
    ids=["nan", "shape", "error", "silence"],
)
def test_a_page_that_answers_wrongly_is_an_error_and_no_small_number(
    tmp_path, monkeypatch, answer, reason
):
    page = tmp_path / "index.html"
    page.write_text(web.render(cases.make(cases.bernoulli)), encoding="utf-8")
    told = f'<pre id="answer">{json.dumps(answer)}</pre>' if answer else ""
    monkeypatch.setattr(browser, "find", lambda: "chromium")
    monkeypatch.setattr(
        subprocess, "run", lambda *_, **__: subprocess.CompletedProcess([], 0, told, "")
    )
    with pytest.raises(ValueError, match=reason):
        web.check(page, [[0.0, 0.0]], [[0.0, 1.0]])


def test_only_pages_of_ours_are_tried(tmp_path, monkeypatch):
    monkeypatch.setattr(browser, "find", lambda: "chromium")
    with pytest.raises(FileNotFoundError, match="no page"):
        web.check(tmp_path / "none.html", [[0.0]], [[0.0]])
    (tmp_path / "other.html").write_text("<p>hello")
    with pytest.raises(ValueError, match="cannot be tried"):
        web.check(tmp_path / "other.html", [[0.0]], [[0.0]])
