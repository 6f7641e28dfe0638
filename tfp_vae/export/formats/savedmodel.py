"""SavedModel: TensorFlow and TensorFlow Serving, whose runtime draws from a seed.

Serving wants `savedmodel/1/` (a version is a number), `models.config`, and warm-up requests, which
it replays before it takes traffic: a TFRecord of `PredictionLog` messages in the SavedModel's
`assets.extra`. Those messages are three fields deep, so they are written here by the wire format
of protocol buffers instead of by `tensorflow-serving-api`, which would bring gRPC along.
"""

import json
import pathlib
from typing import ClassVar

import numpy as np
import tensorflow as tf

from tfp_vae.export.formats.base import FORMATS, NO_GRADIENTS, Format, Written, quiet, reason_of
from tfp_vae.export.package import SEEDED, Artefact, Package

WARM_UP = "assets.extra/tf_serving_warmup_requests"
REQUEST = "request.json"

STAND_ALONE = ("STATEFUL", "load")
STATEFUL = (
    *("RandomUniform", "RandomStandardNormal", "TruncatedNormal", "Multinomial"),
    *("RngReadAndSkip", "StatefulStandardNormalV2", "StatefulUniform"),
)


def load(path: pathlib.Path, names: "list[str]"):
    """Returns the signatures of a SavedModel, its operators, and those that are not allowed."""
    import tensorflow as tf

    loaded = tf.saved_model.load(str(path))

    def runner(name):
        function = loaded.signatures[name]

        def run(inputs):
            answers = function(**{key: tf.constant(value) for key, value in inputs.items()})
            return {key: value.numpy() for key, value in answers.items()}

        run.loaded = loaded  # whose weights go when it goes
        return run

    graphs = [loaded.signatures[name].graph.as_graph_def() for name in names]
    nodes = [node for graph in graphs for node in graph.node]
    nodes += [
        n for graph in graphs for function in graph.library.function for n in function.node_def
    ]
    # Any operation of TensorFlow will do, but for those that run code of Python or keep a state.
    found = {node.op for node in nodes}
    outside = sorted(op for op in found if "PyFunc" in op or op in STATEFUL)
    return {name: runner(name) for name in names}, found, outside


@FORMATS.register("savedmodel", "TensorFlow, TensorFlow Serving")
class SavedModel(Format):
    """`savedmodel/1/` with all signatures over one copy of the weights."""

    name = "savedmodel"
    allowed: ClassVar = {None: ("error",)}  # the one format that can hold assertions
    limits = (
        "SavedModel refuses wrong shapes and types, NaN, infinity, empty batches and impossible "
        "classes with an error."
    )
    load = staticmethod(load)

    def write(self, package, folder):
        """Writes `savedmodel/1/`, `models.config` and a request."""
        module = tf.Module()
        module.weights = [weight.value for weight in package.model.weights]
        functions, refused = {}, {}
        for signature in package.signatures:
            specs = {value.name: value.spec() for value in signature.seeded_inputs}
            function = tf.function(signature.seeded, autograph=False)
            try:
                functions[signature.name] = function.get_concrete_function(**specs)
            except Exception as error:  # whatever a distribution of a user's own raises in a graph
                refused[signature.name] = f"it cannot be made a graph: {reason_of(error)}"
        if not functions:
            return Written([], refused)
        # What a posterior over weights draws from are constants or variables beside the model.
        module.functions = functions
        module.variables_beside = [each for one in functions.values() for each in one.variables]
        path = folder / "savedmodel/1"
        with quiet():
            tf.saved_model.save(module, str(path), functions, NO_GRADIENTS)
        write_warm_up(package, functions, path / WARM_UP)
        (folder / "models.config").write_text(models_config(package.name), "utf-8")
        (folder / REQUEST).write_text(rest_request(package, next(iter(functions))), "utf-8")
        return Written([Artefact("savedmodel", "savedmodel/1", tuple(functions))], refused)

    def commands(self, name):
        """Returns how to look at the files and how to serve them."""
        return [
            ("what the SavedModel answers", "saved_model_cli show --dir savedmodel/1 --all"),
            (
                "TensorFlow Serving, REST on 8501 and gRPC on 8500",
                f'docker run --rm -p 8500:8500 -p 8501:8501 -v "$PWD/savedmodel:/models/{name}" '
                '-v "$PWD/models.config:/models/models.config" tensorflow/serving '
                "--model_config_file=/models/models.config",
            ),
            ("its signatures", f"curl http://localhost:8501/v1/models/{name}/metadata"),
            ("an answer", f"curl -d @{REQUEST} http://localhost:8501/v1/models/{name}:predict"),
        ]


def models_config(name: str) -> str:
    """Returns the `--model_config_file` of TensorFlow Serving."""
    return (
        "model_config_list {\n  config {\n"
        f'    name: "{name}"\n    base_path: "/models/{name}"\n    model_platform: "tensorflow"\n'
        "  }\n}\n"
    )


def _request(package: Package, name: str) -> "dict[str, np.ndarray]":
    """Returns the inputs of a signature with a real example."""
    signature = next(each for each in package.signatures if each.name == name)
    start = f"{SEEDED}/{name}/1/in/"
    return {value.name: package.examples[start + value.name] for value in signature.seeded_inputs}


def rest_request(package: Package, name: str) -> str:
    """Returns the body of a request for a signature, with a real example."""
    inputs = {key: value.tolist() for key, value in _request(package, name).items()}
    return f"{json.dumps({'signature_name': name, 'inputs': inputs})}\n"


def write_warm_up(package: Package, names, path: pathlib.Path) -> None:
    """Writes one request per signature, with a real example, as TensorFlow Serving replays them."""
    path.parent.mkdir(exist_ok=True)
    with tf.io.TFRecordWriter(str(path)) as writer:
        for name in names:
            writer.write(prediction_log(package.name, name, _request(package, name)))


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
