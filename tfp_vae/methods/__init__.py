"""Recipes: what is built and how it is trained, as data that flags, studies and tests share."""

from tfp_vae.methods.network import (
    AFTERWARDS,
    ESTIMATORS,
    METHODS,
    NETWORKS,
    Recipe,
    build,
    finish,
    make_likelihood,
    make_member,
    make_network,
)

__all__ = [
    "AFTERWARDS",
    "ESTIMATORS",
    "METHODS",
    "NETWORKS",
    "Recipe",
    "build",
    "finish",
    "make_likelihood",
    "make_member",
    "make_network",
]
