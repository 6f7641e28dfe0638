"""Every layer and activation in every portable format, by the numbers that it answers."""

import keras
import numpy as np
import pytest
import tensorflow as tf

import tfp_vae as tv
from tfp_vae import export
from tfp_vae.data import Data, Kind, Split
from tfp_vae.export.formats import FORMATS
from tfp_vae.export.signatures.targets import uncertainty

SHAPE, SAMPLES = (4, 4, 2), 2
ACTIVATIONS = (  # that have a slope; softsign has none in TensorFlow, and is refused
    "relu relu6 leaky_relu elu selu softplus tanh sigmoid silu gelu exponential mish "
    "hard_sigmoid hard_silu celu"
).split()


@pytest.fixture(scope="module")
def data():
    rng = np.random.default_rng(0)
    x = rng.random((12, *SHAPE), np.float32)
    split = Split(x, Kind.REAL, np.arange(12) % 3, name="train")
    return Data(split, split, split)


def network(*layers):
    keras.utils.set_random_seed(0)
    model = tv.BayesianNetwork(
        keras.Sequential([keras.Input(SHAPE), *layers]),
        tv.likelihoods.Categorical(3),
        weight_prior=1.0,
        num_data=12,
        data_kind=Kind.REAL,
    )
    model.build((None, *SHAPE))
    return model


def bayesian(data):
    """Returns a network of all layers of the package."""
    layers, dense, conv1, conv2 = tv.layers, "Dense", "Conv1D", "Conv2D"
    kinds = ("Reparameterization", "LocalReparameterization", "Flipout")
    model = network(
        layers.Standardize(),
        *(
            getattr(layers, conv2 + kind)(4, 2, padding="SAME", groups=2, activation=act)
            for kind, act in zip(kinds, ("relu", "softsign", "elu"), strict=True)
        ),
        keras.layers.Reshape((16, 4)),
        *(
            getattr(layers, conv1 + kind)(2, 2, padding="causal", activation=act)
            for kind, act in zip(kinds, ("tanh", "gelu", "selu"), strict=True)
        ),
        layers.MonteCarloDropout(0.2),
        keras.layers.Flatten(),
        *(getattr(layers, dense + kind)(3, bayesian_bias=True) for kind in kinds),
    )
    return model, model


def linearised(data):
    """Returns a Laplace posterior over a network of all activations."""
    model = network(
        keras.layers.Flatten(),
        *(keras.layers.Dense(3, activation=name) for name in ACTIVATIONS),
        keras.layers.Dense(3),
    )
    return tv.Laplace(model, "diagonal").fit(data.train), model


@pytest.mark.parametrize("form", ["onnx", "litert"])
@pytest.mark.parametrize("make", [bayesian, linearised])
def test_every_layer_and_activation_answers_as_in_python(make, form, data, tmp_path):
    predictor, model = make(data)
    folder = tmp_path / "export"
    export.export(predictor, data, folder, [form], num_samples=SAMPLES)
    (path,) = [p for p in (folder / form).rglob("*") if p.suffix in (".onnx", ".tflite")]
    runs, _, _ = FORMATS[form].load(path, ["predict"])
    x = data.train.values()[:5]
    key = model.caller_key(None)
    parameters = predictor.frozen_parameters(tf.constant(x), SAMPLES, key)
    expected = uncertainty(model.head, parameters)
    found = runs["predict"]({"x": x})
    for name, value in expected.items():
        np.testing.assert_allclose(found[name], value, rtol=1e-4, atol=1e-5)
