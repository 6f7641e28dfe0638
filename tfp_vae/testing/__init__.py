"""Contracts to try what you add to a family: one call for a head of your own."""

from tfp_vae.testing.heads import check_head

__all__ = ["check_head"]
