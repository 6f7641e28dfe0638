"""Models out to where they run, and saved ones back in.

folder = export.export(model, data, "runs/digits/export", ["keras", "savedmodel", "onnx"])
export.verify(folder).raise_for_failures()
model = export.load("runs/digits/model.keras")
"""

from tfp_vae.export.exporting import export
from tfp_vae.export.formats.registry import FORMATS
from tfp_vae.export.package import signatures_of
from tfp_vae.export.proof.traffic import Traffic, serve
from tfp_vae.export.proof.verification import Verification, verify
from tfp_vae.export.saved.loading import load
from tfp_vae.export.signatures.base import DEFAULT_SAMPLES, Signature, Value

__all__ = [
    "DEFAULT_SAMPLES",
    "FORMATS",
    "Signature",
    "Traffic",
    "Value",
    "Verification",
    "export",
    "load",
    "serve",
    "signatures_of",
    "verify",
]
