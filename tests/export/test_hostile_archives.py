"""Archives and weights that point elsewhere, promise too much or are damaged are refused."""

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
from hostile_cases import make_vae, pack, refused

import tfp_vae as tv
from tfp_vae.export.saved import allowed, archive, sizes

CONFIG, METADATA, WEIGHTS = archive.CONFIG, archive.METADATA, archive.WEIGHTS


def _payload(marker):
    class Payload:
        def __reduce__(self):
            return (os.system, (f"touch {marker}",))

    return pickle.dumps(Payload())


# The archive.


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("../outside", "outside its folder"),
        ("/outside", "outside its folder"),
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


def test_a_model_of_another_format_is_refused_and_not_misread(good, tmp_path):
    config = json.loads(good[CONFIG])
    del config["config"]["format"]
    with pytest.raises(ValueError, match=r"Expected format 3; train it anew.*Received format 1"):
        tv.load(pack(tmp_path / "old.keras", {**good, CONFIG: json.dumps(config).encode()}))


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
    layout[...] = h5py.VirtualSource("/secret.h5", "x", shape)
    file.create_virtual_dataset(place, layout)


def _cycle(file, place):
    file["again"] = file["/"]


WEIGHT_CHANGES = {
    "external_link": _replace(
        lambda f, p, s: f.__setitem__(p, h5py.ExternalLink("/secret.h5", "/x"))
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


def test_weights_that_are_not_finite_are_told(good, tmp_path):
    def change(file, _):
        def spoil(name, values):
            if isinstance(values, h5py.Dataset) and values.ndim == 2:
                values[...] = np.nan

        file.visititems(spoil)

    path = pack(tmp_path / "broken.keras", _rewritten(good, change))
    with pytest.warns(UserWarning, match=r"weights that are not finite \(.*kernel"):
        tv.load(path)


@pytest.mark.parametrize("path", [None, b"a.keras", "", 3])
def test_what_is_no_path_is_refused(path):
    with pytest.raises(ValueError, match=r"Unusable path. Expected a path"):
        tv.load(path)


def test_an_optimizer_that_does_not_fit_is_an_error_and_no_fresh_start(tmp_path):
    vae = make_vae()
    vae.compile(optimizer="adam")
    vae.save(tmp_path / "model.keras")
    members = archive.read(tmp_path / "model.keras")

    def drop(file, _):
        del file["optimizer/vars/1"]

    path = pack(tmp_path / "bad.keras", _rewritten(members, drop))
    refused(path, "could not be loaded")


# Sizes.


def _latent(config):
    return config["config"]


def _last_layer(config):
    return _latent(config)["encoder"]["config"]["network"]["config"]["layers"][-1]


def _append(name, **options):
    def change(config):
        layers = _latent(config)["encoder"]["config"]["network"]["config"]["layers"]
        module = options.pop("module", "keras.layers")
        layers.append(
            {"module": module, "class_name": name, "config": options, "registered_name": None}
        )

    return change


def _set(place, key, value):
    return lambda config: place(config)["config"].__setitem__(key, value)


def _decoder(config):
    return config["config"]["decoder"]


SIZE_CHANGES = {
    "units": _set(_last_layer, "units", 2_000_000_000),
    "units_below_every_limit_of_a_number": _set(_last_layer, "units", 1_000_000),
    "embedding": _append("Embedding", input_dim=10**9, output_dim=4),
    "event_shape": _set(_decoder, "event_shape", [10**9, 1]),
    "event_shape_of_many_axes": _set(_decoder, "event_shape", [10**4] * 4),
    "latent_dim": _set(lambda config: _latent(config)["prior"], "latent_dim", 1e9),
    "repeats": _append("RepeatVector", n=10**9),
    "pixels": _append("UpSampling2D", size=[10**9, 2]),
    "build_config": lambda config: config.__setitem__(
        "build_config", {"input_shape": [None, 10**5, 10**5]}
    ),
    "thresholds": lambda config: config.__setitem__(
        "compile_config",
        {
            "module": "keras.metrics",
            "class_name": "AUC",
            "registered_name": None,
            "config": {"num_thresholds": 10**9},
        },
    ),
    "layers": lambda config: [
        _append("Activation", activation="relu")(config) for _ in range(3000)
    ],
    "an_operation_on_constants": _append(
        "Functional",
        module="keras.src.models.functional",
        layers=[
            {
                "module": "keras.src.ops.numpy",
                "class_name": "Tile",
                "config": {"repeats": 10**6},
                "registered_name": None,
                "inbound_nodes": [{"args": [[1.0]], "kwargs": {}}],
            }
        ],
    ),
}


@pytest.mark.parametrize("name", SIZE_CHANGES)
def test_a_config_that_asks_for_more_than_the_weights_hold_is_refused(good, tmp_path, name):
    config = json.loads(good[CONFIG])
    SIZE_CHANGES[name](config)
    path = pack(tmp_path / "bad.keras", {**good, CONFIG: json.dumps(config).encode()})
    refused(path, "larger than its weights|more parts than weights|without an input")


def test_a_model_makes_no_more_variables_than_its_weights_account_for():
    # Which is what ends an ensemble of a million members, each of a few weights.
    held = archive.Held(arrays=3, values=10**6, largest=10**5, rows=20)
    budget = sizes.Budget(held)
    budget.take((100, 1000))
    for _ in range(250):
        budget.take(())
    for taken in (lambda: budget.take((10**5, 2)), lambda: [budget.take(()) for _ in range(100)]):
        with pytest.raises(archive.Refused, match="larger than its weights"):
            taken()


def test_an_ensemble_without_weights_has_no_members_to_build():
    network = keras.Sequential([keras.layers.Flatten()])
    pattern = tv.BayesianNetwork(network, tv.likelihoods.Categorical(2))
    with pytest.raises(ValueError, match=r"no weights.*Expected.*Received"):
        tv.Ensemble(pattern, 10**9, input_shape=(2,))


def test_arrays_that_share_their_bytes_are_refused(good):
    content = io.BytesIO(good[WEIGHTS])
    with h5py.File(content, "r+") as file:
        for name in "abc":
            file[name] = np.zeros(4 * len(good[WEIGHTS]), "u1")
        places = [file[name].id.get_offset() for name in "abc"]
    held = archive.check_weights(content.getvalue())
    assert (held.largest, held.rows > 3 * held.largest) == (4 * len(good[WEIGHTS]), True)
    one, *others = (place.to_bytes(8, "little") for place in places)
    shared = content.getvalue()
    for other in others:
        assert shared.count(other) == 1
        shared = shared.replace(other, one)
    end = len(shared).to_bytes(8, "little")
    shared = shared[: places[1]].replace(end, places[1].to_bytes(8, "little"))
    with pytest.raises(archive.Refused, match="arrays of more than"):
        archive.check_weights(shared)


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
            refused(path, "truncated|damaged|not a model file|unpacks|link|outside|legacy|pickle")
        else:  # dates, versions and other notes of the zip
            assert members == good
            same += 1
    assert same < len(damaged) / 4, "most damage should be noticed"


@pytest.mark.all_only
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
