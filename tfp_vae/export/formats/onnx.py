"""ONNX: ONNX Runtime and Triton, which draw nothing: the noise is an input.

`onnx/` is a model repository of Triton, `NAME_SIGNATURE/1/model.onnx` with a `config.pbtxt` each.
"""

import pathlib
from typing import ClassVar

from tfp_vae.export.formats import portable
from tfp_vae.export.formats.base import FORMATS, quiet
from tfp_vae.export.package import Artefact, Package
from tfp_vae.export.signatures.base import Signature, Value

OPSET = 18  # which runtimes know since 2023
MAX_BATCH = 128  # that Triton joins requests to
_TYPES = {"float32": "TYPE_FP32", "int32": "TYPE_INT32"}

STAND_ALONE = ("OPERATORS", "operators", "load")
# The default domain, nothing random, and of that what the exporter is known to write.
OPERATORS = """
    Abs Add And AveragePool BatchNormalization Cast Clip Concat Constant ConstantOfShape Conv
    ConvTranspose Cos CumSum Div Elu Equal Erf Exp Expand Flatten Floor Gather GatherND Gemm
    GlobalAveragePool Greater GreaterOrEqual Identity If LeakyRelu Less LessOrEqual Log
    LogSoftmax Loop MatMul Max MaxPool Min Mod Mul Neg Not OneHot Or Pad Pow PRelu Range
    Reciprocal ReduceMax ReduceMean ReduceMin ReduceProd ReduceSum Relu Reshape Resize
    ReverseSequence Round Scan ScatterND Selu Shape Sigmoid Sign Slice Softmax Softplus Softsign
    Split Sqrt Squeeze Sub Sum Tan Tanh Tile Transpose Trilu Unsqueeze Where
"""


def operators(graph) -> "tuple[set[str], list[str]]":
    """Returns the operators of a graph and of those in its loops, and which are not portable."""
    found, pending = set(), [graph]
    while pending:
        for node in pending.pop().node:
            found.add((node.domain, node.op_type))
            pending += [a.g for a in node.attribute if a.HasField("g")]
    allowed = OPERATORS.split()
    outside = [
        f"{domain}.{name}" if domain else name
        for domain, name in found
        if domain not in ("", "ai.onnx") or name not in allowed
    ]
    return {name for _, name in found}, sorted(outside)


def load(path: pathlib.Path, names: "list[str]"):
    """Returns the signature of an ONNX file, its operators, and those that are not allowed."""
    import onnx
    import onnxruntime

    proto = onnx.load(str(path))
    onnx.checker.check_model(proto, full_check=True)
    found, outside = operators(proto.graph)
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4  # errors are raised, and do not have to be printed too
    options.intra_op_num_threads = 1  # clients are threads already, and LiteRT has one as well
    session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    outputs = [output.name for output in session.get_outputs()]

    def run(inputs):
        return dict(zip(outputs, session.run(outputs, inputs), strict=True))

    return {names[0]: run}, found, outside


@FORMATS.register("onnx", "ONNX Runtime, Triton: noise is an input")
class Onnx(portable.PortableFormat):
    """`onnx/NAME_SIGNATURE/1/model.onnx`, which is the layout that Triton wants."""

    name = "onnx"
    extra = "onnx"
    allowed: ClassVar = {
        None: ("error",),
        "NaN": ("NaN",),
        "impossible label": ("NaN",),
        "empty batch": ("error", "nothing"),
    }
    limits = (
        f"ONNX {portable.NO_ASSERTIONS} ONNX Runtime refuses wrong shapes and types. OpenVINO "
        "computes in bfloat16 by default where the processor has it, which rounds "
        "log-probabilities coarsely: compile the model with INFERENCE_PRECISION_HINT=f32."
    )
    load = staticmethod(load)

    def write_signature(self, signature: Signature, package: Package, folder: pathlib.Path):
        """Writes the file of a signature and its `config.pbtxt`."""
        name = f"{package.name}_{signature.name}"
        path = f"onnx/{name}/1/model.onnx"
        content = _converted(signature)
        (folder / path).parent.mkdir(parents=True)
        (folder / path).write_bytes(content)
        (folder / f"onnx/{name}/config.pbtxt").write_text(triton_config(name, signature), "utf-8")
        return [Artefact("onnx", path, (signature.name,))]

    def commands(self, name):
        """Returns how to serve the files."""
        return [
            (
                "Triton, HTTP on 8000 (TAG: a release of it, such as the newest)",
                'docker run --rm -p 8000:8000 -v "$PWD/onnx:/models" '
                "nvcr.io/nvidia/tritonserver:TAG-py3 tritonserver --model-repository=/models",
            )
        ]


def _converted(signature: Signature) -> bytes:
    """Returns the content of an ONNX file.

    Raises:
        ValueError: for a graph that ONNX has no operators for.
    """
    import onnx
    import tf2onnx

    graph_def, inputs, outputs = portable.frozen(signature, portable.FOR_ONNX)
    names = {tensor: name for name, tensor in {**inputs, **outputs}.items()}
    with quiet():
        proto, _ = tf2onnx.convert.from_graph_def(
            graph_def,
            input_names=[*inputs.values()],
            output_names=[*outputs.values()],
            opset=OPSET,
            tensors_to_rename=names,
        )
    outside = operators(proto.graph)[1]
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


def _name_axes(tensor, value: Value) -> None:
    """Writes the letters of free axes, and the sizes of the others, into an ONNX tensor's type."""
    shape = tensor.type.tensor_type.shape
    del shape.dim[:]
    for axis in value.shape:
        dim = shape.dim.add()
        if isinstance(axis, str):
            dim.dim_param = axis
        else:
            dim.dim_value = axis


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
