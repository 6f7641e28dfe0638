"""Cells whose absence says nothing of their values."""

from tfp_vae.distributions.missingness.base import MISSINGNESS, Missingness, registered


@MISSINGNESS.register("at_random", "what is missing depends on what is there at most")
@registered
class AtRandom(Missingness):
    """A mask that is left out of log p: it moves no posterior and no optimum (Rubin, 1976)."""

    is_modelled = False
