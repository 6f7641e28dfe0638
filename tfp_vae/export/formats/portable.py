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
from collections.abc import Callable, Mapping

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
    signature: Signature, composed: "Mapping[str, Compose]"
) -> "tuple[graph_pb2.GraphDef, dict[str, str], dict[str, str]]":
    """Returns the graph, with weights as constants, and {name: tensor} of inputs and outputs.

    Args:
        signature: what is traced.
        composed: how operations are composed of others, `FOR_ONNX` or `FOR_LITERT`.
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


def rewritten(
    graph_def: graph_pb2.GraphDef, composed: "Mapping[str, Compose]"
) -> graph_pb2.GraphDef:
    """Returns the graph with some operations composed of others; names of results stay."""
    result = graph_pb2.GraphDef(versions=graph_def.versions)
    result.library.CopyFrom(graph_def.library)
    graph_def = _without_dynamic_axes(graph_def)
    for node in graph_def.node:
        compose = composed.get(node.op)
        if compose is None or node.attr["T"].type != _FLOAT:
            result.node.add().CopyFrom(node)
        else:
            compose(_Builder(result, node))
    return result


Compose = Callable[["_Builder"], None]
_AXES = "BroadcastGradientArgs"


def _without_dynamic_axes(graph_def: graph_pb2.GraphDef) -> graph_pb2.GraphDef:
    """Returns the graph with constants for the axes that slopes of products are summed over.

    TensorFlow finds them while the graph runs, because the batch has no size yet, by an operation
    that LiteRT lacks; they are known from the axes that have sizes.
    """
    if not any(node.op == _AXES for node in graph_def.node):
        return graph_def
    with tf.Graph().as_default() as graph:
        tf.import_graph_def(graph_def, name="")
    known = {}
    for operation in graph.get_operations():
        if operation.type == _AXES:
            axes = _summed([_shape_in(tensor) for tensor in operation.inputs])
            if axes is not None:
                known[operation.name] = axes
    result = graph_pb2.GraphDef(versions=graph_def.versions)
    result.library.CopyFrom(graph_def.library)
    for node in graph_def.node:
        for number, axes in enumerate(known.get(node.name, ())):
            added = result.node.add(name=f"{node.name}/axes_{number}", op="Const")
            added.attr["dtype"].type = tf.int32.as_datatype_enum
            added.attr["value"].tensor.CopyFrom(tf.make_tensor_proto(axes, tf.int32, [len(axes)]))
        if node.name in known:
            continue
        kept = result.node.add()
        kept.CopyFrom(node)
        for place, given in enumerate(node.input):
            name, _, number = given.removeprefix("^").partition(":")
            if name in known:
                mark = "^" if given.startswith("^") else ""
                kept.input[place] = f"{mark}{name}/axes_{number or 0}"
    return result


def _shape_in(tensor: tf.Tensor) -> "tuple[int | None, ...] | None":
    """Returns the sizes that a vector of sizes has, as far as they are known."""
    if tensor.op.type == "Shape":
        shape = tensor.op.inputs[0].shape
        return None if shape.rank is None else tuple(shape)
    found = tf.get_static_value(tensor, partial=True)
    return None if found is None else tuple(None if n is None else int(n) for n in found)


def _summed(shapes: list) -> "tuple[list[int], list[int]] | None":
    """Returns the axes along which each of two tensors is repeated; None if that is not known."""
    if None in shapes:
        return None
    rank = max(map(len, shapes))
    first, second = ((1,) * (rank - len(shape)) + tuple(shape) for shape in shapes)
    for one, other in zip(first, second, strict=True):
        if None in (one, other) and one != other and 1 not in (one, other):
            return None  # it may be of size 1, or the same
    pairs = list(enumerate(zip(first, second, strict=True)))
    return (
        [axis for axis, (one, other) in pairs if one == 1 and other != 1],
        [axis for axis, (one, other) in pairs if other == 1 and one != 1],
    )


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


def _erfc_of_exp(build: _Builder) -> None:
    # Abramowitz & Stegun, 7.1.26, within 1.5e-7: LiteRT has no Erf.
    size = build.add("Abs", build.x)
    slope = build.add("Mul", build.number(0.3275911), size)
    t = build.add("RealDiv", build.one(), build.add("AddV2", build.one(), slope))
    total = build.number(1.061405429)
    for factor in (-1.453152027, 1.421413741, -0.284496736, 0.254829592):
        total = build.add("AddV2", build.add("Mul", total, t), build.number(factor))
    fall = build.add("Exp", build.add("Neg", build.add("Mul", size, size)))
    above = build.add("Mul", build.add("Mul", total, t), fall)
    below = build.add("Sub", build.number(2.0), above)
    chosen = build.either(build.positive(build.x), above, below)
    build.add("Identity", chosen, last=True)


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


_SLOPES: "dict[str, Compose]" = {
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
FOR_ONNX: "dict[str, Compose]" = {
    "Softplus": _softplus,
    "Log1p": _log1p,
    "Expm1": _expm1,
    "Erfc": _erfc,
    **_SLOPES,
}
FOR_LITERT: "dict[str, Compose]" = {
    "Softplus": _softplus,
    "Erfc": _erfc_of_exp,
    **_SLOPES,
}
