"""Posteriors: each fitted to the same p(z|x), which is bent, by the bound alone."""

import keras
import numpy as np
import tensorflow as tf

from docs.figures.base import OTHER, Picture
from tfp_vae import networks
from tfp_vae.distributions import draws
from tfp_vae.distributions.base import SPHERE
from tfp_vae.distributions.encoders import ENCODERS
from tfp_vae.distributions.priors import PRIORS
from tfp_vae.models.latents import covers

_NOISE, _STEPS, _DRAWS = 0.3, 200, 16
_X = np.linspace(-1, 1, 9, dtype=np.float32)[:, None]  # examples; the one in the middle is drawn
_REACH = 2.6


def _log_likelihood(z, x):
    """Returns log p(x|z) of x = z_2 - z_1^2 + 0.8 + noise, [..., 2] -> [...]."""
    off = (x - z[..., 1] + tf.square(z[..., 0]) - 0.8) / _NOISE
    return -0.5 * tf.square(off) - np.log(_NOISE * np.sqrt(2 * np.pi))


def picture(name: str) -> Picture:
    """Returns the figure of a posterior."""
    keras.utils.set_random_seed(0)
    kind = ENCODERS[name]
    encoder = kind(networks.mlp([16], activation="tanh"), 2)
    prior = next(each for each in PRIORS.values() if covers(each.support, kind.support))(2)

    def posterior(training):
        q = encoder(_X, training=training)
        return encoder.given_prior(q, prior()) if encoder.uses_prior else q

    posterior(False)
    optimizer = keras.optimizers.Adam(keras.optimizers.schedules.CosineDecay(0.03, _STEPS))
    optimizer.build(encoder.trainable_variables)

    @tf.function(autograph=False)
    def step(number):
        with tf.GradientTape() as tape:
            z, log_q = draws.sample_and_log_prob(posterior(True), [_DRAWS], tf.stack([3, number]))
            bound = _log_likelihood(z, _X[:, 0]) + prior().log_prob(z) - log_q()
            loss = -tf.reduce_mean(bound)
        optimizer.apply(tape.gradient(loss, encoder.trainable_variables))

    for number in range(_STEPS):
        step(tf.constant(number))
    q, middle = posterior(False), len(_X) // 2
    if kind.support == SPHERE:
        angle = np.linspace(-np.pi, np.pi, 721, dtype=np.float32)
        grid, area = np.stack([np.cos(angle), np.sin(angle)], -1), angle[1] - angle[0]
    else:
        line = np.linspace(-_REACH, _REACH, 131, dtype=np.float32)
        grid, area = np.stack(np.meshgrid(line, line), -1), (line[1] - line[0]) ** 2
    log_q = np.asarray(q.log_prob(grid[..., None, :]))[..., middle]
    log_p = np.asarray(_log_likelihood(grid, 0.0) + prior().log_prob(grid))
    log_p = log_p - np.log(np.sum(np.exp(log_p)) * area)
    mass = np.exp(log_q) * area
    used = (mass > 1e-12) & np.isfinite(log_p)
    gap = max(float(np.sum(mass[used] * (log_q - log_p)[used])), 0.0)

    def paint(figure, say):
        if kind.support == SPHERE:
            axes = figure.subplots()
            axes.fill_between(angle, np.exp(log_p), color="#9ecae1", label="p(z|x)")
            axes.plot(angle, np.exp(log_q), color=OTHER, label=f"q(z|x), {name}")
            axes.set(xlabel=say("angle of z", "z 的角度"), ylabel=say("density", "密度"))
        else:
            axes = figure.subplots()
            axes.contourf(line, line, np.exp(log_p), 10, cmap="Blues")
            axes.contour(line, line, np.exp(log_q), 6, colors=OTHER, linewidths=1)
            axes.plot([], [], color=OTHER, label=f"q(z|x), {name}")
            axes.plot([], [], "s", color="#6baed6", label="p(z|x)")
            axes.set(aspect="equal", xlabel="$z_1$", ylabel="$z_2$")
        axes.legend(loc="lower center")
        axes.set_title(f"KL(q || p) = {gap:.3f} " + say("nats", "纳特"))

    return Picture(
        paint,
        (
            f"The posterior {name} of one example (lines) over p(z|x), a bent ridge (shade), "
            f"after {_STEPS} steps on the bound: it misses log p(x) by {gap:.3f} nats.",
            f"{name} 后验对一个样本的密度（线）与弯曲的 p(z|x)（阴影），"
            f"按下界训练 {_STEPS} 步之后：比 log p(x) 低 {gap:.3f} 纳特。",
        ),
        (4.6, 4.2) if kind.support != SPHERE else (7.2, 3.0),
    )
