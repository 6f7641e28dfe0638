"""The flags that say what a VAE is conditioned on, and what is built from them."""

import dataclasses
from collections.abc import Callable

from absl import flags

import tfp_vae as tv
from tfp_vae import peek

from . import cli, code_flags, training_flags, vae_flags

GROUP = "Condition"
_KINDS = peek.registry("methods.vae_kinds.VAE_KINDS")
_MODEL = flags.DEFINE_enum(
    "model",
    "vae",
    [*_KINDS, *peek.registry("distributions.codes.CODES")],
    "; ".join(f"{name}: {meaning}" for name, meaning in _KINDS.meanings.items())
    + "; others: p(x) with discrete latents.",
)
_LEVELS = flags.DEFINE_integer("levels", 2, "Latents of hierarchical.", lower_bound=1)
_LEVEL_DIMS = flags.DEFINE_list(
    "level_dims", None, "Sizes of the levels, top first; without it --latent_dim each."
)
_CLUSTERS = flags.DEFINE_integer(
    "clusters", None, "Of vade; without it as many as there are classes.", lower_bound=1
)
_START_EPOCHS = flags.DEFINE_integer(
    "start_epochs", 30, "Of --epochs, which vade trains as a VAE before it clusters.", lower_bound=1
)
_CLASS_PRIOR = flags.DEFINE_bool(
    "class_prior", False, "The class acts through p(z|y) alone, not on the decoder."
)
_LABELS = flags.DEFINE_integer("labels", None, "Labels that m2 is told, chosen by --seed; or all.")
_ALPHA = flags.DEFINE_float("alpha", 0.1, "Weight of m2's classification term.", lower_bound=0)
_LABELLED_SHARE = flags.DEFINE_float(
    "labelled_share", 0.5, "Share of m2's batches with labels.", 0.0, 1.0
)
_CLASSIFIER = flags.DEFINE_enum(
    "classifier", "mlp", peek.names("methods.vae.VAE_CLASSIFIERS"), "Kind of m2's q(y|x)."
)
_FIELD = flags.DEFINE_integer(
    "receptive_field", 3, "Rows and columns before a pixel that --model=pixel sees.", lower_bound=1
)
_COVARIANCE = flags.DEFINE_integer(
    "covariance_rank",
    4,
    "Directions in which values of --model=correlated vary together.",
    lower_bound=1,
)
_ADVERSARIAL = flags.DEFINE_float(
    "adversarial_weight", 1.0, "Of what fools the discriminator of aae or vae_gan.", lower_bound=0
)
_NOISE = flags.DEFINE_float(
    "noise",
    0.0,
    "Deviation of the noise that --model=autoencoder learns to take away; 0 for a plain one.",
    lower_bound=0,
)
QUADRANTS = flags.DEFINE_integer(
    "quadrants", None, "Seen quadrants of images to complete: 1, 2 or 3; they are the condition."
)
_CLASS_SAMPLES = flags.DEFINE_integer(
    "num_class_samples", 100, "S of log p(x|y) under each class, to classify.", lower_bound=1
)


# Fields of recipes that some models alone read, by the flag that gives each.
_FIELDS: "dict[str, tuple[flags.FlagHolder, Callable | None]]" = {
    "levels": (_LEVELS, None),
    "level_dims": (_LEVEL_DIMS, cli.integers),
    "clusters": (_CLUSTERS, None),
    "class_prior": (_CLASS_PRIOR, None),
    "classifier": (_CLASSIFIER, None),
    "alpha": (_ALPHA, None),
    "labelled_share": (_LABELLED_SHARE, None),
    "receptive_field": (_FIELD, None),
    "covariance_rank": (_COVARIANCE, None),
    "adversarial_weight": (_ADVERSARIAL, None),
    "noise": (_NOISE, None),
}


def conditioned(data: "tv.data.Data") -> "tv.data.Data":
    """Returns the data that the model is trained on: cut into quadrants, with few labels.

    Raises:
        ValueError: for flags that do not go together.
    """
    m2, classes = _MODEL.value == "m2", _MODEL.value == "conditional" and QUADRANTS.value is None
    cli.refuse_unused(m2, "--model=m2", _LABELS)
    cli.refuse_unused(_MODEL.value == "conditional", "--model=conditional", QUADRANTS)
    finding = [name for name, kind in tv.methods.VAE_KINDS.items() if kind.finds_clusters]
    cli.refuse_unused(_MODEL.value in finding, f"--model={' or '.join(finding)}", _START_EPOCHS)
    cli.refuse_unused(m2 or classes, "a class as condition", _CLASS_PRIOR)
    cli.refuse_unused(classes, "--model=conditional and classes", _CLASS_SAMPLES)
    read = tv.methods.kind_of(_MODEL.value).fields
    for field, (flag, _) in _FIELDS.items():
        readers = [name for name, kind in tv.methods.VAE_KINDS.items() if field in kind.fields]
        cli.refuse_unused(field in read, f"--model={' or '.join(readers)}", flag)
    if QUADRANTS.value is not None:
        return tv.data.completion(data, QUADRANTS.value)
    if _LABELS.value is not None:
        few = tv.data.keep_labels(data.train, _LABELS.value, training_flags.SEED.value)
        return dataclasses.replace(data, train=few)
    return data


def build(data: "tv.data.Data", latent_dim: int, *checks: "Callable[[tv.VAE], None]") -> "tv.VAE":
    """Returns the compiled model of the flags, for data that fit it; see `vae_flags.compiled`."""
    if data.task == "regression":
        cli.refuse_unused(False, "a class as condition", _CLASS_PRIOR, _CLASS_SAMPLES)
    others: dict = {"model": _MODEL.value, **code_flags.fields(_MODEL.value, latent_dim)}
    for field in tv.methods.kind_of(_MODEL.value).fields:
        if field in _FIELDS:
            flag, read = _FIELDS[field]
            if flag.value is not None:
                others[field] = flag.value if read is None else tuple(read(flag))
    chosen = vae_flags.recipe(data, latent_dim, **others)

    def begins(vae: "tv.VAE") -> None:
        vae.check_split(data.test)  # which the end of the program is about
        vae.given_of(data.test)
        for start in starts(data):
            start.check(vae, training_flags.EPOCHS.value)

    return vae_flags.compiled(chosen, data, begins, *checks)


def starts(data: "tv.data.Data") -> "list[tv.training.StartClusters]":
    """Returns the callbacks that a training begins with."""
    if not tv.methods.kind_of(_MODEL.value).finds_clusters:
        return []
    return [tv.training.StartClusters(data.train, _START_EPOCHS.value)]


def found(model: "tv.VAE", data: "tv.data.Data", trained: "tv.VAE") -> dict:
    """Returns what is to be remembered of the model, and the classification of the test split.

    Args:
        model: with the prior that was fitted, if one was.
        data: that it was trained on.
        trained: with the prior that was trained, whose components are the clusters of vade.
    """
    known = {"model": _MODEL.value, "quadrants": QUADRANTS.value}
    if _LABELS.value is not None:
        known["num_labels"] = _LABELS.value
    samples = _CLASS_SAMPLES.value
    if tv.methods.kind_of(_MODEL.value).finds_clusters:
        known |= tv.evaluation.cluster_metrics(trained, data.train, data.test)
    return known | tv.evaluation.class_metrics(model, data.test, samples, verbose=True)
