"""The formats of an export, each a name, what it needs, and a writer.

A format is one entry of `FORMATS`: `write(package, folder)` puts its files below the folder and
returns the `Artefact`s; `runner` names what loads them again, in a process of its own.
"""

import dataclasses
import pathlib
from collections.abc import Callable

from tfp_vae import extras
from tfp_vae.export.formats import writers
from tfp_vae.export.package import Artefact, Package


@dataclasses.dataclass(frozen=True)
class Format:
    """One way out.

    Attributes:
        name: as in --formats.
        meaning: one line for the card.
        write: (package, folder) -> artefacts.
        runner: "stand_alone" for a process that does not know the package (`runtimes.py`),
            "keras" for one that does (`reload.py`), "browser" for Chromium.
        extra: of the installation that brings what it needs, one of `extras.MODULES`, or None.
    """

    name: str
    meaning: str
    write: "Callable[[Package, pathlib.Path], list[Artefact]]"
    runner: str = "stand_alone"
    extra: str | None = None

    def check_installed(self) -> None:
        """Raises `ImportError`, naming the command that helps, if something is not installed."""
        if self.extra is not None:
            extras.need(self.extra, f"Files of the format {self.name}")


def _write_web(package: Package, folder: pathlib.Path) -> "list[Artefact]":
    from tfp_vae.export.page import web  # with its templates, which the other formats do not need

    path = web.write(package.model, folder / "web", examples=package.split)
    return [Artefact("web", path.relative_to(folder).as_posix(), ("decode",))]


FORMATS = {
    each.name: each
    for each in (
        Format("keras", "Keras 3, with this package", writers.write_keras, "keras"),
        Format("savedmodel", "TensorFlow, TensorFlow Serving", writers.write_savedmodel),
        Format(
            "onnx",
            "ONNX Runtime, Triton: noise is an input",
            writers.write_onnx,
            extra="onnx",
        ),
        Format(
            "litert",
            "LiteRT on phones and small devices: noise is an input",
            writers.write_litert,
            extra="litert",
        ),
        Format("web", "a page for a browser", _write_web, "browser", extra="report"),
    )
}


def get(names) -> "list[Format]":
    """Returns formats by name, installed and each once.

    Raises:
        ValueError: for an unknown name or none.
        ImportError: if a format needs what is not installed.
    """
    names = list(dict.fromkeys(names))
    unknown = [name for name in names if name not in FORMATS]
    if unknown or not names:
        raise ValueError(
            f"Unknown formats. Expected some of {', '.join(FORMATS)}. Received "
            f"{', '.join(unknown) or 'none'}."
        )
    for name in names:
        FORMATS[name].check_installed()
    return [FORMATS[name] for name in names]
