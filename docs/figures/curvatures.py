"""Curvatures: the posterior covariances of the weights of a small network that each keeps."""

import functools

import keras
import numpy as np
import tensorflow as tf

from docs.figures.base import INK, Picture
from tfp_vae import methods
from tfp_vae.data import toys
from tfp_vae.models import Laplace


@functools.cache
def _correlations(name: str) -> "tuple[np.ndarray, np.ndarray]":
    """Returns the correlations of all weights [P, P] and the number of each one's layer [P]."""
    keras.utils.set_random_seed(1)
    train = toys.gap()
    recipe = methods.Recipe("laplace", hidden=(4,), activation="tanh", scale=0.15)
    model = methods.make_member(recipe, train.shape, None, seed=1)
    model.adapt(train)
    laplace = Laplace(model, name).fit(train)
    size = laplace.curvature.num_weights
    root = np.asarray(laplace.curvature.deviations(tf.eye(size)), np.float64)
    covariance = root.T @ root
    scale = np.sqrt(np.diag(covariance))
    return covariance / np.outer(scale, scale), laplace.layer_of


def picture(name: str) -> Picture:
    """Returns the figure of a structure."""
    found, layer_of = _correlations(name)
    whole, _ = _correlations("full")
    kept = np.abs(found) > 1e-6
    off = ~np.eye(len(found), dtype=bool)
    ends = np.flatnonzero(np.diff(layer_of)) + 0.5
    share = float(kept[off].mean())
    error = float(np.abs(found - whole)[off].mean())

    def paint(figure, say):
        axes = figure.subplots(1, 2)
        for axis, values, title in zip(axes, (found, whole), (name, "full"), strict=True):
            image = axis.imshow(values, cmap="RdBu_r", vmin=-1, vmax=1)
            for end in ends:
                axis.axhline(end, color=INK, lw=0.7)
                axis.axvline(end, color=INK, lw=0.7)
            axis.set(title=title, xlabel=say("weight", "权重"), ylabel=say("weight", "权重"))
        figure.colorbar(image, ax=axes, label=say("correlation", "相关系数"))

    return Picture(
        paint,
        (
            f"Posterior correlations of the {len(found)} weights of a small network under the "
            f"structure {name} (left) and under all of them (right); lines part the layers. "
            f"{100 * share:.0f}% of the pairs are correlated; all are {error:.2f} off in mean.",
            f"一个小网络的 {len(found)} 个权重在 {name} 结构下（左）与完整结构下（右）"
            f"的后验相关系数，线分隔各层。{100 * share:.0f}% 的权重对相关；"
            f"平均误差 {error:.2f}。",
        ),
        (7.2, 3.2),
    )
