"""Encoders of discrete latents: posteriors over the codes of a codebook."""

from tfp_vae.distributions.codes.base import CODES, CodeEncoder
from tfp_vae.distributions.codes.books import Bits, Codebook, Levels, OneHots, Table
from tfp_vae.distributions.codes.masses import Codes, Concatenated, Point, Relaxed

__all__ = [
    "CODES",
    "Bits",
    "CodeEncoder",
    "Codebook",
    "Codes",
    "Concatenated",
    "Levels",
    "OneHots",
    "Point",
    "Relaxed",
    "Table",
]
CODES.complete(__all__)
