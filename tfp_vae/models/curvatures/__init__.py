"""Curvatures: what a Laplace approximation keeps of the Gauss-Newton matrix; a file for each."""

from tfp_vae.models.curvatures.base import STRUCTURES, Curvature
from tfp_vae.models.curvatures.diagonal import Diagonal
from tfp_vae.models.curvatures.full import Full
from tfp_vae.models.curvatures.kronecker import Kronecker

__all__ = ["STRUCTURES", "Curvature", "Diagonal", "Full", "Kronecker"]
STRUCTURES.complete(__all__)
