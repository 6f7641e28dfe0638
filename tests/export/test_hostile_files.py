"""Files made to do harm are refused before anything in them runs.

They are in the style of the published advisories of Keras, which are named beside them. Each is a
good model with one thing changed. Whatever could run would leave a file behind.
"""

import io
import json
import math
import os
import pickle
import stat
import subprocess
import sys
import zipfile

import h5py
import keras
import numpy as np
import pytest

import tfp_vae as tv
from tfp_vae.export import allowed, archive

CONFIG, METADATA, WEIGHTS = archive.CONFIG, archive.METADATA, archive.WEIGHTS
HOSTILE = "hostile_package"


@keras.saving.register_keras_serializable(package=HOSTILE)
class Dense(keras.layers.Dense):
    """What another package in the process may have registered, under the name of a plain layer."""


@keras.saving.register_keras_serializable(package=HOSTILE)
def double(x):
    """An activation of another package."""
    return 2 * x


def _vae(layers=None):
    network = keras.Sequential([keras.layers.Flatten(), *(layers or [keras.layers.Dense(2)])])
    return tv.VAE(
        prior=tv.priors.StandardNormal(1),
        encoder=tv.encoders.Gaussian(network, 1),
        decoder=tv.decoders.Bernoulli(tv.networks.mlp([2]), (2, 1)),
    )


@pytest.fixture(scope="module")
def good(tmp_path_factory):
    """Returns the members of a good file."""
    path = tmp_path_factory.mktemp("good") / "model.keras"
    _vae().save(path)
    return archive.read(path)


@pytest.fixture
def marker(tmp_path):
    """Returns the file that a payload would leave, and checks that none did."""
    marker = tmp_path / "ran"
    yield marker
    assert not marker.exists(), "the payload ran"


def pack(path, members, method=zipfile.ZIP_STORED):
    with zipfile.ZipFile(path, "w", method) as file:
        for name, content in members.items():
            file.writestr(name, content)
    return path


def refused(path, reason, **arguments):
    with pytest.raises(ValueError, match=reason) as caught:
        tv.load(path, **arguments)
    message = str(caught.value)
    assert message.count("\n") == 0 and len(message) < 800, "not one line"
    assert "Expected" in message and "Received" in message


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


def _payload(marker):
    class Payload:
        def __reduce__(self):
            return (os.system, (f"touch {marker}",))

    return pickle.dumps(Payload())


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
        __name__, "Dense", {"units": 2}, registered_name=f"{HOSTILE}>Dense"
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
    "function_of_os": "no activation, loss or metric.*os.system",
    "get_file_as_activation": "no activation, loss or metric.*get_file",
    "nested_load_model": "Lambda layer|no activation.*load_model",
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
        refused(path, REASONS.get(name, "names a class that is no plain layer"))


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


# The archive.


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("../outside", "outside its folder"),
        ("/tmp/outside", "outside its folder"),
        ("..\\outside", "outside its folder"),
        ("C:outside", "outside its folder"),
        ("assets/layers/lookup/vocabulary.txt", "more in it"),
        ("model.weights.npz", "more in it"),
        ("config.json/", "more in it"),
    ],
)
def test_no_member_beyond_the_three_is_unpacked(good, tmp_path, name, reason):
    refused(pack(tmp_path / "bad.keras", {**good, name: b"x"}), reason)


def test_a_link_in_the_archive_is_refused(good, tmp_path):
    path = tmp_path / "bad.keras"
    with zipfile.ZipFile(path, "w") as file:
        for name, content in good.items():
            member = zipfile.ZipInfo(name)
            if name == WEIGHTS:
                member.external_attr, content = (stat.S_IFLNK | 0o777) << 16, b"/etc/passwd"
            file.writestr(member, content)
    refused(path, "link or a device")


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_two_members_of_one_name_are_refused(good, tmp_path):
    path = pack(tmp_path / "bad.keras", good)
    with zipfile.ZipFile(path, "a") as file:
        file.writestr(CONFIG, b"{}")
    refused(path, "each once")


