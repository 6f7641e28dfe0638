"""Priors over the codes of discrete latents."""

from tfp_vae.distributions.code_priors.base import CODE_PRIORS, CodePrior

__all__ = ["CODE_PRIORS", "CodePrior"]
CODE_PRIORS.complete(__all__)
