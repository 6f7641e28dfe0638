"""Priors of weights: the density of one, and what a network of such weights can be."""

import numpy as np
import tensorflow as tf
from scipy import stats

from docs.figures.base import ACCENT, OTHER, Picture
from tfp_vae.layers.priors import WEIGHT_PRIORS

_WIDTH, _FUNCTIONS = 50, 12


def picture(name: str) -> Picture:
    """Returns the figure of a prior of weights."""
    w = np.linspace(-5, 5, 400, dtype=np.float32)  # without 0, where one has a pole
    prior = WEIGHT_PRIORS[name]()
    density = np.exp(prior.elementwise(tf.ones([1])).log_prob(w).numpy())
    seed = 7
    # Functions of networks with one hidden layer: weights of scale 1 into it, 1/sqrt(width) out.
    first = prior.distribution((2, _WIDTH), 1).sample(_FUNCTIONS, seed=[seed, 1]).numpy()
    last = WEIGHT_PRIORS[name]("fan_in").distribution((_WIDTH, 1), _WIDTH)
    last = last.sample(_FUNCTIONS, seed=[seed, 2]).numpy()
    x = np.linspace(-3, 3, 121)
    hidden = np.tanh(x[:, None] * first[:, :1] + first[:, 1:])  # [functions, x, width]
    y = (hidden @ last)[..., 0]
    inside = float(np.mean(np.abs(prior.distribution((1, 20000), 1).sample(seed=[seed, 3])) < 0.1))

    def paint(figure, say):
        left, right = figure.subplots(1, 2)
        left.plot(w, density, color=ACCENT, label=name)
        left.plot(w, stats.norm.pdf(w), "--", color=OTHER, label="N(0, 1)")
        left.set(yscale="log", ylim=(1e-4, 5), xlabel=say("weight", "权重"))
        left.set_ylabel(say("density", "密度"))
        left.legend()
        right.plot(x, y.T, lw=1)
        right.set(xlabel="x", ylabel=say("function", "函数"))
        right.set_title(say("networks with such weights", "这样的权重构成的网络"))

    return Picture(
        paint,
        (
            f"Left: density of a weight under the prior {name} beside N(0, 1), on a log scale; "
            f"{100 * inside:.1f}% of draws are within 0.1 of 0 (8.0% of N(0, 1)). Right: "
            f"{_FUNCTIONS} functions of networks of {_WIDTH} tanh units drawn from it, between "
            f"{y.min():.1f} and {y.max():.1f}.",
            f"左：先验 {name} 下一个权重的密度与 N(0, 1)，对数坐标；"
            f"{100 * inside:.1f}% 的样本离 0 不到 0.1（N(0, 1) 为 8.0%）。"
            f"右：由它抽取的 {_FUNCTIONS} 个网络（{_WIDTH} 个 tanh 单元）的函数，"
            f"取值在 {y.min():.1f} 与 {y.max():.1f} 之间。",
        ),
    )
