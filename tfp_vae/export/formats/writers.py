"""Writers: a package in, files out, in the four formats that hold signatures.

Each writes below a folder that is new, and checks what it can without the runtime. That another
runtime loads the file and agrees is for `verification`; a writer whose converter merely reports
success has shown nothing.
"""

import contextlib
import logging
import os
import pathlib
import tempfile
from collections.abc import Iterator

import tensorflow as tf

from tfp_vae.export.formats import portable
from tfp_vae.export.package import Artefact, Package
from tfp_vae.export.proof import operators
from tfp_vae.export.signatures.base import Signature

OPSET = 18  # of ONNX, which runtimes know since 2023
QUANTISED = "litert_quantised"


def write_keras(package: Package, folder: pathlib.Path) -> "list[Artefact]":
    """Saves model, optimizer and seed as `keras/model.keras`."""
    if package.predictor is not package.model:
        raise ValueError(
            "A posterior over the weights of a trained network is no Keras model. Expected formats "
            f"without keras for it. Received a {type(package.predictor).__name__}."
        )
    (folder / "keras").mkdir()
    package.model.save(folder / "keras/model.keras")
    names = tuple(signature.name for signature in package.signatures)
    return [Artefact("keras", "keras/model.keras", names)]


def write_savedmodel(package: Package, folder: pathlib.Path) -> "list[Artefact]":
    """Writes `savedmodel/1/` with all signatures over one copy of the weights."""
    module = tf.Module()
    module.weights = [weight.value for weight in package.model.weights]
    functions = {}
    for signature in package.signatures:
        specs = {value.name: value.spec() for value in signature.seeded_inputs}
        function = tf.function(signature.seeded, autograph=False)
        functions[signature.name] = function.get_concrete_function(**specs)
    # What a posterior over weights draws from are constants outside of the model.
    module.functions = functions
    with _quiet():
        tf.saved_model.save(module, str(folder / "savedmodel/1"), signatures=functions)
    return [Artefact("savedmodel", "savedmodel/1", tuple(functions))]


def write_onnx(package: Package, folder: pathlib.Path) -> "list[Artefact]":
    """Writes `onnx/NAME_SIGNATURE/1/model.onnx`, which is the layout that Triton wants.

    Raises:
        ValueError: for a graph that ONNX has no operators for.
    """
    written = []
    for signature in package.portable:
        path = f"onnx/{package.name}_{signature.name}/1/model.onnx"
        content = _to_onnx(signature)
        (folder / path).parent.mkdir(parents=True)
        (folder / path).write_bytes(content)
        written.append(Artefact("onnx", path, (signature.name,)))
    return written


def _to_onnx(signature: Signature) -> bytes:
    import onnx
    import tf2onnx

    graph_def, inputs, outputs = portable.frozen(signature, portable.FOR_ONNX)
    names = {tensor: name for name, tensor in {**inputs, **outputs}.items()}
    with _quiet():
        proto, _ = tf2onnx.convert.from_graph_def(
            graph_def,
            input_names=[*inputs.values()],
            output_names=[*outputs.values()],
            opset=OPSET,
            tensors_to_rename=names,
        )
    outside = operators.outside_onnx(operators.in_onnx(proto.graph))
    if outside:
        raise ValueError(
            f"ONNX cannot hold {signature.name}. Expected operators of the portable set. Received "
            f"{', '.join(outside)}."
        )
    for tensor, value in zip(proto.graph.input, signature.inputs, strict=True):
        _name_axes(tensor, value)
    for tensor in proto.graph.output:
        _name_axes(tensor, next(v for v in signature.outputs if v.name == tensor.name))
    proto.doc_string = signature.meaning
    onnx.checker.check_model(proto, full_check=True)
    return proto.SerializeToString()


def _name_axes(tensor, value) -> None:
    """Writes the letters of free axes, and the sizes of the others, into an ONNX tensor's type."""
    shape = tensor.type.tensor_type.shape
    del shape.dim[:]
    for axis in value.shape:
        dim = shape.dim.add()
        if isinstance(axis, str):
            dim.dim_param = axis
        else:
            dim.dim_value = axis


def write_litert(package: Package, folder: pathlib.Path) -> "list[Artefact]":
    """Writes `litert/SIGNATURE.tflite` in float32, and a version with 8-bit weights of each.

    The quantised version has weights of 8 bits and computes with floats where a runtime has no
    mixed kernel (dynamic range): smaller, and not exact.

    Raises:
        ValueError: for a graph that LiteRT has no builtin operators for.
    """
    (folder / "litert").mkdir()
    written = []
    for signature in package.portable:
        for name, exact in (("litert", True), (QUANTISED, False)):
            path = f"litert/{signature.name}{'' if exact else '.quantised'}.tflite"
            (folder / path).write_bytes(_to_litert(signature, quantised=not exact))
            written.append(Artefact(name, path, (signature.name,), exact))
    return written


def _to_litert(signature: Signature, quantised: bool) -> bytes:
    graph_def, inputs, outputs = portable.frozen(signature, portable.FOR_LITERT)
    specs = [value.spec() for value in signature.inputs]

    def imported(*tensors):
        found = tf.graph_util.import_graph_def(
            graph_def,
            input_map=dict(zip(inputs.values(), tensors, strict=True)),
            return_elements=[*outputs.values()],
        )
        return dict(zip(outputs, found, strict=True))

    function = tf.function(imported, input_signature=specs, autograph=False)
    with tempfile.TemporaryDirectory() as temporary, _quiet() as heard:
        # By way of a SavedModel: only so do names of inputs and outputs get into the file.
        tf.saved_model.save(tf.Module(), temporary, signatures={signature.name: function})
        converter = tf.lite.TFLiteConverter.from_saved_model(
            temporary, signature_keys=[signature.name]
        )
        converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS]
        if quantised:
            converter.optimizations = [tf.lite.Optimize.DEFAULT]
        try:
            return converter.convert()
        except Exception as error:  # of a type of the converter's own
            lines = [line for line in [*heard(), *str(error).splitlines()] if "ops:" in line]
            raise ValueError(
                f"LiteRT cannot hold {signature.name}. Expected builtin operators. Received: "
                f"{' '.join(lines)[:300] or str(error)[:300]}"
            ) from error


@contextlib.contextmanager
def _quiet() -> Iterator:
    """Keeps what converters write to stderr, pages of it, and yields a function that returns it."""
    loggers = [logging.getLogger(name) for name in ("tensorflow", "tf2onnx", "absl")]
    levels = [logger.level for logger in loggers]
    stderr = os.dup(2)
    with tempfile.TemporaryFile() as heard:

        def lines():
            heard.seek(0)
            return heard.read().decode(errors="replace").splitlines()

        os.dup2(heard.fileno(), 2)
        for logger in loggers:
            logger.setLevel(logging.CRITICAL)
        try:
            yield lines
        finally:
            os.dup2(stderr, 2)
            os.close(stderr)
            for logger, level in zip(loggers, levels, strict=True):
                logger.setLevel(level)
