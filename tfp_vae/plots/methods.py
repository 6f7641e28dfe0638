"""Pictures of methods beside each other."""

import textwrap

import numpy as np

from tfp_vae.plots.figure import Figure


def method_comparison(table: dict, key: str) -> Figure:
    """Returns a panel per data set with the score of every method and its standard error.

    Args:
        table: {set: {method: {key: mean, key_se: standard error}}}.
        key: which score.
    """
    columns = min(4, len(table))
    rows = -(-len(table) // columns)
    figure = Figure(figsize=(3.2 * columns, 0.6 + 2.6 * rows), layout="constrained")
    axes = figure.subplots(rows, columns, squeeze=False).ravel()
    same = len({tuple(by_method) for by_method in table.values()}) == 1
    for number, (name, by_method) in enumerate(table.items()):
        axis = axes[number]
        places = np.arange(len(by_method))[::-1]
        means = [row[key] for row in by_method.values()]
        errors = [row[f"{key}_se"] for row in by_method.values()]
        axis.errorbar(means, places, xerr=errors, fmt="o", markersize=4, capsize=2)
        # A method that broke down would squeeze all others into one dot.
        low, high = np.quantile(means, [0.25, 1]) if len(means) > 2 else (min(means), max(means))
        margin = 3 * (high - low) + 2 * max(errors)
        left, right = max(min(means) - max(errors), low - margin), high + max(errors) * 1.5
        space = 0.04 * (right - left)  # or half of a marker would lie outside
        axis.set_xlim(left - space, right + space)
        # Names that all panels share stand once in a row, and leave the room to the figures.
        named = not same or number % columns == 0
        axis.set_yticks(places, list(by_method) if named else [""] * len(by_method))
        axis.tick_params(labelsize=7)
        axis.set_title(textwrap.fill(name, 32), fontsize=9, loc="left")
        axis.grid(alpha=0.3)
    for axis in axes[len(table) :]:
        axis.set_axis_off()
    figure.supxlabel(key.replace("_", "-"), fontsize=9)
    return figure
