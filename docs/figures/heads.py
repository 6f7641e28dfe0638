"""Heads: probabilities of the values at three settings of the features."""

import inspect

import numpy as np
import tensorflow as tf

from docs.figures.base import THREE, Picture
from tfp_vae.data import Kind
from tfp_vae.data.kinds import BINARY, GREY_LEVELS
from tfp_vae.distributions.heads import HEADS

_CLASSES = 5


def picture(name: str) -> Picture:
    """Returns the figure of a head."""
    kind = HEADS[name]
    takes = inspect.signature(kind).parameters
    head = kind(**({"num_classes": _CLASSES} if "num_classes" in takes else {}))
    features, labels = _features(head)
    parameters = head(tf.constant(features, tf.float32))
    p = head.distribution(parameters)
    drawn = np.asarray(p.sample(4000, seed=[0, 1]), np.float64)
    values = _values(head, drawn)
    mass = np.exp(p.log_prob(tf.cast(values[:, None], p.dtype)).numpy())  # [values, 3]
    centres = drawn.mean(0)

    def paint(figure, say):
        axes = figure.subplots()
        for i, color in enumerate(THREE):
            label = say(f"features {labels[i]}", f"特征 {labels[i]}")
            if head.is_discrete and len(values) <= 60:
                axes.vlines(values + 0.12 * (i - 1) * (values[1] - values[0]), 0, mass[:, i],
                            color=color, lw=3, label=label)  # fmt: skip
            else:
                axes.plot(values, mass[:, i], color=color, label=label)
                axes.fill_between(values, mass[:, i], color=color, alpha=0.15)
        what = ("probability", "概率") if head.is_discrete else ("density", "密度")
        axes.set(xlabel=say("value", "取值"), ylabel=say(*what), ylim=(0, None))
        axes.legend()

    means = ", ".join(f"{c:.2f}" for c in centres)
    what = ("Probabilities", "概率") if head.is_discrete else ("Density", "密度")
    return Picture(
        paint,
        (
            f"{what[0]} of values under the head {name} at three settings of its features "
            f"({'; '.join(labels)}). Means of 4,000 draws: {means}.",
            f"输出头 {name} 在三组特征（{'；'.join(labels)}）下各取值的{what[1]}。"
            f"4,000 个样本的均值：{means}。",
        ),
    )


def _features(head):
    """Returns three settings of the features, [3, F], and what they are in short."""
    count = head.num_features
    if count >= _CLASSES and not hasattr(head, "components"):  # a logit for each value
        at = np.arange(count) / (count - 1)
        centres = (0.2, 0.5, 0.8)
        found = [-0.5 * ((at - c) / w) ** 2 for c, w in zip(centres, (0.1, 0.2, 0.1), strict=True)]
        return np.array(found), [f"peak at {c}" for c in centres]
    grey = Kind.EIGHT_BIT in head.kinds  # whose locations and scales are in units of [0, 1]
    if count > 2:
        rng, parts = np.random.default_rng(4), head.components
        found = np.concatenate([rng.normal(0, 1, (3, parts)), rng.normal(0, 0.1, (3, parts))], -1)
        return np.concatenate([found, np.full((3, parts), -2.5)], -1), ["A", "B", "C"]
    found = np.zeros((3, count))
    found[:, 0] = (-0.3, 0.0, 0.3) if grey else (-1.5, 0.0, 1.5)
    if grey:
        found[:, 1] = -2.5, -2.0, -2.5
    return found, [", ".join(f"{v:g}" for v in row) for row in found]


def _values(head, drawn):
    if head.task == "classification":
        return np.arange(_CLASSES)
    if head.kinds and head.kinds <= BINARY:
        return np.arange(2)
    if head.is_discrete and Kind.EIGHT_BIT in head.kinds:
        return np.arange(GREY_LEVELS) / (GREY_LEVELS - 1)
    if head.is_discrete:
        return np.arange(min(60, int(np.quantile(drawn, 0.995)) + 2))
    low, high = np.quantile(drawn, [0.003, 0.99 if head.support else 0.997])
    if head.support is not None or head.kinds == {Kind.UNIT_INTERVAL}:
        ends = head.support or (0.0, 1.0)
        low = max(low, ends[0]) if not np.isfinite(ends[0]) else ends[0] + 1e-3
        high = min(high, ends[1]) if not np.isfinite(ends[1]) else ends[1] - 1e-3
    return np.linspace(low, high, 400)
