"""Pictures of what is unusual in images."""

import numpy as np

from tfp_vae.plots.figure import Figure
from tfp_vae.plots.tiles import tile

_MOST = 16  # examples in a picture


def heat_maps(
    images: np.ndarray, parts: np.ndarray, usual: np.ndarray, p_values: np.ndarray
) -> Figure:
    """Returns images, each above a map of what its pixels cost more than they usually do.

    Red pixels cost more nats than in held-out images, blue ones fewer; one scale for all.

    Args:
        images: [n, H, W, C] in [0, 1]; the first 16 are drawn.
        parts: -log p of every pixel, `Detector.parts(x).values`, nats, [n, H, W, C].
        usual: `Detector.usual`, [H, W, C].
        p_values: [n].
    """
    images, extra = images[:_MOST], (parts - usual)[:_MOST].sum(axis=-1)
    count = len(images)
    figure = Figure(figsize=(max(3.2, 1.1 * count + 0.9), 2.7), layout="constrained")
    axes = figure.subplots(2, count, squeeze=False)
    most = max(float(np.abs(extra).max()), 1e-6)
    for column in range(count):
        above, below = axes[:, column]
        above.imshow(tile(images[column : column + 1], 1, gap=0))
        above.set_title(f"p = {p_values[column]:.3g}", fontsize=8)
        drawn = below.imshow(extra[column], cmap="RdBu_r", vmin=-most, vmax=most)
        for axis in (above, below):
            axis.set_axis_off()
    figure.colorbar(drawn, ax=axes[1].tolist(), label="nats", shrink=0.9)
    return figure
