"""A user's own prior, posterior and decoder: exported as far as they go, the rest refused by name.

Each signature is judged alone: what has no centre has no `encode`, and still a `decode`.
"""

import json

import keras
import numpy as np
import pytest
import tensorflow as tf
import tensorflow_probability as tfp

import tfp_vae as tv
from tfp_vae import export, report
from tfp_vae.data import Kind, Split
from tfp_vae.distributions import draws
from tfp_vae.export.formats import base
from tfp_vae.export.page import web
from tfp_vae.export.proof import runtimes
from tfp_vae.models.latents import LatentVariable

tfd, tfb = tfp.distributions, tfp.bijectors
SHAPE = (4, 4, 1)
ALL = ["encode", "decode", "reconstruct", "sample", "elbo", "log_evidence"]
registered = keras.saving.register_keras_serializable(package="mine")


@registered
class MixturePrior(tv.priors.Prior):
    """Three normals with learned centres and weights."""

    def build(self, spec):
        options = {"initializer": keras.initializers.RandomNormal(1.0, seed=1), "autocast": False}
        self.loc = self.add_weight(name="loc", shape=(3, self.latent_dim), **options)
        self.logits = self.add_weight(name="logits", shape=(3,), **options)
        self.built = True

    def distribution(self, context):
        loc = tf.convert_to_tensor(self.loc)
        normals = tfd.MultivariateNormalDiag(loc, tf.ones_like(loc))
        weights = tfd.Categorical(logits=tf.convert_to_tensor(self.logits))
        return tfd.MixtureSameFamily(weights, normals)


@registered
class PseudoInputs(tv.priors.Prior):
    """A mixture of posteriors of learned inputs (Tomczak & Welling, 2018)."""

    def build(self, spec):
        start = keras.initializers.RandomNormal(1.0, seed=1)
        shape = (3, *spec.event_shape)
        self.inputs = self.add_weight(name="inputs", shape=shape, initializer=start)
        self.built = True

    def distribution(self, context):
        posteriors = context.encode(tf.sigmoid(tf.convert_to_tensor(self.inputs)))
        return tfd.MixtureSameFamily(tfd.Categorical(logits=tf.zeros(3)), posteriors)


@registered
class HeavyTails(tv.priors.Prior):
    """A prior of which nobody said how its draws are made of noise."""

    def distribution(self, context):
        each = tfd.StudentT(4.0, tf.zeros(self.latent_dim), tf.ones(self.latent_dim))
        return tfd.Independent(each, 1)


@registered
class Below(tv.priors.Prior):
    """A prior around what lies above."""

    needs_above = True

    def distribution(self, context):
        (above,) = context.above
        loc = tf.concat([above, -above], axis=-1)
        return tfd.MultivariateNormalDiag(loc, tf.ones_like(loc))


@registered
class Flow(tv.encoders.Gaussian):
    """Normals bent by a softplus."""

    def distribution(self, loc, raw_scale):
        bend = tfb.Chain([tfb.Shift(-tf.ones(self.latent_dim)), tfb.Softplus()])
        return tfd.TransformedDistribution(super().distribution(loc, raw_scale), bend)


@registered
class NoCentre(tv.encoders.Gaussian):
    """A posterior that nothing stands for."""

    def centre(self, posterior):
        raise ValueError("There is no middle of this. Expected none. Received none.")


def _model(prior=tv.priors.StandardNormal, encoder=tv.encoders.Gaussian):
    keras.utils.set_random_seed(0)
    return tv.VAE(
        prior=prior(2),
        encoder=encoder(tv.networks.mlp([6]), 2),
        decoder=tv.decoders.Bernoulli(tv.networks.mlp([6]), SHAPE),
        data_kind=Kind.STATIC,
    )


@pytest.fixture(scope="module")
def split():
    rng = np.random.default_rng(0)
    return Split((rng.random((40, *SHAPE)) < 0.5).astype(np.float32), Kind.STATIC, name="test")


def _named(model):
    return {each.name: each for each in export.signatures_of(model, 3)}


def _noise(values, rng, **sizes):
    """Returns numbers for noise inputs."""
    shapes = [[sizes.get(axis, axis) for axis in value.shape] for value in values]
    draw = {"normal": rng.standard_normal, "uniform": rng.random}
    return {
        value.name: tf.constant(draw[value.kind](shape), tf.float32)
        for value, shape in zip(values, shapes, strict=True)
    }


