"""Why cells of a table are missing, p(mask | x): each a file that registers itself."""

from tfp_vae.distributions.missingness.at_random import AtRandom
from tfp_vae.distributions.missingness.base import MISSINGNESS, Missingness
from tfp_vae.distributions.missingness.not_at_random import NotAtRandom

__all__ = ["MISSINGNESS", "AtRandom", "Missingness", "NotAtRandom"]
MISSINGNESS.complete(__all__)
