"""Networks that were linearised around their weights, with each activation, in portable files.

What a runtime answers is compared with Keras here too: a converter that reports success has shown
nothing.
"""

import keras
import numpy as np
import pytest

import tfp_vae as tv
from tfp_vae import networks
from tfp_vae.data import Kind, Split
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


@pytest.mark.parametrize("name", ["onnx", "litert"])
def test_slopes_of_every_activation_are_in_portable_files(name, tmp_path):
    keras.utils.set_random_seed(0)
    answered, refused = _write(name, *_laplace("diagonal"), tmp_path)
    assert answered == {"predict"} and not refused
