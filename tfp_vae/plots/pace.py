"""What trainings reached, and when."""

from collections.abc import Mapping

import numpy as np

from tfp_vae.plots.figure import Figure

_LINES = ("-", "--", ":", "-.")


def pace(curves: "Mapping[str, tuple[np.ndarray, np.ndarray]]") -> Figure:
    """Returns a line per run: its ELBO against minutes of training, the best at the end on top.

    The first tenth of each run may leave the panel, where it would squeeze the rest into a line.

    Args:
        curves: {run: (seconds at the end of each epoch [E], the ELBO then [E])}, of
            `report.paces`.
    """
    last = sorted(curves, key=lambda name: -curves[name][1][-1])
    figure = Figure(figsize=(8, 4.2), layout="constrained")
    axis = figure.subplots()
    for number, name in enumerate(last):
        seconds, values = curves[name]
        style = _LINES[number // 10 % len(_LINES)]
        axis.plot(seconds / 60, values, style, label=f"{name}: {values[-1]:.4g}", linewidth=1.4)
    kept = [values[len(values) // 10 :] for _, values in curves.values()]
    shown = np.concatenate([values[np.isfinite(values)] for values in kept])
    if len(shown) and shown.max() > shown.min():
        room = 0.05 * (shown.max() - shown.min())
        axis.set_ylim(shown.min() - room, shown.max() + room)
    axis.set(xlabel="minutes of training", ylabel="ELBO of validation examples, nats")
    axis.grid(alpha=0.3)
    axis.legend(frameon=False, fontsize="small", title="at the end")
    return figure
