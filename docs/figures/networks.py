"""Networks: what a picture becomes on its way to the latents and back."""

import math

import keras
import numpy as np

from docs.figures.base import ACCENT, OTHER, Picture
from tfp_vae.methods import VAERecipe
from tfp_vae.methods.vae_networks import VAE_NETWORKS

_SHAPE, _LATENTS = (28, 28, 1), 20


def picture(name: str) -> Picture:
    """Returns the figure of a kind of networks."""
    recipe = VAERecipe(network=name, latent_dim=_LATENTS)
    pair = VAE_NETWORKS[name]()
    down = _sizes(pair.encoding(recipe, _SHAPE), _SHAPE)
    up = _sizes(pair.decoding(recipe, _SHAPE), (_LATENTS,))
    rows = [*[(*row, ACCENT) for row in down], ((_LATENTS,), 0, "#3a7d44")]
    rows += [(*row, OTHER) for row in up[1:]]
    weights = [sum(row[1] for row in part) for part in (down, up)]

    def paint(figure, say):
        axes = figure.subplots()
        numbers = [math.prod(shape) for shape, *_ in rows]
        axes.bar(np.arange(len(rows)), numbers, color=[row[2] for row in rows], width=0.6)
        shapes = ["x".join(str(n) for n in shape) for shape, *_ in rows]
        axes.set_xticks(np.arange(len(rows)), shapes, rotation=90, fontsize=8)
        axes.set(yscale="log", ylabel=say("numbers of an example", "每个样本的数值个数"))
        parts = "编码器（蓝）、隐变量（绿）、解码器（红）"
        axes.set_title(say("encoder (blue), latents (green), decoder (red)", parts))

    return Picture(
        paint,
        (
            f"Numbers of an example after each layer of the networks {name}, from an image of "
            f"28x28 to {_LATENTS} latents and back, with their shapes: {weights[0]:,} weights in "
            f"the network of the encoder and {weights[1]:,} in that of the decoder.",
            f"{name} 网络每一层之后一个样本的数值个数及其形状，从 28x28 的图像到 {_LATENTS} "
            f"个隐变量再回来：编码器网络有 {weights[0]:,} 个权重，解码器网络有 {weights[1]:,} 个。",
        ),
    )


def _sizes(network: keras.Sequential, shape: "tuple[int, ...]") -> "list[tuple]":
    """Returns (shape after it, weights) of the layers that have some, the input first."""
    rows, value = [(tuple(shape), 0)], np.zeros((1, *shape), np.float32)
    network(value)
    for layer in network.layers:
        value = layer(value)
        count = int(layer.count_params())
        if count or tuple(value.shape[1:]) != rows[-1][0]:
            rows.append((tuple(value.shape[1:]), count))
    return rows
