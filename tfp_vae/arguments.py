"""Numbers that callers give: whether they are what an argument asks for.

What is not a number (text, None, a list) is told from a number here, once, so that an error can
say what was expected and no comparison fails in its place.
"""

import difflib
import math
import numbers
import os
from collections.abc import Collection, Iterable
from typing import Any, TypeVar

T = TypeVar("T")

MOST = 2**31 - 1  # of anything that is counted: shapes are int32 in many places
# What others call things, and what they are called here.
_OTHER_WORDS = {
    "gaussian": ("normal", "diagonal"),
    "gauss": ("normal", "diagonal"),
    "mse": ("normal",),
    "bce": ("bernoulli",),
    "binary": ("bernoulli", "dynamic"),
    "logistic": ("discretized_logistic",),
    "softmax": ("categorical",),
    "cnn": ("conv", "lenet"),
    "convolutional": ("conv", "lenet"),
    "dense": ("mlp",),
    "fc": ("mlp",),
    "mean_field": ("vi", "diagonal"),
    "bbb": ("vi",),
    "bnn": ("vi", "bnn"),
    "dropout": ("mc_dropout",),
    "hmc": ("nuts",),
    "mcmc": ("nuts",),
    "mclmc": ("mile",),
    "sghmc": ("sgmcmc",),
    "sgld": ("sgmcmc",),
    "mle": ("ml",),
    "cvae": ("conditional", "conditional_vae"),
    "bfloat16": ("mixed_bfloat16",),
    "fmnist": ("fashion_mnist",),
    "saved_model": ("savedmodel",),
    "tflite": ("litert",),
    "html": ("web",),
    "grey": ("eight_bit", "unit_interval"),
    "leakyrelu": ("leaky_relu",),
    "swish": ("silu",),
    "chinese": ("zh",),
    "english": ("en",),
}


def is_number(value: Any, low: float = -math.inf, above: float = -math.inf) -> bool:
    """Returns whether `value` is a finite real number, at least `low` and more than `above`."""
    if isinstance(value, bool) or not isinstance(value, numbers.Real):
        return False
    try:
        number = float(value)  # Python's integers may be larger than any float
    except OverflowError:
        return False
    return math.isfinite(number) and low <= number and number > above


def is_count(value: Any, least: int = 1, most: int = MOST) -> bool:
    """Returns whether `value` is a whole number in [least, most], whatever its type."""
    return is_number(value) and int(value) == value and least <= int(value) <= most


# Checks: the errors of arguments in one form: what was wrong, what was expected, what was received.


def check_count(name: str, value: Any, least: int = 1, most: int = MOST) -> int:
    """Returns `value` as an int; raises `ValueError` unless it is a whole number in range."""
    if not is_count(value, least, most):
        upper = "" if most == MOST else f" and <= {most}"
        raise ValueError(
            f"Impossible {name}. Expected an integer >= {least}{upper}. Received {value!r}."
        )
    return int(value)


def check_number(
    name: str, value: Any, low: float = -math.inf, above: float = -math.inf, below: float = math.inf
) -> float:
    """Returns `value` as a float; raises `ValueError` unless it is finite and within the bounds."""
    if not is_number(value, low, above) or not float(value) < below:
        sides = [f"> {above:g}"] * (above > -math.inf) + [f">= {low:g}"] * (low > -math.inf)
        sides += [f"< {below:g}"] * (below < math.inf)
        wanted = "a number " + " and ".join(sides) if sides else "a finite number"
        raise ValueError(f"Impossible {name}. Expected {wanted}. Received {value!r}.")
    return float(value)


def check_seed(value: Any) -> int:
    """Returns `value` as an int; raises `ValueError` unless it is a seed."""
    if not is_count(value, 0):
        raise ValueError(f"Unusable seed. Expected an integer in [0, 2^31). Received {value!r}.")
    return int(value)


def check_choice(name: str, value: T, choices: Collection) -> T:
    """Returns `value`; raises `ValueError` with the nearest one unless it is in `choices`."""
    if value not in choices:
        raise ValueError(
            f"Unknown {name}. Expected one of {', '.join(map(str, choices))}. Received {value!r}."
            f"{hint(value, choices)}"
        )
    return value


def check_path(name: str, value: Any) -> "str | os.PathLike":
    """Returns `value`; raises `ValueError` unless it is a path."""
    if not isinstance(value, str | os.PathLike) or not os.fspath(value):
        raise ValueError(f"Unusable {name}. Expected a path. Received {value!r}.")
    return value


def check_names(name: str, value: Any) -> "tuple[str, ...]":
    """Returns `value` as a tuple; raises `ValueError` unless it is of different texts."""
    names = tuple(value) if isinstance(value, Iterable) and not isinstance(value, str) else ()
    if not names or len(set(names)) < len(names) or not all(isinstance(n, str) for n in names):
        raise ValueError(
            f"Unusable {name}. Expected different texts, such as ('a', 'b'). Received "
            f"{repr(value)[:200]}."
        )
    return tuple(map(str, names))


def check_which_layers(name: str, value: Any) -> "int | str":
    """Returns which layers are meant, counted from the last: "last", "all" or a count."""
    if value not in ("last", "all") and not is_count(value):
        raise ValueError(
            f"Impossible {name}. Expected 'last', 'all' or an integer >= 1. Received {value!r}."
        )
    return value


def printable(text: object) -> str:
    """Returns text that no terminal takes for a command, one line."""
    return "".join(letter if letter.isprintable() else "?" for letter in str(text))


def lacks(owner: object, method: str, returns: str) -> NotImplementedError:
    """Returns the error of a method that a subclass has to give.

    Args:
        owner: of whose class it is.
        method: as it is called.
        returns: what it has to return.
    """
    return NotImplementedError(
        f"{type(owner).__name__} has no {method.partition('(')[0]}. Expected {method} that returns "
        f"{returns}. Received none."
    )


def hint(value: Any, choices: Iterable) -> str:
    """Returns " Did you mean ...?" with the choice that is meant, "" if none is near.

    By what others call things, then by spelling.
    """
    if not isinstance(value, str | os.PathLike):
        return ""
    known, text = list(map(str, choices)), str(value)
    plain = text.lower().replace("-", "_")
    near = [name for name in _OTHER_WORDS.get(plain, ()) if name in known]
    for spelling in (text, plain):
        near = near or difflib.get_close_matches(spelling, known, 1)
    return f" Did you mean {near[0]}?" if near else ""


def check_type(name: str, value: Any, kind: type[T], owner: str = "", such_as: str = "") -> T:
    """Returns `value`; raises `ValueError` unless it is an instance of `kind`.

    Args:
        name: of the argument.
        value: what was given.
        kind: of what it has to be.
        owner: what it was given to.
        such_as: an example of one, in the words of a user's code.
    """
    if not isinstance(value, kind):
        needs = f"{owner} needs a {name}." if owner else f"Unusable {name}."
        example = f", such as {such_as}" if such_as else ""
        received = repr(value)
        if isinstance(value, type) and issubclass(value, kind):
            received = f"the class {value.__name__}, of which {value.__name__}(...) is one"
        raise ValueError(f"{needs} Expected a {kind.__name__}{example}. Received {received}.")
    return value
