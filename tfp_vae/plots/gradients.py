"""The picture of gradient estimators: their signal to noise against the number of draws."""

from matplotlib.ticker import LogFormatterSciNotation, NullLocator

from tfp_vae.plots.figure import Figure
from tfp_vae.plots.style import INK


def signal_against_draws(rows: "list[dict]", title: str, part: str = "encoder") -> Figure:
    """Returns a panel of each model, a line of each estimator; those of no signal are left out.

    Args:
        rows: of `studies.gradients`, with "problem", "draws", "gradient" and "<part>_snr".
        title: of the figure.
        part: "encoder" or "model".
    """
    problems = list(dict.fromkeys(row["problem"] for row in rows))
    if not problems:
        raise ValueError("There is nothing to draw. Expected rows of a table. Received none.")
    names = list(dict.fromkeys(row["gradient"] for row in rows))
    figure = Figure(figsize=(4.2 * len(problems), 4), layout="constrained")
    for axes, problem in zip(
        figure.subplots(1, len(problems), squeeze=False)[0], problems, strict=True
    ):
        here = [row for row in rows if row["problem"] == problem]
        for name in dict.fromkeys(row["gradient"] for row in here):
            line = [
                (row["draws"], row[f"{part}_snr"])
                for row in here
                if row["gradient"] == name and row[f"{part}_snr"]
            ]
            if line:
                axes.plot(
                    *zip(*line, strict=True), marker="o", label=name, color=f"C{names.index(name)}"
                )
        draws = sorted({row["draws"] for row in here})
        axes.set(xscale="log", yscale="log", xlabel="draws K", title=problem.replace("_", " "))
        axes.set_xticks(draws, [str(count) for count in draws])
        axes.xaxis.set_minor_locator(NullLocator())
        # An axis of less than a decade would have one number or none.
        axes.yaxis.set_minor_formatter(LogFormatterSciNotation(minor_thresholds=(1.5, 0.6)))
        axes.tick_params(which="minor", labelsize="small")
        axes.grid(alpha=0.3)
        if axes.get_legend_handles_labels()[0]:
            axes.legend(fontsize="small")
    figure.axes[0].set_ylabel(f"signal to noise of the {part}'s gradient")
    figure.suptitle(title, color=INK)
    return figure
