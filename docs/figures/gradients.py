"""Gradient estimators: signal and noise against K where the gradient is known."""

import functools

from docs.figures.base import ACCENT, PALE, Picture
from tfp_vae import objectives
from tfp_vae.studies.gradients import LinearNormal, estimates

_COUNTS, _REPEATS = (1, 2, 4, 8, 16), 1000


@functools.cache
def _curve(name: str) -> "dict[int, float]":
    """Returns {K: |mean| / sd} of the encoder's place `loc` under the bound of K draws."""
    bound, problem, found = objectives.IWAE(gradient=name), LinearNormal(), {}
    for count in _COUNTS:
        if count >= bound.gradient.least_samples:
            each = estimates(problem, bound, count, _REPEATS)["loc"]
            found[count] = float(abs(each.mean()) / each.std())
    return found


def picture(name: str) -> Picture:
    """Returns the figure of an estimator."""
    curves = {each: _curve(each) for each in objectives.GRADIENTS}
    own = curves[name]
    first, last = min(own), max(own)

    def paint(figure, say):
        axes = figure.subplots()
        for other, curve in curves.items():
            if other != name:
                axes.plot(*zip(*curve.items(), strict=True), color=PALE)
                axes.annotate(other, (last, curve[last]), fontsize=7, color="#8a94a0",
                              xytext=(4, -2), textcoords="offset points")  # fmt: skip
        axes.plot(*zip(*own.items(), strict=True), "o-", color=ACCENT, label=name)
        axes.set(xscale="log", yscale="log", xlabel=say("draws K", "样本数 K"))
        axes.set_xticks(_COUNTS, [str(n) for n in _COUNTS])
        axes.set_ylabel(say("mean / sd of the gradient", "梯度的均值 / 标准差"))
        axes.legend()

    best = max((c[last], n) for n, c in curves.items())[1]
    return Picture(
        paint,
        (
            f"Signal to noise of the estimator {name} (bold) by the number of draws K, of the "
            "gradient of the importance-weighted bound by the mean of q, beside the other "
            f"estimators (grey): {own[first]:.2f} at K = {first}, {own[last]:.2f} at K = {last}, "
            f"where {best} has the most.",
            f"估计量 {name}（粗线）的信噪比随样本数 K 的变化，"
            f"对象是重要性加权下界对 q 的均值的梯度，灰线为其他估计量："
            f"K = {first} 时 {own[first]:.2f}，K = {last} 时 {own[last]:.2f}，"
            f"此处最大的是 {best}。",
        ),
    )
