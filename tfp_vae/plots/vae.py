"""Pictures of a VAE: matplotlib figures that the caller saves or shows."""

import numpy as np
import tensorflow as tf

from tfp_vae.data import Split
from tfp_vae.evaluation import posterior_means
from tfp_vae.evaluation.clusters import component_log_probs
from tfp_vae.models import VAE, ConditionalVAE
from tfp_vae.objectives import BOUNDS
from tfp_vae.plots.figure import Figure
from tfp_vae.plots.style import INK, TRAIN, VALIDATION
from tfp_vae.plots.tiles import tile
from tfp_vae.report import RunFolder

_MOST_CLUSTERS = 100


def images(rows: "list[tuple[str, np.ndarray]]", columns: int) -> Figure:
    """Returns a figure of titled sheets of images, one under the other.

    Values between 0 and 1 are drawn as they are. A sheet that has others is drawn on its own range,
    from its lowest value (black) to its highest, which its title names.

    Args:
        rows: pairs of a title and images [n, H, W, C]; NaN is drawn as the gaps between images.
        columns: images per row of a sheet.
    """
    sheets = []
    for title, batch in rows:
        batch = np.asarray(batch)
        low, high = min(0.0, float(np.nanmin(batch))), max(1.0, float(np.nanmax(batch)))
        if (low, high) != (0.0, 1.0):
            title += f", from {low:.3g} to {high:.3g}"
        sheets.append((title, tile((batch - low) / (high - low), columns)))
    width = 8.0
    heights = [width * sheet.shape[0] / sheet.shape[1] for _, sheet in sheets]
    figure = Figure(figsize=(width, sum(heights) + 0.4 * len(sheets)), layout="constrained")
    axes = figure.subplots(len(sheets), 1, squeeze=False, height_ratios=heights)[:, 0]
    for axis, (title, sheet) in zip(axes, sheets, strict=True):
        axis.imshow(sheet, interpolation="nearest")
        axis.set_title(title, loc="left", fontsize=10, color=INK)
        axis.set_axis_off()
    return figure


def reconstructions(model: VAE, split: Split, count: int = 20) -> Figure:
    """Returns originals above their reconstructions from the posterior mean."""
    split = split.take(count)
    values = split.values()
    rebuilt = model.reconstruct(values, model.given_of(split)).numpy()
    return images([("test images", values), ("reconstructions", rebuilt)], columns=10)


def prior_samples(drawn: "dict[str, np.ndarray]", most: int = 50) -> Figure:
    """Returns what `VAE.generate` drew: the means of p(x|z) above the draws from it."""
    rows = [
        ("mean of p(x|z), z from the prior", drawn["mean"][:most]),
        ("the same z, x drawn from p(x|z)", drawn["sample"][:most]),
    ]
    return images(rows, columns=10)


def class_samples(drawn: "dict[str, np.ndarray]") -> Figure:
    """Returns what `generate` of a model with classes drew: means of p(x|z, y), a row per class.

    Classes with fewer draws than others have a row that ends in empty places.
    """
    classes, counts = np.unique(drawn["given"], return_counts=True)
    sheet = np.full((len(classes), counts.max(), *drawn["mean"].shape[1:]), np.nan, np.float32)
    for row, label in enumerate(classes):
        sheet[row, : counts[row]] = drawn["mean"][drawn["given"] == label]
    rows = sheet.reshape(-1, *sheet.shape[2:])
    title = "mean of p(x|z, y), z from the prior, a row per class"
    return images([(title, rows)], columns=sheet.shape[1])


def completions(model: ConditionalVAE, split: Split, seen: np.ndarray, count: int = 10) -> Figure:
    """Returns images, what is seen of them, and three draws of z that complete each of them.

    Args:
        model: of the unseen pixels given the seen ones.
        split: of `data.completion`.
        seen: which pixels are seen, bool [H, W, channels]: `data.seen_quadrants`.
        count: images, the first of the split.
    """
    split = split.take(count)
    given = model.given_of(split)

    def whole(unseen):
        images = np.empty((len(split), *seen.shape), np.float32)
        images[:, seen], images[:, ~seen] = given, unseen
        return images

    rows = [("test images", whole(split.values())), ("what is seen", whole(np.nan))]
    for number in range(3):
        drawn = model.generate(len(split), model.seed + number, given)
        title = "mean of p(x|z, c), z from p(z|c)" if not number else "another z"
        rows.append((title, whole(drawn["mean"])))
    return images(rows, columns=len(split))


