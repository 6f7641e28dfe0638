"""Kinds of VAE: the graph of the model that a recipe builds, read from the model itself."""

import functools

import keras
import numpy as np

from docs.figures.base import ACCENT, INK, PALE, Picture
from tfp_vae.data import Data, Split
from tfp_vae.data.kinds import Kind
from tfp_vae.methods import VAERecipe

_COUNT, _SHAPE, _CLASSES = 60, (8, 8, 1), 3
_FILL = {"seen": PALE, "latent": "#ffffff", "judge": "#f6d7dc"}


@functools.cache
def _data(kind: Kind) -> Data:
    rng = np.random.default_rng(0)
    x = rng.random((_COUNT, *_SHAPE)).astype(np.float32)
    x = x if kind is Kind.REAL else (x < 0.5).astype(np.float32)
    labels = rng.integers(0, _CLASSES, _COUNT)
    names = "train", "validation", "test"
    parts = (Split(x[i::3], kind, labels[i::3], name=n) for i, n in enumerate(names))
    return Data("toy", *parts)


def picture(name: str) -> Picture:
    """Returns the figure of a kind of VAE."""
    keras.utils.set_random_seed(0)
    recipe = VAERecipe(model=name, latent_dim=2, hidden=(16,), components=_CLASSES)
    kind = Kind.REAL if name == "correlated" else Kind.STATIC
    model = recipe.build(_data(kind))
    return graph(model, name)


def graph(model: keras.Model, shown: str) -> Picture:
    """Returns the picture of a model.

    Args:
        model: a VAE.
        shown: its name.
    """
    nodes, arrows, dashed = _graph(model)
    each = (f"{v.name} ({v.latent_dim}, {type(v.prior).__name__})" for v in model.latents)
    latents = ", ".join(each)
    solid = ", ".join(f"{a} to {b}" for a, b in arrows)
    solid_zh = "，".join(f"{a} 到 {b}" for a, b in arrows)
    inference = ", ".join(f"{a} to {b}" for a, b in dashed)
    inference_zh = "，".join(f"{a} 到 {b}" for a, b in dashed)

    def paint(figure, say):
        axes = figure.subplots()
        for pairs, style, color, bend in ((arrows, "-", INK, 0.0), (dashed, "--", ACCENT, 0.35)):
            for start, end in pairs:
                axes.annotate(
                    "", nodes[end][:2], nodes[start][:2],
                    arrowprops={"arrowstyle": "->", "ls": style, "color": color, "shrinkA": 17,
                                "shrinkB": 17, "connectionstyle": f"arc3,rad={bend}"},
                )  # fmt: skip
        for node, (x, y, role) in nodes.items():
            axes.plot(x, y, "s" if role == "judge" else "o", ms=30, mfc=_FILL[role], mec=INK)
            axes.text(x, y, f"${node}$" if len(node) < 3 else node, ha="center", va="center",
                      fontsize=10 if len(node) < 3 else 8)  # fmt: skip
        axes.plot([], [], color=INK, label=say("generation", "生成"))
        axes.plot([], [], "--", color=ACCENT, label=say("inference", "推断"))
        axes.plot([], [], "o", mfc=PALE, mec=INK, label=say("observed", "可观测"))
        if any(role == "judge" for *_, role in nodes.values()):
            label = say("discriminator", "判别器")
            axes.plot([], [], "s", mfc=_FILL["judge"], mec=INK, label=label)
        axes.legend(loc="center left", bbox_to_anchor=(1.0, 0.5))
        axes.set(xlim=(-1.6, 1.8), ylim=(-0.6, max(y for _, y, _ in nodes.values()) + 0.6))
        axes.axis("off")

    return Picture(
        paint,
        (
            f"Graph of the model {shown}, of class {type(model).__name__} and "
            f"{model.count_params():,} weights here; latents: {latents}. It generates {solid}; "
            f"inference goes {inference}.",
            f"模型 {shown} 的图，此处为 {model.count_params():,} 个权重的 {type(model).__name__}；"
            f"隐变量：{latents}。生成方向：{solid_zh}；推断方向：{inference_zh}。",
        ),
        (5.6, 1.6 + 0.9 * len(model.latents)),
    )


def _graph(model):
    """Returns {node: (x, y, role)}, arrows of the model and those of inference."""
    latents = [latent.name for latent in model.latents]
    count = len(latents)
    nodes = {"x": (0.0, 0.0, "seen")}
    for number, name in enumerate(latents):
        nodes[name] = (0.0, float(count - number), "latent")
    arrows, dashed = [], [("x", name) for name in latents]
    for number, name in enumerate(latents):
        if number:
            arrows += [(above, name) for above in latents[:number]]
            dashed += [(above, name) for above in latents[:number]]
    bottom = latents if getattr(model, "decoder_sees_above", False) else latents[-1:]
    arrows += [(name, "x") for name in bottom]
    if getattr(model, "condition", None):
        condition = "y" if hasattr(model, "classifier") else "c"
        nodes[condition] = (1.2, 0.5, "latent" if condition == "y" else "seen")
        arrows.append((condition, "x"))
        arrows += [(condition, v.name) for v in model.latents if v.prior.needs_condition]
        dashed += [(condition, name) for name in latents]
        if condition == "y":
            dashed.append(("x", "y"))
    if any(getattr(v.prior, "has_components", False) for v in model.latents[:1]):
        nodes["k"] = (0.0, count + 1.0, "latent")
        arrows.append(("k", latents[0]))
    if getattr(model, "discriminator", None) is not None:
        nodes["D"] = (1.2, 0.5, "judge")
        is_image = tuple(model.shape_of_judged()) == tuple(model.decoder.event_shape)
        judged = "x" if is_image else latents[0]
        dashed.append((judged, "D"))
    return nodes, arrows, dashed
