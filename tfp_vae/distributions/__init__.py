"""Encoders, decoders and priors: Keras layers that are `tfp.distributions` when called."""

from tfp_vae.distributions import (
    code_priors,
    codes,
    conditions,
    decoders,
    draws,
    encoders,
    heads,
    likelihoods,
    missingness,
    priors,
)
from tfp_vae.distributions.base import ConditionalDistribution, positive
from tfp_vae.distributions.columns import Columns
from tfp_vae.distributions.correlated import CorrelatedDecoder
from tfp_vae.distributions.deterministic import Deterministic
from tfp_vae.distributions.discretized import DiscretizedLogistic
from tfp_vae.distributions.pixels import PixelDecoder

__all__ = [
    "Columns",
    "ConditionalDistribution",
    "CorrelatedDecoder",
    "Deterministic",
    "DiscretizedLogistic",
    "PixelDecoder",
    "code_priors",
    "codes",
    "conditions",
    "decoders",
    "draws",
    "encoders",
    "heads",
    "likelihoods",
    "missingness",
    "positive",
    "priors",
]
