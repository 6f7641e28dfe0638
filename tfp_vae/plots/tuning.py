"""Trials of a search over flags."""

from collections.abc import Mapping, Sequence

import numpy as np

from tfp_vae.plots.figure import Figure
from tfp_vae.plots.style import TRAIN, VALIDATION


def search_results(
    values: "Mapping[str, Sequence[str]]",
    scores: "Sequence[float]",
    *,
    axes: "Mapping[str, str]",
    label: str,
    direction: str,
) -> Figure:
    """Returns a panel per flag with the score of every trial, the best one marked.

    Trials that are much worse than half of them would squeeze the others into a line: they stand
    at the edge as triangles.

    Args:
        values: {flag: its value in every trial, as it is typed}, [N] each.
        scores: of the trials, [N].
        axes: {flag that is a number of a range: "linear" or "log"}; the values of other flags
            stand beside each other.
        label: what the scores are.
        direction: "max" or "min": which is better.
    """
    scores = np.asarray(scores, float)
    sign = 1.0 if direction == "max" else -1.0
    best = int(np.argmax(sign * scores))
    reach = 3.0 * abs(scores[best] - np.median(scores)) + 1e-12
    edge = scores[best] - sign * max(reach, abs(scores[best]) * 1e-6)
    hidden = sign * (scores - edge) < 0
    shown = np.where(hidden, edge, scores)
    figure = Figure(figsize=(0.6 + 3.0 * len(values), 3.2), layout="constrained")
    panels = figure.subplots(1, len(values), squeeze=False, sharey=True)[0]
    for axis, (name, texts) in zip(panels, values.items(), strict=True):
        if name in axes:
            places = np.array([float(text) for text in texts])
            axis.set_xscale(axes[name])
        else:
            known = sorted(set(texts), key=_order)
            places = np.array([known.index(text) for text in texts], float)
            axis.set_xticks(range(len(known)), known)
            axis.set_xlim(-0.5, len(known) - 0.5)
        axis.scatter(places[~hidden], shown[~hidden], s=22, color=TRAIN, alpha=0.7)
        marker = "v" if direction == "max" else "^"
        axis.scatter(places[hidden], shown[hidden], s=30, color=TRAIN, alpha=0.5, marker=marker)
        axis.scatter(places[best], shown[best], s=90, color=VALIDATION, marker="*", zorder=3)
        axis.set_xlabel(name.replace("_", " "))
        axis.grid(alpha=0.3)
    panels[0].set_ylabel(label)
    return figure


def _order(text: str) -> "tuple[float, str]":
    try:
        return float(text), text
    except ValueError:
        return np.inf, text
