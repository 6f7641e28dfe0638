"""Discrete latents: which code a plane of inputs gets, and what is drawn along a line of it."""

import inspect

import keras
import numpy as np
import tensorflow as tf

from docs.figures.base import ACCENT, INK, Picture
from tfp_vae.distributions import draws
from tfp_vae.distributions.codes import CODES

_SETTINGS = {"places": 1, "categories": 5, "count": 12, "width": 2, "levels": (5, 4),
             "continuous": 1}  # fmt: skip


def picture(name: str) -> Picture:
    """Returns the figure of a kind of codes."""
    keras.utils.set_random_seed(1)
    kind = CODES[name]
    takes = {p for each in inspect.getmro(kind) if "__init__" in vars(each)
             for p in inspect.signature(each).parameters}  # fmt: skip
    known = {k: v for k, v in _SETTINGS.items() if k in takes}
    if not {"categories", "count", "levels"} & takes:
        known["places"] = 3  # bits
    encoder = kind(keras.layers.Identity(), **known)
    line = np.linspace(-3, 3, 121, dtype=np.float32)
    plane = np.stack(np.meshgrid(line, line), -1).reshape(-1, 2)
    encoder(plane[:2])
    _spread(encoder)
    index = np.asarray(encoder.codes(plane)) @ (encoder.book.count ** np.arange(encoder.places))
    along = np.stack([line, 0.5 * line], -1)
    drawn = np.asarray(draws.sample(encoder(along), [12], (0, 3)))[..., -encoder.book.width]
    used = len(np.unique(index))
    values = len(np.unique(drawn.round(4)))

    def paint(figure, say):
        left, right = figure.subplots(1, 2, width_ratios=[1, 1.4])
        left.pcolormesh(line, line, index.reshape(len(line), -1), cmap="tab20", rasterized=True)
        left.plot(*along.T, color=INK, lw=1)
        left.set(aspect="equal", xlabel="$h_1$", ylabel="$h_2$")
        left.set_title(say("likeliest code", "最可能的编码"))
        right.plot(np.tile(line, 12), drawn.ravel(), ".", ms=2, color=ACCENT)
        right.set(xlabel=say("h1 along the line", "沿线的 h1"))
        right.set_ylabel(say("first number of z, drawn", "z 的第一个数（抽样）"))

    return Picture(
        paint,
        (
            f"Left: the likeliest code of {name} for each point of a plane of features, {used} "
            "codes in all. Right: the first number of a code, twelve draws at each point of a line "
            f"through that plane, which has {values} different values there.",
            f"左：{name} 对特征平面每一点的最可能编码，共 {used} 个。"
            f"右：沿平面中一条线，每点抽样十二次的编码的第一个数，其中有 {values} 个不同的值。",
        ),
    )


def _spread(encoder) -> None:
    """Gives the projection, untrained, weights that make the plane cross several codes."""
    kernel = encoder.projection.kernel
    rng = np.random.default_rng(2)
    shape = tuple(kernel.shape)
    value = 1.5 * np.eye(*shape) if shape[1] == 2 else 1.5 * rng.standard_normal(shape)
    kernel.assign(tf.constant(value, tf.float32))
