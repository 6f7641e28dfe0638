"""Priors p(z): calling one returns a `tfp.distributions` object.

A prior p(z|c) of a conditional model is called with the condition.
"""

from tfp_vae.distributions.priors.base import PRIORS, Context, Prior, Spec
from tfp_vae.distributions.priors.class_normal import ClassNormal
from tfp_vae.distributions.priors.conditional_normal import ConditionalNormal
from tfp_vae.distributions.priors.standard_normal import StandardNormal

__all__ = [
    "PRIORS",
    "ClassNormal",
    "ConditionalNormal",
    "Context",
    "Prior",
    "Spec",
    "StandardNormal",
]
PRIORS.complete(__all__)
