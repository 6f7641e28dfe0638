"""The formats of an export, one file each: its writer, its runtime and its rules."""

from tfp_vae.export.formats.base import FORMATS, Format, Written

__all__ = ["FORMATS", "Format", "Written"]
FORMATS.complete(__all__)
