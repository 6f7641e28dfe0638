"""Saved models back in: a file is looked at as a whole before anything in it is built."""

from tfp_vae.export.saved.loading import load

__all__ = ["load"]
