"""Intervals and sets that cover, and p-values: from ranks among held-out scores.

Split conformal prediction, in NumPy. A score is a file, and `calibrate` is all that most need.
"""

from tfp_vae.conformal.base import CONFORMAL, ClassScore, ConformalScore, IntervalScore, Seen
from tfp_vae.conformal.calibration import DEFAULT_LEVEL, DEFAULT_SCORES, Conformal, calibrate
from tfp_vae.conformal.ranks import limit, p_values, rows_needed

__all__ = [
    "CONFORMAL",
    "DEFAULT_LEVEL",
    "DEFAULT_SCORES",
    "ClassScore",
    "Conformal",
    "ConformalScore",
    "IntervalScore",
    "Seen",
    "calibrate",
    "limit",
    "p_values",
    "rows_needed",
]
CONFORMAL.complete(__all__)
