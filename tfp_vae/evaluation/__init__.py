"""Evaluation: numbers about trained models, each with its error."""

from tfp_vae.evaluation import calibration, regression
from tfp_vae.evaluation.calibration import classification_metrics
from tfp_vae.evaluation.latent import active_units, posterior_means
from tfp_vae.evaluation.likelihood import elbo, log_likelihood, test_metrics
from tfp_vae.evaluation.predictive import (
    distribution_metrics,
    predict,
    predictive_metrics,
    prune,
    pruning_curve,
    signal_to_noise,
    temperature_metrics,
    weight_metrics,
)
from tfp_vae.evaluation.regression import regression_metrics

__all__ = [
    "active_units",
    "calibration",
    "classification_metrics",
    "distribution_metrics",
    "elbo",
    "log_likelihood",
    "posterior_means",
    "predict",
    "predictive_metrics",
    "prune",
    "pruning_curve",
    "regression",
    "regression_metrics",
    "signal_to_noise",
    "temperature_metrics",
    "test_metrics",
    "weight_metrics",
]
