"""Recipes: what is built and how it is trained, as data that flags, studies and tests share.

The names of the weight methods and what each uses are there without TensorFlow; recipes are
imported when they are asked for.
"""

import importlib
from typing import TYPE_CHECKING

from tfp_vae.methods.weights import METHODS, Method

if TYPE_CHECKING:
    from tfp_vae.methods import codes
    from tfp_vae.methods.network import (
        ESTIMATORS,
        NETWORKS,
        Recipe,
        build,
        finish,
        make_likelihood,
        make_member,
        make_network,
    )
    from tfp_vae.methods.vae import (
        VAE_CLASSIFIERS,
        VAE_KINDS,
        VAE_NETWORKS,
        VAERecipe,
        kind_of,
        likelihood_of,
    )

__all__ = [
    "ESTIMATORS",
    "METHODS",
    "NETWORKS",
    "VAE_CLASSIFIERS",
    "VAE_KINDS",
    "VAE_NETWORKS",
    "Method",
    "Recipe",
    "VAERecipe",
    "build",
    "codes",
    "finish",
    "kind_of",
    "likelihood_of",
    "make_likelihood",
    "make_member",
    "make_network",
]


def __getattr__(name: str):
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    if name == "codes":
        return importlib.import_module(f"{__name__}.codes")
    place = "vae" if "VAE" in name or name in ("kind_of", "likelihood_of") else "network"
    value = getattr(importlib.import_module(f"{__name__}.{place}"), name)
    globals()[name] = value
    return value


def __dir__():
    return sorted({*globals(), *__all__})
