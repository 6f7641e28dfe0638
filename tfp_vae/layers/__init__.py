"""Bayesian layers for Keras 3: a posterior, a prior and a KL divergence over their weights."""

from tfp_vae.layers import noise, priors
from tfp_vae.layers.base import BayesianLayer
from tfp_vae.layers.convolution import (
    Conv1DFlipout,
    Conv1DLocalReparameterization,
    Conv1DReparameterization,
    Conv2DFlipout,
    Conv2DLocalReparameterization,
    Conv2DReparameterization,
)
from tfp_vae.layers.dense import (
    DenseFlipout,
    DenseLocalReparameterization,
    DenseReparameterization,
)
from tfp_vae.layers.deterministic import DenseDeterministic
from tfp_vae.layers.plain import MonteCarloDropout, Standardize

__all__ = [
    "BayesianLayer",
    "Conv1DFlipout",
    "Conv1DLocalReparameterization",
    "Conv1DReparameterization",
    "Conv2DFlipout",
    "Conv2DLocalReparameterization",
    "Conv2DReparameterization",
    "DenseDeterministic",
    "DenseFlipout",
    "DenseLocalReparameterization",
    "DenseReparameterization",
    "MonteCarloDropout",
    "Standardize",
    "noise",
    "priors",
]
