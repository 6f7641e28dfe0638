"""Files made to do harm are refused before anything in them runs.

They are in the style of the published advisories of Keras, which are named beside them. Each is a
good model with one thing changed. Whatever could run would leave a file behind.
"""

import json

import keras
import numpy as np
import pytest
from hostile_cases import HOSTILE, Dense, double, make_vae, pack, refused

import tfp_vae as tv
from tfp_vae.export.saved import allowed
from tfp_vae.export.saved.archive import CONFIG


def with_layer(good, layer, place="layer"):
    """Returns the members with `layer` in the encoder's network."""
    config = json.loads(good[CONFIG])
    network = config["config"]["encoder"]["config"]["network"]["config"]
    if place == "layer":
        network["layers"].append(layer)
    elif place == "activation":
        network["layers"][-1]["config"]["activation"] = layer
    else:
        config[place] = layer
    return {**good, CONFIG: json.dumps(config).encode()}


def _object(module, name, config=None, **more):
    return {"module": module, "class_name": name, "config": config or {}, **more}


def _function(module, name):
    return _object(module, "function", name, registered_name="function")


def _lambda_code(marker):
    code = f"lambda x: (__import__('pathlib').Path({str(marker)!r}).touch(), x)[1]"
    layer = keras.layers.Lambda(eval(code))
    return layer.get_config()


LAYERS = {
    # CVE-2024-3660: Python bytecode in a Lambda.
    "lambda": lambda m: _object("keras.layers", "Lambda", _lambda_code(m)),
    "lambda_without_module": lambda m: {"class_name": "Lambda", "config": _lambda_code(m)},
    "lambda_value": lambda m: {
        "class_name": "__lambda__",
        "config": {"value": _lambda_code(m)["function"]},
    },
    # CVE-2025-1550: any function of any module, called when the model is rebuilt.
    "os_system": lambda m: _object("os", "system", {"command": f"touch {m}"}),
    "subprocess": lambda m: _object("subprocess", "Popen", {"args": ["touch", str(m)]}),
    "builtins_exec": lambda m: _object("builtins", "exec", {"source": f"open({str(m)!r}, 'w')"}),
    "function_of_os": lambda m: _object(
        "keras.layers", "Activation", {"activation": _function("os", "system")}
    ),
    "inner_module_of_keras": lambda m: _object(
        "keras.src.utils.python_utils", "func_load", {"code": ""}
    ),
    # CVE-2025-8747: functions inside Keras that write files.
    "get_file": lambda m: _object(
        "keras.utils", "get_file", {"fname": str(m), "origin": "file:///etc/hostname"}
    ),
    "get_file_as_activation": lambda m: _object(
        "keras.layers", "Activation", {"activation": _function("keras.utils", "get_file")}
    ),
    # CVE-2025-9906: the model turns off safe mode itself, then loads another one.
    "unsafe_mode": lambda m: _object("keras.config", "enable_unsafe_deserialization"),
    "nested_load_model": lambda m: _object(
        "keras.layers",
        "Lambda",
        {"function": _function("keras.models", "load_model"), "arguments": {"safe_mode": False}},
    ),
    "load_model": lambda m: _object("keras.saving", "load_model", {"filepath": str(m)}),
    # CVE-2025-49655: a pickle in a layer.
    "torch_pickle": lambda m: _object(
        "keras.layers",
        "TorchModuleWrapper",
        {"module": {"class_name": "__bytes__", "config": {"value": "gASV"}}},
    ),
    # CVE-2026-1462: a program from another folder.
    "saved_model": lambda m: _object("keras.layers", "TFSMLayer", {"filepath": str(m)}),
    # CVE-2025-12058: a file of the reader as vocabulary.
    "vocabulary": lambda m: _object("keras.layers", "StringLookup", {"vocabulary": "/etc/passwd"}),
    "text": lambda m: _object("keras.layers", "TextVectorization", {"vocabulary": "/etc/passwd"}),
    "jax": lambda m: _object("keras.layers", "JaxLayer", {"call_fn": _function("os", "system")}),
    # github.com/keras-team/keras/issues/22779: one name in front, another one behind.
    "hijacked": lambda m: _object(
        "keras.layers", "Dense", {"units": 2}, registered_name=f"{HOSTILE}>Dense"
    ),
    "registered_as_nothing": lambda m: _object(
        "keras.layers", "Dense", {"units": 2}, registered_name="builtins.eval"
    ),
    "other_package": lambda m: _object(
        Dense.__module__, "Dense", {"units": 2}, registered_name=f"{HOSTILE}>Dense"
    ),
    "unregistered": lambda m: _object("tfp_vae", "Ghost", registered_name="tfp_vae>Ghost"),
    "ours_from_elsewhere": lambda m: _object(
        "os", "StandardNormal", {"latent_dim": 1}, registered_name="tfp_vae>StandardNormal"
    ),
    "types": lambda m: {
        "class_name": "__typespec__",
        "spec_name": "x",
        "module": "os",
        "config": [],
        "registered_name": None,
    },
    "huge_type": lambda m: {"class_name": "__numpy__", "config": {"value": [0], "dtype": "V999"}},
    "name_is_a_list": lambda m: {"class_name": ["Lambda"], "config": {}, "module": "keras.layers"},
    "operation_that_calls": lambda m: _object("keras.src.ops.core", "Map"),
}

