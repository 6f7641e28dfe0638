"""The flags of what is trained with: the bound, and the weight of its KL."""

import inspect

from absl import flags

import tfp_vae as tv
from tfp_vae import peek

from . import cli

GROUP = "Bound"
_BOUND = flags.DEFINE_enum(
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


def bound(steps_per_epoch: int, *options: flags.FlagHolder) -> "tv.objectives.Bound":
    """Returns the bound that is trained with.

    Args:
        steps_per_epoch: of the training, for the weight of the KL.
        *options: flags of what some bounds take, beside the weight.

    Raises:
        ValueError: for a flag that the bound does not take.
    """
    kind = tv.objectives.BOUNDS[_BOUND.value]
    known = inspect.signature(kind).parameters
    taken = {flag.name: flag.value for flag in options if flag.name in known}
    others = [flag for flag in options if flag.name not in known]
    if "beta" in known:
        taken["beta"] = _beta(steps_per_epoch)
    else:
        others += [BETA, WARM_UP, _WARM_UP_EPOCHS]
    cli.refuse_unused(False, "a --bound that takes it, such as elbo,", *others)
    return kind(**taken)


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
