"""What ONNX and LiteRT have in common: a graph with constants for weights, common operations only.

Operations that ONNX lacks are composed of others. One is composed for LiteRT too, which has it, but
computes softplus(x) as log(1 + exp(x)): that saturates at 88.4, without a word, and the
log-likelihood of a certain pixel would be wrong.
"""

import abc
import pathlib
import shutil
import tempfile
import weakref
from collections.abc import Callable

import tensorflow as tf
from tensorflow.core.framework import graph_pb2, node_def_pb2

from tfp_vae import keras_private
from tfp_vae.export.formats.base import Format, Written, reason_of
from tfp_vae.export.package import PORTABLE, Artefact, Package
from tfp_vae.export.signatures.base import Signature

NO_ASSERTIONS = (
    "has no assertions: an example without an answer gets NaN, whatever its neighbours get, and an "
    "empty batch an error or an empty answer."
)
_FLOAT = tf.float32.as_datatype_enum
_TRIED = 3  # the batch of recorded examples that a file is tried with once it is written
_frozen = weakref.WeakKeyDictionary()  # the graph of a signature, which every format starts from


class PortableFormat(Format):
    """A format with a file for each signature, whose runtime draws nothing."""

    form = PORTABLE
    only_float32 = True

    @abc.abstractmethod
    def write_signature(
        self, signature: Signature, package: Package, folder: pathlib.Path
    ) -> "list[Artefact]":
        """Writes the files of a signature; raises if the format cannot hold it."""

    def write(self, package, folder):
        """Writes the signatures that the format can hold, and says why not of the others."""
        written, refused = [], {}
        for signature in package.signatures:
            if not signature.portable:
                refused[signature.name] = signature.reason
                continue
            with tempfile.TemporaryDirectory() as temporary:
                here = pathlib.Path(temporary)
                try:
                    artefacts = self.write_signature(signature, package, here)
                    self._try(signature, artefacts, package, here)
                except Exception as error:  # each converter and each runtime has its own types
                    refused[signature.name] = reason_of(error)
                    continue
                shutil.copytree(here, folder, dirs_exist_ok=True)
                written += artefacts
        return Written(written, refused)

    def _try(self, signature, artefacts, package, folder) -> None:
        """Raises if a file cannot be run; whether its answers are right is for `proof`."""
        start = f"{PORTABLE}/{signature.name}/{_TRIED}/in/"
        inputs = {
            name.removeprefix(start): array
            for name, array in package.examples.items()
            if name.startswith(start)
        }
        for artefact in artefacts:
            runs, _, outside = type(self).load(folder / artefact.path, [signature.name])
            if outside:
                raise ValueError(f"Operators outside the portable set: {', '.join(outside)}.")
            if inputs:
                runs[signature.name](inputs)


def traced(signature: Signature) -> "tf.types.experimental.ConcreteFunction":
    """Returns the signature as a graph with variables, inputs and outputs by name."""
    names = [value.name for value in signature.inputs]

    def answer(*tensors):
        return signature.answer(**dict(zip(names, tensors, strict=True)))

    function = tf.function(answer, autograph=False, jit_compile=False)
    return function.get_concrete_function(*[value.spec() for value in signature.inputs])


def frozen(
    signature: Signature, composed: "tuple[str, ...]"
) -> "tuple[graph_pb2.GraphDef, dict[str, str], dict[str, str]]":
    """Returns the graph, with weights as constants, and {name: tensor} of inputs and outputs.

    Args:
        signature: what is traced.
        composed: operations to be composed of others, `FOR_ONNX` or `FOR_LITERT`.
    """
    if signature not in _frozen:
        _frozen[signature] = _constant(signature)
    graph_def, inputs, outputs = _frozen[signature]
    return rewritten(graph_def, composed), inputs, outputs


def _constant(signature):
    concrete = traced(signature)
    constants = keras_private.freeze_variables(concrete)
    names = [value.name for value in signature.inputs]
    inputs = {name: tensor.name for name, tensor in zip(names, constants.inputs, strict=True)}
    # The outputs of a traced dict are in the order of its sorted names.
    outputs = {
        name: tensor.name
        for name, tensor in zip(sorted(concrete.structured_outputs), constants.outputs, strict=True)
    }
    return constants.graph.as_graph_def(), inputs, outputs


def rewritten(graph_def: graph_pb2.GraphDef, composed: "tuple[str, ...]") -> graph_pb2.GraphDef:
    """Returns the graph with some operations composed of others; names of results stay."""
    result = graph_pb2.GraphDef(versions=graph_def.versions)
    result.library.CopyFrom(graph_def.library)
    for node in graph_def.node:
        compose = _COMPOSED[node.op] if node.op in composed else None
        if compose is None or node.attr["T"].type != _FLOAT:
            result.node.add().CopyFrom(node)
        else:
            compose(_Builder(result, node))
    return result


