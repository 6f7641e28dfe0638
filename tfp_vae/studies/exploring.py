"""What is in the latent space of a trained VAE: files of embeddings, pictures and figures."""

import pathlib
from collections.abc import Sequence

import numpy as np
import tensorflow as tf

from tfp_vae import data as datasets
from tfp_vae import extras, plots
from tfp_vae.data import Data, Split
from tfp_vae.evaluation import (
    aggregate,
    disentanglement,
    latent_space,
    probe_metrics,
    restoring,
)
from tfp_vae.models import VAE, walks
from tfp_vae.report import RunFolder, write_blocks

_MOST = 2000  # examples of a map
_MOST_CLASSES = 10  # attributes that are drawn
_DENOISED = 200  # examples whose noise is taken away, and whose strokes are changed


def explore(
    vae: VAE,
    data: Data,
    split: Split,
    run: RunFolder,
    *,
    count: int = 9,
    noise: "float | Sequence[float]" = 0.4,
    strength: float = 1.5,
    seed: int = 0,
    everything: bool = False,
    beside: "Sequence[pathlib.Path]" = (),
) -> dict:
    """Writes embeddings and pictures into a run folder and returns what was found, JSON-ready.

    Args:
        vae: without a condition.
        data: what it was trained on.
        split: examples that are looked at.
        run: where files go.
        count: pictures of a row.
        noise: deviations of what is taken away, in (0, 1].
        strength: how much of an attribute is added.
        seed: of draws.
        everything: whether files of embeddings have the examples of all splits.
        beside: folders of explored runs of other seeds, for `udr_beside`.

    Raises:
        ValueError: for a model with a condition, or fewer than four examples, or a
            factor of one value.
        FileNotFoundError: if a run beside was not explored.
    """
    if vae.condition or len(split) < 4:
        raise ValueError(
            "A latent space is explored by examples alone. Expected a VAE without a condition and "
            f"four examples or more. Received a {type(vae).__name__} and {len(split)}."
        )
    for folder in beside:
        _codes_of(folder)
    if split.factors is not None:
        disentanglement.checked(split.factors, split.factors)
    split = split.frozen()
    parts = [data.train, data.validation, data.test] if everything else [split]
    write_embeddings(vae, parts, run, data.name)
    with np.load(run / "embeddings.npz") as written:
        mine = written["split"] == split.name
        loc, scale = written["loc"][mine], written["scale"][mine]
    kl = walks.kl_to_normal(loc, scale)
    # Without q(z|x) there is no KL: what orders the dimensions is half the mean square.
    name = "kl_to_normal" if vae.on_bound else "half_mean_square"
    found: dict = {f"{name}_per_dimension": kl.tolist(), "latent_dim": len(kl)}
    if not vae.on_bound:
        found["note"] = vae.off_bound
    table = {"num_examples": float(len(split)), name: float(kl.sum())}
    if len(kl) > 1 and np.isfinite(scale).all():
        found["parts_of_kl"] = aggregate.decompose(loc, scale, seed=seed)
        names = ("mutual_information", "total_correlation", "dimension_wise_kl")
        table |= {name: found["parts_of_kl"][name] for name in names}
    table |= _of_factors(found, data, split, loc, seed) | _of_labels(found, vae, data, split, seed)
    if beside:
        found["udr"] = udr_beside(run, beside)
        table["udr"] = found["udr"][run.path.name]
    index = np.sort(np.random.default_rng(seed).permutation(len(loc))[:_MOST])
    labels = None if split.labels is None else split.labels[index]
    places = latent_space.plane(loc[index], seed)
    missing = extras.hint("maps", "The map by UMAP is")
    found |= {"left_out": missing} if missing else {}
    run.write_figure("map.png", plots.maps(places, labels, split.class_names))
    if len(split.shape) == 3:
        _pictures(vae, split, run, loc, count, strength)
        levels = (noise,) if isinstance(noise, int | float) else tuple(noise)
        table |= _denoising(found, vae, data, split, run, count, levels, seed)
        table |= _strokes(found, vae, split, run, loc, count, strength)
    return {**found, "table": table}


