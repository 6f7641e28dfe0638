"""The flags of the bounds of log weights, and how a training begins and ends."""

from absl import flags

import tfp_vae as tv
from tfp_vae import peek

from . import bound_flags, cli, training_flags

GROUP = "Bound"
GRADIENT = flags.DEFINE_enum(
    "gradient",
    None,
    peek.names("objectives.gradients.GRADIENTS"),
    "Estimator of the bound's gradient; without it path, or score of tvo.",
)
_RENYI_ALPHA = flags.DEFINE_float("renyi_alpha", 0.5, "Order of renyi; -inf: the largest weight.")
_CIWAE_SHARE = flags.DEFINE_float("ciwae_share", 0.5, "Of the elbo in ciwae.", 0, 1)
_MIWAE_GROUPS = flags.DEFINE_integer("miwae_groups", 1, "M, draws are M times K.", lower_bound=1)
_PIWAE_GROUPS = flags.DEFINE_integer("piwae_groups", 1, "M, draws are M times K.", lower_bound=1)
_TVO_PARTITIONS = flags.DEFINE_integer("tvo_partitions", 2, "Intervals of tvo.", lower_bound=1)
_TVO_FIRST = flags.DEFINE_float("tvo_first", 0.025, "First inner point of tvo, in (0, 1).", 0, 1)
_FINISH = flags.DEFINE_string(
    "finish",
    None,
    "BOUND:K or BOUND:K:GRADIENT, such as iwae:50:dreg, for the last epochs; without GRADIENT that "
    "of --gradient.",
)
_FINISH_EPOCHS = flags.DEFINE_integer("finish_epochs", None, "How many of --epochs it has.", 1)
_ENCODER_FIRST = flags.DEFINE_integer(
    "encoder_first", None, "Steps of the encoder alone before each step of all.", lower_bound=1
)
_ENCODER_FIRST_EPOCHS = flags.DEFINE_integer("encoder_first_epochs", None, "First epochs of it.", 1)
PHASES = (_FINISH, _FINISH_EPOCHS, _ENCODER_FIRST, _ENCODER_FIRST_EPOCHS)
OPTIONS = (
    GRADIENT,
    *(_RENYI_ALPHA, _CIWAE_SHARE, _MIWAE_GROUPS, _PIWAE_GROUPS, _TVO_PARTITIONS, _TVO_FIRST),
)


def finish(steps_per_epoch: int) -> "tv.training.Finish | None":
    """Returns what ends a training with another bound, or None.

    Raises:
        ValueError: for a bound, a number of draws or of epochs that cannot be.
    """
    text, epochs = cli.value_of(_FINISH), cli.value_of(_FINISH_EPOCHS)
    if not text:
        cli.refuse_unused(False, "--finish", _FINISH_EPOCHS)
        return None
    name, *rest = text.split(":")
    if len(rest) not in (1, 2) or not rest[0].isdecimal() or int(rest[0]) < 1:
        raise ValueError(
            "--finish does not fit. Expected BOUND:K or BOUND:K:GRADIENT with K >= 1, such as "
            f"iwae:50. Received {text!r}."
        )
    _check_epochs(_FINISH_EPOCHS, "--finish trains the last epochs")
    if training_flags.PATIENCE.value:
        raise ValueError(
            "--finish trains the last epochs, and --patience ends a training before. Expected one "
            "of them: --patience=0 takes that of a preset back. Received "
            f"--finish={text} and --patience={training_flags.PATIENCE.value}."
        )
    tv.objectives.BOUNDS.check(name)
    options = {"gradient": rest[1]} if len(rest) == 2 else _inherited(name)
    objective = bound_flags.bound_of(name, steps_per_epoch, OPTIONS[1:], options)
    return tv.training.Finish(objective, int(rest[0]), epochs)


def first() -> "tv.training.EncoderFirst | None":
    """Returns what lets the encoder lead in the first epochs, or None."""
    steps, epochs = cli.value_of(_ENCODER_FIRST), cli.value_of(_ENCODER_FIRST_EPOCHS)
    cli.refuse_unused(steps is not None, "--encoder_first", _ENCODER_FIRST_EPOCHS)
    if steps is None:
        return None
    _check_epochs(_ENCODER_FIRST_EPOCHS, "--encoder_first has the first epochs")
    return tv.training.EncoderFirst(steps, epochs)


def _check_epochs(flag: flags.FlagHolder, what: str) -> None:
    """Raises `ValueError` unless the flag says a number of the epochs that there are."""
    epochs = cli.value_of(flag)
    if epochs is None or epochs > training_flags.EPOCHS.value:
        raise ValueError(
            f"{what}. Expected --{flag.name} of 1 to --epochs={training_flags.EPOCHS.value}. "
            f"Received {epochs}."
        )


def phases(vae: "tv.VAE", last: "tv.training.Finish | None") -> list:
    """Returns how the training begins and ends, as callbacks that the model can have.

    Args:
        vae: compiled.
        last: of `finish`.

    Raises:
        ValueError: for a phase that the model cannot have.
    """
    chosen = [phase for phase in (first(), last) if phase is not None]
    for phase in chosen:
        phase.check(vae, training_flags.EPOCHS.value)
    return chosen


def _inherited(name: str) -> dict:
    """Returns the estimator of --gradient as an argument of another bound, if that has it."""
    chosen = GRADIENT.value
    own = tuple(getattr(tv.objectives.BOUNDS[name], "estimators", ()))
    return {} if chosen is None or (own and chosen not in own) else {"gradient": chosen}


def names() -> "tuple[str, ...]":
    """Returns the bounds that the flags name, the trained one first."""
    text = cli.value_of(_FINISH)
    return (bound_flags.BOUND.value, *([text.partition(":")[0]] if text else []))


def facts(
    vae: "tv.VAE",
    data: "tv.data.Data",
    trained: "tv.objectives.Bound",
    last: "tv.training.Finish | None" = None,
    history: "dict | None" = None,
) -> dict:
    """Returns which bounds were trained, and the values of those on test data beside the ELBO.

    JSON-ready, nats per example; of as many draws as the training ended with. {} off the bound.
    "validation_slope" is what the bound that the training ended with still gained per epoch.

    Args:
        vae: after training.
        data: whose test examples.
        trained: the bound that the training began with.
        last: what it ended with.
        history: of `fit`.
    """
    if not vae.on_bound:
        return {}
    found = {"bound": bound_flags.BOUND.value, "gradient": _estimator(trained)}
    found |= {flag.name: cli.value_of(flag) for flag in PHASES}
    if last is not None:
        found["finish_gradient"] = _estimator(last.objective)
    values = (history or {}).get(f"val_{vae.objective.name}", ())
    slope = tv.training.slope_at_end(values[-last.epochs :] if last else values)
    if slope is not None:
        found["validation_slope"] = slope
    if vae.bound_trackers:
        values = vae.evaluate(data.test, verbose=0, return_dict=True)
        found["bound_samples"] = vae.num_samples
        found |= {f"test_{bound.name}": values[bound.name] for bound, _ in vae.bound_trackers}
    return found


def _estimator(bound: "tv.objectives.Bound") -> "str | None":
    return getattr(getattr(bound, "gradient", None), "name", None)
