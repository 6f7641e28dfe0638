"""A decoder as one HTML page: a person moves a point over the latent space and sees p(x|z) drawn.

The page needs no server and no network. It holds the weights (float32, as base64), the steps of the
decoder and the script that runs them; its Content-Security-Policy allows nothing else.
"""

import base64
import json
import pathlib
from collections.abc import Mapping

import numpy as np
import tensorflow as tf

from tfp_vae.data import Kind, Split
from tfp_vae.distributions import draws
from tfp_vae.export.page.browser import check
from tfp_vae.export.page.steps import decoder_steps
from tfp_vae.export.signatures.conditions import values_of
from tfp_vae.layers.noise import MEAN
from tfp_vae.models import VAE
from tfp_vae.report import LANGUAGES, RunFolder, sealed

__all__ = ["LANGUAGES", "PAGE", "check", "render", "write"]

PAGE = "index.html"
_MOST_SLIDERS = 8
_MOST_POINTS = 1500
_DRAWS = 512  # of the model itself, where there are no examples
_LEAST_PICKS = 32  # of each class, from a prior that the page cannot draw from
_MOST_ENDS = 10  # examples that one drags between
_LEAST_EXTENT = 3.0  # of the plane to each side: 99.7 % of a standard normal


def write(
    model: VAE,
    folder: "str | pathlib.Path",
    *,
    examples: "Split | np.ndarray | None" = None,
    language: str = "en",
) -> pathlib.Path:
    """Writes the page of a model as `index.html` into a folder, whole or not at all.

    It computes in float32, with sums in double precision, whatever the compute dtype of the model;
    so a float32 model and its page agree to 1e-5, and a bfloat16 one to the precision of bfloat16.

    Args:
        model: a `VAE`, or a `ConditionalVAE` (or `M2`) of classes.
        folder: made if it is not there.
        examples: of the data, a `Split` or an array [N, ...]; encoded, they are the points on the
            plane, coloured by their label, and say which latent directions are the principal ones.
            Without them examples drawn from the model say so, and there are no points. Images of
            the examples are not in the page, their positions and labels are.
        language: one of `LANGUAGES`.

    Returns:
        The page.

    Raises:
        ValueError: before anything is written, for a model, a decoder or examples that there is no
            page of.
    """
    html = render(model, examples=examples, language=language)
    run = RunFolder(folder, overwrite=True)
    run.path.mkdir(parents=True, exist_ok=True)
    run.write_text(PAGE, html)
    return run / PAGE


def render(model: VAE, *, examples=None, language: str = "en") -> str:
    """Returns the page of a model as HTML; see `write`."""
    words = sealed.words_of(__package__, language)
    values = describe(model, examples)
    values["words"] = words["script"]
    latent = values["latent"]
    from markupsafe import Markup  # loaded when used

    return sealed.render(
        __package__,
        "explorer.html",
        ["explorer.css"],
        ["decoder.js", "explorer.js"],
        language,
        t=words["page"],
        **_sentences(values, words["page"]),
        has_plane=latent["dim"] > 1,
        is_image=values["picture"]["is_image"],
        classes=values["class_names"],
        sliders=len(latent["directions"]),
        ends=values["ends"] is not None,
        # No text of the data can end the element that holds it.
        values=Markup(json.dumps(values, allow_nan=False).replace("<", "\\u003c")),
    )


def _sentences(values: Mapping, words: Mapping) -> "dict[str, str]":
    latent, points = values["latent"], values["points"]
    likelihood = "p(x|z, y)" if values["decoder_sees_class"] else "p(x|z)"
    lead = words["lead_plane" if latent["dim"] > 1 else "lead_line"]
    facts = words["facts"].format(
        latent_dim=latent["dim"],
        shape=" × ".join(str(size) for size in values["decoder"]["head"]["shape"]),
        weights=f"{values['num_weights']:,}",
    )
    notes = [words["help"]]
    if values["prior"]["is_standard"]:
        notes.append(words["circles"])
    if values["ends"]:
        notes.append(words["ends"])
    if points:
        notes.append(words["points"].format(count=f"{points['count']:,}"))
    return {
        "lead": lead.format(likelihood=likelihood),
        "mean": words["picture"].format(likelihood=likelihood),
        "axis": words["dimension" if latent["plain"] else "direction"],
        "help": words["space"].join(notes),
        "facts": words["space"].join([facts, words["private"]]),
    }


