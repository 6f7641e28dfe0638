"""Priors of codes: the table of two codes that follow each other, beside that of the data."""

import inspect

import keras
import numpy as np
import tensorflow as tf

from docs.figures.base import Picture
from tfp_vae.distributions.code_priors import CODE_PRIORS
from tfp_vae.distributions.codes import CODES

_CODES, _PLACES, _STEPS = 5, 4, 150


def _data(count: int = 2000) -> np.ndarray:
    """Returns codes int32 [count, 4] of which each is the last one or one more."""
    rng = np.random.default_rng(1)
    steps = rng.integers(0, 2, (count, _PLACES))
    steps[:, 0] = rng.integers(0, _CODES, count)
    return (np.cumsum(steps, 1) % _CODES).astype(np.int32)


def picture(name: str) -> Picture:
    """Returns the figure of a prior of codes."""
    keras.utils.set_random_seed(0)
    kind = CODE_PRIORS[name]
    takes = inspect.signature(kind).parameters
    beside = {"continuous": 1} if "continuous" in takes else {}
    small = {k: v for k, v in (("hidden", (32,)), ("filters", 16)) if k in takes}
    encoder = CODES["categorical"](keras.layers.Identity(), _PLACES, _CODES)
    prior = kind(_PLACES, _CODES, _CODES, **beside, **small)
    prior.meet(encoder)
    codes = _data()
    prior()
    if prior.trainable_variables:
        prior.fit(np.asarray(encoder.book.codes(codes)), steps=_STEPS)
    every = np.stack(np.unravel_index(np.arange(_CODES**_PLACES), (_CODES,) * _PLACES), -1)
    z = tf.cast(encoder.book.codes(every.astype(np.int32)), tf.float32)
    if beside:  # the density of the normal part at 0 is divided out
        z = tf.concat([tf.zeros([len(every), 1]), z], -1)
    log_p = np.asarray(prior().log_prob(z), np.float64) + (0.9189385332 if beside else 0.0)
    table = np.zeros((_CODES, _CODES))
    np.add.at(table, (every[:, 0], every[:, 1]), np.exp(log_p))
    seen = np.zeros_like(table)
    np.add.at(seen, (codes[:, 0], codes[:, 1]), 1 / len(codes))
    inside = codes @ (_CODES ** np.arange(_PLACES - 1, -1, -1))
    mean = float(log_p[inside].mean())
    even, best = -_PLACES * np.log(_CODES), -np.log(_CODES) - (_PLACES - 1) * np.log(2)

    def paint(figure, say):
        axes = figure.subplots(1, 2)
        titles = say("codes that are seen", "出现的编码"), name
        for axis, values, title in zip(axes, (seen, table), titles, strict=True):
            image = axis.imshow(values, cmap="Blues", vmin=0, vmax=seen.max(), origin="lower")
            axis.set(title=title, xlabel=say("second code", "第二个编码"))
            axis.set_ylabel(say("first code", "第一个编码"))
        figure.colorbar(image, ax=axes, label=say("probability", "概率"))

    return Picture(
        paint,
        (
            "Probabilities of the first two of four codes, in which each is the last or one more: "
            f"left as they are seen, right under the prior {name}. Its mean log p of all four is "
            f"{mean:.2f} nats; all alike is {even:.2f}, the best {best:.2f}.",
            "四个编码（每个等于前一个或大 1）中前两个的概率：左为所见，"
            f"右为先验 {name}。它对全部四个编码的平均 log p 为 {mean:.2f} 纳特；"
            f"一律等概率为 {even:.2f}，最好为 {best:.2f}。",
        ),
        (7.2, 3.2),
    )
