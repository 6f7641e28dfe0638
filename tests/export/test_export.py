"""An export is a folder that other runtimes load, and a verification that notices when they do not.

SavedModel and .keras run here in this process; in a new one they are in the slow test of the
program.
"""

import dataclasses
import functools
import importlib.util
import json
import pathlib
import re
import subprocess
import sys

import google.protobuf.descriptor_pool
import google.protobuf.message_factory
import keras
import numpy as np
import onnx
import pytest
import tensorflow as tf
from google.protobuf import descriptor_pb2
from tensorflow.core.framework import tensor_pb2

import tfp_vae as tv
from tfp_vae import export, report
from tfp_vae.data import Kind, Split
from tfp_vae.export import exporting
from tfp_vae.export.card import render
from tfp_vae.export.formats import base, litert, portable, savedmodel
from tfp_vae.export.formats import onnx as onnx_format
from tfp_vae.export.package import SEEDED, Package, digest, record_examples
from tfp_vae.export.proof import clients, reload, runtimes
from tfp_vae.export.signatures.answers import subject_of
from tfp_vae.export.signatures.base import Signature, Value

SHAPE = (4, 4, 1)
FORMATS = ("keras", "savedmodel", "onnx", "litert")


def _untrained(kind):
    """Returns a tiny model."""
    parts = {
        "prior": tv.priors.StandardNormal(2),
        "encoder": tv.encoders.Gaussian(tv.networks.mlp([6]), 2),
        "decoder": tv.decoders.Bernoulli(tv.networks.mlp([6]), SHAPE),
    }
    if kind == "vae":
        model = tv.VAE(**parts)
    elif kind == "conditional":
        model = tv.ConditionalVAE(num_classes=3, **parts)
    else:
        dense = tv.layers.DenseLocalReparameterization
        network = keras.Sequential(
            [keras.layers.Flatten(), dense(5, "relu", initial_scale=1.0), dense(3)]
        )
        model = tv.BayesianNetwork(network, tv.likelihoods.Categorical(3))
        if kind == "ensemble":
            model.build((None, *SHAPE))
            model = tv.Ensemble(model, 2)
    return model


def _make(kind, split):
    """Returns a tiny trained model."""
    model = _untrained(kind)
    model.compile(optimizer=keras.optimizers.Adam(1e-2), jit_compile=False)
    model.fit(split, batch_size=20, epochs=1, verbose=0)
    return model


def _split(count=40, kind=Kind.STATIC):
    rng = np.random.default_rng(0)
    x = (rng.random((count, *SHAPE)) < rng.random(SHAPE)).astype(np.float32)
    return Split(x, kind, labels=np.arange(count) % 3, name="test")


@pytest.fixture(scope="module")
def exports(request, tmp_path_factory):
    """Returns a function that exports a model of a kind in all formats that hold signatures, once.

    Seven signatures take half a minute to convert, three times each.
    """
    facts = {"dataset": "bars", "digests": {"test": "abc"}, "test_elbo": -9.5, "test_elbo_se": 0.1}

    @functools.cache
    def make(kind):
        keras.utils.set_random_seed(0)
        split = _split()
        model = _make(kind, split)
        folder = tmp_path_factory.mktemp(kind) / "export"
        few = kind == "conditional" and not request.config.getoption("--release")
        formats = ["onnx", "litert"] if few else FORMATS  # which verification reads
        export.export(model, split, folder, formats, num_samples=4, facts=facts, name="tiny")
        return model, split, folder

    return make


@pytest.fixture(
    scope="module",
    params=[
        "bayesian",
        pytest.param("conditional", marks=[pytest.mark.slow, pytest.mark.release_only]),
        pytest.param("ensemble", marks=pytest.mark.all_only),
    ],
)
def exported(request, exports):
    """Returns (model, split, folder) of an export in all formats that hold signatures."""
    return exports(request.param)


@pytest.fixture(scope="module")
def vae():
    """Returns (model, split), of a model without training."""
    keras.utils.set_random_seed(0)
    return _untrained("vae"), _split()


def _load(name, path, signatures):
    """Returns the functions of an artefact, and its operators that are not allowed."""
    runs, _, outside = base.of(name).load(path, signatures)
    return runs, outside


