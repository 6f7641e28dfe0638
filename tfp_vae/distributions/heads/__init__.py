"""Heads: families of p(value | features), of examples and of targets; one file each."""

from tfp_vae.distributions.heads.base import HEADS, Head
from tfp_vae.distributions.heads.bernoulli import Bernoulli
from tfp_vae.distributions.heads.categorical import Categorical
from tfp_vae.distributions.heads.classes import Classes
from tfp_vae.distributions.heads.continuous_bernoulli import ContinuousBernoulli
from tfp_vae.distributions.heads.discretized_logistic import DiscretizedLogistic
from tfp_vae.distributions.heads.log_normal import LogNormal
from tfp_vae.distributions.heads.negative_binomial import NegativeBinomial
from tfp_vae.distributions.heads.noisy_classes import NoisyClasses
from tfp_vae.distributions.heads.normal import Normal
from tfp_vae.distributions.heads.normal_in_units import NormalInUnits
from tfp_vae.distributions.heads.ordinal import Ordinal
from tfp_vae.distributions.heads.poisson import Poisson
from tfp_vae.distributions.heads.student_t import StudentT
from tfp_vae.distributions.heads.zero_inflated_negative_binomial import ZeroInflatedNegativeBinomial

__all__ = [
    "HEADS",
    "Bernoulli",
    "Categorical",
    "Classes",
    "ContinuousBernoulli",
    "DiscretizedLogistic",
    "Head",
    "LogNormal",
    "NegativeBinomial",
    "NoisyClasses",
    "Normal",
    "NormalInUnits",
    "Ordinal",
    "Poisson",
    "StudentT",
    "ZeroInflatedNegativeBinomial",
]
HEADS.complete(__all__)
