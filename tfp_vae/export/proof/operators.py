"""The operators that portable files may have: what any runtime of the format brings along.

This module is read by `runtimes.py` in a process that does not know the package: standard library
only.
"""

# ONNX: the default domain, nothing random, and of that what the exporter is known to write.
ONNX = frozenset(
    """
    Abs Add And AveragePool BatchNormalization Cast Clip Concat Constant ConstantOfShape Conv
    ConvTranspose CumSum Div Elu Equal Erf Exp Expand Flatten Floor Gather GatherND Gemm
    GlobalAveragePool Greater GreaterOrEqual Identity If LeakyRelu Less LessOrEqual Log
    LogSoftmax Loop MatMul Max MaxPool Min Mod Mul Neg Not OneHot Or Pad Pow PRelu Range
    Reciprocal ReduceMax ReduceMean ReduceMin ReduceProd ReduceSum Relu Reshape Resize
    ReverseSequence Round Scan ScatterND Selu Shape Sigmoid Sign Slice Softmax Softplus Softsign
    Split Sqrt Squeeze Sub Sum Tan Tanh Tile Transpose Trilu Unsqueeze Where
    """.split()
)
# LiteRT: builtin operators that are random or keep state are out; so are CUSTOM and Flex.
LITERT_REFUSED = frozenset(
    """
    CUSTOM DELEGATE MULTINOMIAL RANDOM_STANDARD_NORMAL RANDOM_UNIFORM VAR_HANDLE READ_VARIABLE
    ASSIGN_VARIABLE CALL_ONCE STABLEHLO_RNG_BIT_GENERATOR STABLEHLO_CUSTOM_CALL
    """.split()
)


def in_onnx(graph) -> "set[tuple[str, str]]":
    """Returns (domain, operator) of an ONNX graph and of the graphs in its loops and branches."""
    found = set()
    for node in graph.node:
        found.add((node.domain, node.op_type))
        for attribute in node.attribute:
            if attribute.HasField("g"):
                found |= in_onnx(attribute.g)
    return found


def outside_onnx(operators: "set[tuple[str, str]]") -> "list[str]":
    """Returns the (domain, operator) pairs that are not portable, as words, sorted."""
    return sorted(
        f"{domain}.{name}" if domain else name
        for domain, name in operators
        if domain not in ("", "ai.onnx") or name not in ONNX
    )


def outside_litert(operators: "set[str]") -> "list[str]":
    """Returns the operators that are not portable, sorted."""
    return sorted(name for name in operators if name in LITERT_REFUSED or name.startswith("Flex"))
