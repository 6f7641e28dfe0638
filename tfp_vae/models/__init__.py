"""Models: Keras models on one bound."""

from tfp_vae.models.bayesian import BayesianNetwork
from tfp_vae.models.ensemble import Ensemble
from tfp_vae.models.predictive import Predictive, Predictor
from tfp_vae.models.vae import VAE, Bounds, Pass
from tfp_vae.models.variational import VariationalModel

__all__ = [
    "VAE",
    "BayesianNetwork",
    "Bounds",
    "Ensemble",
    "Pass",
    "Predictive",
    "Predictor",
    "VariationalModel",
]
