"""Out of distribution: scores of single examples, and how well they tell inputs apart."""

from tfp_vae.evaluation.ood import detection, scores
from tfp_vae.evaluation.ood.base import SCORES, ClassScore, Density, DensityScore, of_kind
from tfp_vae.evaluation.ood.detection import detection_metrics
from tfp_vae.evaluation.ood.regret import likelihood_regret
from tfp_vae.evaluation.ood.scores import predictive_scores, reference_log_evidence, vae_scores

__all__ = [
    "SCORES",
    "ClassScore",
    "Density",
    "DensityScore",
    "detection",
    "detection_metrics",
    "likelihood_regret",
    "of_kind",
    "predictive_scores",
    "reference_log_evidence",
    "scores",
    "vae_scores",
]
