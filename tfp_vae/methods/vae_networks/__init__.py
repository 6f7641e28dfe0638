"""Kinds of networks of a VAE's encoder and decoder: each a file that registers itself."""

from tfp_vae.methods.vae_networks.base import VAE_NETWORKS, NetworkPair

__all__ = ["VAE_NETWORKS", "NetworkPair"]
VAE_NETWORKS.complete(__all__)
