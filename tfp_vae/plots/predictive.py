"""Pictures of predictive distributions and of posteriors over weights."""

import numpy as np

from tfp_vae import evaluation
from tfp_vae.data import Split
from tfp_vae.evaluation import calibration
from tfp_vae.evaluation.predictive import probability_transform
from tfp_vae.models import Predictive, Predictor
from tfp_vae.plots.calibration import (
    interval_coverage,
    reliability_diagram,
    risk_coverage,
    signal_to_noise,
)
from tfp_vae.plots.figure import Figure
from tfp_vae.plots.style import INK, TRAIN, VALIDATION, percent
from tfp_vae.plots.vae import training_curve
from tfp_vae.report import RunFolder


def regression_curves(
    train: Split, grid: np.ndarray, predictives: "dict[str, Predictive]"
) -> Figure:
    """Returns a panel per method: the predictive of a target over one input, and the data.

    The inner band is two standard deviations of the mean (what the weights leave open), the outer
    one two of the target (noise included).

    Args:
        train: examples [N, 1] with targets.
        grid: inputs [n, 1] of the predictives.
        predictives: {method: batch shape [n]}.
    """
    axes, figure = _panels(len(predictives))
    line = grid[:, 0]
    shared = {}
    for axis, (name, predictive) in zip(axes, predictives.items(), strict=False):
        mean = predictive.mean().numpy()
        for variance, alpha in ((predictive.total, 0.18), (predictive.epistemic, 0.35)):
            width = 2 * np.sqrt(variance.numpy())
            axis.fill_between(line, mean - width, mean + width, color=TRAIN, alpha=alpha, lw=0)
        axis.plot(line, mean, color=TRAIN)
        axis.scatter(train.values()[:, 0], train.targets, s=6, color=INK, alpha=0.6, linewidths=0)
        axis.set_title(name, fontsize=9, loc="left")
        axis.grid(alpha=0.3)
        spread = train.targets.max() - train.targets.min()
        shared = {
            "ylim": (train.targets.min() - spread, train.targets.max() + spread),
            "xlim": (line.min(), line.max()),
        }
        axis.set(**shared)
    figure.supxlabel("x", fontsize=9)
    figure.supylabel("y: mean, 2 sd of the mean (dark), 2 sd of y (light)", fontsize=9)
    return figure


def classification_maps(
    train: Split, grid: np.ndarray, predictives: "dict[str, Predictive]", quantity: str = "probs"
) -> Figure:
    """Returns a panel per method: p(class 1) or an uncertainty over the plane, and the data.

    Args:
        train: examples [N, 2] with labels.
        grid: inputs [side * side, 2], row by row.
        predictives: {method: batch shape [side * side]}.
        quantity: "probs", or "total", "aleatoric", "epistemic" in nats.
    """
    axes, figure = _panels(len(predictives))
    side = round(len(grid) ** 0.5)
    extent = (grid[:, 0].min(), grid[:, 0].max(), grid[:, 1].min(), grid[:, 1].max())
    probs = quantity == "probs"
    drawn = None
    for axis, (name, predictive) in zip(axes, predictives.items(), strict=False):
        values = predictive.probs[:, 1] if probs else getattr(predictive, quantity)
        drawn = axis.imshow(
            np.reshape(values, (side, side)),
            origin="lower",
            extent=extent,
            vmin=0,
            vmax=1 if probs else np.log(2),
            cmap="RdBu" if probs else "viridis",
            aspect="auto",
        )
        for label, colour in ((0, "#7f1d1d"), (1, "#1e3a8a")):
            points = train.values()[train.labels == label]
            axis.scatter(*points.T, s=8, color=colour, edgecolors="white", linewidths=0.4)
        axis.set_title(name, fontsize=9, loc="left")
    label = "p(class 1)" if probs else f"{quantity} uncertainty, nats"
    figure.colorbar(drawn, ax=axes[: len(predictives)].tolist(), label=label, shrink=0.8)
    return figure


def _panels(count: int):
    columns = min(4, count)
    rows = -(-count // columns)
    figure = Figure(figsize=(3.1 * columns, 2.7 * rows), layout="constrained")
    axes = figure.subplots(rows, columns, squeeze=False, sharex=True, sharey=True).ravel()
    for axis in axes[count:]:
        axis.set_axis_off()
    return axes, figure


def pruning(curve: dict, chosen: str = "accuracy") -> Figure:
    """Returns a score against the share of weights removed.

    Args:
        curve: of `evaluation.pruning_curve`.
        chosen: its key.
    """
    figure = Figure(figsize=(6, 3.6), layout="constrained")
    axis = figure.subplots()
    places = np.arange(len(curve["share"]))
    axis.plot(places, curve[chosen], marker="o", color=TRAIN)
    axis.set_xticks(places, [percent(share) for share in curve["share"]])
    axis.set(xlabel="weights removed, those of lowest |loc| / scale first", ylabel=f"test {chosen}")
    axis.grid(alpha=0.3)
    return figure


def uncertainty_histogram(predictive: Predictive, labels: np.ndarray) -> Figure:
    """Returns histograms of total and epistemic uncertainty for right and for wrong answers."""
    right = np.argmax(predictive.log_probs, axis=-1) == labels
    figure = Figure(figsize=(8, 3.2), layout="constrained")
    for axis, name in zip(figure.subplots(1, 2), ("total", "epistemic"), strict=True):
        values = getattr(predictive, name).numpy()
        bins = np.linspace(0, max(values.max(), 1e-3), 30)
        for chosen, colour, what in ((right, TRAIN, "right"), (~right, VALIDATION, "wrong")):
            weight = np.full(chosen.sum(), 1 / max(chosen.sum(), 1))
            axis.hist(
                values[chosen], bins, weights=weight, alpha=0.6, color=colour, label=f"{what}"
            )
        axis.set(xlabel=f"{name} uncertainty, nats", ylabel="share of examples")
        axis.grid(alpha=0.3)
        axis.legend(frameon=False)
    return figure


def write_predictive(
    run: RunFolder,
    predictor: Predictor,
    split: Split,
    predictive: Predictive,
    history: dict,
    pruned: "dict | None" = None,
) -> None:
    """Writes every picture of a method and its predictive on `split` into a run folder.

    `pruned` is an `evaluation.pruning_curve`, where there is one.
    """
    run.write_figure("training_curve.png", training_curve(history, "KL(q(w) || p(w)) / N"))
    if predictive.is_categorical:
        log_probs, labels = predictive.log_probs.numpy(), split.labels
        run.write_figure("reliability.png", reliability_diagram(log_probs, labels, "test"))
        curve = calibration.risk_coverage(log_probs, labels)
        run.write_figure("risk_coverage.png", risk_coverage({"test": curve[:2]}))
        run.write_figure("uncertainty.png", uncertainty_histogram(predictive, labels))
    else:
        cdf = probability_transform(predictive, split.targets)
        run.write_figure("interval_coverage.png", interval_coverage({"test": cdf}))
    if evaluation.has_mean_field(predictor):
        ratios = evaluation.signal_to_noise(predictor)
        run.write_figure("signal_to_noise.png", signal_to_noise(ratios))
    if pruned is not None:
        chosen = "accuracy" if predictive.is_categorical else "rmse"
        run.write_figure("pruning.png", pruning(pruned, chosen))
