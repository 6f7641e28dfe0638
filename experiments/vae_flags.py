"""The flags that describe a VAE, its data and its training, and what is built from them."""

from collections.abc import Callable

from absl import flags

import tfp_vae as tv
from tfp_vae import peek

from . import (
    bound_flags,
    cli,
    data_flags,
    estimator_flags,
    missing_flags,
    regularizer_flags,
    training_flags,
)

GROUP = "Model"
_LIKELIHOOD = flags.DEFINE_enum(
    "likelihood",
    None,
    peek.registry("distributions.heads.HEADS").group(),
    "p(x|z); without it, one of the kind that the data have.",
)
_SCALE = flags.DEFINE_string(
    "scale",
    "shared",
    "Scale of the normal likelihood: shared (in closed form), trained (a weight), per_pixel, or a "
    "number > 0.",
)
_POSTERIOR = flags.DEFINE_enum(
    "posterior", "diagonal", peek.names("distributions.encoders.ENCODERS"), "q(z|x)."
)
_LATENT_PRIOR = flags.DEFINE_enum(
    "latent_prior", "standard", peek.names("distributions.priors.PRIORS"), "p(z)."
)
_COMPONENTS = flags.DEFINE_integer(
    "prior_components", 100, "Of --latent_prior=mixture or vamp.", lower_bound=1
)
_FLOW = flags.DEFINE_enum(
    "prior_flow", "coupling", peek.names("distributions.flows.FLOWS"), "Of --latent_prior=flow."
)
_NETWORK = flags.DEFINE_enum(
    "network", "mlp", peek.names("methods.vae.VAE_NETWORKS"), "Kind of encoder and decoder."
)
_SKIP = flags.DEFINE_bool("skip", False, "Give z to every layer of the decoder.")
_FILTERS = flags.DEFINE_list("filters", ["32", "64"], "Filters of the stride-2 convolutions.")
_FREE_BITS = flags.DEFINE_float("free_bits", 0.0, "Nats; see --free_bits_per.", lower_bound=0)
_FREE_BITS_PER = flags.DEFINE_enum(
    "free_bits_per",
    "dimension",
    peek.names("objectives.elbo.FREE_BITS_PER"),
    "Of each latent dimension, or of each level as a whole.",
)
_CAPACITY = flags.DEFINE_float("capacity", None, "Target of the KL, nats.", lower_bound=0)


def _models_whole_tables() -> bool:
    model = flags.FLAGS["model"].value if "model" in flags.FLAGS else "vae"
    return model == "vae" and _LIKELIHOOD.value is None and training_flags.KIND.value is None


data_flags.whole_tables_when(_models_whole_tables)


def prepare() -> "tuple[tv.report.RunFolder, tv.data.Data]":
    """Returns the run folder, checked but not made, and the data that the flags describe."""
    chosen = _LIKELIHOOD.value
    return training_flags.prepare(lambda: chosen and tv.heads.HEADS[chosen].preferred_kind)


def recipe(data: "tv.data.Data", latent_dim: int, **others) -> "tv.methods.VAERecipe":
    """Returns the recipe that the flags describe.

    Args:
        data: what it is for.
        latent_dim: D.
        **others: fields of a conditional model.
    """
    of_columns = data.schema is not None and _LIKELIHOOD.value is None
    likelihood = None if of_columns else _LIKELIHOOD.value or tv.methods.likelihood_of(data.kind)
    normal = likelihood == "normal"
    pair = tv.methods.VAE_NETWORKS[_NETWORK.value]
    conv = pair.is_spatial or others.get("classifier") == "conv"
    cli.refuse_unused(conv, "--network=conv or resnet", _FILTERS)
    kind = tv.methods.kind_of(others.get("model", "vae"))
    activated = pair.has_activation or kind.reads_activation
    cli.refuse_unused(activated, "--network=mlp, conv or resnet", training_flags.ACTIVATION)
    cli.refuse_unused(normal, "--likelihood=normal", _SCALE)
    cli.refuse_unused(of_columns, "a table of mixed columns", missing_flags.MISSING)
    prior = tv.priors.PRIORS[_LATENT_PRIOR.value]
    cli.refuse_unused(prior.has_components, "--latent_prior=mixture or vamp", _COMPONENTS)
    cli.refuse_unused(prior.has_flow, "--latent_prior=flow", _FLOW)
    cli.refuse_unused(not others.get("class_prior"), "a class that acts on p(x|z)", _LATENT_PRIOR)
    cli.refuse_unused(kind.reads_prior, "a --model whose prior is not its own", _LATENT_PRIOR)
    cli.refuse_unused(kind.reads_posterior, "a --model whose q(z|x) is not its own", _POSTERIOR)
    if not kind.on_bound:
        options = bound_flags.BOUND, bound_flags.BETA, bound_flags.WARM_UP
        others_off = training_flags.NUM_SAMPLES, training_flags.PATIENCE
        cli.refuse_unused(False, "a --model on a bound", *options, *others_off)
    return tv.methods.VAERecipe(
        latent_dim=latent_dim,
        prior=_LATENT_PRIOR.value,
        components=_COMPONENTS.value,
        flow=_FLOW.value,
        posterior=_POSTERIOR.value,
        likelihood=likelihood,
        missing=missing_flags.MISSING.value,
        scale=cli.number_or_name(_SCALE),
        network=_NETWORK.value,
        skip=_SKIP.value,
        hidden=tuple(cli.integers(training_flags.HIDDEN)),
        filters=tuple(cli.integers(_FILTERS)),
        activation=training_flags.ACTIVATION.value,
        num_samples=training_flags.NUM_SAMPLES.value,
        **others,
    )


def compiled(
    chosen: "tv.methods.VAERecipe", data: "tv.data.Data", *checks: "Callable[[tv.VAE], None]"
) -> "tv.VAE":
    """Returns the model with its bound and optimizer, for data that fit it.

    Args:
        chosen: what it is.
        data: what it is for.
        *checks: that raise `ValueError` for a model that the rest of the program has no use for.
    """
    vae = chosen.build(data, seed=training_flags.SEED.value)
    steps = vae.batches_per_epoch(data.train, training_flags.BATCH_SIZE.value)
    cli.refuse_unused(bool(_FREE_BITS.value), "--free_bits", _FREE_BITS_PER)
    options = (_FREE_BITS, _FREE_BITS_PER, _CAPACITY, *estimator_flags.OPTIONS)
    options += regularizer_flags.OPTIONS
    options = options if vae.on_bound else ()
    vae.objective = bound_flags.bound(steps, *options, others=estimator_flags.names()[1:])
    vae.objective.check(vae)
    vae = training_flags.compiled(vae, data)
    estimator_flags.phases(vae, estimator_flags.finish(steps))
    for check in checks:
        check(vae)
    if chosen.likelihood is None:
        print(
            f"p(x|z) of each column, by its kind (--columns=NAME:KIND changes it):\n{data.schema}"
        )
        return vae
    how = ", each drawn 0 or 1 with its intensity as the probability" * data.train.is_dynamic
    if not vae.on_bound:
        print(f"--model={chosen.model} is {vae.off_bound}")
    print(f"p(x|z): {chosen.likelihood}, of values of kind {data.kind}{how}")
    return vae


def build(data: "tv.data.Data", latent_dim: int, *checks: "Callable[[tv.VAE], None]") -> "tv.VAE":
    """Returns the compiled VAE that the flags describe, for data that fit it; see `compiled`."""
    return compiled(recipe(data, latent_dim), data, *checks)
