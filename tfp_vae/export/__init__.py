"""Models out to where they run, and saved ones back in.

folder = export.export(model, data, "runs/digits/export", ["keras", "savedmodel", "onnx"])
export.verify(folder).raise_for_failures()
model = export.load("runs/digits/model.keras")
"""

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tfp_vae.export.exporting import export
    from tfp_vae.export.formats import FORMATS, Format
    from tfp_vae.export.proof.traffic import Traffic, serve
    from tfp_vae.export.proof.verification import Verification, verify
    from tfp_vae.export.saved.loading import load
    from tfp_vae.export.signatures import DEFAULT_SAMPLES, Signature, Value, signatures_of

__all__ = [
    "DEFAULT_SAMPLES",
    "FORMATS",
    "Format",
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

# Who loads a model needs none of the others, and `import tfp_vae` none of them.
_ROOMS = {
    "exporting": ("export",),
    "formats": ("FORMATS", "Format"),
    "proof": ("Traffic", "Verification", "serve", "verify"),
    "saved": ("load",),
    "signatures": ("DEFAULT_SAMPLES", "Signature", "Value", "signatures_of"),
}
_PLACES = {name: room for room, names in _ROOMS.items() for name in names}


def __getattr__(name: str):
    if name not in _PLACES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(importlib.import_module(f"{__name__}.{_PLACES[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> "list[str]":
    return __all__
