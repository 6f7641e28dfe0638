"""The flags that say what a VAE is conditioned on, and what is built from them."""

import dataclasses
from collections.abc import Callable

from absl import flags

import tfp_vae as tv
from tfp_vae import peek

from . import cli, code_flags, training_flags, vae_flags

GROUP = "Condition"
_MODEL = flags.DEFINE_enum(
    "model",
    "vae",
    peek.names("methods.vae.VAE_MODELS"),
    "vae: p(x). hierarchical: of --levels latents. vade: clusters. conditional: p(x|c), c a class "
    "or targets. m2: p(x, y), few classes known. pixel: p(x) by masked convolutions given z. aae, "
    "vae_gan: against a discriminator, on no bound. Others: p(x) with discrete latents.",
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
QUADRANTS = flags.DEFINE_integer(
    "quadrants", None, "Seen quadrants of images to complete: 1, 2 or 3; they are the condition."
)
_CLASS_SAMPLES = flags.DEFINE_integer(
    "num_class_samples", 100, "S of log p(x|y) under each class, to classify.", lower_bound=1
)


def conditioned(data: "tv.data.Data") -> "tv.data.Data":
    """Returns the data that the model is trained on: cut into quadrants, with few labels.

    Raises:
        ValueError: for flags that do not go together.
    """
    m2, classes = _MODEL.value == "m2", _MODEL.value == "conditional" and QUADRANTS.value is None
    cli.refuse_unused(m2, "--model=m2", _LABELS, _ALPHA, _LABELLED_SHARE, _CLASSIFIER)
    cli.refuse_unused(_MODEL.value == "conditional", "--model=conditional", QUADRANTS)
    cli.refuse_unused(_MODEL.value == "hierarchical", "--model=hierarchical", _LEVELS, _LEVEL_DIMS)
    cli.refuse_unused(_MODEL.value == "vade", "--model=vade", _CLUSTERS, _START_EPOCHS)
    cli.refuse_unused(m2 or classes, "a class as condition", _CLASS_PRIOR)
    cli.refuse_unused(classes, "--model=conditional and classes", _CLASS_SAMPLES)
    if QUADRANTS.value is not None:
        return tv.data.completion(data, QUADRANTS.value)
    if m2 and data.num_classes is None:
        raise ValueError(
            f"--model=m2 learns classes. Expected data with labels. Received {data!r} without."
        )
    if _LABELS.value is not None:
        few = tv.data.keep_labels(data.train, _LABELS.value, training_flags.SEED.value)
        return dataclasses.replace(data, train=few)
    return data


def build(data: "tv.data.Data", latent_dim: int, *checks: "Callable[[tv.VAE], None]") -> "tv.VAE":
    """Returns the compiled model of the flags, for data that fit it; see `vae_flags.compiled`."""
    coded = code_flags.fields(_MODEL.value, latent_dim)
    if coded:
        return vae_flags.compiled(vae_flags.recipe(data, latent_dim, **coded), data, *checks)
    fields = code_flags.other_fields(_MODEL.value)
    if fields:
        return vae_flags.compiled(vae_flags.recipe(data, latent_dim, **fields), data, *checks)
    if _MODEL.value == "vae":
        return vae_flags.build(data, latent_dim, *checks)
    if _MODEL.value == "hierarchical":
        sizes = () if _LEVEL_DIMS.value is None else tuple(cli.integers(_LEVEL_DIMS))
        levels = {"levels": _LEVELS.value, "level_dims": sizes}
        chosen = vae_flags.recipe(data, latent_dim, model=_MODEL.value, **levels)
        return vae_flags.compiled(chosen, data, *checks)
    if _MODEL.value == "vade":
        chosen = vae_flags.recipe(data, latent_dim, model="vade", clusters=_CLUSTERS.value)
        (start,) = starts(data)

        def begins(vae: "tv.VAE") -> None:
            start.check(vae, training_flags.EPOCHS.value)

        return vae_flags.compiled(chosen, data, begins, *checks)
    if data.task == "regression":
        cli.refuse_unused(False, "a class as condition", _CLASS_PRIOR, _CLASS_SAMPLES)
    chosen = vae_flags.recipe(
        data,
        latent_dim,
        model=_MODEL.value,
        class_prior=_CLASS_PRIOR.value,
        classifier=_CLASSIFIER.value,
        alpha=_ALPHA.value,
        labelled_share=_LABELLED_SHARE.value,
    )
    return vae_flags.compiled(chosen, data, *checks)


def starts(data: "tv.data.Data") -> "list[tv.training.StartClusters]":
    """Returns the callbacks that a training begins with."""
    if _MODEL.value != "vade":
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
    if _MODEL.value == "vade" and data.num_classes is not None:
        known |= tv.evaluation.cluster_metrics(trained, data.train, data.test)
    return known | tv.evaluation.class_metrics(model, data.test, samples, verbose=True)
