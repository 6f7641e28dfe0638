"""Models whose log p(x) is known: what every bound on it is judged by.

exact = EXACT["ppca"]()
exact.log_evidence(x)  # [N], nats
"""

from tfp_vae.studies.exact.base import EXACT, ExactModel

__all__ = ["EXACT", "ExactModel"]
