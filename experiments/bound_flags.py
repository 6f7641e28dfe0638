"""The flags of what is trained with: the bound, and the weight of its KL."""

import inspect

from absl import flags

import tfp_vae as tv
from tfp_vae import peek

from . import cli

GROUP = "Bound"
BOUND = flags.DEFINE_enum(
    "bound", "elbo", peek.names("objectives.BOUNDS"), "What is raised: of --num_samples draws."
)
BETA = flags.DEFINE_float("beta", 1.0, "Weight of the KL in the loss.", lower_bound=0)
WARM_UP = flags.DEFINE_enum(
    "warm_up",
    None,
    peek.names("objectives.WARM_UPS"),
    "Shape of a KL weight that rises from 0 to --beta.",
)
_WARM_UP_EPOCHS = flags.DEFINE_integer("warm_up_epochs", 10, "Rise, or cycle.", lower_bound=1)


def bound(
    steps_per_epoch: int, *options: flags.FlagHolder, others: "tuple[str, ...]" = ()
) -> "tv.objectives.Bound":
    """Returns the bound that is trained with.

    Args:
        steps_per_epoch: of the training, for the weight of the KL.
        *options: flags of what some bounds take, beside the weight: named as the argument, or with
            the bound's name in front.
        others: bounds that the training has beside.

    Raises:
        ValueError: for a flag that no bound takes.
    """
    used = {flag.name for name in (BOUND.value, *others) for flag, _ in _taken(name, options)}
    weighs = any("beta" in _parameters(name) for name in (BOUND.value, *others))
    unused = [flag for flag in options if flag.name not in used]
    unused += [] if weighs else [BETA, WARM_UP, _WARM_UP_EPOCHS]
    cli.refuse_unused(False, "a --bound that takes it, such as elbo,", *unused)
    return bound_of(BOUND.value, steps_per_epoch, options)


def bound_of(name: str, steps_per_epoch: int, options, more=None) -> "tv.objectives.Bound":
    """Returns a bound by name, with what it takes of the flags.

    Args:
        name: of the bound.
        steps_per_epoch: see `bound`.
        options: see `bound`.
        more: arguments that no flag says.
    """
    taken = {key: flag.value for flag, key in _taken(name, options) if flag.value is not None}
    if "beta" in _parameters(name):
        taken["beta"] = _beta(steps_per_epoch)
    return tv.objectives.BOUNDS[name](**{**taken, **(more or {})})


def _parameters(name: str):
    return inspect.signature(tv.objectives.BOUNDS[name]).parameters


def _taken(name: str, options) -> list:
    """Returns (flag, argument) of the options that a bound takes."""
    found = [(flag, flag.name.removeprefix(f"{name}_")) for flag in options]
    return [(flag, key) for flag, key in found if key in _parameters(name)]


def _beta(steps_per_epoch: int):
    """Returns the weight of the KL in the loss: a number or a schedule."""
    cli.refuse_unused(bool(WARM_UP.value), "--warm_up", _WARM_UP_EPOCHS)
    if not WARM_UP.value:
        return BETA.value
    steps = _WARM_UP_EPOCHS.value * steps_per_epoch
    if WARM_UP.value == "linear":
        return tv.objectives.linear(steps, end=BETA.value)
    if BETA.value != 1:
        raise ValueError(
            f"--warm_up={WARM_UP.value} ends at 1. Expected --beta=1 with it. Received "
            f"{BETA.value}."
        )
    return tv.objectives.WARM_UPS[WARM_UP.value](steps)
