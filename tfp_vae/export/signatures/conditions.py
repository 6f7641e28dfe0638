"""The input of a signature that a condition is: a class, a vector, or nothing."""

import functools

from tfp_vae.distributions import conditions
from tfp_vae.export.signatures.base import Value


@functools.singledispatch
def values_of(condition) -> "tuple[Value, ...]":
    """Returns the inputs, one or none, for what a model is conditioned on."""
    raise ValueError(
        "This condition is not an input of a signature. Expected one that is registered with "
        f"export.signatures.conditions.values_of. Received {type(condition).__name__}."
    )


@values_of.register
def _(condition: conditions.Nothing):
    return ()


@values_of.register
def _(condition: conditions.Classes):
    limit = condition.size
    return (Value("label", ("B",), "class of the example", "int32", limit=limit),)


@values_of.register
def _(condition: conditions.Vector):
    return (Value("condition", ("B", condition.size), "what the example is conditioned on"),)