def clusters(model: VAE, split: Split, most: int = 10) -> Figure:
    """Returns a row per component of a mixture prior: its centre, and examples that are most it.

    Examples are those of the highest p(k|z) p(z) at the centre of q(z|x) among those whose most
    probable component it is; the row of a component without examples is empty behind its centre.
    Of more than 100 components those with the most examples are shown.

    Args:
        model: with a mixture as prior of its one latent.
        split: images.
        most: examples of each.

    Raises:
        ValueError: if the prior has no components, or lies above another one.
    """
    if len(model.latents) > 1:
        raise ValueError(
            "What is at the centre of a component depends on the latents below. Expected a model "
            f"with one. Received {len(model.latents)}."
        )
    log_joint = component_log_probs(model, split)
    count, best, values = log_joint.shape[1], log_joint.argmax(axis=1), split.values()
    largest = np.argsort(-np.bincount(best, minlength=count), kind="stable")
    shown = np.sort(largest[:_MOST_CLUSTERS])
    sheet = np.full((len(shown), 1 + most, *split.shape), np.nan, np.float32)
    draw = model.at_mean()
    sheet[:, 0] = draw.likelihood(tf.gather(draw.prior().loc, shown)).mean()
    for row, component in enumerate(shown):
        own = np.flatnonzero(best == component)
        own = own[np.argsort(-log_joint[own, component])][:most]
        sheet[row, 1 : 1 + len(own)] = values[own]
    title = "mean of p(x|z) at the centre of each cluster, and the examples that are most it"
    if count > len(shown):
        title += f"; {len(shown)} of {count} clusters"
    return images([(title, sheet.reshape(-1, *split.shape))], columns=1 + most)


def manifold(model: VAE, side: int = 20) -> Figure:
    """Returns the mean images over a grid of quantiles of a two-dimensional standard normal latent.

    Kingma & Welling, 2014, figure 4.

    Raises:
        ValueError: if the latent is not two-dimensional.
    """
    if model.code_size != 2:
        raise ValueError(
            f"The manifold is drawn in the plane. Expected latent_dim 2. Received "
            f"{model.code_size}."
        )
    quantiles = tf.math.ndtri(tf.linspace(0.5 / side, 1 - 0.5 / side, side))
    across, down = tf.meshgrid(quantiles, tf.reverse(quantiles, [0]))
    z = tf.stack([tf.reshape(across, [-1]), tf.reshape(down, [-1])], axis=-1)
    mean = model.at_mean().likelihood(z).mean()
    return images([("mean of p(x|z) over the latent plane", mean)], columns=side)


def latent_scatter(model: VAE, split: Split, most: int = 5000) -> Figure:
    """Returns posterior means coloured by label; the first two principal components if D > 2."""
    split = split.take(most)
    means = posterior_means(model, split)
    names = ("z[0]", "z[1]")
    if means.shape[1] > 2 and len(means) < 3:
        means = means[:, :2]
    elif means.shape[1] > 2:
        from sklearn.decomposition import PCA

        pca = PCA(2).fit(means)
        means = pca.transform(means)
        share = pca.explained_variance_ratio_
        names = tuple(f"principal component {i + 1} ({share[i]:.0%} of variance)" for i in (0, 1))
    elif means.shape[1] == 1:
        means, names = np.hstack([means, np.zeros_like(means)]), ("z[0]", "")
    figure = Figure(figsize=(7, 6), layout="constrained")
    axis = figure.subplots()
    if split.labels is None:
        axis.scatter(*means.T, s=6, alpha=0.6, color=TRAIN, linewidths=0)
    else:
        classes = np.unique(split.labels)
        palette = "tab10" if len(classes) <= 10 else "viridis"
        drawn = axis.scatter(*means.T, c=split.labels, s=8, alpha=0.8, cmap=palette, linewidths=0)
        if len(classes) <= 10:
            handles, _ = drawn.legend_elements()
            words = split.class_names
            titles = [words[label] if words and label >= 0 else str(label) for label in classes]
            axis.legend(handles, titles, title="label", loc="center left", bbox_to_anchor=(1, 0.5))
        else:
            figure.colorbar(drawn, label="label")
    axis.set(xlabel=names[0], ylabel=names[1], title="posterior means of test examples")
    axis.set_aspect("equal", adjustable="datalim")
    return figure


