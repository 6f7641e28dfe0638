"""Gradient estimators of bounds: each a file that registers itself."""

from tfp_vae.objectives.gradients.base import GRADIENTS, Gradient, Weighing, as_gradient
from tfp_vae.objectives.gradients.path import Path
from tfp_vae.objectives.gradients.score import Score

__all__ = ["GRADIENTS", "Gradient", "Path", "Score", "Weighing", "as_gradient"]
GRADIENTS.complete(__all__)