@pytest.mark.parametrize("name", [CONFIG, METADATA, WEIGHTS])
def test_what_unpacks_to_too_much_is_refused_unpacked(good, tmp_path, name):
    zeros = {**good, name: bytes(2**22)}
    refused(pack(tmp_path / "bad.keras", zeros, zipfile.ZIP_DEFLATED), "too much")


def test_an_archive_packed_again_comes_back(good, tmp_path):
    path = pack(tmp_path / "packed.keras", good, zipfile.ZIP_DEFLATED)
    assert tv.load(path).decoder.event_shape == (2, 1)
    refused(pack(tmp_path / "packed.keras", good, zipfile.ZIP_LZMA), "another method")


def test_a_config_that_is_too_deep_or_no_json_is_refused(good, tmp_path):
    path = tmp_path / "bad.keras"
    for text in (b"{", b"\xff", b"[" * 10**6):
        refused(pack(path, {**good, CONFIG: text}), "damaged config|not one of our models")
    deep = json.loads(good[CONFIG])
    inner = deep
    for _ in range(allowed.MOST_DEPTH + 1):
        inner["more"] = inner = {}
    refused(pack(path, {**good, CONFIG: json.dumps(deep).encode()}), "too deeply nested")


@pytest.mark.parametrize("suffix", [".keras", ".h5", ".hdf5", ".zip", ""])
def test_hdf5_is_refused_under_any_name(good, tmp_path, suffix):
    # CVE-2025-9905: Keras reads it without safe mode.
    path = tmp_path / f"model{suffix}"
    path.write_bytes(good[WEIGHTS])
    refused(path, "legacy HDF5.*may run code")


@pytest.mark.parametrize("suffix", [".keras", ".pkl", ".pt", ""])
def test_a_pickle_is_refused_under_any_name(marker, tmp_path, suffix):
    path = tmp_path / f"model{suffix}"
    path.write_bytes(_payload(marker))
    refused(path, "pickle.*runs code")


# The weights.


def _rewritten(good, change):
    content = io.BytesIO(good[WEIGHTS])
    with h5py.File(content, "r+") as file:
        places = []
        file.visititems(
            lambda name, x: places.append(name) if isinstance(x, h5py.Dataset) else None
        )
        change(file, places[0])
    return {**good, WEIGHTS: content.getvalue()}


def _replace(make):
    def change(file, place):
        shape = file[place].shape
        del file[place]
        make(file, place, shape)

    return change


def _virtual(file, place, shape):
    layout = h5py.VirtualLayout(shape, "f4")
    layout[...] = h5py.VirtualSource("/tmp/secret.h5", "x", shape)
    file.create_virtual_dataset(place, layout)


def _cycle(file, place):
    file["again"] = file["/"]


WEIGHT_CHANGES = {
    "external_link": _replace(
        lambda f, p, s: f.__setitem__(p, h5py.ExternalLink("/tmp/secret.h5", "/x"))
    ),
    "soft_link": _replace(lambda f, p, s: f.__setitem__(p, h5py.SoftLink("/elsewhere"))),
    # CVE-2026-1669: the values are in a file of the reader.
    "external_values": _replace(
        lambda f, p, s: f.create_dataset(
            p, s, "f4", external=[("/etc/hostname", 0, 4 * math.prod(s))]
        )
    ),
    "virtual_values": _replace(_virtual),
    # CVE-2026-0897: a shape of many gigabytes with nothing behind it.
    "shape_bomb": _replace(lambda f, p, s: f.create_dataset(p, (2**20, 2**20), "f4")),
    "chunked_bomb": _replace(
        lambda f, p, s: f.create_dataset(p, (2**20, 2**20), "f4", chunks=True, compression="gzip")
    ),
    "text": _replace(lambda f, p, s: f.__setitem__(p, "text")),
    "references": _replace(lambda f, p, s: f.create_dataset(p, s, h5py.ref_dtype)),
    "type": _replace(lambda f, p, s: f.__setitem__(p, np.dtype("f4"))),
    "group_in_itself": _cycle,
}


