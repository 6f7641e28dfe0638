"""Whether what was exported answers as the model does, in processes of their own."""

from tfp_vae.export.proof.traffic import Traffic, serve
from tfp_vae.export.proof.verification import Verification, verify

__all__ = ["Traffic", "Verification", "serve", "verify"]
