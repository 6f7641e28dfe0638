"""Models: Keras models on one bound, and approximations of posteriors over their weights."""

from tfp_vae.models.adversarial import AAE, VAEGAN
from tfp_vae.models.autoencoder import Autoencoder
from tfp_vae.models.conditional import ConditionalVAE
from tfp_vae.models.ensemble import Ensemble
from tfp_vae.models.latents import LatentVariable
from tfp_vae.models.m2 import M2
from tfp_vae.models.network import BayesianNetwork
from tfp_vae.models.posteriors.chains import Chains
from tfp_vae.models.posteriors.ivon import IVONPosterior
from tfp_vae.models.posteriors.laplace import Laplace
from tfp_vae.models.posteriors.linearised import LinearisedNetwork
from tfp_vae.models.posteriors.mile import MILE
from tfp_vae.models.posteriors.mixture import Mixture
from tfp_vae.models.posteriors.nuts import NUTS
from tfp_vae.models.posteriors.sgmcmc import SGMCMC
from tfp_vae.models.posteriors.swag import SWAG
from tfp_vae.models.posteriors.weights import WeightPosterior, WeightSamples
from tfp_vae.models.predictive import Predictive, Predictor
from tfp_vae.models.supervised import SupervisedModel
from tfp_vae.models.vae import VAE, Bounds, Pass
from tfp_vae.models.variational import VariationalModel

__all__ = [
    "AAE",
    "M2",
    "MILE",
    "NUTS",
    "SGMCMC",
    "SWAG",
    "VAE",
    "VAEGAN",
    "Autoencoder",
    "BayesianNetwork",
    "Bounds",
    "Chains",
    "ConditionalVAE",
    "Ensemble",
    "IVONPosterior",
    "Laplace",
    "LatentVariable",
    "LinearisedNetwork",
    "Mixture",
    "Pass",
    "Predictive",
    "Predictor",
    "SupervisedModel",
    "VariationalModel",
    "WeightPosterior",
    "WeightSamples",
]
