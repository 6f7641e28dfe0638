"""The flags that describe a network, its likelihood and what is done about its weights."""

from absl import flags

import tfp_vae as tv
from tfp_vae import peek

from . import bound_flags, cli, data_flags, training_flags

GROUP = "Weights"
_METHOD = flags.DEFINE_enum(
    "method", "vi", peek.names("methods.METHODS"), "What is done about the weights."
)
_ESTIMATOR = flags.DEFINE_enum(
    "estimator", "local", peek.names("methods.ESTIMATORS"), "Gradient estimator of --method=vi."
)
_NETWORK = flags.DEFINE_enum("network", "mlp", peek.names("methods.NETWORKS"), "Which network.")
_SCALE = flags.DEFINE_string(
    "scale", "shared", "Of a real target: shared, per_example, a number > 0; poisson for counts."
)
_PRIOR = flags.DEFINE_enum(
    "prior", "normal", peek.names("layers.priors.WEIGHT_PRIORS"), "Of the weights (vi)."
)
_PRIOR_SCALE = flags.DEFINE_string("prior_scale", "1.0", "A number > 0, or fan_in.")
_LEARNED_PRIOR = flags.DEFINE_bool("learned_prior", True, "Learn a factor on the scale (vi).")
_INITIAL_SCALE = flags.DEFINE_float(
    "initial_scale", 0.1, "Posterior scale at step 0, times the root of the fan-in (vi).", 0
)
_BAYESIAN_LAYERS = flags.DEFINE_string(
    "bayesian_layers", "all", "Layers with a posterior (vi): all, last, or how many of the last."
)
_COVARIANCE = flags.DEFINE_string(
    "covariance", "diagonal", "Of the last layer's posterior (vi): diagonal, full, or a rank."
)
_DROPOUT = flags.DEFINE_float("dropout", 0.05, "Rate of --method=mc_dropout.", 0, 0.99)
_MEMBERS = flags.DEFINE_integer(
    "members",
    5,
    "Networks of ensemble, multiswag, sgmcmc, mile, batch_ensemble, rank1.",
    lower_bound=1,
)
_POSTERIOR_STEPS = flags.DEFINE_integer(
    "posterior_steps",
    200,
    "Epochs of swag, or laplace by evidence; samples per chain of nuts, mile, sgmcmc.",
    lower_bound=2,
)
_POSTERIOR_RATE = flags.DEFINE_float(
    "posterior_rate", None, "Learning rate of swag, laplace by evidence (1e-3), sgmcmc (1e-2)."
)
_POSTERIOR_PRECISION = flags.DEFINE_string(
    "posterior_precision", "validation", "Laplace: validation, evidence, prior, or a number."
)
_POSTERIOR_STRUCTURE = flags.DEFINE_enum(
    "posterior_structure", None, peek.names("models.curvatures.STRUCTURES"), "Of laplace."
)
_POSTERIOR_PREDICTIVE = flags.DEFINE_enum(
    "posterior_predictive", "sampled", ["sampled", "probit"], "Of laplace and sngp."
)
_RANDOM_FEATURES = flags.DEFINE_integer(
    "random_features", 1024, "Of the Gaussian process of sngp.", lower_bound=1
)
_SPECTRAL_BOUND = flags.DEFINE_float(
    "spectral_bound", 2.0, "Of the norms of the hidden kernels of sngp.", 0
)
_LABEL_NOISE = flags.DEFINE_float(
    "label_noise", 0.0, "Share of labels that say nothing of their class, in the likelihood.", 0, 1
)
_EXPOSURE = flags.DEFINE_string(
    "exposure", None, "Column of a table that the rate of counts is per unit of (--scale=poisson)."
)
_IMAGES = ("digits", "mnist", "fashion_mnist")


def prepare():
    """Returns the run folder and the data; images keep their grey values.

    Raises:
        ValueError: for flags that do not go together.
    """
    _check()
    images = data_flags.DATASET.value in _IMAGES
    return training_flags.prepare(
        lambda: tv.data.Kind.UNIT_INTERVAL if images else None, decodes=False
    )


def _check() -> None:
    """Raises `ValueError` for flags that do not go together."""
    # Every flag that some methods use and others do not, as the methods themselves say it.
    users: dict[str, list[str]] = {}
    for name, method in tv.methods.METHODS.items():
        for flag in method.uses:
            users.setdefault(flag, []).append(name)
    for flag, methods in users.items():
        where = f"--method={' or '.join(methods)}"
        cli.refuse_unused(_METHOD.value in methods, where, flags.FLAGS[flag])
    cli.refuse_unused(_NETWORK.value == "mlp", "--network=mlp", training_flags.HIDDEN)


def recipe() -> "tv.methods.Recipe":
    """Returns the recipe that the flags describe."""
    return tv.methods.Recipe(
        method=_METHOD.value,
        network=_NETWORK.value,
        hidden=tuple(cli.integers(training_flags.HIDDEN)),
        activation=training_flags.ACTIVATION.value,
        scale=cli.number_or_name(_SCALE),
        estimator=_ESTIMATOR.value,
        prior=_PRIOR.value,
        prior_scale=cli.number_or_name(_PRIOR_SCALE),
        learned_prior=_LEARNED_PRIOR.value,
        initial_scale=_INITIAL_SCALE.value,
        bayesian_layers=_integer_or_name(_BAYESIAN_LAYERS),
        covariance=_integer_or_name(_COVARIANCE),
        dropout=_DROPOUT.value,
        members=_MEMBERS.value,
        samples=training_flags.NUM_SAMPLES.value,
        posterior_steps=_POSTERIOR_STEPS.value,
        posterior_rate=_POSTERIOR_RATE.value,
        posterior_precision=cli.number_or_name(_POSTERIOR_PRECISION),
        posterior_structure=_POSTERIOR_STRUCTURE.value,
        posterior_predictive=_POSTERIOR_PREDICTIVE.value,
        random_features=_RANDOM_FEATURES.value,
        spectral_bound=_SPECTRAL_BOUND.value,
        label_noise=_LABEL_NOISE.value,
        exposure=_EXPOSURE.value,
    )


def _integer_or_name(flag) -> "int | str":
    """Returns the value of a flag, which the recipe checks."""
    return int(flag.value) if flag.value.isascii() and flag.value.isdigit() else flag.value


def build(chosen: "tv.methods.Recipe", data: "tv.data.Data"):
    """Returns the compiled model of a recipe, for data that fit it."""
    if data.task == "classification":
        cli.refuse_unused(False, "real targets", _SCALE)
    cli.refuse_unused(data.task == "classification", "classes", _LABEL_NOISE)
    steps = data.train.num_batches(training_flags.BATCH_SIZE.value)
    objective = bound_flags.bound(steps)
    model = tv.methods.build(chosen, data, objective, training_flags.SEED.value)
    objective.check(model)
    return training_flags.compiled(model, data, chosen.weights.optimizer)
