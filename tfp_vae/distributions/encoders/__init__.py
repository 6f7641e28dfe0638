"""Encoders: the approximate posterior q(z|x), a distribution over latents given an example."""

from tfp_vae.distributions.encoders.base import ENCODERS, Encoder
from tfp_vae.distributions.encoders.full_gaussian import FullGaussian
from tfp_vae.distributions.encoders.gaussian import Gaussian

__all__ = ["ENCODERS", "Encoder", "FullGaussian", "Gaussian"]
ENCODERS.complete(__all__)