@pytest.mark.parametrize("name", ["savedmodel", "onnx", "litert", "litert_quantised"])
@pytest.mark.dear(
    reason="the first of them exports each model to every format, for all tests of this file"
)
def test_every_runtime_agrees_at_every_batch_size(exported, name):
    _, _, folder = exported
    cells, kind = [], base.of(name)
    runtimes.run_format(folder, [name], kind.form, kind.load, cells.append, 0.0)
    manifest = report.read_json(folder / "export.json")
    wanted = [s for a in manifest["artefacts"] if a["format"] == name for s in a["signatures"]]
    assert [cell["signature"] for cell in cells] == wanted
    for cell in cells:
        assert "reason" not in cell, cell
        assert cell["tolerance_share"] < 1 or name == "litert_quantised"
        assert cell["milliseconds_128"] > 0


def test_what_our_models_answer_is_left_out_of_no_format(exported):
    manifest = report.read_json(exported[2] / "export.json")
    assert manifest["refused"] == manifest["refused_by_format"] == {}
    assert "Not here" not in (exported[2] / "card.md").read_text()


def test_a_saved_model_brings_back_optimizer_and_seed(exported):
    _, _, folder = exported
    cells = []
    reload.check(folder, cells.append, 0.0)
    assert cells
    for cell in cells:
        assert "reason" not in cell, cell
        assert cell["tolerance_share"] < 1


def test_another_optimizer_step_fails_the_reload(exports, tmp_path):
    _, _, folder = exports("bayesian")
    manifest = report.read_json(folder / "export.json")
    manifest["state"]["optimizer"]["step"] += 1
    (tmp_path / "export.json").write_text(json.dumps(manifest))
    (tmp_path / "keras").mkdir()
    for name in ("keras/model.keras", "examples.npz"):
        (tmp_path / name).write_bytes((folder / name).read_bytes())
    cells = []
    reload.check(tmp_path, cells.append, 0.0)
    assert cells and all("another state" in cell["reason"] for cell in cells)


def test_a_saved_model_has_one_copy_of_the_weights(exported):
    model, _, folder = exported
    reader = tf.train.load_checkpoint(str(folder / "savedmodel/1/variables/variables"))
    stored = sum(np.prod(s) for n, s in reader.get_variable_to_shape_map().items() if s)
    in_model = sum(np.prod(w.shape) for w in model.weights if w.shape)
    assert stored == in_model


def test_random_signatures_repeat_for_a_seed_and_differ_for_another(exported):
    model, split, folder = exported
    signatures = tf.saved_model.load(str(folder / "savedmodel/1")).signatures
    random = [s for s in export.signatures_of(model, 4) if s.draws is not None]
    assert random
    for signature in random:
        example = {"x": split.values()[:3], "label": np.array([0, 1, 2], np.int32), "count": 3}
        data = {v.name: example[v.name] for v in signature.seeded_inputs if v.name != "seed"}
        data = {name: tf.constant(value) for name, value in data.items()}
        first, again, other = (
            signatures[signature.name](seed=tf.constant(seed), **data)
            for seed in ([1, 2], [1, 2], [2, 1])
        )
        for name, value in first.items():
            np.testing.assert_array_equal(value, again[name])
        assert any(not np.allclose(value, other[name]) for name, value in first.items())


def test_impossible_requests_get_errors_or_nan(exported):
    _, _, folder = exported
    for name, allowed in (("savedmodel", {"error"}), ("onnx", {"error", "NaN", "nothing"})):
        manifest, examples = report.read_json(folder / "export.json"), runtimes.Examples(folder)
        form = base.of(name).form
        for artefact in (a for a in manifest["artefacts"] if a["format"] == name):
            runs, _ = _load(name, folder / artefact["path"], artefact["signatures"])
            for signature in artefact["signatures"][:2]:
                described = next(s for s in manifest["signatures"] if s["name"] == signature)
                values = described["inputs" if form == "portable" else "seeded_inputs"]
                asked = clients.impossible(examples.inputs(form, signature, 1), values)
                assert len(asked) >= 3
                for what, request in asked.items():
                    found = clients.ask(runs[signature], request)
                    assert found["answer"] in allowed, (name, signature, what, found)
                    if what.startswith("wrong"):
                        assert found["answer"] == "error", (name, signature, what)


def test_clients_are_counted_and_wrong_answers_noticed():
    wanted = {"y": np.ones(2, np.float32)}
    row = clients.many(lambda inputs: wanted, {}, wanted, 8)
    assert (row["requests"], row["wrong"]) == (clients.REQUESTS, 0)
    assert 0 < row["p50_milliseconds"] <= row["p99_milliseconds"]
    wrong = clients.many(lambda inputs: {"y": np.array([1, 1.1], np.float32)}, {}, wanted, 8)
    assert wrong["wrong"] == wrong["requests"]
    assert clients.ask(lambda inputs: wanted, {})["answer"] == "numbers"


# The card.


