"""Out of distribution: scores of single examples, and how well they tell inputs apart."""

from tfp_vae.evaluation.ood import detection, scores
from tfp_vae.evaluation.ood.detection import detection_metrics
from tfp_vae.evaluation.ood.regret import likelihood_regret
from tfp_vae.evaluation.ood.scores import predictive_scores, reference_log_likelihood, vae_scores

__all__ = [
    "detection",
    "detection_metrics",
    "likelihood_regret",
    "predictive_scores",
    "reference_log_likelihood",
    "scores",
    "vae_scores",
]
