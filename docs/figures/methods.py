"""Weight methods: what each says of sixty points with a gap.

A training takes seconds, so that what the methods say is kept in toys.json, which
`python -m docs.figures.methods` writes; a method that is not there is trained when it is drawn.
"""

import functools
import json
import pathlib

import numpy as np

from docs.figures.base import ACCENT, INK, OTHER, Picture
from tfp_vae.files import replacing

KEPT = pathlib.Path(__file__).with_name("toys.json")
_NOISE, _HIDDEN, _STEPS, _CHAIN, _AT_ONCE = 0.15, 20, 300, 30, 100
# The noise is known and small, so that slopes are steep: at its rate of 0.01 sgmcmc diverges here.
_RATES = {"sgmcmc": 1e-3}


def _data():
    """Returns sixty points and the inputs to predict at, [n, 1]."""
    from tfp_vae.data import toys

    return toys.gap(), np.linspace(-4, 4, 81, dtype=np.float32)[:, np.newaxis]


def measured(name: str) -> dict:
    """Returns mean and standard deviation of the predictive of a method along the inputs."""
    import keras

    from tfp_vae import methods

    keras.utils.set_random_seed(0)
    train, grid = _data()
    recipe = methods.Recipe(
        name,
        hidden=(_HIDDEN,),
        activation="tanh",
        scale=_NOISE,
        posterior_precision="prior",
        samples=1 if methods.METHODS[name].point_weights else 8,
        members=5,
        posterior_steps=_CHAIN,
        posterior_rate=_RATES.get(name),
    )
    model = recipe.weights.model(methods.make_member(recipe, train.shape, None, seed=0), 0)
    rate = keras.optimizers.schedules.CosineDecay(1e-2, _STEPS)
    optimizer = recipe.weights.optimizer(rate, len(train), 0)
    model.compile(optimizer=optimizer, steps_per_execution=_AT_ONCE, jit_compile=False)
    epochs = _STEPS // _AT_ONCE if recipe.weights.needs_optimum else 1
    options = {"batch_size": len(train), "steps_per_epoch": _AT_ONCE, "verbose": 0}
    model.fit(train, epochs=epochs, **options)
    found = methods.finish(recipe, model, train, 0).predictive(grid, 200)
    parts = {"mean": found.mean(), "sd": found.stddev()}
    return {key: np.round(np.asarray(value, float), 3).tolist() for key, value in parts.items()}


@functools.cache
def kept() -> "dict[str, dict]":
    """Returns what toys.json holds, by method."""
    return json.loads(KEPT.read_text(encoding="utf-8")) if KEPT.exists() else {}


@functools.cache
def said(name: str) -> dict:
    """Returns what a method says, kept or measured now."""
    return kept().get(name) or measured(name)


def picture(name: str) -> Picture:
    """Returns the figure of a method."""
    return band(name, name)


def band(name: str, shown: str) -> Picture:
    """Returns the picture of what a method says beside the truth.

    Args:
        name: of the method.
        shown: its name in the picture.
    """
    train, grid = _data()
    grid, mean, sd = grid[:, 0], np.array(said(name)["mean"]), np.array(said(name)["sd"])
    truth = np.sin(2 * grid) + grid / 3
    inside, outside = (float(np.interp(at, grid, sd)) for at in (0.0, 3.5))
    holds = float(np.mean(np.abs(truth - mean) <= 2 * sd))

    rate = _RATES.get(name)
    note = ("", "")
    if rate:
        note = (
            f" Its learning rate is {rate:g} here: at the default it diverges.",
            f"此处学习率为 {rate:g}：默认值会发散。",
        )

    def paint(figure, say):
        axes = figure.subplots()
        axes.fill_between(grid, mean - 2 * sd, mean + 2 * sd, color=ACCENT, alpha=0.25, lw=0)
        label = say(f"{shown}: mean +- 2 sd", f"{shown}：均值 ± 2 标准差")
        axes.plot(grid, mean, color=ACCENT, label=label)
        axes.plot(grid, truth, "--", lw=1, color=OTHER, label=say("truth", "真实函数"))
        points = train.values()[:, 0], train.targets
        axes.plot(*points, ".", color=INK, ms=4, label=say("data", "数据"))
        axes.set(xlabel="x", ylabel="y", ylim=(-4.5, 4.5))
        axes.legend(ncols=3, loc="upper center")

    return Picture(
        paint,
        (
            f"Predictive mean and two standard deviations of {shown} on sixty noisy points of a "
            f"sine with a gap between -0.7 and 0.7 (noise 0.15): sd {inside:.2f} in the gap, "
            f"{outside:.2f} at 3.5, far from the data. The band holds the true function (dashed) "
            f"at {100 * holds:.0f}% of the inputs from -4 to 4.{note[0]}",
            f"{shown} 在 60 个带噪正弦点（-0.7 与 0.7 之间有空隙，噪声 0.15）"
            f"上的预测均值与两倍标准差：空隙处标准差 {inside:.2f}，"
            f"远离数据的 3.5 处 {outside:.2f}。"
            f"在 -4 到 4 的输入中，{100 * holds:.0f}% 的位置上真实函数（虚线）在带内。{note[1]}",
        ),
    )


def main() -> None:
    """Adds to toys.json what is not there, method by method."""
    from tfp_vae import methods

    found = dict(kept())
    for name in methods.METHODS:
        if name not in found:
            found[name] = measured(name)
            lines = [f"{json.dumps(k)}: {json.dumps(v)}" for k, v in found.items()]
            with replacing(KEPT) as temporary:
                temporary.write_text("{\n" + ",\n".join(lines) + "\n}\n", encoding="utf-8")
            print(f"{name} is kept in {KEPT.name}", flush=True)


if __name__ == "__main__":
    main()
