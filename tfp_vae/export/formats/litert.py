"""LiteRT: phones and small devices. The noise is an input, and there is a file of 8-bit weights."""

import pathlib
import tempfile
from typing import ClassVar

import tensorflow as tf

from tfp_vae.export.formats import portable
from tfp_vae.export.formats.base import FORMATS, NO_GRADIENTS, quiet
from tfp_vae.export.package import Artefact, Package
from tfp_vae.export.signatures.base import Signature

QUANTISED = "litert_quantised"

STAND_ALONE = ("REFUSED", "outside_of", "load")
# Builtin operators that are random or keep state are out; so are CUSTOM and Flex.
REFUSED = """
    CUSTOM DELEGATE MULTINOMIAL RANDOM_STANDARD_NORMAL RANDOM_UNIFORM VAR_HANDLE READ_VARIABLE
    ASSIGN_VARIABLE CALL_ONCE STABLEHLO_RNG_BIT_GENERATOR STABLEHLO_CUSTOM_CALL
"""


def outside_of(operators: "set[str]") -> "list[str]":
    """Returns the operators that are not portable, sorted."""
    refused = REFUSED.split()
    return sorted(name for name in operators if name in refused or name.startswith("Flex"))


def load(path: pathlib.Path, names: "list[str]"):
    """Returns the signature of a LiteRT file, its operators, and those that are not allowed."""
    import numpy as np
    from ai_edge_litert import schema_py_generated as schema
    from ai_edge_litert.interpreter import Interpreter

    content = path.read_bytes()
    if content[4:8] != b"TFL3":
        raise ValueError(
            f"{path.name} is not a LiteRT file. Expected TFL3. Received {content[4:8]!r}."
        )
    by_code = {
        value: key for key, value in vars(schema.BuiltinOperator).items() if isinstance(value, int)
    }
    model = schema.Model.GetRootAs(content, 0)
    found = set()
    for i in range(model.OperatorCodesLength()):
        code = model.OperatorCodes(i)
        builtin = max(code.BuiltinCode(), code.DeprecatedBuiltinCode())
        custom = code.CustomCode()
        found.add(custom.decode() if custom else by_code.get(builtin, str(builtin)))
    runner = Interpreter(model_content=content, num_threads=1).get_signature_runner(names[0])

    def run(inputs):
        return {key: np.array(value) for key, value in runner(**inputs).items()}

    return {names[0]: run}, found, outside_of(found)


@FORMATS.register("litert", "LiteRT on phones and small devices: noise is an input")
class LiteRT(portable.PortableFormat):
    """`litert/SIGNATURE.tflite` in float32, and `SIGNATURE.quantised.tflite`.

    The quantised file has weights of 8 bits and computes with floats where a runtime has no mixed
    kernel (dynamic range): smaller, and not exact.
    """

    name = "litert"
    extra = "litert"
    variants: ClassVar = {QUANTISED: "LiteRT with weights of 8 bits: smaller, not exact"}
    limits = (
        f"LiteRT {portable.NO_ASSERTIONS} It takes any shape with the right number of values, "
        "unless its inputs are resized with strict=True."
    )
    load = staticmethod(load)

    def write_signature(self, signature: Signature, package: Package, folder: pathlib.Path):
        """Writes both files of a signature."""
        (folder / "litert").mkdir(exist_ok=True)
        contents = _converted(signature)
        written = []
        for name, content in zip((self.name, QUANTISED), contents, strict=True):
            exact = name == self.name
            path = f"litert/{signature.name}{'' if exact else '.quantised'}.tflite"
            (folder / path).write_bytes(content)
            written.append(Artefact(name, path, (signature.name,), exact))
        return written


def _converted(signature: Signature) -> "tuple[bytes, bytes]":
    """Returns the contents of a LiteRT file in float32 and of the quantised one.

    Raises:
        ValueError: for a graph that LiteRT has no builtin operators for.
    """
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
    with tempfile.TemporaryDirectory() as temporary, quiet() as heard:
        # By way of a SavedModel: only so do names of inputs and outputs get into the file.
        tf.saved_model.save(tf.Module(), temporary, {signature.name: function}, NO_GRADIENTS)
        try:
            return tuple(_convert(temporary, signature.name, each) for each in (False, True))
        except Exception as error:  # of a type of the converter's own
            lines = [line for line in [*heard(), *str(error).splitlines()] if "ops:" in line]
            raise ValueError(
                f"LiteRT cannot hold {signature.name}. Expected builtin operators. Received: "
                f"{' '.join(lines)[:300] or str(error)[:300]}"
            ) from error


def _convert(path: str, name: str, quantised: bool) -> bytes:
    converter = tf.lite.TFLiteConverter.from_saved_model(path, signature_keys=[name])
    converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS]
    if quantised:
        converter.optimizations = [tf.lite.Optimize.DEFAULT]
    return converter.convert()
