"""Optimizers of Keras whose state is more than a point: a posterior, or a Markov chain."""

from tfp_vae.optimizers.ivon import IVON
from tfp_vae.optimizers.langevin import CyclicalLangevin
from tfp_vae.optimizers.rates import Scaled

__all__ = ["IVON", "CyclicalLangevin", "Scaled"]