class _Builder:
    """Adds nodes in the place of one."""

    def __init__(self, graph_def, node):
        self.graph_def, self.node, self.count = graph_def, node, 0
        self.x = node.input[0]
        self.y = node.input[1] if len(node.input) > 1 else ""

    def add(self, op: str, *inputs: str, last: bool = False) -> str:
        """Adds an operation on float32 and returns its name, that of the old node if `last`."""
        self.count += 1
        name = self.node.name if last else f"{self.node.name}/composed_{self.count}"
        added: node_def_pb2.NodeDef = self.graph_def.node.add(name=name, op=op, input=inputs)
        added.attr["T"].type = _FLOAT
        return name

    def one(self) -> str:
        """Adds the constant 1 and returns its name."""
        return self.number(1.0)

    def number(self, value: float) -> str:
        """Adds a constant and returns its name."""
        self.count += 1
        name = f"{self.node.name}/composed_{self.count}"
        added = self.graph_def.node.add(name=name, op="Const")
        added.attr["dtype"].type = _FLOAT
        added.attr["value"].tensor.CopyFrom(tf.make_tensor_proto(value, tf.float32))
        return name

    def positive(self, x: str) -> str:
        """Adds 1 where x > 0 and 0 elsewhere, and returns its name."""
        return self.add("Relu", self.add("Sign", x))

    def either(self, chosen: str, there: str, elsewhere: str) -> str:
        """Adds `there` where `chosen` is 1 and `elsewhere` where it is 0, and returns its name."""
        rest = self.add("Mul", self.add("Sub", self.one(), chosen), elsewhere)
        return self.add("AddV2", self.add("Mul", chosen, there), rest)


def _softplus(build: _Builder) -> None:
    # max(x, 0) + log(1 + exp(-|x|))
    shrunk = build.add("Exp", build.add("Neg", build.add("Abs", build.x)))
    log = build.add("Log", build.add("AddV2", shrunk, build.one()))
    build.add("AddV2", build.add("Relu", build.x), log, last=True)


def _log1p(build: _Builder) -> None:
    build.add("Log", build.add("AddV2", build.x, build.one()), last=True)


def _expm1(build: _Builder) -> None:
    build.add("Sub", build.add("Exp", build.x), build.one(), last=True)


def _erfc(build: _Builder) -> None:
    build.add("Sub", build.one(), build.add("Erf", build.x), last=True)


# Slopes of activations, which a network has that was linearised around its weights (Laplace). Their
# operations have no counterpart outside of TensorFlow. Inputs: (slope above, x) or (slope above,
# activation(x)), or the other way around where TensorFlow has it so.


def _relu_grad(build: _Builder) -> None:
    build.add("Mul", build.x, build.positive(build.y), last=True)


def _relu6_grad(build: _Builder) -> None:
    below = build.positive(build.add("Sub", build.number(6.0), build.y))
    build.add("Mul", build.x, build.add("Mul", build.positive(build.y), below), last=True)


def _leaky_relu_grad(build: _Builder) -> None:
    slope = build.number(build.node.attr["alpha"].f)
    chosen = build.either(build.positive(build.y), build.one(), slope)
    build.add("Mul", build.x, chosen, last=True)


def _elu_grad(build: _Builder) -> None:
    # exp(x) = elu(x) + 1 below 0
    below = build.add("Relu", build.add("Neg", build.y))
    build.add("Mul", build.x, build.add("Sub", build.one(), below), last=True)


def _selu_grad(build: _Builder) -> None:
    scale, alpha = 1.0507009873554805, 1.6732632423543772
    below = build.positive(build.add("Neg", build.y))
    slope = build.add("AddV2", build.y, build.number(scale * alpha))
    chosen = build.either(below, slope, build.number(scale))
    build.add("Mul", build.x, chosen, last=True)


def _softplus_grad(build: _Builder) -> None:
    build.add("Mul", build.x, build.add("Sigmoid", build.y), last=True)


def _softsign_grad(build: _Builder) -> None:
    length = build.add("AddV2", build.add("Abs", build.y), build.one())
    build.add("RealDiv", build.x, build.add("Mul", length, length), last=True)


def _tanh_grad(build: _Builder) -> None:
    slope = build.add("Sub", build.one(), build.add("Mul", build.x, build.x))
    build.add("Mul", build.y, slope, last=True)


def _sigmoid_grad(build: _Builder) -> None:
    slope = build.add("Mul", build.x, build.add("Sub", build.one(), build.x))
    build.add("Mul", build.y, slope, last=True)


def _rsqrt_grad(build: _Builder) -> None:
    cube = build.add("Mul", build.x, build.add("Mul", build.x, build.x))
    slope = build.add("Mul", build.number(-0.5), cube)
    build.add("Mul", build.y, slope, last=True)


def _reciprocal_grad(build: _Builder) -> None:
    slope = build.add("Neg", build.add("Mul", build.x, build.x))
    build.add("Mul", build.y, slope, last=True)


def _sqrt_grad(build: _Builder) -> None:
    half = build.add("Mul", build.number(0.5), build.y)
    build.add("RealDiv", half, build.x, last=True)


_SLOPES: "dict[str, Callable[[_Builder], None]]" = {
    "ReluGrad": _relu_grad,
    "Relu6Grad": _relu6_grad,
    "LeakyReluGrad": _leaky_relu_grad,
    "EluGrad": _elu_grad,
    "SeluGrad": _selu_grad,
    "SoftplusGrad": _softplus_grad,
    "SoftsignGrad": _softsign_grad,
    "TanhGrad": _tanh_grad,
    "SigmoidGrad": _sigmoid_grad,
    "RsqrtGrad": _rsqrt_grad,
    "ReciprocalGrad": _reciprocal_grad,
    "InvGrad": _reciprocal_grad,
    "SqrtGrad": _sqrt_grad,
}
_COMPOSED: "dict[str, Callable[[_Builder], None]]" = {
    "Softplus": _softplus,
    "Log1p": _log1p,
    "Expm1": _expm1,
    "Erfc": _erfc,
    **_SLOPES,
}

FOR_ONNX = tuple(_COMPOSED)
FOR_LITERT = ("Softplus", *_SLOPES)  # its own gelu is recognised by the Erfc inside