def udr_beside(run: RunFolder, beside: "Sequence[pathlib.Path]") -> "dict[str, float]":
    """Returns {folder: UDR of its model} of a run and others, see `disentanglement.udr`.

    Args:
        run: an explored run.
        beside: folders of four others or more, which differ in their seeds.

    Raises:
        ValueError: if they are too few, or codes of other examples.
        FileNotFoundError: if one was not explored.
    """
    folders, codes, kl, rows = [run.path, *beside], [], [], []
    for folder in folders:
        with np.load(_codes_of(folder)) as arrays:
            codes.append(arrays["loc"])
            kl.append(walks.kl_to_normal(arrays["loc"], arrays["scale"]))
            rows.append((arrays["split"].tolist(), arrays["row"].tolist()))
    for folder, each in zip(folders, rows, strict=True):
        if each != rows[0]:
            raise ValueError(
                f"UDR compares models by the same examples. Expected those of {run.path}. Received "
                f"others in {folder}; explore it with the same --split and --embeddings."
            )
    values = disentanglement.udr(codes, kl)
    return {folder.name: float(value) for folder, value in zip(folders, values, strict=True)}


def _codes_of(folder):
    path = folder / "embeddings.npz"
    if not path.is_file():
        raise FileNotFoundError(
            f"There are no codes at {path}. Expected the folder of a run that was explored. "
            "Received no file."
        )
    return path


def write_embeddings(
    vae: VAE, parts: "Sequence[Split]", run: RunFolder, source: str = "", batch_size: int = 1000
) -> None:
    """Writes embeddings.csv and embeddings.npz, a batch at a time: a million take no memory.

    A row has the split and the place in it, the file that the example is from, label with the name
    of its class, factors, centre and deviations of q(z|x); what some of the splits do not know is
    left out.

    Args:
        vae: without a condition.
        parts: splits of one data set, one after the other.
        run: where the files go.
        source: the name of the data, which tells the names of factors.
        batch_size: examples that are in memory at a time.
    """
    known = set.intersection(*({*part.beside} for part in parts))
    names = parts[0].class_names if "labels" in known else None
    columns = factor_names(parts[0], source) if "factors" in known else []
    widths = {
        "split": max(len(part.name) for part in parts),
        "file": max((len(f) for part in parts for f in part.files), default=1)
        if "files" in known
        else 0,
        "class": max(map(len, names or [""])) or 1,
    }

    def blocks():
        for part in parts:
            for rows, loc, scale in latent_space.embeddings(vae, part.frozen(), batch_size):
                arrays = {"row": rows, "split": np.full(len(rows), part.name)}
                if "files" in known:
                    arrays["file"] = part.files[rows]
                if "labels" in known:
                    arrays["label"] = part.labels[rows]
                if names is not None:
                    found = [names[k] if k >= 0 else "" for k in arrays["label"]]
                    arrays["class"] = np.array(found)
                for key in arrays.keys() & widths.keys():
                    arrays[key] = arrays[key].astype(f"<U{widths[key]}")
                table = dict(arrays)
                if columns:
                    arrays["factors"] = part.factors[rows]
                    table |= {f"factor_{n}": arrays["factors"][:, i] for i, n in enumerate(columns)}
                for what, values in (("z", loc), ("scale", scale)):
                    table |= {f"{what}{d}": values[:, d] for d in range(values.shape[1])}
                yield table, arrays | {"loc": loc, "scale": scale}

    count = sum(map(len, parts))
    write_blocks(run / "embeddings.csv", run / "embeddings.npz", count, blocks())


def factor_names(split: Split, source: str = "") -> "list[str]":
    """Returns what the columns of the factors are called: those of a named set, or numbers."""
    known, count = datasets.FACTORS.get(source, ()), split.factors.shape[1]
    return list(known) if len(known) == count else [str(i) for i in range(count)]


def _of_factors(found, data, split, loc, seed):
    if split.factors is None:
        return {}
    names = factor_names(split, data.name)
    categorical = [names.index("shape")] if "shape" in names else []
    scores = disentanglement.scores(
        loc, split.factors, names=names, categorical=categorical, seed=seed
    )
    found["disentanglement"] = scores
    return {name: value for name, value in scores.items() if isinstance(value, float)}


def _of_labels(found, vae, data, split, seed):
    known = all(part.labels is not None for part in (data.train, split))
    if not known or len(np.unique(data.train.labels)) < 2:
        return {}
    if (data.train.labels < 0).any() or (split.labels < 0).any():
        return {}
    found["labels"] = probe_metrics(vae, data.train.frozen(), split, seed=seed)
    return {k: v for k, v in found["labels"].items() if not k.endswith("_error")}


