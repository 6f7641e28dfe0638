"""What a format is: files that are written, a runtime that loads them again, and rules.

A format is one file of this room. It registers a class, and its function `load` is also run by
`proof/runtimes.py`, a program that does not know this package: it takes from the file what
`STAND_ALONE` names and runs nothing else of it. So what is named there uses the standard library,
NumPy and the packages of its runtime, which it imports itself:

    STAND_ALONE = ("load",)

    @FORMATS.register("mine", "runs on my device")
    class Mine(Format):
        name = "mine"
        load = staticmethod(load)

        def write(self, package, folder): ...
"""

import abc
import contextlib
import inspect
import logging
import os
import pathlib
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import ClassVar, NamedTuple

import tensorflow as tf

from tfp_vae import extras
from tfp_vae.export.package import SEEDED, Artefact, Package
from tfp_vae.files import lacks_room
from tfp_vae.models import Predictor
from tfp_vae.models.variational import VariationalModel
from tfp_vae.registry import Registry

FORMATS = Registry(
    "tfp_vae.export.formats", "format", ("keras", "savedmodel", "onnx", "litert", "web")
)

# Nobody trains what was exported, and gradients of TFP's own functions cannot be saved.
NO_GRADIENTS = tf.saved_model.SaveOptions(experimental_custom_gradients=False)


class Written(NamedTuple):
    """What a format made of a package.

    Attributes:
        artefacts: the files, below the folder of the export.
        refused: {signature: why the format cannot hold it}.
    """

    artefacts: "list[Artefact]"
    refused: "dict[str, str]"


class Format(abc.ABC):
    """One way out.

    Attributes:
        name: as it is registered.
        form: of the recorded examples that it is asked with: SEEDED, where the runtime draws from
            a seed, or PORTABLE, where the noise is an input.
        extra: of the installation that brings what it needs; None for none.
        made_for: signatures that it knows; None for all.
        only_float32: whether it cannot compute with other numbers.
        variants: {name: meaning} of files that it writes beside its own, such as a quantised one.
        allowed: what may be said to a request that has no answer, {request: kinds of answers}, the
            one of None for all others; None where it is not one that servers run.
        limits: what the card has to say of its answers, or "".
    """

    name: ClassVar[str]
    form: ClassVar[str] = SEEDED
    extra: ClassVar[str | None] = None
    made_for: ClassVar["tuple[str, ...] | None"] = None
    only_float32: ClassVar[bool] = False
    variants: ClassVar[Mapping[str, str]] = {}
    allowed: "ClassVar[Mapping[str | None, tuple[str, ...]] | None]" = None
    limits: ClassVar[str] = ""
    # (path, names) -> ({signature: function(inputs) -> outputs}, operators, those not allowed).
    load: ClassVar[Callable | None] = None

    def check(self, predictor: VariationalModel | Predictor, answers: "set[str]") -> None:
        """Raises `ValueError`, before any work, for what the format holds nothing of.

        Args:
            predictor: what is exported.
            answers: names of the signatures that it has.
        """
        if self.made_for is not None and not answers & {*self.made_for}:
            raise ValueError(
                f"The format {self.name} knows {', '.join(self.made_for)} alone. Expected a model "
                f"that answers it, or other formats. Received one that answers "
                f"{', '.join(sorted(answers)) or 'nothing'}."
            )

    @abc.abstractmethod
    def write(self, package: Package, folder: pathlib.Path) -> Written:
        """Writes files below a folder that is new, and what servers want beside them.

        It checks what it can without the runtime. That another process loads a file and agrees is
        for `proof`; a writer whose converter merely reports success has shown nothing.
        """

    def run(
        self,
        folder: pathlib.Path,
        names: "list[str]",
        check: str = "answers",
        effort: float | None = None,
    ) -> "list[dict]":
        """Returns what the runtime says of artefacts, in a process of its own.

        Args:
            folder: of the export.
            names: of the artefacts: the format, its variants.
            check: "answers" for cells of `Verification`, "serving" for rows of `Traffic`.
            effort: seconds of timing for each answer, requests for each number of clients.
        """
        from tfp_vae.export.proof import processes  # which is built on the formats

        file = inspect.getsourcefile(type(self))
        return processes.run_stand_alone(file, self.form, folder, names, check, effort)

    def commands(self, name: str) -> "list[tuple[str, str]]":
        """Returns what to type, in the folder of the export: [(what for, command)]."""
        return []

    def check_installed(self) -> None:
        """Raises `ImportError`, naming the command that helps, if something is not installed."""
        if self.extra is not None:
            extras.need(self.extra, f"Files of the format {self.name}")


def get(names) -> "list[Format]":
    """Returns formats by name, installed and each once.

    Raises:
        ValueError: for an unknown name or none.
        ImportError: if a format needs what is not installed.
    """
    if isinstance(names, str) or not isinstance(names, Iterable):
        raise ValueError(
            f"Unusable formats. Expected a list, such as ['keras', 'onnx']. Received {names!r}."
        )
    names = list(dict.fromkeys(names))
    unknown = [name for name in names if name not in FORMATS]
    if unknown or not names:
        raise ValueError(
            f"Unknown formats. Expected some of {', '.join(FORMATS)}. Received "
            f"{', '.join(unknown) or 'none'}."
        )
    found = [FORMATS[name]() for name in names]
    for each in found:
        each.check_installed()
    return found


def of(name: str) -> "type[Format]":
    """Returns the format of an artefact, which may be a variant such as litert_quantised.

    Raises:
        ValueError: for an unknown name.
    """
    owner = next((own for own, kind in FORMATS.items() if name in kind.variants), name)
    return FORMATS[owner]


def meanings() -> "dict[str, str]":
    """Returns what every format and variant is, in words, by name."""
    variants = [kind.variants for kind in FORMATS.values()]
    return {k: v for each in (FORMATS.meanings, *variants) for k, v in each.items()}


def reason_of(error: Exception) -> str:
    """Returns why a signature was refused, in one line.

    Raises:
        Exception: the error itself if it is of a full disk, of which the signature knows nothing.
    """
    if lacks_room(error):
        raise error
    return " ".join(str(error).split())[:300] or type(error).__name__


@contextlib.contextmanager
def quiet() -> Iterator:
    """Keeps what converters write to stderr, pages of it, and yields a function that returns it."""
    loggers = [logging.getLogger(name) for name in ("tensorflow", "tf2onnx", "absl")]
    levels = [logger.level for logger in loggers]
    stderr = os.dup(2)
    with tempfile.TemporaryFile() as heard:

        def lines():
            heard.seek(0)
            return heard.read().decode(errors="replace").splitlines()

        os.dup2(heard.fileno(), 2)
        for logger in loggers:
            logger.setLevel(logging.CRITICAL)
        try:
            yield lines
        finally:
            os.dup2(stderr, 2)
            os.close(stderr)
            for logger, level in zip(loggers, levels, strict=True):
                logger.setLevel(level)