@pytest.mark.parametrize("name", WEIGHT_CHANGES)
def test_weights_hold_numbers_and_nothing_else(good, tmp_path, name):
    changed = _rewritten(good, WEIGHT_CHANGES[name])
    refused(pack(tmp_path / "bad.keras", changed), "weights")


def test_weights_that_are_missing_or_of_another_shape_make_no_half_loaded_model(good, tmp_path):
    for change in (
        lambda file, place: file.__delitem__(place),
        _replace(lambda file, place, shape: file.__setitem__(place, np.zeros(7, "f4"))),
    ):
        refused(pack(tmp_path / "bad.keras", _rewritten(good, change)), "could not be loaded")


def test_an_optimizer_that_does_not_fit_is_an_error_and_no_fresh_start(tmp_path):
    vae = _vae()
    vae.compile(optimizer="adam")
    vae.save(tmp_path / "model.keras")
    members = archive.read(tmp_path / "model.keras")

    def drop(file, _):
        del file["optimizer/vars/1"]

    path = pack(tmp_path / "bad.keras", _rewritten(members, drop))
    refused(path, "could not be loaded")


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
    vae = _vae(layers)
    x = np.array([[[0.0], [1.0]]], np.float32)
    vae.save(tmp_path / "model.keras")
    again = tv.load(tmp_path / "model.keras")
    np.testing.assert_array_equal(vae.reconstruct(x), again.reconstruct(x))


def test_classes_of_ones_own_are_built_once_their_package_is_trusted(tmp_path):
    path = tmp_path / "model.keras"
    _vae([Dense(2, activation=double)]).save(path)
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


# Damage.


def _flipped(whole, rng):
    content = bytearray(whole)
    for place in rng.integers(0, len(whole), rng.integers(1, 4)):
        content[place] ^= 1 << rng.integers(8)
    return bytes(content)


def test_hundreds_of_damaged_files_are_refused_or_harmlessly_the_same(good, tmp_path):
    rng = np.random.default_rng(20260101)
    whole = pack(tmp_path / "whole.keras", good).read_bytes()
    damaged = [whole[:size] for size in [0, 1, *rng.integers(2, len(whole), 98)]]
    damaged += [_flipped(whole, rng) for _ in range(300)]
    damaged += [whole[:cut] + whole[cut + 1 :] for cut in rng.integers(0, len(whole), 50)]
    path, same = tmp_path / "bad.keras", 0
    for content in damaged:
        path.write_bytes(content)
        try:
            members = archive.read(path)
        except archive.Refused:
            refused(path, "truncated|damaged|no model file|unpacks|link|outside|legacy|pickle")
        else:  # dates, versions and other notes of the zip
            assert members == good
            same += 1
    assert same < len(damaged) / 4, "most damage should be noticed"


def test_damage_under_a_good_checksum_never_ends_the_interpreter(good, tmp_path):
    # In a process of its own, as the C library under HDF5 could take this one along.
    rng = np.random.default_rng(20260102)
    folder = tmp_path / "resealed"
    folder.mkdir()
    for index in range(300):
        head = bytearray(good[WEIGHTS])
        for place in rng.integers(0, len(head), 3):
            head[place] ^= 1 << rng.integers(8)
        (folder / f"{index}").write_bytes(head)
    code = (
        "import pathlib, runpy, sys\n"
        "archive = runpy.run_path(sys.argv[1])\n"  # alone, without TensorFlow
        "for path in pathlib.Path(sys.argv[2]).iterdir():\n"
        "    try:\n"
        "        archive['check_weights'](path.read_bytes())\n"
        "    except archive['Refused'] as refused:\n"
        "        print(refused.problem)\n"
        "print('end')\n"
    )
    command = [sys.executable, "-c", code, archive.__file__, str(folder)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0 and done.stdout.endswith("end\n"), done.stderr[-500:]
    assert "damaged weights" in done.stdout
