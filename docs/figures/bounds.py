"""Bounds: their value by the number of draws and by their parameter, where log p(x) is known."""

import functools
import inspect

import numpy as np
import tensorflow as tf

from docs.figures.base import ACCENT, INK, OTHER, Picture
from tfp_vae.distributions.base import tfd
from tfp_vae.objectives import BOUNDS, Latent, Tap, Terms

_EXAMPLES, _COUNTS = 400, (1, 2, 4, 8, 16, 32, 64)
_MIXING = np.array([[1.0, 0.8], [0.0, 0.9]], np.float32)  # p(z|x) is correlated, q is not
# Of a parameter the values that are drawn; the first of the constructor that stands here is it.
_RANGES = {
    "beta": (0.0, 0.5, 1.0, 2.0, 4.0, 6.0),
    "share": (0.0, 0.25, 0.5, 0.75, 1.0),
    "off_diagonal": (0.0, 2.0, 5.0, 10.0, 20.0),
    "gamma": (0.0, 2.0, 5.0, 10.0, 20.0),
    "alpha": (-2.0, -1.0, 0.0, 0.5, 1.0, 2.0),
    "mmd": (1.0, 10.0, 100.0, 1000.0),
    "groups": (1, 2, 4, 8, 16),
    "partitions": (1, 2, 3, 5, 10),
    "weight": (1.0, 10.0, 50.0, 100.0),
}
_STEP = 1000


@functools.cache
def _data() -> "tuple[np.ndarray, float]":
    """Returns x [B, 2] of z ~ N(0, I), x|z ~ N(M z, I), and the mean of log p(x)."""
    covariance = _MIXING @ _MIXING.T + np.eye(2)
    rng = np.random.default_rng(3)
    x = rng.multivariate_normal(np.zeros(2), covariance, _EXAMPLES).astype(np.float32)
    square = np.sum(x * np.linalg.solve(covariance, x.T).T, axis=1)
    volume = np.linalg.slogdet(2 * np.pi * covariance)[1]
    return x, float(np.mean(-0.5 * (square + volume)))


def _terms(count: int, repeats: int = 1) -> Terms:
    """Returns the terms of K draws with the best q(z|x) of independent latents, a little wide.

    Args:
        count: K.
        repeats: how often each example is there; K times this are the same numbers for all K.
    """
    x = np.tile(_data()[0], (repeats, 1))
    precision = np.eye(2) + _MIXING.T @ _MIXING
    loc = np.linalg.solve(precision, _MIXING.T @ x.T).T.astype(np.float32)
    scale = np.broadcast_to(1.2 / np.sqrt(np.diag(precision)), loc.shape).astype(np.float32)
    q = tfd.MultivariateNormalDiag(loc, scale)
    tap = Tap()
    noise = np.random.default_rng(5).standard_normal((count * repeats, _EXAMPLES, 2))
    noise = noise.reshape(count, *loc.shape).astype(np.float32)
    z = tap(loc + scale * noise)
    p = tfd.MultivariateNormalDiag(tf.zeros([2]), tf.ones([2]))
    likelihood = tfd.MultivariateNormalDiag(tf.linalg.matvec(_MIXING, z), tf.ones([2]))
    return Terms(likelihood.log_prob(x), (Latent("z", z, q, p, tap=tap),))


def _value(bound, terms):
    return float(tf.reduce_mean(bound(terms)))


def picture(name: str) -> Picture:
    """Returns the figure of a bound."""
    tf.random.set_seed(0)
    kind, known = BOUNDS[name], _data()[1]
    values = [_value(kind(), _terms(count, max(_COUNTS) // count)) for count in _COUNTS]
    few = _terms(16)
    own = next((p for p in inspect.signature(kind).parameters if p in _RANGES), None)
    seen, losses, tried = [], [], []
    each = () if own else [np.asarray(kind()(_terms(count))) for count in (1, 64)]
    with_loss = name not in ("factor",)  # whose loss asks a discriminator that nobody trained
    for value in _RANGES.get(own, ()):
        try:
            bound = kind(**{own: value})
        except ValueError:  # not in the range of this one
            continue
        tried.append(value)
        seen.append(_value(bound, few))
        losses.append(-float(bound.loss(few, _STEP)) if with_loss else np.nan)

    def paint(figure, say):
        left, right = figure.subplots(1, 2)
        left.axhline(known, color=INK, ls="--", lw=1, label="log p(x)")
        left.plot(_COUNTS, values, "o-", color=ACCENT, label=name)
        left.set(xscale="log", xlabel=say("draws K", "样本数 K"))
        left.set_xticks(_COUNTS, [str(n) for n in _COUNTS])
        left.set_ylabel(say("nats per example", "纳特 / 样本"))
        left.legend(loc="center right")
        if not own:
            gaps = np.concatenate(each)
            bins = np.linspace(*np.quantile(gaps, [0.01, 1]), 41)
            for part, count, color in zip(each, (1, 64), (OTHER, ACCENT), strict=True):
                right.hist(part, bins, orientation="horizontal", alpha=0.5, color=color,
                           label=f"K = {count}")  # fmt: skip
            right.set_xlabel(say("examples with this value", "取此值的样本数"))
            right.set_ylabel(say("nats per example", "纳特 / 样本"))
            right.legend()
            return
        right.plot(tried, seen, "o-", color=ACCENT, label=say("bound", "下界"))
        if with_loss:
            right.plot(tried, losses, "s--", color=OTHER, label=say("-loss", "-损失"))
        right.axhline(known, color=INK, ls="--", lw=1)
        if min(tried) > 0 and max(tried) / min(tried) > 100:
            right.set_xscale("log")
        right.set(xlabel=f"{own} (K = 16)")
        right.legend()

    right = (
        ("its values over the examples at K = 1 and 64", "K = 1 与 64 时各样本的取值")
        if not own
        else (f"bound and negative loss by {own}", f"下界和负损失随 {own} 的变化")
        if with_loss
        else (f"the bound by {own}, of its loss alone", f"下界随 {own} 的变化（它只在损失里）")
    )
    return Picture(
        paint,
        (
            f"Left: mean value of {name} over {_EXAMPLES} examples of a linear model whose log "
            f"p(x) is known, {known:.3f} nats (dashed), by the number of draws: {values[0]:.3f} at "
            f"K = 1, {values[-1]:.3f} at K = 64. Right: {right[0]}.",
            f"左：{name} 在线性模型 {_EXAMPLES} 个样本上的均值随样本数 K 的变化，"
            f"已知 log p(x) 为 {known:.3f} 纳特（虚线）：K = 1 时 {values[0]:.3f}，"
            f"K = 64 时 {values[-1]:.3f}。右：{right[1]}。",
        ),
    )