@pytest.mark.parametrize(
    ("prior", "encoder"),
    [(MixturePrior, tv.encoders.Gaussian), (PseudoInputs, Flow), (HeavyTails, Flow)],
)
def test_bounds_are_made_of_the_densities_of_own_parts(prior, encoder, split):
    model, x = _model(prior, encoder), tf.constant(split.values()[:4])
    named = _named(model)
    assert list(named) == ALL
    values = [value for value in named["elbo"].inputs if value.role == "noise"]
    assert [value.name for value in values] == ["noise"]
    noise = _noise(values, np.random.default_rng(0), S=5, B=4)
    draw = model.at_mean()
    posterior = draw.posterior(x)
    z, _ = draws.from_noise(posterior, *noise.values())
    log_w = draw.likelihood(z).log_prob(x) + draw.prior().log_prob(z) - posterior.log_prob(z)
    elbo = named["elbo"].answer(x=x, **noise)["elbo"]
    np.testing.assert_allclose(elbo, tf.reduce_mean(log_w, axis=0), rtol=1e-4)
    evidence = named["log_evidence"].answer(x=x, **noise)["log_evidence"]
    expected = tf.reduce_logsumexp(log_w, axis=0) - np.log(5)
    np.testing.assert_allclose(evidence, expected, rtol=1e-4)


def test_a_posterior_that_is_no_normal_is_encoded_as_its_centre_alone(split):
    model, x = _model(encoder=Flow), tf.constant(split.values()[:4])
    found = _named(model)["encode"].answer(x=x)
    assert list(found) == ["loc"]
    np.testing.assert_allclose(found["loc"], model.encoder.centre(model.at_mean().posterior(x)))


def test_a_mixture_prior_is_sampled_from_uniform_and_normal_noise():
    model = _model(MixturePrior)
    signature = _named(model)["sample"]
    assert [(value.name, value.kind) for value in signature.inputs] == [
        ("noise_uniform", "uniform"),
        ("noise_normal", "normal"),
    ]
    noise = _noise(signature.inputs, np.random.default_rng(0), B=20_000)
    z = signature.answer(**noise)["z"].numpy()
    prior = model.at_mean().prior()
    error = prior.stddev() / np.sqrt(len(z))
    assert np.all(np.abs(z.mean(axis=0) - prior.mean()) < 5 * error)


def _hierarchy():
    keras.utils.set_random_seed(0)
    latents = [
        LatentVariable(
            name,
            prior,
            tv.encoders.Gaussian(tv.networks.mlp([6]), prior.latent_dim),
        )
        for name, prior in (("z2", tv.priors.StandardNormal(1)), ("z1", Below(2)))
    ]
    decoder = tv.decoders.Bernoulli(tv.networks.mlp([6]), SHAPE)
    return tv.VAE(latents=latents, decoder=decoder, data_kind=Kind.STATIC)


def test_each_of_several_latents_has_its_values_and_its_noise(split):
    model, x = _hierarchy(), tf.constant(split.values()[:4])
    named = _named(model)
    assert list(named) == ALL
    names = {name: [v.name for v in (*s.inputs, *s.outputs)] for name, s in named.items()}
    assert names["encode"] == ["x", "loc_z2", "scale_z2", "loc_z1", "scale_z1"]
    assert names["decode"] == ["z1", "mean"]
    assert names["sample"] == ["noise_z2", "noise_z1", "z2", "z1", "mean"]
    assert names["elbo"] == ["x", "noise_z2", "noise_z1", "elbo"]
    found = named["encode"].answer(x=x)
    np.testing.assert_allclose(found["loc_z1"], model.encode(x), rtol=1e-6)
    mean = named["reconstruct"].answer(x=x)["mean"]
    np.testing.assert_allclose(mean, model.reconstruct(x), rtol=1e-6)
    values = [value for value in named["elbo"].inputs if value.role == "noise"]
    noise = _noise(values, np.random.default_rng(0), S=5, B=4)
    draw, above, log_w = model.at_mean(), (), 0.0
    for each in noise.values():
        posterior, prior = draw.posterior(x, None, above), draw.prior(None, above)
        z, _ = draws.from_noise(posterior, each)
        log_w += prior.log_prob(z) - posterior.log_prob(z)
        above = (*above, z)
    log_w += draw.likelihood(above[-1]).log_prob(x)
    evidence = named["log_evidence"].answer(x=x, **noise)["log_evidence"]
    np.testing.assert_allclose(evidence, tf.reduce_logsumexp(log_w, axis=0) - np.log(5), rtol=1e-4)


def test_dropout_of_a_decoder_is_drawn_where_a_runtime_can():
    dropout = keras.Sequential([keras.layers.Dense(6), tv.layers.MonteCarloDropout(0.5)])
    model = tv.VAE(
        prior=tv.priors.StandardNormal(2),
        encoder=tv.encoders.Gaussian(tv.networks.mlp([6]), 2),
        decoder=tv.decoders.Bernoulli(dropout, SHAPE),
    )
    portable = [name for name, signature in _named(model).items() if signature.portable]
    assert portable == ["encode", "decode", "reconstruct"]


