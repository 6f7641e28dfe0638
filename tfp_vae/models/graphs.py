"""The one cache of compiled functions: traced once for what they depend on, and no longer kept."""

import functools
from collections.abc import Callable, Hashable
from typing import Any

import tensorflow as tf

from tfp_vae.models import forks


def traced(function: Callable, jit: bool = False) -> Callable:
    """Returns a function as a graph: the one place in which models are traced.

    Autograph, which reads source files that may have changed, stays out. TensorFlow warns of a
    function that is traced often and counts the lines of code, whoever has traced them: a person
    who builds six models would read of a fault. A partial function is counted by itself.
    """
    return tf.function(
        functools.partial(function), autograph=False, jit_compile=jit, reduce_retracing=True
    )


def compiled(
    owner: Any, name: str, key: Hashable, make: Callable, *arguments: Any, jit: "bool | None" = None
) -> Callable:
    """Returns `make(*arguments)` as a graph, the one made before where nothing has changed.

    A graph holds as constants what the model knew when it was traced: N, whether `compile` asked
    for XLA. With other such values a new one is made, and the old one is dropped.

    Args:
        owner: what the function belongs to: a model, or what predicts with one.
        name: of the function; there is one graph for each name and key.
        key: of what it depends on beside its inputs.
        make: returns the function to trace; called only if there is none yet.
        *arguments: of `make`.
        jit: whether XLA compiles it; as the model was compiled by default.
    """
    forks.check()
    model = owner.trained_model() if hasattr(owner, "trained_model") else owner
    if jit is None:
        jit = bool(getattr(model, "compiled", False) and model.jit_compile)
    # Out of sight of Keras, which would track a dict among the attributes.
    cache = owner.__dict__.setdefault("_graphs", {})
    state = (jit, getattr(model, "num_data", None))
    known = cache.get((name, key))
    if known is None or known[0] != state:
        function = make(*arguments)
        known = cache[name, key] = (state, traced(function, jit))
    return known[1]


def forget(owner: Any) -> None:
    """Drops all graphs of an owner whose constants are no longer true."""
    owner.__dict__.pop("_graphs", None)
