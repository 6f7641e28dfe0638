"""Priors of latents: the density over two of them, and how far draws of one go."""

import numpy as np
import tensorflow as tf
from scipy import stats

from docs.figures.base import ACCENT, INK, OTHER, Picture
from tfp_vae import networks
from tfp_vae.data import toys
from tfp_vae.distributions import draws
from tfp_vae.distributions.base import SPHERE
from tfp_vae.distributions.encoders import Gaussian
from tfp_vae.distributions.priors import PRIORS
from tfp_vae.distributions.priors.base import Context, Spec

_REACH, _STEPS = 3.5, 150
_HOW = {
    "fixed": ("nothing to learn", "没有要学的"),
    "fitted": ("fitted to two half moons", "拟合两个半月"),
    "inputs": ("8 inputs on a circle", "圆上 8 个输入"),
}


def picture(name: str) -> Picture:
    """Returns the figure of a prior."""
    tf.random.set_seed(0)
    p, how = _made(PRIORS[name])
    few = draws.sample(p, [300], (0, 3)).numpy()
    first = draws.sample(p, [4000], (0, 5)).numpy()[:, 0]
    line = np.linspace(-_REACH, _REACH, 141, dtype=np.float32)
    density = None
    if PRIORS[name].support != SPHERE:  # whose density is by the length of the circle
        grid = np.stack(np.meshgrid(line, line), -1)
        density = np.exp(np.nan_to_num(p.log_prob(grid).numpy(), nan=-np.inf))
    beyond = np.mean(np.abs(first) > 2)

    def paint(figure, say):
        left, right = figure.subplots(1, 2, width_ratios=[1, 1.5])
        if density is not None:
            left.contourf(line, line, density, 12, cmap="Blues")
        left.plot(*few.T, ".", ms=2, color=INK, alpha=0.6)
        left.set(aspect="equal", xlim=(-_REACH, _REACH), ylim=(-_REACH, _REACH))
        left.set(xlabel="$z_1$", ylabel="$z_2$", title=say(*_HOW[how]))
        bins = np.linspace(-5, 5, 81)
        right.hist(first, bins, density=True, histtype="stepfilled", color=ACCENT, alpha=0.4,
                   label=name)  # fmt: skip
        right.plot(bins, stats.norm.pdf(bins), "--", color=OTHER, label="N(0, 1)")
        right.set(yscale="log", ylim=(1e-4, None), xlabel="$z_1$", ylabel=say("density", "密度"))
        right.legend()

    return Picture(
        paint,
        (
            f"Left: density of the prior {name} over two latents and 300 draws, {_HOW[how][0]}. "
            f"Right: the first latent of 4,000 draws beside N(0, 1), on a log scale: its standard "
            f"deviation is {first.std():.2f}, and {100 * beyond:.1f}% are beyond 2 (4.6% of N(0, "
            "1)).",
            f"左：先验 {name} 在两个隐变量上的密度和 300 个样本，{_HOW[how][1]}。"
            f"右：4,000 个样本的第一个隐变量与 N(0, 1)，对数坐标：标准差 {first.std():.2f}，"
            f"{100 * beyond:.1f}% 超出 2（N(0, 1) 为 4.6%）。",
        ),
    )


def _made(kind):
    """Returns the distribution of two latents and how it came to be."""
    prior = kind(2, **({"components": 8} if kind.has_components else {}))
    prior.build(Spec(2, (2,)))
    if kind.uses_encoder:
        encoder = Gaussian(networks.mlp([]), 2)
        encoder.build((None, 2))
        # Means are the inputs, scales 0.5.
        kernel = np.hstack([np.eye(2), np.zeros((2, 2))])
        encoder.projection.set_weights([kernel, np.array([0, 0, -0.43, -0.43])])
        angle = np.arange(8) * np.pi / 4
        prior.assign(2 * np.stack([np.cos(angle), np.sin(angle)], -1))
        return prior(Context(encode=encoder)), "inputs"
    if not prior.trainable_variables:
        return prior(), "fixed"
    moons = toys.two_moons(600).values() * 1.6 - np.array([0.8, 0.4])
    prior.fit(moons.astype(np.float32), steps=_STEPS)
    return prior(), "fitted"
