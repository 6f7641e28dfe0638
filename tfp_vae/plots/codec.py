"""Bits per value of codecs."""

from collections.abc import Mapping

from tfp_vae.plots.figure import Figure
from tfp_vae.plots.style import INK, TRAIN, VALIDATION


def code_lengths(model: float, elbo: float, others: Mapping[str, float]) -> Figure:
    """Returns bars of bits per value, the shortest below, with a line where -ELBO is.

    Args:
        model: of the codec that is made of the model.
        elbo: -ELBO.
        others: of other codecs, by name.
    """
    rows = sorted([("this model", model), *others.items()], key=lambda row: row[1])
    figure = Figure(figsize=(6.5, 0.9 + 0.34 * len(rows)), layout="constrained")
    axis = figure.subplots()
    colours = [TRAIN if name == "this model" else "#b8bfca" for name, _ in rows]
    bars = axis.barh([name for name, _ in rows], [bits for _, bits in rows], color=colours)
    axis.bar_label(bars, fmt="%.3f", padding=3, fontsize=8, color=INK)
    axis.axvline(elbo, color=VALIDATION, linewidth=1, label="-ELBO")
    axis.legend(loc="lower right", frameon=False)
    axis.set_xlabel("bits per value")
    axis.margins(x=0.12)
    axis.grid(alpha=0.3, axis="x")
    axis.set_axisbelow(True)
    return figure