def describe(model: VAE, examples=None) -> dict:
    """Returns what the page's script has to know of a model, JSON-ready."""
    if not isinstance(model, VAE):
        raise ValueError(
            "A web page draws what a decoder makes of a latent. Expected a VAE. Received a "
            f"{type(model).__name__}."
        )
    given = values_of(model.condition)
    classes = given[0].limit if given else None
    if given and classes is None:
        raise ValueError(
            "A web page has a button for every condition. Expected a model of classes "
            f"(num_classes). Received one of vectors, condition_dim={model.condition.size}."
        )
    steps = decoder_steps(model.decoder)
    split = None if examples is None else model.as_split(_thinned(examples), "examples")
    prior = _prior(model, classes)
    cloud, labels, is_encoded = _cloud(model, split)
    latent = _view(cloud, np.mean(prior["loc"], axis=0))
    names = _class_names(split, classes or 0)
    if not classes and split is not None and is_encoded:
        labels = split.labels
    ends = _ends(cloud, labels, latent)
    ends["names"] = names or list((split and split.class_names) or ())
    label = max(ends["labels"][0], 0) if classes else 0
    return {
        "decoder": {"steps": steps.steps, "head": steps.head},
        "weights": _base64(steps.weights),
        "num_weights": int(steps.weights.size),
        "classes": classes,
        "class_names": names if classes else None,
        "decoder_sees_class": bool(classes) and model.decoder_sees_condition,
        "prior": prior,
        "latent": latent,
        "start": {"z": ends["z"][0], "label": label},
        "ends": ends if len(ends["z"]) > 1 else None,
        "picture": {"is_image": _is_image(model), "range": _range(model)},
        "points": None if split is None or not is_encoded else _points(split, cloud, latent),
    }


def _class_names(split: "Split | None", classes: int) -> "list[str]":
    """Returns what the classes are called, their numbers if nobody says."""
    known = () if split is None else split.class_names or ()
    return [*known[:classes], *map(str, range(len(known), classes))]


def _thinned(examples):
    if not isinstance(examples, Split | np.ndarray) or len(examples) <= _MOST_POINTS:
        return examples
    index = np.linspace(0, len(examples) - 1, _MOST_POINTS).round().astype(int)
    if isinstance(examples, Split):
        return examples.select(index, examples.name)
    return examples[index]


def _cloud(model: VAE, split: "Split | None") -> "tuple[np.ndarray, np.ndarray | None, bool]":
    """Returns latents [N, D] that the view has to hold, their classes, and if they are of examples.

    They are the centres of the posteriors of the examples, or of examples drawn from the model; of
    an encoder without centres, draws of the prior.
    """
    if split is not None:
        values, given = split.values(), model.condition.of(split)
    else:
        drawn = model.generate(_DRAWS, seed=0)
        values, given = drawn["mean"], drawn.get("given")
    centres = []
    try:
        for start in range(0, len(values), 500):
            here = slice(start, start + 500)
            x = tf.constant(values[here])
            centres.append(model.encode(x, None if given is None else given[here]).numpy())
    except ValueError:
        given = model.condition.default(_DRAWS)
        return _drawn(model, _DRAWS, given).astype(np.float64), given, False
    return np.concatenate(centres).astype(np.float64), given, True