@pytest.mark.all_only
@pytest.mark.parametrize(
    ("prior", "encoder", "formats"),
    [
        (MixturePrior, Flow, ["onnx"]),
        (PseudoInputs, Flow, ["savedmodel"]),
        pytest.param(PseudoInputs, Flow, ["onnx"], marks=pytest.mark.all_only),
        pytest.param(MixturePrior, Flow, ["litert"], marks=pytest.mark.all_only),
    ],
)
@pytest.mark.dear(reason="a converter and a runtime in new processes")
def test_own_parts_are_run_by_every_runtime(prior, encoder, formats, split, tmp_path, capsys):
    model = _model(prior, encoder)
    folder = export.export(model, split, tmp_path / "export", formats, num_samples=3)
    manifest = report.read_json(folder / "export.json")
    assert manifest["refused"] == manifest["refused_by_format"] == {}
    assert "not exported" not in capsys.readouterr().out
    for name in formats:
        cells, kind = [], base.of(name)
        runtimes.run_format(folder, [name], kind.form, kind.load, cells.append, 0.0)
        assert [cell["signature"] for cell in cells] == ALL
        assert all(cell.get("tolerance_share", 2.0) < 1 for cell in cells), cells


@pytest.mark.all_only
def test_what_cannot_be_exported_is_named_with_its_reason_and_the_rest_goes_on(
    split, tmp_path, capsys
):
    model = _model(HeavyTails, NoCentre)
    folder = export.export(model, split, tmp_path / "export", ["keras", "onnx"], num_samples=3)
    manifest = report.read_json(folder / "export.json")
    assert set(manifest["refused"]) == {"encode", "reconstruct"}
    assert "no middle of this" in manifest["refused"]["encode"]
    assert set(manifest["refused_by_format"]["onnx"]) == {"sample"}
    assert "not functions of noise" in manifest["refused_by_format"]["onnx"]["sample"]
    by_format = {}
    for artefact in manifest["artefacts"]:
        by_format.setdefault(artefact["format"], []).extend(artefact["signatures"])
    assert by_format == {
        "keras": ["decode", "sample", "elbo", "log_evidence"],
        "onnx": ["decode", "elbo", "log_evidence"],
    }
    lines = [line for line in capsys.readouterr().out.splitlines() if "not exported" in line]
    text = (folder / "card.md").read_text()
    assert len(lines) == 1
    for words in ("- encode: There is no middle", "- sample in onnx: draws of p(z)"):
        assert words in text
    for words in ("encode (There is no middle", "onnx sample (draws of p(z)"):
        assert words in lines[0]


@pytest.mark.all_only
def test_an_export_of_nothing_is_an_error(split, tmp_path, monkeypatch):
    model = _model()
    refuses = classmethod(lambda cls, path, names: 1 / 0)
    monkeypatch.setattr(base.FORMATS["onnx"], "load", refuses)
    with pytest.raises(ValueError, match=r"Nothing of this model.*onnx.*division by zero"):
        export.export(model, split, tmp_path / "export", ["onnx"], num_samples=3)
    assert not any(tmp_path.iterdir())


# The page.


def _values(page):
    return json.loads(page.split('id="values">')[1].split("</script>")[0])


def test_the_page_of_a_mixture_prior_picks_from_draws_of_it():
    model = _model(MixturePrior)
    values = _values(web.render(model))
    drawn = np.array(values["prior"]["draws"])
    assert drawn.shape == (1, 512, 2) and not values["prior"]["is_standard"]
    prior = model.at_mean().prior()
    error = prior.stddev() / np.sqrt(512)
    assert np.all(np.abs(drawn[0].mean(axis=0) - prior.mean()) < 5 * error)
    np.testing.assert_allclose(values["latent"]["centre"], drawn[0].mean(axis=0), atol=1e-4)


def test_the_page_of_several_latents_is_of_the_one_that_the_decoder_sees(split):
    values = _values(web.render(_hierarchy(), examples=split))
    assert np.shape(values["prior"]["draws"]) == (1, 512, 2)
    assert values["latent"]["dim"] == 2 and values["points"]["count"] == len(split)


def test_the_page_needs_no_centre_of_the_posterior(split):
    values = _values(web.render(_model(encoder=NoCentre), examples=split))
    assert values["points"] is None and values["latent"]["extent"] >= 3


# Saved and loaded.


@registered
class Doubled(tv.objectives.Bound):
    """A bound of somebody's own."""

    name = "doubled"

    def __call__(self, terms):
        return 2 * terms.reconstruction() - terms.kl()


@pytest.mark.all_only
@pytest.mark.parametrize("prior", [MixturePrior, PseudoInputs])
def test_own_parts_come_back_where_they_are_trusted(prior, split, tmp_path):
    model = tv.VAE(
        prior=prior(2),
        encoder=Flow(tv.networks.mlp([6]), 2),
        decoder=tv.decoders.Bernoulli(tv.networks.mlp([6]), SHAPE),
        objective=Doubled(),
    )
    model.compile(optimizer="adam", jit_compile=False)
    model.fit(split, batch_size=20, epochs=1, verbose=0)
    model.save(tmp_path / "model.keras")
    with pytest.raises(ValueError, match=r"load\(\.\.\., trusted=\('mine',\)\)"):
        tv.load(tmp_path / "model.keras")
    again = tv.load(tmp_path / "model.keras", trusted=("mine",))
    assert type(again.objective) is Doubled
    np.testing.assert_array_equal(model.bounds(split, 5).elbo, again.bounds(split, 5).elbo)
