"""The forms of data that have no name of ours: a file here is one form, which registers itself."""

from tfp_vae.registry import Registry

SOURCES = Registry("tfp_vae.data.sources", "source of data")

__all__ = ["SOURCES"]
