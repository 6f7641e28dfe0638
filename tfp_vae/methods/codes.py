"""What a recipe says of discrete latents: which codes, and the prior over them."""

import inspect
from typing import Any

import keras

from tfp_vae.distributions import code_priors, codes
from tfp_vae.distributions.code_priors.joint import JointPrior

_PLACES = {"fsq": 16, "vq": 16, "joint": 1}  # where nobody says
MOST_SUMMED = 256  # codes in all up to which they are summed over where nobody says


def arguments(kind: str) -> "dict[str, Any]":
    """Returns the arguments of an encoder of codes and their defaults, by a name in `CODES`."""
    found: dict[str, Any] = {}
    for each in inspect.getmro(codes.CODES[kind])[::-1]:
        if issubclass(each, codes.CodeEncoder) and "__init__" in vars(each):
            for name, parameter in inspect.signature(each).parameters.items():
                found[name] = parameter.default
    # What `GumbelSoftmax` and `Joint` take away from their base, and what is no number.
    gone = ("network", "kwargs", "size", *(["enumerate"] if kind in ("gumbel", "joint") else []))
    return {name: default for name, default in found.items() if name not in gone}


def check(kind: str, options: "dict[str, Any]") -> None:
    """Raises `ValueError` for options that an encoder of codes does not take.

    Args:
        kind: a name in `CODES`.
        options: by name.
    """
    unknown = sorted(set(options) - set(arguments(kind)))
    if unknown:
        raise ValueError(
            f"Codes of kind {kind!r} have no {', '.join(unknown)}. Expected some of "
            f"{', '.join(arguments(kind))}. Received {options}."
        )


def encoder(kind: str, network: keras.Layer, options: "dict[str, Any]") -> codes.CodeEncoder:
    """Returns the encoder of codes.

    Args:
        kind: a name in `CODES`.
        network: of the encoder.
        options: what `arguments` names; few codes are summed over unless `enumerate` says not to.
    """
    check(kind, options)
    options = {"places": _PLACES.get(kind, 20), **options}
    if "enumerate" in arguments(kind):
        options["enumerate"] = sums(kind, options)
    return codes.CODES[kind](network, **options)


def sums(kind: str, options: "dict[str, Any]") -> bool:
    """Returns whether all codes of "bernoulli" or "categorical" latents are summed over."""
    count = 2 if kind == "bernoulli" else options.get("categories", 10)
    few = count ** options.get("places", _PLACES.get(kind, 20)) <= MOST_SUMMED
    return bool(options.get("enumerate", few))


def prior(made: codes.CodeEncoder) -> code_priors.CodePrior:
    """Returns the prior that codes are trained with: all alike.

    Args:
        made: the encoder of the codes.
    """
    continuous = getattr(made, "continuous", 0)
    if continuous:
        book = made.book
        return JointPrior(book.places, book.count, book.width, continuous)
    return code_priors.CODE_PRIORS["uniform"].of(made)
