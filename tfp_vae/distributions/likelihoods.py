"""Likelihoods p(y | f) of targets given the outputs of a network: heads under short names.

Any other head of `tfp_vae.heads`, and one of your own, is one too, if targets are what it is of.
"""

from tfp_vae.distributions.heads import Classes as Categorical
from tfp_vae.distributions.heads import (
    LogNormal,
    NegativeBinomial,
    Ordinal,
    Poisson,
    StudentT,
    ZeroInflatedNegativeBinomial,
)
from tfp_vae.distributions.heads import NoisyClasses as NoisyCategorical
from tfp_vae.distributions.heads import NormalInUnits as Normal

__all__ = [
    "Categorical",
    "LogNormal",
    "NegativeBinomial",
    "NoisyCategorical",
    "Normal",
    "Ordinal",
    "Poisson",
    "StudentT",
    "ZeroInflatedNegativeBinomial",
]
