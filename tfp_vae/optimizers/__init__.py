"""Optimizers of Keras for networks: Adam, and those whose state is a posterior or a chain."""

from tfp_vae.optimizers.held import held_adam
from tfp_vae.optimizers.ivon import IVON
from tfp_vae.optimizers.langevin import CyclicalLangevin
from tfp_vae.optimizers.rates import Scaled

__all__ = ["IVON", "CyclicalLangevin", "Scaled", "held_adam"]