def test_the_card_says_what_there_is(exported):
    model, split, folder = exported
    card = report.read_json(folder / "card.json")
    assert card["data"]["dataset"] == "bars"
    assert card["data"]["test_digest"] == split.digest
    # Beside its layers a ConditionalVAE has the frequencies of its classes; of the two members of
    # the ensemble the card shows one.
    layers = sum(row["parameters"] for row in card["architecture"])
    count = {"ConditionalVAE": layers + 3, "Ensemble": 2 * layers}.get(card["model"], layers)
    assert card["parameters"] == model.count_params() == count
    assert card["metrics"] == {"test_elbo": -9.5, "test_elbo_se": 0.1}
    assert card["seed"] == model.seed
    assert card["licence"] == {"tfp_vae": "Apache-2.0", "weights": "not stated"}
    assert card["limits"] and card["intended_use"]
    text = (folder / "card.md").read_text()
    for signature in card["signatures"]:
        assert f"### {signature['name']}" in text
        for value in (*signature["inputs"], *signature["outputs"]):
            assert f"`{value['name']}`" in text
    assert "-9.50 +- 0.10" in text
    assert "saved_model_cli show --dir savedmodel/1 --all" in text
    assert "tritonserver --model-repository" in text
    for line in text.splitlines():  # tables keep their columns
        if line.startswith("| in |") or line.startswith("| out |"):
            assert len(re.findall(r"(?<!\\)\|", line)) == 6


def test_text_of_a_run_is_shown_by_the_card_and_is_no_markup():
    bad = "a | b\n\n# heading\n- [click](javascript:a) <img src=x> http://a.b x@y.zz"
    value = {"name": "x`|", "shape": ["B", 2], "dtype": "float32", "meaning": bad}
    signature = {"name": bad, "meaning": bad, "seeded_inputs": [value], "inputs": [], "outputs": []}
    layer = {"part": bad, "layer": bad, "parameters": 1, "activation": bad}
    artefact = {"path": bad, "format": bad, "size": 1, "sha256": "0" * 64}
    metrics = {"```\n<b>out": 1.0}
    card = {
        **dict.fromkeys(("name", "model", "intended_use"), bad),
        **{
            "created": "now",
            "seed": 0,
            "parameters": 1,
            "num_samples": 2,
            "limits": [bad],
            "metrics": metrics,
        },
        **{"data": {"dataset": bad}, "training": {bad: bad}, "objective": {"class": bad}},
        **{"architecture": [layer], "signatures": [signature], "artefacts": [artefact]},
        "table": {
            "columns": [{"name": "x`|", "kind": bad, "levels": [bad], "units": {bad: 1.0}}],
            "missing": bad,
            "class_names": [bad],
        },
        **{"refused": {bad: bad}, "refused_by_format": {bad: {bad: bad}}, "commands": {}},
        "versions": {"export": {"tfp_vae": "1"}, "training": {"python": bad}},
        "licence": {"tfp_vae": "Apache-2.0", "weights": bad},
    }
    text = render(card)
    inside = text.replace(f"````\n{report.summary({'``` <b>out': 1.0})}\n````", "")
    assert inside != text, "metrics are in a fence of their own"
    for markup in ("<img", "<b>", "\n# heading", "\n- [", "[click]", "p://a.b", "x@y", "a | b"):
        assert markup not in inside
    assert r"a \| b \# heading" in inside and "&lt;img src=x&gt;" in inside


# What servers want.


def _messages():
    """Returns PredictionLog as tensorflow_serving/apis describes it."""
    field = descriptor_pb2.FieldDescriptorProto
    file = descriptor_pb2.FileDescriptorProto(
        name="log.proto", package="serving", syntax="proto3", dependency=[]
    )
    file.dependency.append("tensorflow/core/framework/tensor.proto")

    def message(name, *fields, parent=file.message_type):
        added = parent.add(name=name)
        for field_name, number, kind, repeated in fields:
            new = added.field.add(name=field_name, number=number)
            new.label = field.LABEL_REPEATED if repeated else field.LABEL_OPTIONAL
            new.type = field.TYPE_STRING if kind is None else field.TYPE_MESSAGE
            if kind:
                new.type_name = kind
        return added

    message("ModelSpec", ("name", 1, None, False), ("signature_name", 3, None, False))
    request = message(
        "PredictRequest",
        ("model_spec", 1, ".serving.ModelSpec", False),
        ("inputs", 2, ".serving.PredictRequest.InputsEntry", True),
    )
    entry = message(
        "InputsEntry",
        ("key", 1, None, False),
        ("value", 2, ".tensorflow.TensorProto", False),
        parent=request.nested_type,
    )
    entry.options.map_entry = True
    message("PredictLog", ("request", 1, ".serving.PredictRequest", False))
    message("PredictionLog", ("predict_log", 6, ".serving.PredictLog", False))
    pool = google.protobuf.descriptor_pool.DescriptorPool()

    def add(descriptor):
        for dependency in descriptor.dependencies:
            add(dependency)
        copy = descriptor_pb2.FileDescriptorProto()
        descriptor.CopyToProto(copy)
        pool.Add(copy)

    add(tensor_pb2.DESCRIPTOR)
    pool.Add(file)
    found = pool.FindMessageTypeByName("serving.PredictionLog")
    return google.protobuf.message_factory.GetMessageClass(found)


