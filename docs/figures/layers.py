"""Bayesian layers: outputs of several passes, where a pass is one function and where it is not."""

import inspect

import keras
import numpy as np
import tensorflow as tf

from docs.figures import tree
from docs.figures.base import ACCENT, INK, OTHER, THREE, Picture
from tfp_vae import layers
from tfp_vae.data import Column, Schema
from tfp_vae.layers.noise import ESTIMATOR, SHARED, Noise, use

_UNITS, _PASSES, _MANY = 24, 3, 40


def picture(name: str) -> Picture:
    """Returns the figure of a layer."""
    kind = getattr(layers, name)
    own = {
        "Exposure": _exposed,
        "RandomFeatureGaussianProcess": _process,
        "SpectralBound": _spectrum,
        "Standardize": _standardized,
        "TableInput": _table,
    }
    if name in own:
        return own[name](name)
    if inspect.isabstract(kind) or name in ("BayesianLayer", "WeightLayer"):
        return tree.picture(name)
    return _passes(name, kind)


def _passes(name, kind):
    keras.utils.set_random_seed(3)
    takes = inspect.signature(kind).parameters
    rank = getattr(kind, "rank", 0)
    if "layer" in takes:
        layer = kind(keras.layers.Dense(_UNITS))
    elif "rate" in takes:
        layer = kind(0.3)
    else:
        layer = kind(1 if rank else _UNITS, *([3] if rank else []))
    shape = {0: (4,), 1: (_UNITS, 1), 2: (6, 6, 1), 3: (4, 4, 4, 1)}[rank]
    if "rate" in takes:
        shape = (_UNITS,)
    x = np.random.default_rng(1).standard_normal(shape).astype(np.float32)
    x = tf.constant(np.stack([x, x]))  # the same example twice
    layer(x)
    for weight in getattr(layer, "trainable_variables", ()):
        if "scale" in weight.name and weight.shape.rank:
            weight.assign(weight + 1.5 * tf.abs(weight) * 0.3)  # wide enough to be seen

    def outputs(mode):
        found = []
        for number in range(_MANY):
            with use(Noise(tf.constant([7, number]), mode, draw=number)):
                found.append(np.asarray(layer(x)).reshape(2, -1))
        return np.stack(found)

    seen = {mode: outputs(mode) for mode in (SHARED, ESTIMATOR)}
    spread = {mode: float(v.std(0).mean()) for mode, v in seen.items()}
    alike = {m: float(np.abs(v[:, 0] - v[:, 1]).mean()) for m, v in seen.items()}

    def paint(figure, say):
        titles = {
            SHARED: say("a prediction: one function", "预测：一个函数"),
            ESTIMATOR: say("a training pass", "训练中的一遍"),
        }
        both = figure.subplots(1, 2, sharey=True)
        for axes, (mode, drawn) in zip(both, seen.items(), strict=True):
            for number, color in zip(range(_PASSES), THREE, strict=True):
                axes.plot(drawn[number, 0], color=color, lw=1)
                axes.plot(drawn[number, 1], ":", color=color, lw=2)
            axes.set(title=titles[mode], xlabel=say("output", "输出"))

    return Picture(
        paint,
        (
            f"Outputs of {name} under {_PASSES} keys (colours) for one example that is twice in "
            "the batch (solid, dotted). Left, as in predictions: both are "
            f"{_same(alike[SHARED])[0]}; right, as in training: they are "
            f"{_same(alike[ESTIMATOR])[0]}. Mean deviation over {_MANY} passes: "
            f"{spread[SHARED]:.3f} and {spread[ESTIMATOR]:.3f}.",
            f"{name} 在 {_PASSES} 个密钥（颜色）下对同一批次中出现两次的同一样本（实线、点线）"
            f"的输出。左（预测时）：两者{_same(alike[SHARED])[1]}；右（训练时）："
            f"两者{_same(alike[ESTIMATOR])[1]}。{_MANY} 遍的平均标准差："
            f"{spread[SHARED]:.3f} 与 {spread[ESTIMATOR]:.3f}。",
        ),
    )


def _same(distance):
    if distance < 1e-5:
        return "the same", "相同"
    return f"{distance:.3f} apart in the mean", f"平均相差 {distance:.3f}"


def _process(name):
    keras.utils.set_random_seed(0)
    layer = layers.RandomFeatureGaussianProcess(1, features=256, ridge=1.0)
    data = np.concatenate([np.linspace(-2, -0.7, 30), np.linspace(0.7, 2, 30)])
    data = data[:, None].astype(np.float32)
    layer(data)
    layer.begin()
    layer(data, training=True)
    layer.finish()
    x = np.linspace(-6, 6, 241, dtype=np.float32)[:, None]
    sd = np.sqrt(np.asarray(layer.variance(x)))
    inside, outside = float(sd[np.abs(x[:, 0]) < 0.05].mean()), float(sd[-1])

    def paint(figure, say):
        axes = figure.subplots()
        axes.plot(x, sd, color=ACCENT, label=say("sd of an output", "输出的标准差"))
        axes.plot(data, 0 * data, "|", color=INK, label=say("data", "数据"))
        axes.set(xlabel="x", ylim=(-0.05, None))
        axes.legend()

    return Picture(
        paint,
        (
            f"Standard deviation of an output of {name} after it has seen sixty inputs (ticks): "
            f"{inside:.2f} in the gap between them, {outside:.2f} far away, where the prior has 1.",
            f"{name} 见过 60 个输入（短线）之后输出的标准差：空隙处 {inside:.2f}，"
            f"远处 {outside:.2f}，先验为 1。",
        ),
    )