def training_curve(
    history: "dict[str, list[float]]", kl_name: str = "KL(q(z|x) || p(z))"
) -> Figure:
    """Returns the bound, and the KL beside it, by epoch; without a bound the loss, and its parts.

    Bounds that were trained beside the ELBO are dashed in its panel, of both splits.

    Args:
        history: what `fit` returned, `History.history`.
        kl_name: what the KL is of.
    """
    figure = Figure(figsize=(9, 3.6), layout="constrained")
    left, right = figure.subplots(1, 2)
    sheets = [("elbo", left, "ELBO"), ("kl", right, kl_name)]
    if "elbo" not in history:
        beside = ("active_units", right, "active units")
        if "told_apart" in history:
            beside = ("told_apart", right, "share told apart")
        sheets = [("loss", left, "loss, no bound"), beside]
    epochs = np.arange(1, len(history[sheets[0][0]]) + 1)
    for key, axis, name in sheets:
        axis.plot(epochs, history[key], color=TRAIN, label="training")
        if f"val_{key}" in history:
            axis.plot(epochs, history[f"val_{key}"], color=VALIDATION, label="validation")
        unit = "nats per example" if "elbo" in history else ""
        axis.set(xlabel="epoch", ylabel=unit, title=name)
        axis.grid(alpha=0.3)
    first = sheets[0][0]
    bounds = [name for name in BOUNDS if name in history and first == "elbo" != name]
    for number, name in enumerate(bounds):
        left.set_title(", ".join(["ELBO", *bounds]))
        style = {"linestyle": ("--", ":", "-.")[number % 3], "linewidth": 1.2}
        left.plot(epochs, history[name], color=TRAIN, label=name, **style)
        if f"val_{name}" in history:
            left.plot(epochs, history[f"val_{name}"], color=VALIDATION, **style)
    # The first epochs are far below; the rest is what one looks at.
    names = [each for k in (first, *bounds) for each in (k, f"val_{k}")]
    shown = np.concatenate([history[k] for k in names if k in history])
    low, high = np.quantile(shown, 0.05), shown.max()
    if len(epochs) > 10 and high > low:
        left.set_ylim(low - 0.1 * (high - low), high + 0.1 * (high - low))
    left.legend(frameon=False)
    return figure


def write_all(run: RunFolder, model: VAE, split: Split, history: dict) -> None:
    """Writes every picture that fits the model and its data into a run folder."""
    run.write_figure("training_curve.png", training_curve(history))
    run.write_figure("latent_scatter.png", latent_scatter(model, split))
    if len(split.shape) == 3 and hasattr(model.encoder, "codes_of"):
        from tfp_vae.plots.codes import code_mosaics

        run.write_figure("codes.png", code_mosaics(model, split))
    if len(split.shape) != 3:
        return  # vectors are not images
    run.write_figure("reconstructions.png", reconstructions(model, split))
    classes = model.num_classes
    if classes is not None:
        run.write_figure("class_samples.png", class_samples(model.generate(10 * classes)))
    if model.condition or not model.generates:
        return  # one latent plane for every condition, and nothing to draw without p(z)
    run.write_figure("prior_samples.png", prior_samples(model.generate(50)))
    if model.code_size == 2:
        run.write_figure("manifold.png", manifold(model))


def bound_against_examples(
    curves: "dict[str, tuple[np.ndarray, np.ndarray]]", title: str
) -> Figure:
    """Returns test ELBO against training examples seen, on a log axis, a line per curve.

    Kingma & Welling, 2014, figure 2.

    Args:
        curves: {label: (examples seen, ELBO in nats per example)}.
        title: of the figure.
    """
    figure = Figure(figsize=(7, 4.5), layout="constrained")
    axis = figure.subplots()
    for label, (seen, bound) in curves.items():
        axis.plot(seen, bound, marker=".", label=label)
    axis.set_xscale("log")
    axis.set(xlabel="training examples seen", ylabel="test ELBO, nats per example", title=title)
    axis.grid(alpha=0.3, which="both")
    axis.legend(frameon=False)
    return figure
