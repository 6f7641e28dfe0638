"""Estimators of scikit-learn: in pipelines, grid searches and cross-validation.

    from tfp_vae.sklearn import BayesianClassifier, BayesianRegressor, VAEDetector

They take tables of numbers; `check_estimator` of scikit-learn holds them to its contract.
"""

from tfp_vae.sklearn.networks import BayesianClassifier, BayesianRegressor
from tfp_vae.sklearn.vaes import VAEDetector, VAEImputer, VAESampler

__all__ = ["BayesianClassifier", "BayesianRegressor", "VAEDetector", "VAEImputer", "VAESampler"]
