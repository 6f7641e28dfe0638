"""Values and masses that an expectation is a sum over: of numbers 65, of counts 128.

Of a number F^-1(Phi(t)) at t = -6, ..., 6 by the trapezoid rule, which is exact to float32 for what
varies over a fifth of a standard deviation or more. Of counts all up to 63 and then some up to
100,000, each for those next to it.
"""

import numpy as np
from scipy import special, stats

_HALF, _REACH = 32, 6.0
NORMAL = np.linspace(-_REACH, _REACH, 2 * _HALF + 1)
_DENSITY = np.exp(-0.5 * NORMAL**2)
LOG_MASSES = np.log(_DENSITY / _DENSITY.sum()).astype(np.float32)
_DENSE = 64
COUNTS = np.unique(
    np.concatenate([np.arange(_DENSE), np.geomspace(_DENSE, 1e5, _DENSE).round()])
).astype(np.float32)
# How many counts are nearest to each.
_ENDS = np.concatenate([[-0.5], 0.5 * (COUNTS[1:] + COUNTS[:-1]), [COUNTS[-1] + 0.5]])
LOG_WIDTHS = np.log(np.diff(_ENDS)).astype(np.float32)


def student_t(df: float) -> np.ndarray:
    """Returns the values of a Student's t, float64 [65], whose masses are `LOG_MASSES`."""
    return stats.t(df).ppf(special.ndtr(NORMAL))
