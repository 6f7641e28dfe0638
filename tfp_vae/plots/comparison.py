"""Pictures of a comparison of models, each in a light and a dark dress."""

import io
import textwrap
from collections.abc import Callable, Mapping

import matplotlib
import numpy as np
from matplotlib import ticker

from tfp_vae.evaluation import calibration
from tfp_vae.plots.figure import Figure
from tfp_vae.plots.style import chinese_font, percent
from tfp_vae.plots.tiles import tile
from tfp_vae.report.texts import Texts

# Okabe & Ito (2008): told apart with any colour vision, on white and on black.
_COLOURS = ("#0072b2", "#56b4e9", "#009e73", "#cc79a7", "#d55e00", "#e69f00", "#999999", "#b8860b")
_INK = {False: "#1b2a41", True: "#e6e9ef"}
_GRID = {False: "#d5d9e0", True: "#3a4252"}

# {model: {level: (mean, lower, upper)}}
Curves = Mapping[str, Mapping[float, "tuple[float, float, float]"]]


class Style:
    """How models are drawn in every picture of one comparison.

    Args:
        texts: of the language of the pictures.
        families: {model: "vae" or "network"}, all models: full and dashed lines.

    Attributes:
        titles: {model: what it is called}.
        words: those of axes.
    """

    def __init__(self, texts: Texts, families: Mapping[str, str]):
        self.titles = titles = {name: texts.title("models", name) for name in families}
        self.words = texts.words["axes"]
        self._look = {
            name: {
                "color": _COLOURS[index % len(_COLOURS)],
                "linestyle": "-" if families[name] == "vae" else "--",
                "marker": "os^Dv<>P"[index % 8],
                "markersize": 4,
                "label": titles[name],
            }
            for index, name in enumerate(titles)
        }

    def of(self, model: str) -> dict:
        """Returns what matplotlib draws a line of the model with."""
        return self._look[model]


def can_be_in(language: str) -> bool:
    """Returns whether there is a font for pictures whose words are of a language."""
    return language != "zh" or chinese_font() is not None


def both(name: str, draw: Callable[[], Figure], language: str = "en") -> "dict[str, bytes]":
    """Returns {file name: PNG} of a picture for light and for dark pages.

    Args:
        name: of the picture, without ".png".
        draw: makes it under the colours that are set while it runs.
        language: of its words, one that pictures `can_be_in`.
    """
    found = {}
    for dark, suffix in ((False, ""), (True, "-dark")):
        ink, grid = _INK[dark], _GRID[dark]
        colours = dict.fromkeys("text.color axes.labelcolor xtick.color ytick.color".split(), ink)
        colours |= {"axes.edgecolor": grid, "grid.color": grid, "axes.facecolor": "none"}
        plain = {"axes.spines.top": False, "axes.spines.right": False, "font.size": 9}
        if language == "zh":
            plain["font.family"] = ["DejaVu Sans", chinese_font()]
        with matplotlib.rc_context(colours | plain | {"figure.facecolor": "none"}):
            file = io.BytesIO()
            draw().savefig(file, format="png", dpi=110, bbox_inches="tight", transparent=True)
        found[f"{name}{suffix}.png"] = file.getvalue()
    return found


