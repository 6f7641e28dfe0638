"""Bayesian layers for Keras 3: a posterior, a prior and a KL divergence over their weights."""

from tfp_vae.layers import noise, priors
from tfp_vae.layers.base import BayesianLayer, WeightLayer
from tfp_vae.layers.conversion import convert
from tfp_vae.layers.convolution import (
    Conv1DFlipout,
    Conv1DLocalReparameterization,
    Conv1DReparameterization,
    Conv2DFlipout,
    Conv2DLocalReparameterization,
    Conv2DReparameterization,
    Conv3DFlipout,
    Conv3DLocalReparameterization,
    Conv3DReparameterization,
)
from tfp_vae.layers.dense import (
    DenseFlipout,
    DenseLocalReparameterization,
    DenseReparameterization,
)
from tfp_vae.layers.deterministic import DenseDeterministic
from tfp_vae.layers.exposure import Exposure
from tfp_vae.layers.gaussian_process import RandomFeatureGaussianProcess, SpectralBound
from tfp_vae.layers.plain import MonteCarloDropout, Standardize
from tfp_vae.layers.rank_one import BatchEnsemble, RankOne
from tfp_vae.layers.table import TableInput
from tfp_vae.layers.transposed import (
    Conv2DTransposeFlipout,
    Conv2DTransposeLocalReparameterization,
    Conv2DTransposeReparameterization,
)
from tfp_vae.layers.wrapper import Bayesian, bayesian

__all__ = [
    "BatchEnsemble",
    "Bayesian",
    "BayesianLayer",
    "Conv1DFlipout",
    "Conv1DLocalReparameterization",
    "Conv1DReparameterization",
    "Conv2DFlipout",
    "Conv2DLocalReparameterization",
    "Conv2DReparameterization",
    "Conv2DTransposeFlipout",
    "Conv2DTransposeLocalReparameterization",
    "Conv2DTransposeReparameterization",
    "Conv3DFlipout",
    "Conv3DLocalReparameterization",
    "Conv3DReparameterization",
    "DenseDeterministic",
    "DenseFlipout",
    "DenseLocalReparameterization",
    "DenseReparameterization",
    "Exposure",
    "MonteCarloDropout",
    "RandomFeatureGaussianProcess",
    "RankOne",
    "SpectralBound",
    "Standardize",
    "TableInput",
    "WeightLayer",
    "bayesian",
    "convert",
    "noise",
    "priors",
]