def test_warm_up_requests_are_prediction_logs(exported):
    model, split, folder = exported
    log_type = _messages()
    path = folder / "savedmodel/1" / savedmodel.WARM_UP
    records = [*tf.data.TFRecordDataset(str(path)).as_numpy_iterator()]
    signatures = export.signatures_of(model, 4)
    assert len(records) == len(signatures)
    for record, signature in zip(records, signatures, strict=True):
        request = log_type.FromString(record).predict_log.request
        assert request.model_spec.name == "tiny"
        assert request.model_spec.signature_name == signature.name
        assert set(request.inputs) == {value.name for value in signature.seeded_inputs}
        if "x" in request.inputs:
            content = request.inputs["x"].SerializeToString()
            x = tf.make_ndarray(tensor_pb2.TensorProto.FromString(content))
            np.testing.assert_array_equal(x, split.values()[:1])


def test_the_request_of_the_card_is_one_that_is_answered(exported):
    _, _, folder = exported
    request = report.read_json(folder / "request.json")
    loaded = tf.saved_model.load(str(folder / "savedmodel/1"))
    function = loaded.signatures[request["signature_name"]]
    types = {spec.name: spec.dtype for spec in function.structured_input_signature[1].values()}
    inputs = {name: tf.constant(v, types[name]) for name, v in request["inputs"].items()}
    assert function(**inputs)


@pytest.mark.release_only
@pytest.mark.slow
@pytest.mark.dear(reason="TensorFlow's own command in a process of its own")
def test_the_saved_model_is_one_for_its_own_command(exports, tmp_path):
    _, _, folder = exports("conditional")
    command = str(pathlib.Path(sys.executable).with_name("saved_model_cli"))
    where = ["--dir", str(folder / "savedmodel/1"), "--tag_set", "serve", "--signature_def", "elbo"]

    def call(*arguments):
        return subprocess.run(
            [command, *arguments], capture_output=True, text=True, check=True, cwd=tmp_path
        ).stdout

    shown = call("show", *where)
    assert "inputs['x']" in shown and "shape: (-1, 4, 4, 1)" in shown
    assert "inputs['seed']" in shown and "outputs['elbo']" in shown
    examples = runtimes.Examples(folder)
    inputs = examples.inputs(SEEDED, "elbo", 3)
    for name, array in inputs.items():
        np.save(tmp_path / f"{name}.npy", array)
    given = ";".join(f"{name}={name}.npy" for name in inputs)
    call("run", *where, "--inputs", given, "--outdir", ".")
    expected = examples.outputs(SEEDED, "elbo", 3)["elbo"]
    np.testing.assert_allclose(np.load(tmp_path / "elbo.npy"), expected, rtol=1e-5)


def test_triton_may_join_requests_where_the_first_axis_is_the_batch():
    label = Value("label", ("B",), "", "int32", limit=3)
    x, y = Value("x", ("B", 8), ""), Value("y", ("B",), "")
    text = onnx_format.triton_config("m_f", Signature("f", "", (x, label), (y,), None))
    assert "max_batch_size: 128" in text and "dynamic_batching" in text
    assert '{ name: "x" data_type: TYPE_FP32 dims: [ 8 ] }' in text
    assert '"label" data_type: TYPE_INT32 dims: [ 1 ] reshape: { shape: [ ] }' in text
    noise = Value("noise", ("S", "B", 2), "", role="noise")
    text = onnx_format.triton_config("m_f", Signature("f", "", (x, noise), (y,), None))
    assert "max_batch_size: 0" in text and "dynamic_batching" not in text
    assert '{ name: "x" data_type: TYPE_FP32 dims: [ -1, 8 ] }' in text
    assert '{ name: "noise" data_type: TYPE_FP32 dims: [ -1, -1, 2 ] }' in text
    assert text.count("{") == text.count("}") and text.count("[") == text.count("]")


