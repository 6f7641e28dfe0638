"""Models out to where they run, and saved ones back in."""

from tfp_vae.export.loading import load

__all__ = ["load"]
