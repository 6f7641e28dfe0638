"""Evaluation: numbers about trained models, each with its error."""

from tfp_vae.evaluation import (
    aggregate,
    answers,
    calibration,
    disentanglement,
    imputation,
    latent_space,
    missing,
    ood,
    precision,
    probes,
    regression,
)
from tfp_vae.evaluation.annealing import ais, bdmc
from tfp_vae.evaluation.bounds import elbo, log_evidence, standard_error, test_metrics
from tfp_vae.evaluation.calibration import classification_metrics
from tfp_vae.evaluation.classes import class_metrics
from tfp_vae.evaluation.clusters import cluster_metrics, clusters
from tfp_vae.evaluation.code_usage import code_indices, code_usage
from tfp_vae.evaluation.detector import Detector
from tfp_vae.evaluation.diagnosis import diagnose
from tfp_vae.evaluation.gap import inference_gap
from tfp_vae.evaluation.imputation import choose_imputer, imputed
from tfp_vae.evaluation.latent import active_units, posterior_means
from tfp_vae.evaluation.missing import class_predictive, impute, marginal, observed_log_evidence
from tfp_vae.evaluation.ood.detection import detection_metrics
from tfp_vae.evaluation.ood.regret import likelihood_regret
from tfp_vae.evaluation.ood.scores import predictive_scores, reference_log_evidence, vae_scores
from tfp_vae.evaluation.predictive import (
    conformal_metrics,
    distribution_metrics,
    has_mean_field,
    predict,
    predictive_metrics,
    prune,
    pruning_curve,
    signal_to_noise,
    temperature_metrics,
    weight_metrics,
)
from tfp_vae.evaluation.probes import label_scores, probe_metrics
from tfp_vae.evaluation.regression import regression_metrics
from tfp_vae.evaluation.synthetic import associations, nearest_distance, synthetic_report
from tfp_vae.evaluation.tables import (
    Completed,
    complete,
    conditional_rows,
    filled,
    imputation_report,
    imputed_cells,
)

__all__ = [
    "Completed",
    "Detector",
    "active_units",
    "aggregate",
    "ais",
    "answers",
    "associations",
    "bdmc",
    "calibration",
    "choose_imputer",
    "class_metrics",
    "class_predictive",
    "classification_metrics",
    "cluster_metrics",
    "clusters",
    "code_indices",
    "code_usage",
    "complete",
    "conditional_rows",
    "conformal_metrics",
    "detection_metrics",
    "diagnose",
    "disentanglement",
    "distribution_metrics",
    "elbo",
    "filled",
    "has_mean_field",
    "imputation",
    "imputation_report",
    "impute",
    "imputed",
    "imputed_cells",
    "inference_gap",
    "label_scores",
    "latent_space",
    "likelihood_regret",
    "log_evidence",
    "marginal",
    "missing",
    "nearest_distance",
    "observed_log_evidence",
    "ood",
    "posterior_means",
    "precision",
    "predict",
    "predictive_metrics",
    "predictive_scores",
    "probe_metrics",
    "probes",
    "prune",
    "pruning_curve",
    "reference_log_evidence",
    "regression",
    "regression_metrics",
    "signal_to_noise",
    "standard_error",
    "synthetic_report",
    "temperature_metrics",
    "test_metrics",
    "vae_scores",
    "weight_metrics",
]