# Verification, in new processes.


@pytest.fixture(scope="module")
def portable_export(exports, tmp_path_factory):
    """Returns the folder of an export whose runtimes start fast: one without the others' files."""
    folder = _copy(exports("conditional")[2], tmp_path_factory.mktemp("portable") / "export")
    manifest = report.read_json(folder / "export.json")
    quick = ("onnx", "litert", "litert_quantised")
    manifest["artefacts"] = [a for a in manifest["artefacts"] if a["format"] in quick]
    (folder / "export.json").write_text(json.dumps(manifest))
    return folder


def _copy(folder, target):
    for path in folder.rglob("*"):
        if path.is_file():
            copied = target / path.relative_to(folder)
            copied.parent.mkdir(parents=True, exist_ok=True)
            copied.write_bytes(path.read_bytes())
    return target


def _register(folder, path):
    """Makes the record say that a changed file is the one that was written."""
    manifest = report.read_json(folder / "export.json")
    for artefact in manifest["artefacts"]:
        if artefact["path"] == path:
            artefact["sha256"] = digest(folder / path)
    (folder / "export.json").write_text(json.dumps(manifest))


@pytest.mark.dear(reason="an export to every format, made for the tests beside it too")
@pytest.mark.always(reason="what --verify says of a good export")
def test_a_good_export_is_verified_and_the_table_is_written(portable_export):
    found = export.verify(portable_export, seconds=0.0)
    found.raise_for_failures()
    written = report.read_json(portable_export / "verify.json")
    assert written["passed"]
    assert written["cells"] == found.cells
    for cell in written["cells"]:
        assert {"format", "signature", "max_abs_difference", "size", "operators"} <= set(cell)
        assert cell["size"] == (portable_export / cell["path"]).stat().st_size
        assert cell["milliseconds_1"] > 0 and cell["milliseconds_128"] > 0
    lines = found.table().splitlines()
    assert len(lines) == 1 + 7 * 3
    assert all("ok" in line for line in lines[1:])


