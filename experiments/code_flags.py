"""The flags of models with discrete latents: which codes there are, and the prior over them."""

from absl import flags

import tfp_vae as tv
from tfp_vae import peek

from . import bound_flags, cli, estimator_flags, training_flags

GROUP = "Codes"
_CODES = peek.registry("distributions.codes.CODES")
_PLACES = flags.DEFINE_integer("code_places", None, "T, codes of an example.", lower_bound=1)
_COUNT = flags.DEFINE_integer("code_count", None, "K, of which each is one.", lower_bound=2)
_WIDTH = flags.DEFINE_integer("code_width", None, "Numbers of a code of vq.", lower_bound=1)
_LEVELS = flags.DEFINE_list("code_levels", None, "Of fsq, each 3 or more; K is their product.")
_COMMITMENT = flags.DEFINE_float("commitment", None, "Weight of vq's distance.", lower_bound=0)
_REVIVAL = flags.DEFINE_float(
    "revival", None, "Share of an equal share below which codes of vq start again; 0: never.", 0, 1
)
_SUM = flags.DEFINE_bool("sum_over_codes", None, "Sum over all codes; without it, where few.")
_TEMPERATURE = flags.DEFINE_float("temperature", None, "Of gumbel and joint at the start.", 0)
_LAST = flags.DEFINE_float("last_temperature", None, "At the end.", lower_bound=0)
_FALL = flags.DEFINE_integer("temperature_steps", None, "Training steps of the fall.", 0)
_STRAIGHT = flags.DEFINE_bool("straight_through", None, "Codes in training too, with slopes.")
_PRIOR = flags.DEFINE_enum(
    "code_prior",
    "uniform",
    peek.registry("distributions.code_priors.CODE_PRIORS").group(),
    "p(codes); others than uniform are fitted after the training.",
)
# Names of the arguments that flags give, the first that an encoder has.
_ARGUMENTS = (
    (_PLACES, ("places",)),
    (_COUNT, ("count", "categories")),
    (_WIDTH, ("width",)),
    (_LEVELS, ("levels",)),
    (_COMMITMENT, ("commitment",)),
    (_REVIVAL, ("revival",)),
    (_SUM, ("enumerate",)),
    (_TEMPERATURE, ("temperature",)),
    (_LAST, ("last_temperature",)),
    (_FALL, ("steps",)),
    (_STRAIGHT, ("straight_through",)),
)
_DRAWS = 5  # of models whose gradients compare draws, where nobody says


def fields(model: str, latent_dim: int) -> dict:
    """Returns the fields of a recipe of discrete latents; {} for another model.

    Args:
        model: value of --model.
        latent_dim: of --latent_dim, which are real numbers beside codes.

    Raises:
        ValueError: for flags that the model has no use for.
    """
    if model not in _CODES:
        where = f"--model={', '.join(_CODES)}"
        cli.refuse_unused(False, where, *(flag for flag, _ in _ARGUMENTS), _PRIOR)
        return {}
    known, found = tv.methods.codes.arguments(model), {}
    for flag, names in _ARGUMENTS:
        name = next((each for each in names if each in known), None)
        cli.refuse_unused(name is not None, "a --model with such codes", flag)
        if flag.value is not None:
            found[name] = tuple(cli.integers(flag)) if name == "levels" else flag.value
    cli.refuse_unused(model != "joint", "codes alone", _PRIOR)
    if model == "joint":
        found["continuous"] = latent_dim
    else:
        dims = flags.FLAGS["latent_dim"]
        cli.refuse_unused(False, "--model=joint, or --code_places here,", dims)
    if model in ("bernoulli", "categorical") and not tv.methods.codes.sums(model, found):
        # Draws of codes have no slopes.
        if bound_flags.BOUND.value != "tvo":
            flags.set_default(estimator_flags.GRADIENT, "vimco")
        flags.set_default(training_flags.NUM_SAMPLES, _DRAWS)
    return {"codes": tuple(found.items())}


def with_prior(vae: "tv.VAE", data: "tv.data.Data", run: "tv.report.RunFolder") -> "tv.VAE":
    """Returns the model with the prior over codes that the flags name, fitted and saved."""
    if _PRIOR.value == "uniform":
        return vae
    chosen = tv.code_priors.CODE_PRIORS[_PRIOR.value].of(vae.encoder)
    print(f"fits p(codes): {_PRIOR.value}", flush=True)
    new = vae.with_prior(chosen, data.train)
    new.compile()
    new.save(run / "model.keras")
    return new


def facts(vae: "tv.VAE", data: "tv.data.Data") -> dict:
    """Returns what is to be remembered of the codes, {} without any; of the test split."""
    if not hasattr(vae.encoder, "book"):
        return {}
    book = vae.encoder.book
    found = {"code_prior": _PRIOR.value, "code_places": book.places, "code_count": book.count}
    return found | tv.evaluation.code_usage(vae, data.test)
