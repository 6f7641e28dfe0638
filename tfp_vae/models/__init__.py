"""Models: Keras models on one bound."""

from tfp_vae.models.vae import VAE, Bounds, Pass
from tfp_vae.models.variational import VariationalModel

__all__ = ["VAE", "Bounds", "Pass", "VariationalModel"]
