"""Models that a recipe of a VAE can name: each a file that registers itself."""

from tfp_vae.methods.vae_kinds.base import VAE_KINDS, VAEKind

__all__ = ["VAE_KINDS", "VAEKind"]
VAE_KINDS.complete(__all__)
