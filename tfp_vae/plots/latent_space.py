"""Pictures of a latent space: one dimension after the other, lines, neighbours, attributes."""

import numpy as np

from tfp_vae.plots.figure import Figure
from tfp_vae.plots.style import INK, TRAIN
from tfp_vae.plots.tiles import tile


def rows_of_images(
    sheets: "list[tuple[str, np.ndarray, list[str]]]", columns: "list[str] | None" = None
) -> Figure:
    """Returns titled sheets of images with a name beside every row.

    Args:
        sheets: (title, images [R, C, H, W, channels], R names).
        columns: names of the columns of the first sheet.
    """
    tiles = [
        tile(np.clip(np.asarray(x), 0, 1).reshape(-1, *x.shape[2:]), x.shape[1])
        for _, x, _ in sheets
    ]
    width = 8.0
    heights = [0.85 * width * each.shape[0] / each.shape[1] for each in tiles]
    figure = Figure(figsize=(width, sum(heights) + 0.5 * len(tiles)), layout="constrained")
    axes = figure.subplots(len(tiles), 1, squeeze=False, height_ratios=heights)[:, 0]
    for axis, sheet, (title, images, names) in zip(axes, tiles, sheets, strict=True):
        axis.imshow(sheet, interpolation="nearest", aspect="equal")
        axis.set_title(title, loc="left", fontsize=10, color=INK)
        places = (np.arange(len(names)) + 0.5) * sheet.shape[0] / len(names)
        axis.set_yticks(places, names, fontsize=8)
        axis.set_xticks([])
        if columns and axis is axes[0]:
            across = (np.arange(images.shape[1]) + 0.5) * sheet.shape[1] / images.shape[1]
            axis.set_xticks(across, columns, fontsize=8)
        axis.tick_params(length=0)
        for side in axis.spines.values():
            side.set_visible(False)
    return figure


def maps(
    found: "dict[str, np.ndarray]",
    labels: "np.ndarray | None" = None,
    class_names: "tuple[str, ...] | None" = None,
) -> Figure:
    """Returns maps of codes in the plane, [N, 2] by name, coloured by label."""
    figure = Figure(figsize=(6.5 * len(found), 5.5), layout="constrained")
    axes = figure.subplots(1, len(found), squeeze=False)[0]
    for axis, (name, places) in zip(axes, found.items(), strict=True):
        if labels is None:
            axis.scatter(*places.T, s=6, alpha=0.6, color=TRAIN, linewidths=0)
        else:
            classes = np.unique(labels)
            palette = "tab10" if len(classes) <= 10 else "viridis"
            drawn = axis.scatter(*places.T, c=labels, s=7, alpha=0.8, cmap=palette, linewidths=0)
            if len(classes) <= 10:
                words = [class_names[k] if class_names and k >= 0 else str(k) for k in classes]
                axis.legend(drawn.legend_elements()[0], words, fontsize=8)
        axis.set_title(f"centres of q(z|x), {name.upper()}", loc="left", fontsize=10, color=INK)
    return figure
