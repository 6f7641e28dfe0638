"""The data sets that have a name: a file here has one or more, which register themselves."""

from tfp_vae.registry import Registry

NAMES = Registry("tfp_vae.data.named", "data set", first=("digits",))

__all__ = ["NAMES"]
