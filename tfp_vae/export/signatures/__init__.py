"""What a model answers once it has left the training script: a file per answer."""

from tfp_vae.export.signatures.answers import SIGNATURES, Answer, Subject, signatures_of
from tfp_vae.export.signatures.base import DEFAULT_SAMPLES, Signature, Value

__all__ = [
    "DEFAULT_SAMPLES",
    "SIGNATURES",
    "Answer",
    "Signature",
    "Subject",
    "Value",
    "signatures_of",
]
SIGNATURES.complete(__all__)
