"""The ladder of bounds on log p(x)."""

import numpy as np

from tfp_vae.plots.figure import Figure
from tfp_vae.plots.style import TRAIN, VALIDATION

_TRUTH = "exact"


def bound_ladder(ladders: "dict[str, dict[str, np.ndarray]]") -> Figure:
    """Returns the means of bounds on log p(x), lowest below, a panel for each set of examples.

    Bars are one standard error of the difference to the rung that is a line: the exact log p(x)
    where it is known, else the last.

    Args:
        ladders: {title: {name of the bound: its value for each example, [N], nats}}.
    """
    most = max(len(rungs) for rungs in ladders.values())
    size = (5.5 * len(ladders), 0.9 + 0.38 * most)
    figure = Figure(figsize=size, layout="constrained")
    panels = figure.subplots(1, len(ladders), squeeze=False)[0]
    for axis, (title, rungs) in zip(panels, ladders.items(), strict=True):
        names = list(rungs)
        reference = rungs[_TRUTH if _TRUTH in rungs else names[-1]]
        means = [values.mean() for values in rungs.values()]
        errors = [
            np.std(values - reference, ddof=1) / np.sqrt(len(values)) if len(values) > 1 else 0.0
            for values in rungs.values()
        ]
        axis.axvline(reference.mean(), color=VALIDATION, linewidth=1)
        axis.errorbar(means, range(len(names)), xerr=errors, fmt="o", color=TRAIN, capsize=3)
        axis.set_yticks(range(len(names)), names)
        axis.set(xlabel="nats per example", title=title)
        axis.grid(alpha=0.3, axis="x")
    return figure
