"""Each method, activation and layer that is offered is in every format, or is refused by name.

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
PORTABLE = ("onnx", "litert")
ALL = {"encode", "decode", "reconstruct", "sample", "elbo", "log_evidence"}  # of a VAE


def _write(name, predictor, split, folder):
    """Returns the answers that a format gave, compared, and {signature: why it has none}."""
    folder.mkdir(exist_ok=True)
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


def _split(shape):
    x = np.random.default_rng(0).normal(size=(COUNT, *shape)).astype(np.float32)
    return Split(x, Kind.REAL, name="test", labels=np.arange(COUNT) % 2)


def _every_activation():
    """Returns layers that have all activations between them, of two units each."""
    return [keras.layers.Dense(2, each) for each in networks.ACTIVATIONS]


def _laplace(structure, layers="all"):
    network = keras.Sequential([*_every_activation(), keras.layers.Dense(2)])
    model = tv.BayesianNetwork(
        network, tv.likelihoods.Categorical(2), weight_prior=1.0, num_data=COUNT
    )
    split = _split((3,))
    model.build((None, 3))
    return tv.Laplace(model, structure, layers).fit(split), split


def _three(start, *arguments, **options):
    """Returns a layer of each estimator."""
    ends = ("Reparameterization", "LocalReparameterization", "Flipout")
    return [getattr(tv.layers, start + end)(*arguments, **options) for end in ends]


def _every_layer():
    """Returns a network of each layer of the package, and examples."""
    same = {"padding": "same"}
    parts = [tv.layers.Standardize(), *_three("Conv2D", 1, 2, **same)]
    parts += [*_three("Conv2DTranspose", 1, 2, **same)]
    parts += [keras.layers.Reshape((2, 2, 4, 1)), *_three("Conv3D", 1, 2, **same)]
    parts += [keras.layers.Reshape((4, 4)), *_three("Conv1D", 2, 2, **same)]
    parts += [keras.layers.Flatten(), tv.layers.MonteCarloDropout(0.5)]
    parts += [*_three("Dense", 2, "relu"), tv.layers.bayesian(keras.layers.Dense(2, "tanh"))]
    parts += [
        tv.layers.BatchEnsemble(keras.layers.Dense(2, "relu"), 2),
        tv.layers.RankOne(keras.layers.Dense(2), 2),
        tv.layers.RandomFeatureGaussianProcess(2, 4),
        tv.layers.DenseDeterministic(2),  # which can be the last one alone
    ]
    offered = {
        each
        for each in map(vars(tv.layers).get, tv.layers.__all__)
        if isinstance(each, type) and issubclass(each, keras.Layer)
    }
    abstract = {tv.layers.BayesianLayer, tv.layers.WeightLayer}
    assert {type(part) for part in parts} >= offered - abstract
    return _network(parts, (4, 4, 1))


def _network(parts, shape):
    """Returns a network that was built but not trained, and examples."""
    model = tv.BayesianNetwork(keras.Sequential(parts), tv.likelihoods.Categorical(2))
    model.build((None, *shape))
    return model, _split(shape)


@pytest.fixture(scope="module")
def made():
    """Returns a function that makes a predictor and its split, each once."""
    kinds = {
        "every layer": _every_layer,
        "diagonal": lambda: _laplace("diagonal"),
        "full, last": lambda: _laplace("full", "last"),
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
    "kind", ["diagonal", pytest.param("full, last", marks=pytest.mark.all_only)]
)
def test_slopes_of_every_activation_are_in_portable_files(made, kind, name, tmp_path):
    answered, refused = _write(name, *made(kind), tmp_path)
    assert answered == {"predict"} and not refused


@pytest.mark.parametrize(
    "name", [*PORTABLE, pytest.param("savedmodel", marks=pytest.mark.all_only)]
)
def test_every_layer_is_in_every_format_of_networks(made, name, tmp_path):
    answered, refused = _write(name, *made("every layer"), tmp_path)
    assert answered == {"predict"} and not refused


@pytest.mark.all_only
@pytest.mark.parametrize("name", PORTABLE)
@pytest.mark.parametrize("kind", ["LSTM", "GRU", "Embedding", "Conv1D"])
def test_a_wrapped_layer_is_in_portable_files_or_refused_by_name(kind, name, tmp_path):
    keras.utils.set_random_seed(0)
    sizes = {"Embedding": (5, 2), "Conv1D": (2, 2)}.get(kind, (2,))
    layer = tv.layers.bayesian(getattr(keras.layers, kind)(*sizes))
    parts = [layer, keras.layers.Flatten(), keras.layers.Dense(2)]
    model, split = _network(parts, (3,) if kind == "Embedding" else (3, 2))
    answered, refused = _write(name, model, split, tmp_path)
    assert answered | set(refused) == {"predict"}


@pytest.mark.all_only
@pytest.mark.parametrize("method", methods.METHODS)
def test_every_method_of_a_recipe_is_in_every_format(method, tmp_path):
    split = _split((3,))
    data = Data("tiny", split, split, split)
    recipe = methods.Recipe(method, hidden=(2,), members=2, posterior_steps=4, random_features=4)
    model = methods.build(recipe, data)
    model.compile(recipe.weights.optimizer(0.01, COUNT), run_eagerly=True)
    model.fit(split, epochs=1, verbose=0)
    predictor = methods.finish(recipe, model, split, validation=split)
    for name in ("savedmodel", *PORTABLE):
        answered, refused = _write(name, predictor, split, tmp_path / name)
        assert answered == {"predict"} and not refused, name


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
    known = {*base.FORMATS[name].made_for} if base.FORMATS[name].made_for else ALL
    assert answered == known and not refused
