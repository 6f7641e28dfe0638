"""Pictures of predictive uncertainty: whether it is right, what it is good for, where it sits."""

import numpy as np

from tfp_vae.evaluation import calibration, regression
from tfp_vae.plots.figure import Figure
from tfp_vae.plots.style import INK, TRAIN, VALIDATION, percent

_GREY, _PALE = "#8d99ae", "#a9cce3"
_BINS = 15  # of the metric `ece`
_WIDEST = 60.0  # decibels on the axis of signal-to-noise ratios


def _check_curves(curves: dict, what: str) -> None:
    if not curves:
        raise ValueError(f"There is nothing to draw. Expected {what}. Received an empty dict.")


def reliability_diagram(log_probs, labels, title: str, num_bins: int = _BINS) -> Figure:
    """Returns accuracy per bin of confidence, above the number of examples in each bin.

    The gap to the mean confidence of the bin is shaded; its mean over examples is the expected
    calibration error. Guo et al., 2017, figure 1.

    Args:
        log_probs: [N, K], normalised log predictive probabilities.
        labels: [N] integers.
        title: of the figure.
        num_bins: bins of equal width.
    """
    curve = calibration.reliability_curve(log_probs, labels, num_bins)
    error = calibration.expected_calibration_error(log_probs, labels, num_bins)
    said = f"ECE {error:.4f}"
    if num_bins != _BINS:  # the metric has others
        said += f", {num_bins} bins"
    figure = Figure(figsize=(5, 6), layout="constrained")
    upper, lower = figure.subplots(2, 1, sharex=True, height_ratios=[3, 1])
    full = curve.count > 0
    centre = ((np.arange(num_bins) + 0.5) / num_bins)[full]
    accuracy, confidence, width = curve.accuracy[full], curve.confidence[full], 1 / num_bins
    outline = {"edgecolor": "white", "linewidth": 0.8}
    upper.bar(centre, accuracy, width, color=_PALE, label="accuracy", **outline)
    gap = {"facecolor": VALIDATION, "alpha": 0.5, "edgecolor": VALIDATION, "hatch": "///"}
    bottom, height = np.minimum(accuracy, confidence), np.abs(confidence - accuracy)
    upper.bar(centre, height, width, bottom=bottom, label="gap to confidence", **gap)
    upper.plot([0, 1], [0, 1], color=INK, linestyle="--", linewidth=1)
    upper.set(ylabel="accuracy", ylim=(0, 1), xlim=(0, 1), title=title)
    upper.legend(loc="upper left", framealpha=0.9)
    upper.text(
        0.97,
        0.04,
        said,
        transform=upper.transAxes,
        horizontalalignment="right",
        bbox={"facecolor": "white", "edgecolor": _GREY, "boxstyle": "round"},
    )
    lower.bar(centre, curve.count[full], width, color=_GREY, **outline)
    lower.set(xlabel="confidence", ylabel="examples", yscale="log", ylim=(0.7, None))
    return figure


def risk_coverage(curves: "dict[str, tuple[np.ndarray, np.ndarray]]") -> Figure:
    """Returns the error rate among the most confident examples against their share.

    Geifman & El-Yaniv, 2017. The axis leaves out what the first two percent of the
    examples do, which is luck.

    Args:
        curves: {label: (coverage, risk)}, as `evaluation.calibration.risk_coverage` has them.
    """
    _check_curves(curves, "{label: (coverage, risk)}")
    figure = Figure(figsize=(6, 4.2), layout="constrained")
    axis = figure.subplots()
    top = 0.0
    for label, (coverage, risk) in curves.items():
        coverage, risk = np.asarray(coverage), np.asarray(risk)
        axis.plot(coverage, risk, label=label)
        top = max(top, risk[coverage >= min(0.02, coverage.max())].max())
    axis.set(xlabel="coverage: share of examples kept, the most confident first")
    axis.set(ylabel="risk: errors among those kept", xlim=(0, 1))
    if top > 0:
        axis.set_ylim(0, 1.08 * top)
    axis.xaxis.set_major_formatter(percent)
    axis.yaxis.set_major_formatter(percent)
    axis.grid(alpha=0.3)
    axis.legend(frameon=False, loc="upper left")
    return figure


