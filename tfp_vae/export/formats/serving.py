"""What TensorFlow Serving and Triton want to find beside the files.

TensorFlow Serving: `savedmodel/1/` (a version is a number), `models.config`, and warm-up requests,
which it replays before it takes traffic: a TFRecord of `PredictionLog` messages in the SavedModel's
`assets.extra`. Those messages are three fields deep, so they are written here by the wire format
of protocol buffers instead of by `tensorflow-serving-api`, which would bring gRPC along.

Triton: `onnx/` is a model repository, `NAME_SIGNATURE/1/model.onnx` with a `config.pbtxt` each.
"""

import json
import pathlib

import numpy as np
import tensorflow as tf

from tfp_vae.export.package import SEEDED, Artefact, Package
from tfp_vae.export.signatures.base import Signature, Value

WARM_UP = "assets.extra/tf_serving_warmup_requests"
REQUEST = "request.json"
MAX_BATCH = 128  # that Triton joins requests to
_TYPES = {"float32": "TYPE_FP32", "int32": "TYPE_INT32"}


def write(package: Package, folder: pathlib.Path, artefacts: "list[Artefact]") -> None:
    """Writes configurations and warm-up requests for the formats that were written."""
    for artefact in artefacts:
        if artefact.format == "savedmodel":
            write_warm_up(package, folder / artefact.path / WARM_UP)
            (folder / "models.config").write_text(models_config(package.name), "utf-8")
            (folder / REQUEST).write_text(rest_request(package), "utf-8")
        if artefact.format == "onnx":
            signature = next(s for s in package.signatures if s.name == artefact.signatures[0])
            text = triton_config(f"{package.name}_{signature.name}", signature)
            path = folder / artefact.path
            (path.parents[1] / "config.pbtxt").write_text(text, "utf-8")


def models_config(name: str) -> str:
    """Returns the `--model_config_file` of TensorFlow Serving."""
    return (
        "model_config_list {\n  config {\n"
        f'    name: "{name}"\n    base_path: "/models/{name}"\n    model_platform: "tensorflow"\n'
        "  }\n}\n"
    )


def rest_request(package: Package) -> str:
    """Returns the body of a request for the first signature, with a real example."""
    signature = package.signatures[0]
    start = f"{SEEDED}/{signature.name}/1/in/"
    inputs = {v.name: package.examples[start + v.name].tolist() for v in signature.seeded_inputs}
    return f"{json.dumps({'signature_name': signature.name, 'inputs': inputs})}\n"


def write_warm_up(package: Package, path: pathlib.Path) -> None:
    """Writes one request per signature, with a real example, as TensorFlow Serving replays them."""
    path.parent.mkdir(exist_ok=True)
    with tf.io.TFRecordWriter(str(path)) as writer:
        for signature in package.signatures:
            start = f"{SEEDED}/{signature.name}/1/in/"
            inputs = {
                value.name: package.examples[start + value.name]
                for value in signature.seeded_inputs
            }
            writer.write(prediction_log(package.name, signature.name, inputs))


def prediction_log(model: str, signature: str, inputs: "dict[str, np.ndarray]") -> bytes:
    """Returns a serialised `tensorflow.serving.PredictionLog` of a request.

    Its fields, by the numbers in tensorflow_serving/apis: PredictionLog.predict_log = 6,
    PredictLog.request = 1; of PredictRequest model_spec = 1 and the map inputs = 2, whose entries
    have key = 1 and value = 2; ModelSpec.name = 1 and signature_name = 3.
    """
    spec = _field(1, model.encode()) + _field(3, signature.encode())
    request = _field(1, spec)
    for name, array in inputs.items():
        tensor = tf.make_tensor_proto(array).SerializeToString()
        request += _field(2, _field(1, name.encode()) + _field(2, tensor))
    return _field(6, _field(1, request))


def _field(number: int, content: bytes) -> bytes:
    """Returns a field of bytes or of a message: its tag, its length and its content."""
    return _varint(number << 3 | 2) + _varint(len(content)) + content


def _varint(value: int) -> bytes:
    found = bytearray()
    while value > 127:
        found.append(value & 127 | 128)
        value >>= 7
    return bytes([*found, value])


def triton_config(name: str, signature: Signature) -> str:
    """Returns the `config.pbtxt` of an ONNX file.

    Where the first axis of every input is the batch, Triton may join requests (dynamic batching),
    and its shapes leave that axis out; where noise [S, B, D] is an input it may not.
    """
    batched = all(value.shape[0] == "B" for value in signature.inputs)
    lines = [f'name: "{name}"', 'platform: "onnxruntime_onnx"']
    lines.append(f"max_batch_size: {MAX_BATCH if batched else 0}")
    for kind, values in (("input", signature.inputs), ("output", signature.outputs)):
        lines.append(f"{kind} [")
        lines.append(",\n".join(_triton_tensor(value, batched) for value in values))
        lines.append("]")
    if batched:
        lines.append("dynamic_batching { }")
    warm = "\n".join(_triton_warm_up(value, batched) for value in signature.inputs)
    lines.append(f'model_warmup [\n  {{\n    name: "zeros"\n    batch_size: 1\n{warm}\n  }}\n]')
    return "\n".join(lines) + "\n"


def _triton_tensor(value: Value, batched: bool) -> str:
    axes = value.shape[1:] if batched else value.shape
    dims = ", ".join(str(-1 if isinstance(axis, str) else axis) for axis in axes)
    reshape = ""
    if not axes:  # one number per example
        dims, reshape = "1", " reshape: { shape: [ ] }"
    return (
        f'  {{ name: "{value.name}" data_type: {_TYPES[value.dtype]} dims: [ {dims} ]{reshape} }}'
    )


def _triton_warm_up(value: Value, batched: bool) -> str:
    axes = value.shape[1:] if batched else value.shape
    dims = ", ".join(str(1 if isinstance(axis, str) else axis) for axis in axes) or "1"
    return (
        f'    inputs {{ key: "{value.name}" value: {{ data_type: {_TYPES[value.dtype]} '
        f"dims: [ {dims} ] zero_data: true }} }}"
    )


def commands(name: str, artefacts) -> "list[tuple[str, str]]":
    """Returns what to type, run in the folder of the export: [(what for, command)]."""
    found = []
    written = {artefact["format"]: artefact for artefact in artefacts}
    if "savedmodel" in written:
        found += [
            ("what the SavedModel answers", "saved_model_cli show --dir savedmodel/1 --all"),
            (
                "TensorFlow Serving, REST on 8501 and gRPC on 8500",
                f'docker run --rm -p 8500:8500 -p 8501:8501 -v "$PWD/savedmodel:/models/{name}" '
                '-v "$PWD/models.config:/models/models.config" tensorflow/serving '
                "--model_config_file=/models/models.config",
            ),
            (
                "its signatures",
                f"curl http://localhost:8501/v1/models/{name}/metadata",
            ),
            (
                "an answer",
                f"curl -d @{REQUEST} http://localhost:8501/v1/models/{name}:predict",
            ),
        ]
    if "onnx" in written:
        found.append(
            (
                "Triton, HTTP on 8000 (TAG: a release of it, such as the newest)",
                'docker run --rm -p 8000:8000 -v "$PWD/onnx:/models" '
                "nvcr.io/nvidia/tritonserver:TAG-py3 tritonserver --model-repository=/models",
            )
        )
    return found
