"""Priors of weights: independent, zero-mean, with a scale that may depend on the fan-in."""

from tfp_vae.layers.priors.base import WEIGHT_PRIORS, WeightPrior, get, log_prob, point
from tfp_vae.layers.priors.horseshoe import Horseshoe
from tfp_vae.layers.priors.normal import Normal
from tfp_vae.layers.priors.normal_per_layer import NormalPerLayer
from tfp_vae.layers.priors.scale_mixture import ScaleMixture
from tfp_vae.layers.priors.student_t import StudentT

__all__ = [
    "WEIGHT_PRIORS",
    "Horseshoe",
    "Normal",
    "NormalPerLayer",
    "ScaleMixture",
    "StudentT",
    "WeightPrior",
    "get",
    "log_prob",
    "point",
]
WEIGHT_PRIORS.complete(__all__)