REASONS = {
    "lambda": "Lambda layer: it holds Python code",
    "lambda_without_module": "does not say its module",
    "lambda_value": "code or types hidden",
    "function_of_os": "no known activation, loss or metric.*os.system",
    "get_file_as_activation": "no known activation, loss or metric.*get_file",
    "nested_load_model": "Lambda layer|no known activation.*load_model",
    "torch_pickle": "it holds a pickle",
    "saved_model": "a program from another folder",
    "vocabulary": "any file as its vocabulary",
    "text": "any file as its vocabulary",
    "jax": "calls functions by name",
    "hijacked": "not trusted",
    "other_package": "not trusted",
    "registered_as_nothing": "two names",
    "unregistered": "not registered",
    "ours_from_elsewhere": "wrong module",
    "types": "code or types hidden",
    "huge_type": "unknown type",
    "name_is_a_list": "without a proper name",
}


@pytest.mark.parametrize("name", LAYERS)
def test_no_object_outside_the_list_is_built(good, marker, tmp_path, name):
    layer = LAYERS[name](marker)
    for place in ("layer", "compile_config", "build_config"):
        path = pack(tmp_path / "bad.keras", with_layer(good, layer, place))
        refused(path, REASONS.get(name, "names a class that is not a plain layer"))


@pytest.mark.parametrize("activation", [f"{HOSTILE}>double", f"{HOSTILE}>Dense"])
def test_a_name_in_plain_text_is_no_way_around_the_list(good, tmp_path, activation):
    path = pack(tmp_path / "bad.keras", with_layer(good, activation, "activation"))
    refused(path, f"not trusted.*{HOSTILE}")


def test_the_payloads_are_real_where_nobody_checks(marker, tmp_path):
    # Without this the tests above could be of files that do nothing anyway.
    config = LAYERS["lambda"](marker)
    layer = keras.saving.deserialize_keras_object(config, safe_mode=False)
    layer(np.zeros((1, 2)))
    assert marker.exists()
    marker.unlink()


def test_a_model_that_is_not_ours_is_refused_though_its_layers_are_plain(tmp_path):
    keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)]).save(tmp_path / "other.keras")
    refused(tmp_path / "other.keras", "not one of our models")


# What must still load.


def test_plain_keras_layers_of_all_sorts_come_back(tmp_path):
    inputs = keras.Input((2,))
    hidden = keras.layers.Dense(2, "gelu", kernel_regularizer="l2")(inputs)
    hidden = keras.layers.Add()([hidden, inputs]) * 2.0 + hidden
    hidden = keras.layers.LayerNormalization()(keras.ops.relu(hidden)[:, :2])
    functional = keras.Model(inputs, keras.layers.LeakyReLU(0.1)(hidden))
    layers = [
        functional,
        keras.layers.Dropout(0.1),
        keras.layers.Reshape((1, 2, 1)),
        keras.layers.Conv2D(2, 1, activation=keras.activations.silu),
        keras.layers.BatchNormalization(),
        keras.layers.TimeDistributed(keras.layers.Dense(2)),
        keras.layers.Reshape((2, 2)),
        keras.layers.Bidirectional(keras.layers.GRU(2)),
    ]
    vae = make_vae(layers)
    x = np.array([[[0.0], [1.0]]], np.float32)
    vae.save(tmp_path / "model.keras")
    again = tv.load(tmp_path / "model.keras")
    np.testing.assert_array_equal(vae.reconstruct(x), again.reconstruct(x))


def test_classes_of_ones_own_are_built_once_their_package_is_trusted(tmp_path):
    path = tmp_path / "model.keras"
    make_vae([Dense(2, activation=double)]).save(path)
    refused(path, rf"not trusted.*trusted=\('{HOSTILE}',\)")
    refused(path, "not trusted", trusted=("hostile",))
    again = tv.load(path, trusted=[HOSTILE])
    assert type(again.encoder.network.layers[-1]) is Dense
    with pytest.raises(ValueError, match=r"trusted names packages.*Expected.*Received"):
        tv.load(path, trusted=[f"{HOSTILE}>Dense"])


def test_every_layer_of_keras_is_plain_or_refused_with_a_reason():
    public = {
        name
        for name, value in vars(keras.layers).items()
        if isinstance(value, type) and issubclass(value, keras.Layer)
    }
    plain = {name for module, name in allowed.allowed_classes() if module == "keras.layers"}
    assert public - plain == set(allowed.REFUSED_LAYERS) & public
    assert {"Dense", "Conv2D", "Dropout", "LSTM", "BatchNormalization"} <= plain
