"""Evaluation: numbers about trained models, each with its error."""

from tfp_vae.evaluation.latent import active_units, posterior_means
from tfp_vae.evaluation.likelihood import elbo, log_likelihood, test_metrics

__all__ = ["active_units", "elbo", "log_likelihood", "posterior_means", "test_metrics"]
