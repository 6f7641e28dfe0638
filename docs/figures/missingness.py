"""Reasons for missing cells: a column whose large values are not told, and what is made of it."""

import keras
import numpy as np
import tensorflow as tf
from scipy import special, stats

from docs.figures.base import ACCENT, OTHER, PALE, Picture
from tfp_vae import heads, networks
from tfp_vae.data import Column, Schema
from tfp_vae.distributions.columns import Columns

_STEPS = 400


def picture(name: str) -> Picture:
    """Returns the figure of a reason."""
    rng = np.random.default_rng(0)
    every = rng.normal(size=1000).astype(np.float32)
    gone = rng.random(1000) < special.expit(3 * (every - 0.5))
    seen = np.where(gone, np.nan, every)[:, np.newaxis]
    keras.utils.set_random_seed(0)
    schema = Schema((Column("income"),))
    decoder = Columns(networks.mlp([]), schema, {"income": heads.NormalInUnits()}, missing=name)
    decoder.build((None, 1))
    decoder.adapt(seen)
    if decoder.missingness.is_modelled:
        # What was adapted to the values that are there is a saddle point: both signs of the slope
        # are as good there, and a table without latents has no noise that would choose one.
        decoder.missingness.slope.assign([0.1])
    optimizer, z = keras.optimizers.Adam(0.05), tf.zeros([len(seen), 1])
    variables = decoder.trainable_variables
    optimizer.build(variables)

    @tf.function
    def train():
        for _ in tf.range(_STEPS):
            with tf.GradientTape() as tape:
                loss = -tf.reduce_mean(decoder(z).log_prob(seen))
            optimizer.apply(tape.gradient(loss, variables), variables)

    train()
    found = decoder(z[:1])
    mean, scale = float(found.mean()[0, 0]), float(found.variance()[0, 0]) ** 0.5
    known = every[~gone]

    def paint(figure, say):
        axis = figure.subplots()
        grid, bins = np.linspace(-3.5, 3.5, 201), np.linspace(-3.5, 3.5, 36)
        axis.hist(every, bins, color=PALE, label=say("all values", "全部取值"))
        label = say("those that are there", "未缺失的")
        axis.hist(known, bins, color=ACCENT, alpha=0.6, label=label)
        height = len(every) * (bins[1] - bins[0])
        label = say(f"p(x), {name}", f"p(x)，{name}")
        axis.plot(grid, height * stats.norm.pdf(grid, mean, scale), color=OTHER, label=label)
        axis.set(xlabel=say("value", "取值"), ylabel=say("cells", "单元格数"))
        axis.legend()

    return Picture(
        paint,
        (
            "Large values of a column are missing more often. Mean and standard deviation of all "
            f"are {every.mean():.2f} and {every.std():.2f}, of those that are there "
            f"{known.mean():.2f} and {known.std():.2f}; of the normal that is fitted with {name} "
            f"{mean:.2f} and {scale:.2f}.",
            "一列中较大的值更常缺失。全部取值的均值和标准差为 "
            f"{every.mean():.2f} 和 {every.std():.2f}，未缺失的为 {known.mean():.2f} 和 "
            f"{known.std():.2f}；以 {name} 拟合的正态分布为 {mean:.2f} 和 {scale:.2f}。",
        ),
    )