def _spectrum(name):
    kernel = np.random.default_rng(0).standard_normal((30, 30)).astype(np.float32)
    before = np.linalg.svd(kernel, compute_uv=False)
    after = np.linalg.svd(np.asarray(layers.SpectralBound(0.95)(kernel)), compute_uv=False)

    def paint(figure, say):
        axes = figure.subplots()
        axes.plot(before, "o-", ms=3, color=OTHER, label=say("as it was", "之前"))
        axes.plot(after, "o-", ms=3, color=ACCENT, label=name)
        axes.axhline(0.95, color=INK, ls="--", lw=1)
        axes.set(xlabel=say("singular value, by size", "奇异值（由大到小）"), yscale="log")
        axes.legend()

    return Picture(
        paint,
        (
            f"Singular values of a kernel of 30x30 before {name} with bound 0.95 (the largest is "
            f"{before[0]:.2f}) and after it ({after[0]:.2f}).",
            f"30x30 的核在 {name}（界 0.95）之前（最大奇异值 {before[0]:.2f}）与之后"
            f"（{after[0]:.2f}）的奇异值。",
        ),
    )


def _standardized(name):
    rng = np.random.default_rng(0)
    columns = [rng.normal(40, 10, 500), rng.gamma(2.0, 15, 500)]
    x = np.stack(columns, -1).astype(np.float32)
    layer = layers.Standardize()
    layer(x)
    layer.adapt(x)
    z = np.asarray(layer(x))

    def paint(figure, say):
        titles = say("as they come", "原样"), name
        for axes, values, title in zip(figure.subplots(1, 2), (x, z), titles, strict=True):
            axes.hist(values, 30, histtype="stepfilled", alpha=0.5, color=[ACCENT, OTHER])
            axes.set(title=title, xlabel=say("value", "取值"))

    return Picture(
        paint,
        (
            f"Two columns before {name}, of means {x[:, 0].mean():.0f} and {x[:, 1].mean():.0f}, "
            "and after it, both of mean 0 and standard deviation 1.",
            f"两列数据在 {name} 之前（均值 {x[:, 0].mean():.0f} 与 {x[:, 1].mean():.0f}）"
            "与之后（均值都为 0，标准差都为 1）。",
        ),
    )


def _table(name):
    schema = Schema(
        (
            Column("age"),
            Column("income", "positive"),
            Column("town", "categorical", ("a", "b", "c"), "text"),
        )
    )
    rng = np.random.default_rng(0)
    columns = [rng.normal(40, 10, 12), np.exp(rng.normal(10, 1, 12)), rng.integers(0, 3, 12)]
    x = np.stack(columns, -1).astype(np.float32)
    x[2, 0] = x[5, 2] = np.nan
    layer = layers.TableInput(schema)
    layer(x)
    layer.adapt(x)
    encoded = np.asarray(layer(x))

    def paint(figure, say):
        axes = figure.subplots()
        shown = np.sign(encoded) * np.log1p(np.abs(encoded))
        image = axes.imshow(shown, cmap="RdBu_r", aspect="auto", vmin=-3, vmax=3)
        axes.set(xlabel=say("number that the network sees", "网络看到的数"))
        axes.set_ylabel(say("row of the table", "表的行"))
        figure.colorbar(image, ax=axes, label="sign(h) log(1 + |h|)")

    return Picture(
        paint,
        (
            f"What {name} makes of twelve rows of three columns (a number, a positive number, one "
            f"of three towns) of which two values are missing: {encoded.shape[1]} finite numbers a "
            "row, those that say what is missing among them.",
            f"{name} 把三列（一个数、一个正数、三个城镇之一）的十二行（缺两个值）变成每行 "
            f"{encoded.shape[1]} 个有限的数，其中包括说明缺失的数。",
        ),
    )


def _exposed(name):
    days = np.tile(np.linspace(1, 30, 59), 2)
    group = np.repeat([0.0, 1.0], 59)
    x = np.stack([group, days], -1).astype(np.float32)
    layer = layers.Exposure(keras.layers.Dense(1), 1)
    layer(x)
    layer.adapt(x)
    layer.network.set_weights([np.array([[1.0], [0.0]]), np.array([1.5])])
    mean = np.exp(np.asarray(layer(x), np.float64))[:, 0]
    rates = [float((mean / days)[group == each].mean()) for each in (0, 1)]
    counts = np.random.default_rng(0).poisson(mean)

    def paint(figure, say):
        axes = figure.subplots()
        for each, color in ((0, ACCENT), (1, OTHER)):
            chosen = group == each
            rate = f"{rates[each]:.2f}"
            label = say(f"group {each}: {rate} a day", f"组 {each}：每天 {rate}")
            axes.plot(days[chosen], counts[chosen], ".", color=color, alpha=0.5)
            axes.plot(days[chosen], mean[chosen], color=color, label=label)
        axes.set(xlabel=say("days of observation", "观察天数"), ylabel=say("count", "计数"))
        axes.legend()

    return Picture(
        paint,
        (
            f"Means of counts (lines) by days of observation behind {name}, and draws of a Poisson "
            f"with these means (points): the rate of a group is {rates[0]:.2f} or {rates[1]:.2f} a "
            "day whatever the number of days.",
            f"{name} 之后计数的均值（线）随观察天数的变化，以及以此为均值的泊松样本（点）："
            f"不论天数多少，两组每天的率为 {rates[0]:.2f} 和 {rates[1]:.2f}。",
        ),
    )