def interval_coverage(curves: "dict[str, np.ndarray]") -> Figure:
    """Returns observed against nominal coverage of central predictive intervals.

    The band holds 95 % of the observed coverages of a correct model, level by level (binomial), for
    as many targets as the smallest set has.

    Args:
        curves: {label: predictive distribution function at the targets [N]}.
    """
    _check_curves(curves, "{label: cdf values}")
    levels = np.arange(1, 100) / 100
    figure = Figure(figsize=(5, 5.6), layout="constrained")
    axis = figure.subplots()
    count = min(len(cdf) for cdf in curves.values())
    spread = 1.96 * np.sqrt(levels * (1 - levels) / count)
    low, high = np.maximum(levels - spread, 0), np.minimum(levels + spread, 1)
    name = f"95 % of correct models, N = {count:,}"
    axis.fill_between(levels, low, high, color=_GREY, alpha=0.35, linewidth=0, label=name)
    axis.plot([0, 1], [0, 1], color=INK, linestyle="--", linewidth=1)
    for label, cdf in curves.items():
        axis.plot(levels, regression.interval_coverage(cdf, levels)[0], label=label)
    axis.set(xlabel="nominal coverage of the central interval", xlim=(0, 1), ylim=(0, 1))
    axis.set(ylabel="observed coverage: targets inside", aspect="equal")
    axis.xaxis.set_major_formatter(percent)
    axis.yaxis.set_major_formatter(percent)
    axis.grid(alpha=0.3)
    figure.legend(loc="outside lower center", ncols=2, frameon=False)
    return figure


def signal_to_noise(ratios: "dict[str, np.ndarray]", bins: int = 60) -> Figure:
    """Returns histograms of the signal-to-noise ratio of weights, a row per layer.

    Blundell et al., 2015, section 5.1: a weight of low ratio can be removed at little cost. The
    unit is the decibel, 10 log10(|loc| / scale): at 0 dB the scale is as large as the weight.

    Args:
        ratios: {layer name: |loc| / scale, any shape}. The lowest bin holds everything below
            it too, zeros among them, so that neither the thousandth in the tail nor weights that
            training has let go to nothing set the axis.
        bins: of all rows together.

    Raises:
        ValueError: if a ratio is negative, infinite or no number, or a layer has none.
    """
    _check_curves(ratios, "{layer name: |loc| / scale}")
    decibels = {}
    for name, values in ratios.items():
        values = np.ravel(np.asarray(values, np.float64))
        if not values.size or not np.isfinite(values).all() or values.min() < 0:
            raise ValueError(
                f"Layer {name} has no signal-to-noise ratios. Expected finite numbers >= 0. "
                f"Received {values.size} numbers, "
                f"{np.sum(~(np.isfinite(values) & (values >= 0)))} of them others."
            )
        with np.errstate(divide="ignore"):
            decibels[name] = 10 * np.log10(values)
    finite = np.concatenate([values[np.isfinite(values)] for values in decibels.values()])
    low, high = np.quantile(finite, [0.001, 1.0]) if finite.size else (-1.0, 1.0)
    low = max(low, high - _WIDEST)
    edges = np.linspace(low, max(high, low + 1), bins + 1)
    figure = Figure(figsize=(7, 0.8 + 1.4 * len(ratios)), layout="constrained")
    axes = figure.subplots(len(ratios), 1, sharex=True, squeeze=False)[:, 0]
    for axis, (name, values) in zip(axes, decibels.items(), strict=True):
        median = np.median(values)
        axis.hist(np.maximum(values, low), edges, color=TRAIN)
        axis.axvline(np.maximum(median, low), color=VALIDATION, linestyle="--")
        text = f"{name}: {values.size:,} weights, median {median:.1f} dB"
        axis.set_title(text, loc="left", fontsize=10, color=INK)
        axis.set_ylabel("weights")
    axes[-1].set_xlabel("signal-to-noise ratio of a weight, 10 log10(|loc| / scale), dB")
    return figure
