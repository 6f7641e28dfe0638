"""Encoders: the approximate posterior q(z|x), a distribution over latents given an example."""

from tfp_vae.distributions.encoders.base import ENCODERS, Encoder
from tfp_vae.distributions.encoders.batch_normalized import BatchNormalizedGaussian
from tfp_vae.distributions.encoders.delta_gaussian import DeltaGaussian
from tfp_vae.distributions.encoders.full_gaussian import FullGaussian
from tfp_vae.distributions.encoders.gaussian import Gaussian

__all__ = [
    "ENCODERS",
    "BatchNormalizedGaussian",
    "DeltaGaussian",
    "Encoder",
    "FullGaussian",
    "Gaussian",
]
ENCODERS.complete(__all__)
