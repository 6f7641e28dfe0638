"""Each method, each layer and each activation is in every format, or refused by name before work.

What a runtime answers is compared with Keras here too: a converter that reports success has shown
nothing. Posteriors of a walk or of chains are filled by hand, without training.
"""

import keras
import numpy as np
import pytest

import tfp_vae as tv
from tfp_vae import export, methods, networks, report
from tfp_vae.data import Kind, Split
from tfp_vae.export.formats import base
from tfp_vae.export.package import Package, record_examples
from tfp_vae.export.proof import runtimes
from tfp_vae.export.proof.runtimes import compare
from tfp_vae.export.signatures.answers import answers_of, subject_of

COUNT = 12
BATCH = 3  # of the recorded examples
PORTABLE = ("onnx", "litert")


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


def _split(shape):
    x = np.random.default_rng(0).normal(size=(COUNT, *shape)).astype(np.float32)
    return Split(x, Kind.REAL, name="test", labels=np.arange(COUNT) % 2)


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
    of_tables = {tv.layers.Exposure, tv.layers.TableInput}  # which take columns, and no images
    assert {type(part) for part in parts} >= offered - abstract - of_tables
    return _network(parts, (4, 4, 1))


def _network(parts, shape):
    """Returns a network that was built but not trained, and examples."""
    model = tv.BayesianNetwork(keras.Sequential(parts), tv.likelihoods.Categorical(2))
    model.build((None, *shape))
    return model, _split(shape)


@pytest.fixture(scope="module")
def every_layer():
    keras.utils.set_random_seed(0)
    return _every_layer()


@pytest.mark.all_only
@pytest.mark.parametrize("name", ["onnx", pytest.param("litert", marks=pytest.mark.all_only)])
def test_slopes_of_every_activation_are_in_portable_files(name, tmp_path):
    keras.utils.set_random_seed(0)
    answered, refused = _write(name, *_laplace("diagonal"), tmp_path)
    assert answered == {"predict"} and not refused


@pytest.mark.all_only
@pytest.mark.all_too(reason="the one look at layers in portable files")
@pytest.mark.parametrize("name", PORTABLE)
def test_every_layer_is_in_portable_files(every_layer, name, tmp_path):
    answered, refused = _write(name, *every_layer, tmp_path)
    assert answered == {"predict"} and not refused


# Every method.

MEMBERS, SAMPLES = 2, 3
# A format each, for one of each way that weights become constants; the others are `all_only`.
USUAL = {"multiswag": "onnx", "sngp": "onnx", "laplace_last_layer": "savedmodel"}
OPTIONS = {
    "vi": [
        *({"estimator": name} for name in methods.ESTIMATORS if name != "deterministic"),
        {"estimator": "deterministic", "bayesian_layers": "last"},
        {"estimator": "reparameterization", "covariance": "full"},
    ],
    "laplace": [{"posterior_structure": name} for name in ("diagonal", "kronecker", "full")],
    "laplace_last_layer": [{}, {"posterior_predictive": "probit"}],
    "sngp": [{}, {"posterior_predictive": "probit"}],
}
EVERY = [
    pytest.param(name, options, marks=() if name in USUAL and not options else pytest.mark.all_only)
    for name in methods.METHODS
    for options in OPTIONS.get(name, [{}])
]


def _around(posterior):
    """Returns weights near those of a posterior, [S, P]."""
    noise = np.random.default_rng(1).normal(0, 0.1, (4 * SAMPLES, posterior.num_weights))
    return (posterior.point().numpy() + noise).astype(np.float32)


def _swag(model):
    posterior = tv.SWAG(model)
    return posterior.take(_around(posterior))


def _chains(posterior, split):
    walks = _around(posterior).reshape(-1, MEMBERS, posterior.num_weights)
    posterior.take(walks, split.values(), {})
    return posterior


def _ivon(recipe, model, split):
    model.compile(recipe.weights.optimizer(0.01, COUNT), run_eagerly=True)
    model.optimizer.build(model.trainable_variables)
    return tv.IVONPosterior(model)


FILLED = {
    "swag": lambda recipe, model, split: _swag(model),
    "multiswag": lambda recipe, model, split: tv.Mixture(
        [_swag(model.member(index)) for index in range(MEMBERS)]
    ),
    "nuts": lambda recipe, model, split: _chains(tv.NUTS(model), split),
    "mile": lambda recipe, model, split: _chains(tv.MILE(model), split),
    "sgmcmc": lambda recipe, model, split: _chains(tv.SGMCMC(model), split),
    "ivon": _ivon,
}


def _predictor(name, options, activations):
    """Returns what a method predicts with, of a network of two units a layer, and examples."""
    keras.utils.set_random_seed(0)
    recipe = methods.Recipe(
        name,
        hidden=(2,) * len(activations),
        members=MEMBERS,
        dropout=0.5,
        random_features=4,
        posterior_precision=1.0,
        **options,
    )
    split = _split((3,))
    member = methods.make_member(recipe, (3,), 2)
    hidden = [layer for layer in member.network.layers if hasattr(layer, "activation")]
    for layer, activation in zip(hidden, activations, strict=False):
        layer.activation = keras.activations.get(activation)
    recipe.weights.check(member, COUNT)
    member.num_data = COUNT
    model = recipe.weights.model(member)
    model.num_data = COUNT
    if name in FILLED:
        return FILLED[name](recipe, model, split), split
    return recipe.weights.finish(model, split), split


@pytest.mark.parametrize(("name", "options"), EVERY)
@pytest.mark.always(reason="the one export of a posterior to all formats")
@pytest.mark.dear(reason="each format of a method, in runtimes of their own")
def test_every_method_is_in_every_format_or_refused_by_name(name, options, request, tmp_path):
    is_usual = not request.node.get_closest_marker("all_only")
    # What a network computes is the same whatever its weights are, but for slopes.
    every = not is_usual and name in ("map", "vi", "laplace")
    activations = networks.ACTIVATIONS if every else networks.ACTIVATIONS[:1]
    predictor, split = _predictor(name, options, activations)
    formats = [USUAL[name]] if is_usual else list(base.FORMATS)
    for each, kind in () if is_usual else base.FORMATS.items():
        refuses = each == "keras" and not isinstance(predictor, keras.Model)
        if refuses or kind.made_for:
            with pytest.raises(ValueError, match=rf"(?is){each}.*Expected.*Received"):
                export.export(predictor, split, tmp_path / each, [each], num_samples=SAMPLES)
            formats = [other for other in formats if other != each]
    folder = export.export(predictor, split, tmp_path / "export", formats, num_samples=SAMPLES)
    manifest = report.read_json(folder / "export.json")
    assert manifest["refused"] == {}
    by_name = {each: why["predict"] for each, why in manifest["refused_by_format"].items()}
    probit = name == "laplace_last_layer" and options
    assert [*by_name] == (["onnx"] if probit else []), by_name
    assert all("ONNX cannot hold predict. Expected" in why for why in by_name.values())
    formats = [each for each in formats if each not in by_name]
    assert {each["format"] for each in manifest["artefacts"]} >= {*formats}
    for each in formats:
        kind, cells = base.FORMATS[each], []
        if kind.load is None:  # Keras itself
            again = tv.load(folder / "keras/model.keras")
            found = again.predictive(split, SAMPLES).probs
            np.testing.assert_array_equal(found, predictor.predictive(split, SAMPLES).probs)
            continue
        runtimes.run_format(folder, [each], kind.form, kind.load, cells.append, 0.0)
        assert cells and all(cell.get("tolerance_share", 2.0) < 1 for cell in cells), cells
