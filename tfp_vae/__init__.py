"""Variational autoencoders and Bayesian neural networks as distributions, trained with Keras 3.

    posterior = vae.encoder(x)            # q(z|x), a tfp distribution
    likelihood = vae.decoder(z)           # p(x|z)
    elbo = E_q[likelihood.log_prob(x)] - kl_divergence(posterior, vae.prior())

in nats per example, up is better. See README.md for a tour and BUILD.md for the architecture.
"""

from tfp_vae import data, evaluation, export, layers, methods, networks, objectives, training
from tfp_vae.distributions import decoders, encoders, heads, likelihoods, priors
from tfp_vae.export import load
from tfp_vae.models import M2, NUTS, SWAG, VAE, BayesianNetwork, ConditionalVAE, Ensemble, Laplace
from tfp_vae.version import __version__

__all__ = [
    "M2",
    "NUTS",
    "SWAG",
    "VAE",
    "BayesianNetwork",
    "ConditionalVAE",
    "Ensemble",
    "Laplace",
    "__version__",
    "data",
    "decoders",
    "encoders",
    "evaluation",
    "export",
    "heads",
    "layers",
    "likelihoods",
    "load",
    "methods",
    "networks",
    "objectives",
    "priors",
    "training",
]