def _ends(cloud: np.ndarray, labels: "np.ndarray | None", latent: Mapping) -> dict:
    """Returns examples that one drags between; at the first of them the page opens.

    It is as far from the middle as most are: the middle itself is the mean of everything, grey as a
    rule. The others are about as far, of as many classes as there are, each the farthest from those
    before it.
    """
    distance = np.linalg.norm(cloud - latent["centre"], axis=1)
    off = np.abs(distance - np.median(distance))
    rows = np.argsort(off, kind="stable")[: max(_MOST_ENDS, len(cloud) // 2)]
    kinds = np.zeros(len(rows), int) if labels is None else np.asarray(labels)[rows]
    taken, apart = [0], np.linalg.norm(cloud[rows] - cloud[rows[0]], axis=1)
    while len(taken) < _MOST_ENDS and apart.max() > 0:
        seen = np.array([np.count_nonzero(kinds[taken] == kind) for kind in kinds])
        seen = np.where(apart > 0, seen, len(rows))
        taken.append(int(np.where(seen == seen.min(), apart, -1).argmax()))
        apart = np.minimum(apart, np.linalg.norm(cloud[rows] - cloud[rows[taken[-1]]], axis=1))
    found = rows[taken]
    of = None if labels is None else [int(labels[row]) for row in found]
    return {"z": cloud[found].tolist(), "labels": of}


def _drawn(model: VAE, count: int, given=None) -> np.ndarray:
    """Returns draws from the prior of what the decoder sees, [count, D]."""
    return model.code(model.at(model.caller_key(0), MEAN).sample(count, given)).numpy()


def _prior(model: VAE, classes: "int | None") -> dict:
    """Returns loc and scale of p(z), or of p(z|y) for every class, [1 or K, D] each.

    A prior that is not a diagonal normal, or lies below others, also has `draws`, [1 or K, M, D],
    from which the page picks, and their moments in the place of its own.
    """
    if len(model.latents) == 1:
        prior = model.at_mean().prior(np.arange(classes) if classes else None)
        normal = draws.normal_of(prior)
        if normal is not None and normal.scale(prior).shape == normal.loc(prior).shape:
            loc, scale = (np.atleast_2d(p) for p in (normal.loc(prior), normal.scale(prior)))
            is_standard = bool((loc == 0).all() and (scale == 1).all())
            return {"loc": loc.tolist(), "scale": scale.tolist(), "is_standard": is_standard}
    count = max(_LEAST_PICKS, _DRAWS // (classes or 1))
    given = np.repeat(np.arange(classes), count) if classes else None
    drawn = _drawn(model, count * (classes or 1), given).reshape(classes or 1, count, -1)
    return {
        "loc": drawn.mean(axis=1).tolist(),
        "scale": drawn.std(axis=1).tolist(),
        "is_standard": False,
        "draws": [[[float(f"{x:.5g}") for x in z] for z in each] for each in drawn],
    }


def _view(cloud: np.ndarray, centre: np.ndarray) -> dict:
    """Returns the directions [K, D] that one moves along, through the centre, and how far.

    These are the axes themselves of one or two dimensions; of more, the principal directions of
    the encoded examples, the one of the largest variance first.
    """
    size = cloud.shape[1]
    directions = np.eye(size)
    if size > 2:
        _, _, directions = np.linalg.svd(cloud - cloud.mean(axis=0), full_matrices=True)
        largest = np.abs(directions).argmax(axis=1)
        directions = directions * np.sign(directions[np.arange(size), largest])[:, np.newaxis]
    directions = directions[:_MOST_SLIDERS]
    reach = np.quantile(np.abs((cloud - centre) @ directions.T), 0.999)
    extent = max(_LEAST_EXTENT, np.ceil(2.1 * reach) / 2)
    return {
        "dim": size,
        "plain": size <= 2,
        "centre": centre.tolist(),
        "directions": directions.tolist(),
        "extent": float(extent),
    }


def _points(split: Split, cloud: np.ndarray, latent: Mapping) -> "dict | None":
    if latent["dim"] < 2:
        return None
    places = (cloud - latent["centre"]) @ np.transpose(latent["directions"][:2])
    labels = None if split.labels is None else split.labels.tolist()
    return {"count": len(places), "places": _base64(places), "labels": labels}


def _is_image(model: VAE) -> bool:
    return len(model.decoder.event_shape) == 3


def _range(model: VAE) -> "list[float]":
    """Returns the values that are drawn darkest and brightest, or lowest and highest."""
    if model.data_kind is not None and model.data_kind is not Kind.REAL:
        return [0.0, 1.0]
    means = model.generate(_DRAWS, seed=0)["mean"]
    low, high = float(means.min()), float(means.max())
    if _is_image(model) and low >= 0 and high <= 1:
        return [0.0, 1.0]
    return [min(low, 0.0), high if high > low else low + 1.0]


def _base64(values: np.ndarray) -> str:
    return base64.b64encode(np.ascontiguousarray(values, "<f4").tobytes()).decode("ascii")