def reliability(
    log_probs: "Mapping[str, tuple[np.ndarray, np.ndarray]]",
    style: Style,
    errors: "Mapping[str, str] | None" = None,
) -> Figure:
    """Returns accuracy against confidence, a panel per model; below the line is overconfident.

    Args:
        log_probs: {model: (log probabilities [N, K], labels [N])}, seeds one behind another.
        style: of the models.
        errors: {model: its calibration error as the tables have it}: the mean over seeds, which is
            not the error of all seeds together.
    """
    columns = min(4, len(log_probs))
    rows = -(-len(log_probs) // columns)
    figure = Figure(figsize=(2.3 * columns, 2.5 * rows), layout="constrained")
    axes = figure.subplots(rows, columns, sharex=True, sharey=True, squeeze=False)
    for axis in axes.flat[len(log_probs) :]:
        axis.set_visible(False)
    for axis, (model, (values, labels)) in zip(axes.flat, log_probs.items(), strict=False):
        curve = calibration.reliability_curve(values, labels, 10)
        full = curve.count > 0
        axis.plot([0, 1], [0, 1], color="#8d99ae", linewidth=1)
        axis.vlines(
            curve.confidence[full], curve.confidence[full], curve.accuracy[full], color="#d1495b"
        )
        sizes = 8 + 90 * np.sqrt(curve.count[full] / curve.count.sum())
        colour = style.of(model)["color"]
        axis.scatter(
            curve.confidence[full],
            curve.accuracy[full],
            sizes,
            color=colour,
            zorder=3,
            clip_on=False,  # a point on the edge is whole
        )
        title = style.titles[model]
        if errors and model in errors:
            title += f"\n{style.words['ece']} {errors[model]}"
        axis.set_title(title, fontsize=8)
        axis.set(xlim=(-0.03, 1.03), ylim=(-0.03, 1.03))
    figure.supxlabel(style.words["confidence"], fontsize=9)
    figure.supylabel(style.words["accuracy"], fontsize=9)
    return figure


def risk_coverage(log_probs: "Mapping[str, tuple[np.ndarray, np.ndarray]]", style: Style) -> Figure:
    """Returns the error rate among the most confident examples against their share."""
    figure = Figure(figsize=(7, 4), layout="constrained")
    axis = figure.subplots()
    for model, (values, labels) in log_probs.items():
        curve = calibration.risk_coverage(values, labels)
        axis.plot(curve.coverage, curve.risk, **style.of(model) | {"marker": ""})
    axis.set(xlabel=style.words["kept"], ylabel=style.words["errors"])
    axis.set(xlim=(0.02, 1), ylim=(0, None))
    return _finished(figure, [axis], shares=True)


def curves(
    panels: "Mapping[tuple[str, str], Curves]", style: Style, axis_label: str, share: bool = False
) -> Figure:
    """Returns a grid of panels of metrics against a level, with bands of the intervals.

    Args:
        panels: {(column, metric): curves}; one row per metric, one column per column.
        style: of the models.
        axis_label: of the levels.
        share: whether levels are shares, shown in percent.
    """
    columns, rows = ([*dict.fromkeys(part)] for part in zip(*panels, strict=True))
    figure = Figure(figsize=(max(2.7 * len(columns), 6), 2.3 * len(rows) + 1.0))
    figure.set_layout_engine("constrained")
    axes = figure.subplots(len(rows), len(columns), sharex="col", sharey="row", squeeze=False)
    for row, metric in enumerate(rows):
        shown = [panels.get((name, metric), {}) for name in columns]
        for axis, name, lines in zip(axes[row], columns, shown, strict=True):
            _draw_curves(axis, lines, style)
            if row == 0:
                axis.set_title(name, fontsize=9)
            if row == len(rows) - 1:
                axis.set_xlabel(axis_label)
                if share:
                    axis.xaxis.set_major_formatter(percent)
        axes[row, 0].set_ylabel(metric)
        _fit_to_means(axes[row, 0], shown)
    return _finished(figure, axes.flat)


def against_labels(lines: Curves, style: Style) -> Figure:
    """Returns accuracy against the number of labels, on a logarithmic axis."""
    figure = Figure(figsize=(6.5, 3.8), layout="constrained")
    axis = figure.subplots()
    _draw_curves(axis, lines, style)
    _fit_to_means(axis, [lines])
    axis.set(xscale="log", xlabel=style.words["labels"], ylabel=style.words["accuracy"])
    axis.yaxis.set_major_formatter(percent)
    return _finished(figure, [axis])


def cost_against(
    points: "Mapping[str, tuple[float, tuple[float, float, float]]]", style: Style
) -> Figure:
    """Returns what models cost against the negative log-likelihood of their predictions.

    Args:
        points: {model: (milliseconds per prediction, (NLL, lower, upper) in nats)}.
        style: of the models.
    """
    figure = Figure(figsize=(6.5, 3.8), layout="constrained")
    axis = figure.subplots()
    for model, (cost, (mean, lower, upper)) in points.items():
        look = style.of(model) | {"linestyle": "none", "markersize": 7}
        axis.errorbar(cost, mean, [[mean - lower], [upper - mean]], elinewidth=1.2, **look)
    axis.set(xscale="log", xlabel=style.words["milliseconds"], ylabel=style.words["nll"])
    # Times of a comparison span a decade or two: powers of ten alone would be two ticks.
    axis.xaxis.set_major_locator(ticker.LogLocator(subs=(1, 2, 3, 5)))
    axis.xaxis.set_major_formatter(ticker.FuncFormatter(lambda value, _: f"{value:g}"))
    axis.xaxis.set_minor_locator(ticker.NullLocator())
    axis.set_ylim(bottom=0)
    return _finished(figure, [axis])


def _draw_curves(axis, lines: Curves, style: Style) -> None:
    for model, levels in lines.items():
        x = sorted(levels)
        mean, lower, upper = np.array([levels[level] for level in x]).T
        look = style.of(model)
        axis.plot(x, mean, **look)
        axis.fill_between(x, lower, upper, color=look["color"], alpha=0.15, linewidth=0)


def _fit_to_means(axis, shown: "list[Curves]") -> None:
    """Limits the axis to the means and a margin: bands over few seeds are wide."""
    every = [levels for lines in shown for levels in lines.values()]
    values = np.array([mean for levels in every for mean, _, _ in levels.values()])
    if len(values) and np.ptp(values) > 0:
        margin = 0.1 * np.ptp(values)
        axis.set_ylim(values.min() - margin, values.max() + margin)


def detection(areas: "Mapping[str, Mapping[str, float]]", columns: Mapping[str, str]) -> Figure:
    """Returns AUROC by row (a model with a score) and OOD inputs, as a coloured table.

    Args:
        areas: {row: {inputs: AUROC}}.
        columns: {inputs: what they are called}.
    """
    values = np.array([[each.get(name, np.nan) for name in columns] for each in areas.values()])
    figure = Figure(figsize=(1.05 * len(columns) + 3.2, 0.33 * len(areas) + 1.2))
    figure.set_layout_engine("constrained")
    axis = figure.subplots()
    axis.imshow(values, cmap="RdBu", vmin=0, vmax=1, aspect="auto")
    for row, column in np.argwhere(np.isfinite(values)):
        value = values[row, column]
        colour = "white" if abs(value - 0.5) > 0.33 else "#1b2a41"
        axis.text(column, row, f"{value:.2f}", ha="center", va="center", color=colour, fontsize=8)
    titles = [textwrap.fill(title, 12) for title in columns.values()]
    axis.set_xticks(range(len(columns)), titles, fontsize=8)
    axis.set_yticks(range(len(areas)), [*areas], fontsize=8)
    axis.tick_params(length=0, top=True, labeltop=True, bottom=False, labelbottom=False)
    axis.spines[:].set_visible(False)
    return figure


def generated(
    images: "Mapping[str, np.ndarray]", style: Style, columns: Mapping[str, int]
) -> Figure:
    """Returns images that models drew, a panel per model.

    Args:
        images: {model: [N, H, W, C] in [0, 1]}.
        style: of the models.
        columns: {model: images in a row}.
    """
    figure = Figure(figsize=(3.1 * len(images), 3.4), layout="constrained")
    axes = figure.subplots(1, len(images), squeeze=False)[0]
    for axis, (model, values) in zip(axes, images.items(), strict=True):
        count = columns[model]
        axis.imshow(tile(values[: len(values) // count * count], count), interpolation="nearest")
        axis.set_title(style.titles[model], fontsize=9)
        axis.set_axis_off()
    return figure


def pruned(lines: Curves, style: Style) -> Figure:
    """Returns accuracy against the share of weights removed."""
    figure = Figure(figsize=(5.5, 3.2), layout="constrained")
    axis = figure.subplots()
    _draw_curves(axis, lines, style)
    _fit_to_means(axis, [lines])
    axis.set(xlabel=style.words["removed"], ylabel=style.words["accuracy"])
    axis.xaxis.set_major_formatter(percent)
    axis.yaxis.set_major_formatter(percent)
    return _finished(figure, [axis])


def _finished(figure: Figure, axes, shares: bool = False) -> Figure:
    lines = {}
    for axis in axes:
        axis.grid(alpha=0.6, linewidth=0.6)
        if shares:
            axis.xaxis.set_major_formatter(percent)
            axis.yaxis.set_major_formatter(percent)
        handles, labels = axis.get_legend_handles_labels()
        lines |= dict(zip(labels, handles, strict=True))
    if len(lines) > 1:
        figure.legend(
            lines.values(), lines, loc="outside lower center", ncols=3, frameon=False, fontsize=8
        )
    return figure
