"""Each method, activation and layer that is offered exports to every format, or is refused by name.

What a runtime answers is compared with Keras here too: a converter that reports success has shown
nothing.
"""

import keras
import numpy as np
import pytest

import tfp_vae as tv
from tfp_vae import methods, networks
from tfp_vae.data import Data, Kind, Split
from tfp_vae.export.formats import base
from tfp_vae.export.package import Package, record_examples
from tfp_vae.export.proof.runtimes import compare
from tfp_vae.export.signatures.answers import answers_of, subject_of

COUNT = 12
BATCH = 3  # of the recorded examples


def _write(name, predictor, split, folder):
    """Returns the answers that a format gave, compared, and {signature: why it has none}."""
    subject = subject_of(predictor, 2)
    signatures, refused = answers_of(subject)
    examples, unanswered = record_examples(subject, signatures, split, 0)
    model = predictor.trained_model() if hasattr(predictor, "trained_model") else predictor
    package = Package(model, predictor, signatures, examples, split, "tiny")
    kind = base.FORMATS[name]
    written = kind().write(package, folder)
    answered = set()
    for artefact in written.artefacts:
        answered |= {*artefact.signatures}
        if kind.load is None or not artefact.exact:
            continue
        runs, _, outside = kind.load(folder / artefact.path, [*artefact.signatures])
        assert not outside
        for signature in artefact.signatures:
            place = f"{kind.form}/{signature}/{BATCH}"
            inputs, expected = (
                {
                    key.removeprefix(f"{place}/{side}/"): value
                    for key, value in examples.items()
                    if key.startswith(f"{place}/{side}/")
                }
                for side in ("in", "out")
            )
            _, share = compare(runs[signature](inputs), expected)
            assert share < 1, (name, signature, share)
    refused |= unanswered | written.refused
    assert answered | set(refused) >= {each.name for each in signatures}
    for reason in refused.values():
        assert len(reason.split()) > 3
    return answered, refused


def _split(shape, classes=True):
    rng = np.random.default_rng(0)
    x = rng.normal(size=(COUNT, *shape)).astype(np.float32)
    beside = (
        {"labels": np.arange(COUNT) % 2} if classes else {"targets": x.reshape(COUNT, -1)[:, 0]}
    )
    return Split(x, Kind.REAL, name="test", **beside)


def _every_activation():
    """Returns layers that have all activations between them, of two units each."""
    return [keras.layers.Dense(2, each) for each in networks.ACTIVATIONS]


def _laplace(structure):
    network = keras.Sequential([*_every_activation(), keras.layers.Dense(2)])
    model = tv.BayesianNetwork(
        network, tv.likelihoods.Categorical(2), weight_prior=1.0, num_data=COUNT
    )
    split = _split((3,))
    model.build((None, 3))
    return tv.Laplace(model, structure).fit(split), split


def _every_layer():
    """Returns a network of each layer of the package that is made of units and a kernel alone."""

    def of(start, *arguments, **options):
        found = [name for name in tv.layers.__all__ if name.startswith(start)]
        found = [name for name in found if "Transpose" not in name]
        assert len(found) == 3, f"a layer of another kind has no place here: {found}"
        return [getattr(tv.layers, name)(*arguments, **options) for name in found]

    parts = [tv.layers.Standardize(), *of("Conv2D", 1, 2, padding="same")]
    parts += [keras.layers.Reshape((4, 4)), *of("Conv1D", 2, 2, padding="same")]
    parts += [keras.layers.Flatten(), tv.layers.MonteCarloDropout(0.5), *of("Dense", 2, "relu")]
    model = tv.BayesianNetwork(
        keras.Sequential([*parts, keras.layers.Dense(2)]), tv.likelihoods.Categorical(2)
    )
    split = _split((4, 4, 1))
    model.build((None, 4, 4, 1))
    return model, split


PORTABLE = ("onnx", "litert")
DEAR = pytest.mark.all_only


@pytest.fixture(scope="module")
def made():
    """Returns a function that makes a predictor and its split, each once."""
    kinds = {
        "layers": _every_layer,
        "laplace": lambda: _laplace("diagonal"),
        "laplace_last_layer": lambda: _laplace("last_layer"),
    }
    known = {}

    def make(kind):
        if kind not in known:
            keras.utils.set_random_seed(0)
            known[kind] = kinds[kind]()
        return known[kind]

    return make


@pytest.mark.parametrize("name", PORTABLE)
@pytest.mark.parametrize(
    "kind", ["laplace", pytest.param("laplace_last_layer", marks=DEAR), "layers"]
)
def test_slopes_of_every_activation_and_every_layer_are_in_portable_files(
    made, kind, name, tmp_path
):
    answered, refused = _write(name, *made(kind), tmp_path)
    assert answered == {"predict"} and not refused


@pytest.mark.parametrize("name", ["keras", "savedmodel", "web"])
def test_every_layer_is_in_the_other_formats_or_refused_by_name(made, name, tmp_path):
    answered, refused = _write(name, *made("layers"), tmp_path)
    if name == "web":
        assert not answered and "BayesianNetwork" in refused["decode"]
    else:
        assert answered == {"predict"} and not refused


@pytest.mark.all_only
@pytest.mark.parametrize("name", ["savedmodel", *PORTABLE])
@pytest.mark.parametrize("method", methods.METHODS)
def test_every_method_of_a_recipe_is_in_every_format(method, name, tmp_path):
    split = _split((3,))
    data = Data("tiny", split, split, split)
    recipe = methods.Recipe(method, hidden=(2,), members=2, posterior_steps=4)
    model = methods.build(recipe, data)
    model.compile(keras.optimizers.Adam(0.01), run_eagerly=True)
    model.fit(split, epochs=1, verbose=0)
    predictor = methods.finish(recipe, model, split, validation=split)
    answered, refused = _write(name, predictor, split, tmp_path)
    assert answered == {"predict"} and not refused


@pytest.mark.all_only
@pytest.mark.parametrize("name", base.FORMATS)
def test_every_activation_of_a_decoder_is_in_every_format(name, tmp_path):
    keras.utils.set_random_seed(0)
    vae = tv.VAE(
        prior=tv.priors.StandardNormal(2),
        encoder=tv.encoders.Gaussian(keras.Sequential(_every_activation()), 2),
        decoder=tv.decoders.Normal(keras.Sequential(_every_activation()), (3,)),
    )
    vae.build((None, 3))
    answered, refused = _write(name, vae, _split((3,)), tmp_path)
    assert not refused and answered == ({"decode"} if name == "web" else ALL)


ALL = {"encode", "decode", "reconstruct", "sample", "elbo", "log_evidence"}