def test_verification_fails_where_a_file_was_tampered_with(portable_export, tmp_path):
    folder = _copy(portable_export, tmp_path / "export")
    weights, cut, empty, flipped, gone, noisy = (
        "onnx/tiny_encode/1/model.onnx",
        "onnx/tiny_decode/1/model.onnx",
        "onnx/tiny_sample/1/model.onnx",
        "litert/decode.tflite",
        "litert/encode.tflite",
        "onnx/tiny_reconstruct/1/model.onnx",
    )
    proto = onnx.load(str(folder / weights))
    largest = max(proto.graph.initializer, key=lambda each: np.prod(each.dims))
    values = onnx.numpy_helper.to_array(largest) + np.float32(1e-3)
    largest.CopyFrom(onnx.numpy_helper.from_array(values, largest.name))
    onnx.save(proto, str(folder / weights))
    content = (folder / cut).read_bytes()
    (folder / cut).write_bytes(content[: len(content) // 2])
    (folder / empty).write_bytes(b"")
    content = bytearray((folder / flipped).read_bytes())
    content[len(content) // 2] ^= 1
    (folder / flipped).write_bytes(content)
    (folder / gone).unlink()
    proto = onnx.load(str(folder / noisy))
    draw = onnx.helper.make_node("RandomNormal", [], ["unused"], shape=[1])
    proto.graph.node.append(draw)
    onnx.save(proto, str(folder / noisy))
    for path in (weights, cut, empty, noisy):  # not by the digest alone
        _register(folder, path)
    found = export.verify(folder, seconds=0.0)
    reasons = {cell["path"]: cell["reason"] for cell in found.failures}
    assert set(reasons) == {weights, cut, empty, flipped, gone, noisy}
    assert "times what is tolerated" in reasons[weights]
    assert "does not load" in reasons[cut] and "does not load" in reasons[empty]
    assert "not the one that was written" in reasons[flipped]
    assert "not the one that was written" in reasons[gone]
    assert "outside the portable set: RandomNormal" in reasons[noisy]
    assert not report.read_json(folder / "verify.json")["passed"]
    with pytest.raises(ValueError, match=r"6 of 21 cells failed.*onnx encode"):
        found.raise_for_failures()
    assert found.table().count("FAILED") == 6


def test_a_runtime_that_crashes_fails_its_cells(portable_export, tmp_path, monkeypatch):
    program = tmp_path / "runtimes.py"
    program.write_text("import os, signal\nos.kill(os.getpid(), signal.SIGSEGV)\n")
    monkeypatch.setattr(runtimes, "__file__", str(program))
    found = export.verify(_copy(portable_export, tmp_path / "export"))
    assert len(found.failures) == len(found.cells)
    assert all("ended with status -11" in cell["reason"] for cell in found.cells)


@pytest.mark.all_only
@pytest.mark.parametrize("name", ["piwae", "factor"])
@pytest.mark.dear(reason="a training and its exports")
def test_what_a_bound_has_of_its_own_stays_with_training(name, tmp_path):
    """Taps of draws and a discriminator are in no answer, and the model comes back with both."""
    keras.utils.set_random_seed(0)
    model, split = _untrained("vae"), _split()
    options = {"piwae": {"groups": 2}, "factor": {}}[name]
    model.objective = tv.objectives.BOUNDS[name](**options)
    model.num_samples = {"piwae": 4, "factor": 1}[name]
    model.compile(optimizer=keras.optimizers.Adam(1e-2), jit_compile=False)
    model.fit(split, batch_size=20, epochs=1, verbose=0)
    formats = ["keras", "savedmodel"]
    folder = export.export(model, split, tmp_path / "export", formats, num_samples=2)
    cells = []
    reload.check(folder, cells.append, 0.0)
    kind = base.of("savedmodel")
    runtimes.run_format(folder, ["savedmodel"], kind.form, kind.load, cells.append, 0.0)
    assert len(cells) > 2
    for cell in cells:
        assert "reason" not in cell and cell["tolerance_share"] < 1, cell
    again = tv.load(next(folder.rglob("*.keras")))
    assert again.objective.get_config() == model.objective.get_config()
    assert (again.objective_network is not None) == (name == "factor")


def test_there_has_to_be_an_export_to_verify(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"export\.json is missing"):
        export.verify(tmp_path)
    with pytest.raises(FileNotFoundError, match=r"export\.json is missing"):
        export.serve(tmp_path)


def test_only_servers_formats_are_served(portable_export, tmp_path):
    folder = _copy(portable_export, tmp_path / "export")
    manifest = report.read_json(folder / "export.json")
    manifest["artefacts"] = [a for a in manifest["artefacts"] if a["format"] == "litert"]
    (folder / "export.json").write_text(json.dumps(manifest))
    with pytest.raises(ValueError, match=r"Expected an export with savedmodel or onnx"):
        export.serve(folder)


@pytest.mark.parametrize(
    ("answer", "text"),
    [
        ({"a": np.zeros(2, np.float32)}, "Expected the outputs"),
        ({"y": np.zeros(3, np.float32)}, "expected float32"),
        ({"y": np.zeros(2)}, "expected float32"),
        ({"y": np.array([0, np.nan], np.float32)}, "Received NaN"),
    ],
    ids=["another name", "another shape", "another type", "not finite"],
)
def test_answers_that_cannot_be_compared_are_errors(answer, text):
    with pytest.raises(ValueError, match=text):
        runtimes.compare(answer, {"y": np.zeros(2, np.float32)})


def test_large_numbers_are_compared_by_their_size():
    expected = {"y": np.array([-1000.0], np.float32)}
    worst, share = runtimes.compare({"y": np.array([-1000.005], np.float32)}, expected)
    assert worst == pytest.approx(0.005, rel=0.01) and share < 1
    assert runtimes.compare({"y": np.array([-1000.02], np.float32)}, expected)[1] > 1
    small = {"y": np.array([0.0], np.float32)}
    assert runtimes.compare({"y": np.array([1.1e-5], np.float32)}, small)[1] > 1


def test_a_variance_is_compared_as_its_root_with_the_rounding_of_the_numbers_it_is_of():
    rng = np.random.default_rng(0)
    for size, spread in ((1.0, 1.0), (150.0, 7.0), (2e5, 100.0)):
        draws = (size + spread * rng.normal(size=(100, 50))).astype(np.float32)
        moved = draws.astype(np.float64) * (1 + 2e-7 * rng.normal(size=draws.shape))  # rounding

        def answers(draws):
            loc = draws.mean(0).astype(np.float32)
            return {"loc": loc, "epistemic_variance": draws.var(0).astype(np.float32)}

        expected, found = answers(draws.astype(np.float64)), answers(moved)
        assert runtimes.compare(found, expected)[1] < 1
        found["epistemic_variance"] = expected["epistemic_variance"] * np.float32(1.1)
        assert runtimes.compare(found, expected)[1] > 1


def test_a_quantised_answer_that_is_the_same_for_all_has_no_spread_to_lose():
    wanted = np.float32(1508.58) + np.float32(1e-4) * np.arange(3, dtype=np.float32)
    lost = runtimes.loss({"y": wanted + np.float32(2e-4)}, {"y": wanted})
    assert lost["y"]["relative"] is None
    wanted = np.float32([1.0, 2.0, 3.0])
    lost = runtimes.loss({"y": wanted + 1}, {"y": wanted})
    assert lost["y"]["relative"] == pytest.approx(np.sqrt(1.5))


# What a writer refuses.


def _signature(function, shape=("B", 4)):
    x, y = Value("x", shape, "numbers"), Value("y", shape, "numbers")
    return Signature("f", "a function", (x,), (y,), lambda x: {"y": function(x)})


def _package(signature):
    return Package(None, None, (signature,), {}, None, "name")


def test_what_a_format_has_no_operator_for_is_refused_and_the_rest_goes_on(tmp_path):
    unknown = _signature(lambda x: tf.math.igamma(tf.abs(x) + 1.0, tf.ones_like(x)))
    drawn = dataclasses.replace(
        _signature(lambda x: x + tf.random.stateless_normal(tf.shape(x), [1, 2])), name="g"
    )
    known = dataclasses.replace(_signature(tf.abs), name="h")
    package = Package(None, None, (unknown, drawn, known), {}, None, "name")
    for kind, reason in ((onnx_format.Onnx, "portable set"), (litert.LiteRT, "builtin")):
        found = kind().write(package, tmp_path)
        assert {s for a in found.artefacts for s in a.signatures} == {"h"}
        assert set(found.refused) == {"f", "g"}
        assert re.search(rf"cannot hold f.*{reason}.*Igamma", found.refused["f"])
        assert "cannot hold g" in found.refused["g"]
        files = [
            p.relative_to(tmp_path) for p in tmp_path.rglob(f"{kind.name}/**/*") if p.is_file()
        ]
        assert len(files) == 2 and not any("name_f" in str(path) for path in files)


def test_random_operators_are_outside_the_portable_set():
    nodes = [onnx.NodeProto(op_type="RandomNormal"), onnx.NodeProto(op_type="Add")]
    inner = onnx.GraphProto(node=[onnx.NodeProto(op_type="Add", domain="com.x")])
    branch = onnx.AttributeProto(name="then", type=onnx.AttributeProto.GRAPH, g=inner)
    nodes.append(onnx.NodeProto(op_type="If", attribute=[branch]))
    found, outside = onnx_format.operators(onnx.GraphProto(node=nodes))
    assert found == {"RandomNormal", "Add", "If"} and outside == ["RandomNormal", "com.x.Add"]
    assert litert.outside_of({"ADD", "FlexQr", "CUSTOM"}) == ["CUSTOM", "FlexQr"]


@pytest.mark.parametrize("name", ["onnx", "litert"])
def test_composed_operations_are_exact_far_out(name, tmp_path):
    # LiteRT's own softplus saturates at 88.4.
    def far(x):
        return tf.math.softplus(x) + tf.math.log1p(tf.abs(x)) + tf.nn.gelu(x)

    signature = _signature(far, ("B",))
    x = np.array([-1000, -100, -88, -20, -1, 0, 1e-3, 1, 20, 88, 100, 1000], np.float32)
    assert not base.FORMATS[name]().write(_package(signature), tmp_path).refused
    path = (
        next(p for p in tmp_path.rglob("*.onnx"))
        if name == "onnx"
        else tmp_path / "litert/f.tflite"
    )
    runs, outside = _load(name, path, ["f"])
    assert not outside
    np.testing.assert_allclose(runs["f"]({"x": x})["y"], far(x), rtol=1e-6, atol=1e-6)


def test_rewriting_leaves_other_types_and_operations_alone():
    @tf.function(autograph=False)
    def function(x, y):
        return tf.math.softplus(x), tf.math.softplus(y), x + 1

    specs = tf.TensorSpec([2], tf.float64), tf.TensorSpec([2], tf.float32)
    graph = function.get_concrete_function(*specs).graph.as_graph_def()
    kinds = [node.op for node in portable.rewritten(graph, portable.FOR_ONNX).node]
    assert kinds.count("Softplus") == 1  # the float64 one
    assert kinds.count("Exp") == 1


def test_the_format_without_its_extra_names_the_command(vae, tmp_path, monkeypatch):
    model, split = vae
    found = importlib.util.find_spec
    missing = {"tf2onnx": "onnx", "ai_edge_litert": "litert"}
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name, *_: None if name in missing else found(name)
    )
    for module, extra in missing.items():
        with pytest.raises(ImportError, match=rf'pip install "tfp_vae\[{extra}\]".*{module}'):
            export.export(model, split, tmp_path / "export", ["savedmodel", extra])
    assert not any(tmp_path.iterdir())


@pytest.mark.all_only
def test_nothing_is_written_unless_all_is_well(exports, tmp_path, monkeypatch):
    model, split, _ = exports("bayesian")
    with pytest.raises(ValueError, match=r"Unknown formats.*Received pickle"):
        export.export(model, split, tmp_path / "export", ["keras", "pickle"])
    with pytest.raises(ValueError, match=r"Unknown formats.*Received none"):
        export.export(model, split, tmp_path / "export", [])
    with pytest.raises(ValueError, match=r"Expected letters, digits and underscores"):
        export.export(model, split, tmp_path / "export", ["keras"], name="a/b")
    other = Split(np.zeros((5, 3, 3, 1), np.float32), Kind.STATIC, name="test")
    with pytest.raises(ValueError, match="wrong shape"):
        export.export(model, other, tmp_path / "export", ["keras"])

    def fails(*_):
        raise ValueError("no")

    monkeypatch.setattr(exporting.card, "write", fails)
    with pytest.raises(ValueError, match="no"):
        export.export(model, split, tmp_path / "export", ["keras"])
    assert not any(tmp_path.iterdir())


def test_an_earlier_export_is_replaced_and_another_folder_is_not(exports, tmp_path):
    model, split, _ = exports("bayesian")
    folder = tmp_path / "export"
    export.export(model, split, folder, ["keras"], num_samples=2)
    (folder / "left.over").write_text("")
    export.export(model, split, folder, ["keras"], num_samples=2)
    assert not (folder / "left.over").exists()
    assert [path.name for path in tmp_path.iterdir()] == ["export"]
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine/file").write_text("")
    with pytest.raises(FileExistsError, match="not empty and no export"):
        export.export(model, split, tmp_path / "mine", ["keras"])


def test_a_posterior_over_weights_is_no_keras_model(tmp_path):
    split = _split(kind=Kind.UNIT_INTERVAL)
    network = keras.Sequential([keras.layers.Flatten(), keras.layers.Dense(3)])
    point = tv.BayesianNetwork(
        network, tv.likelihoods.Categorical(3), weight_prior=1.0, num_data=40
    )
    point.build((None, *SHAPE))
    swag = tv.SWAG(point, rank=2)
    swag.take(np.random.default_rng(0).normal(size=(4, swag.num_weights)))
    with pytest.raises(ValueError, match="Expected formats without keras"):
        export.export(swag, split, tmp_path / "export", ["keras"])


def test_sixteen_bits_are_refused_where_a_format_has_32(tmp_path):
    keras.config.set_dtype_policy("mixed_bfloat16")
    model, split = _untrained("vae"), _split()
    with pytest.raises(ValueError, match=r"onnx compute in float32.*Received layers of bfloat16"):
        export.export(model, split, tmp_path / "export", ["onnx"])


def test_what_is_no_argument_of_an_export_is_refused_before_work(vae, tmp_path):
    model, split = vae
    (tmp_path / "file").write_text("mine")
    for data, folder, formats, message in (
        (split.values(), tmp_path / "a", ["keras"], "no test data. Expected a Data"),
        (split, tmp_path / "file", ["keras"], "is no folder"),
        (split, None, ["keras"], "Unusable folder"),
        (split, tmp_path / "a", "keras,onnx", r"Unusable formats. Expected a list.*'keras,onnx'"),
        (split, tmp_path / "a", None, "Unusable formats. Expected a list"),
    ):
        with pytest.raises(ValueError, match=message):
            export.export(model, data, folder, formats)
    assert [file.name for file in tmp_path.iterdir()] == ["file"]


def test_few_examples_are_repeated(vae):
    model, split = vae
    signatures = export.signatures_of(model, 2)[:1]
    examples, refused = record_examples(subject_of(model, 2), signatures, split.take(5), seed=0)
    assert not refused
    x = examples[f"{SEEDED}/encode/128/in/x"]
    assert x.shape == (128, *SHAPE)
    np.testing.assert_array_equal(x[:5], x[5:10])


def test_formats_are_found_by_name_and_each_once():
    found = base.get(["onnx", "keras", "onnx"])
    assert [each.name for each in found] == ["onnx", "keras"]
    assert list(export.FORMATS) == ["keras", "savedmodel", "onnx", "litert", "web"]
    assert all(kind.name == name for name, kind in export.FORMATS.items())
    assert base.of("litert_quantised") is export.FORMATS["litert"]