def _pictures(vae, split, run, loc, count, strength):
    draw = vae.at_mean()

    def decoded(z):
        return draw.likelihood(tf.constant(z, tf.float32)).mean().numpy()

    walk = vae.traverse(split, count=count)
    names = [
        f"z{dimension}: {kl:.2f}"
        for dimension, kl in zip(walk["dimensions"], walk["kl"], strict=True)
    ]
    carried = "KL in nats" if vae.on_bound else "half the mean square of each"
    title = f"one dimension at a time, from its 1st to its 99th percentile; {carried}"
    run.write_figure("traversals.png", plots.rows_of_images([(title, walk["mean"], names)]))
    few = min(4, len(split) // 2)
    values = split.values(slice(2 * few))
    sheets = []
    for path, title in (("lerp", "on the line between two codes"), ("slerp", "on a great circle")):
        made = vae.interpolate(values[:few], values[few:], count, path=path)
        sheets.append((title, np.moveaxis(made, 0, 1), [""] * few))
    run.write_figure("interpolations.png", plots.rows_of_images(sheets))
    some = min(6, len(split))
    near = latent_space.nearest(loc[:some], loc, min(count, len(loc)))
    near = np.stack([split.values(row) for row in near])
    title = "examples, each before those with the nearest codes"
    run.write_figure("neighbours.png", plots.rows_of_images([(title, near, [""] * some)]))
    classes = [] if split.labels is None else np.unique(split.labels[split.labels >= 0])
    if not 2 <= len(classes) <= _MOST_CLASSES:
        return
    shares, rows = np.linspace(-strength, strength, count), []
    for label in classes:
        vector = latent_space.attribute_vector(loc, split.labels == label)
        rows.append(decoded(loc[0] + shares[:, np.newaxis] * vector))
    words = [split.class_names[k] if split.class_names else str(k) for k in classes]
    title = (
        f"an example, with {-strength:g} to {strength:g} times what a class has that others do not"
    )
    columns = [f"{share:.2g}" for share in shares]
    picture = plots.rows_of_images([(title, np.stack(rows), words)], columns)
    run.write_figure("attributes.png", picture)


_WAYS = {
    "noisy": "noise {noise:g}",
    "median": "median",
    "wiener": "Wiener",
    "encoded": "E[x|z] at q(z|x)",
    "fitted": "E[x|z], z fitted",
}


def _denoising(found, vae, data, split, run, count, levels, seed):
    """Draws what is left of noise, and returns the signal to noise of the most noisy level, dB."""
    known, others = split.take(_DENOISED).values(), data.validation.take(_DENOISED).values()
    if known.min() < 0 or known.max() > 1 or others.min() < 0 or others.max() > 1:
        return {}
    found["denoising"], sheets, table = {}, [], {}
    for noise in sorted(levels):
        made = restoring.denoised(vae, known, others, noise, seed)
        table = {name: float(latent_space.psnr(x, known).mean()) for name, x in made.items()}
        found["denoising"][f"{noise:g}"] = table
        names = ["example"] + [_WAYS[name].format(noise=noise) for name in made]
        sheet = np.stack([x[:count] for x in (known, *made.values())])
        said = ", ".join(f"{name} {value:.1f}" for name, value in table.items())
        sheets.append((f"noise of {noise:g} taken away; PSNR in dB: {said}", sheet, names))
    run.write_figure("denoising.png", plots.rows_of_images(sheets))
    return {f"psnr_{name}": value for name, value in table.items()}


def _strokes(found, vae, split, run, loc, count, strength):
    """Draws examples with thinner and thicker strokes, and returns the widths at both ends.

    The direction is that of the third with the thickest strokes minus that with the thinnest.
    """
    if split.shape[-1] != 1:
        return {}
    widths = restoring.stroke_width(split.values(slice(_MOST)))
    low, high = np.quantile(widths, [1 / 3, 2 / 3])
    is_thick, is_thin = widths > high, widths < low
    if not is_thick.any() or not is_thin.any():
        return {}
    chosen = np.flatnonzero(is_thick | is_thin)
    vector = latent_space.attribute_vector(loc[chosen], is_thick[chosen])
    shares, draw = np.linspace(-strength, strength, count), vae.at_mean()
    start = loc[:_DENOISED]
    z = start + shares[:, np.newaxis, np.newaxis] * vector
    rows = [draw.likelihood(tf.constant(each, tf.float32)).mean().numpy() for each in z]
    measured = [float(restoring.stroke_width(row).mean()) for row in rows]
    found["strokes"] = {
        "mean_width": float(widths.mean()),
        "strength": shares.tolist(),
        "width": measured,
    }
    few = min(6, len(start))
    sheet = np.stack([row[:few] for row in rows], axis=1)
    title = f"thick minus thin, {-strength:g} to {strength:g} times, and the mean width in pixels"
    columns = [f"{width:.2f}" for width in measured]
    picture = plots.rows_of_images([(title, sheet, [""] * few)], columns)
    run.write_figure("strokes.png", picture)
    return {"stroke_width_thin": measured[0], "stroke_width_thick": measured[-1]}
