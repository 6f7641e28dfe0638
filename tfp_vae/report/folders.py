"""Run folders: everything a run leaves behind, each file written whole or not at all."""

import importlib.metadata
import json
import pathlib
import platform
from collections.abc import Mapping

import numpy as np

from tfp_vae.files import LOCK, Lock, Locked, check_unlocked, is_writable, replacing
from tfp_vae.reading import json_of, read_text
from tfp_vae.version import __version__

_ARTEFACTS = frozenset(
    "flags.txt history.csv metrics.json evaluation.json bounds.json bounds.txt".split()
    + "conformal.json detector.json posterior.keras".split()
    + "pruning.json results.json table.md model.keras generated.npz".split()
    + "index.html report.md report.json index.zh.html report.zh.md".split()
    + "codec.json codec.txt codec.tfpvae".split()
)
# The folders, inside that of a run, of the report that people read and of saved trainings.
REPORT, CHECKPOINTS = "report", "checkpoints"
_PACKAGES = ("tensorflow", "tensorflow-probability", "keras", "tensorflow-datasets", "numpy")


def versions() -> dict[str, str]:
    """Returns the versions of Python, this package and what it computes with."""
    found = {name: importlib.metadata.version(name) for name in _PACKAGES}
    return {"python": platform.python_version(), "tfp_vae": __version__, **found}


class RunFolder:
    """A folder that holds one run.

    Making the object only checks; `create` makes the folder, once everything else is known to be
    good, so that a typing error leaves no empty folders and touches no old results.

    Args:
        path: the folder.
        overwrite: whether the folder may hold files already. Those of an earlier run are removed
            by `create`, others are kept.
        resumes: whether the run saves its training as it goes on: then the folder may hold one
            that is to be continued, which `create` leaves alone (unless `overwrite`).

    Raises:
        FileExistsError: if the folder is not empty and `overwrite` is False, is a file, or is one
            that another process writes into.
        PermissionError: if the folder (or the one to make it in) is not writable.
    """

    def __init__(self, path: "str | pathlib.Path", overwrite: bool = False, resumes: bool = False):
        self.path, self.overwrite, self.resumes = pathlib.Path(path), overwrite, resumes
        if self.path.exists() and not self.path.is_dir():
            raise FileExistsError(f"{path} is not a folder. Expected a folder. Received a file.")
        existing = next(p for p in (self.path, *self.path.absolute().parents) if p.exists())
        if not existing.is_dir() or not is_writable(existing):
            raise PermissionError(
                f"The run folder {path} cannot be written. Expected a writable folder. Received "
                f"{existing}, which is not."
            )
        self._lock: Lock | None = None
        self._own_errors(check_unlocked)
        self._check_empty()

    def _own_errors(self, take):
        try:
            return take(self.path)
        except Locked as error:
            raise FileExistsError(
                f"The run folder {self.path} is in use. Expected a folder that no other program "
                f"writes into: another one, or this one later. Received one that {error} writes."
            ) from error

    def _check_empty(self) -> None:
        saved = (self.path / CHECKPOINTS).is_dir()
        if self.overwrite or (saved and self.resumes) or not self.path.is_dir():
            return
        entries = [entry for entry in self.path.iterdir() if entry.name != LOCK]
        if entries:
            more = ", or --checkpoint_every to continue its training" if saved else ""
            raise FileExistsError(
                f"The run folder {self.path} is not empty. Expected a new or empty folder, or "
                f"--overwrite{more}. Received a folder with {len(entries)} entries."
            )

    def __getstate__(self) -> dict:
        """What a process gets that works for this one, which holds the lock for both."""
        return self.__dict__ | {"_lock": None}

    def lock(self) -> None:
        """Makes the folder, and keeps other processes from writing into it.

        The lock goes with the object, and with the process.

        Raises:
            FileExistsError: if another process has the folder.
        """
        self.path.mkdir(parents=True, exist_ok=True)
        self._lock = self._own_errors(Lock)

    def create(self) -> None:
        """Makes the folder, and clears it of what an earlier run wrote, so that no two runs mix.

        Raises:
            FileExistsError: if another process has written into the folder since it was looked at,
                or writes into it now.
        """
        self.lock()
        self._check_empty()
        if self.resumes:
            (self.path / CHECKPOINTS).mkdir(exist_ok=True)  # an interruption may come at once
        if not self.overwrite:
            return  # it was empty, or holds what is continued
        for file in [*self.path.iterdir(), *(self.path / REPORT).glob("*")]:
            if file.name in _ARTEFACTS or file.suffix == ".png":
                file.unlink()
        for file in (self.path / CHECKPOINTS).glob("checkpoint-*.npz"):
            file.unlink()

    def __truediv__(self, name: str) -> pathlib.Path:
        return self.path / name

    def write_text(self, name: str, text: str) -> None:
        """Writes a text file."""
        with replacing(self.path / name) as temporary:
            temporary.write_text(text, encoding="utf-8")

    def write_json(self, name: str, values: Mapping) -> None:
        """Writes a JSON file; numbers that JSON does not have (NaN, infinity) are refused."""
        try:
            text = json.dumps(values, indent=2, allow_nan=False)
        except ValueError as error:
            raise ValueError(
                f"{name} cannot hold these values. Expected finite numbers. Received: {error}"
            ) from error
        self.write_text(name, f"{text}\n")

    def write_bytes(self, name: str, content: bytes) -> None:
        """Writes a file as it is given."""
        with replacing(self.path / name) as temporary:
            temporary.write_bytes(content)

    def write_figure(self, name: str, figure) -> None:
        """Writes a matplotlib figure as PNG."""
        with replacing(self.path / name) as temporary:
            figure.savefig(temporary, dpi=120, bbox_inches="tight")

    def write_arrays(self, name: str, **arrays) -> None:
        """Writes arrays as a compressed .npz."""
        with replacing(self.path / name) as temporary:
            np.savez_compressed(temporary, **arrays)


def read_json(path: "str | pathlib.Path") -> dict:
    """Reads a JSON object.

    Raises:
        FileNotFoundError: if there is no such file.
        ValueError: if it is not a JSON object.
    """
    path = pathlib.Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"{path} is missing. Expected a file of a run. Received no file.")
    values = json_of(read_text(path), str(path))
    if not isinstance(values, dict):
        raise ValueError(f"{path} is damaged. Expected a JSON object. Received {type(values)}.")
    return values


def resume_table(path, plan: dict) -> "tuple[RunFolder, dict]":
    """Returns the run folder of a table and what of it was done before, {set: {method: scores}}.

    Args:
        path: the folder.
        plan: settings and seed, JSON-ready but for tuples.

    Raises:
        ValueError: if the folder holds a table of other settings.
        FileExistsError: if it holds something else.
    """
    file = pathlib.Path(path) / "results.json"
    run = RunFolder(path, overwrite=file.exists())
    if not file.exists():
        return run, {}
    before = read_json(file)
    wanted = json.loads(json.dumps(plan))
    known, sets = before.get("settings") or {}, before.get("sets")
    if not isinstance(known, dict) or not isinstance(sets, dict):
        raise ValueError(
            f"{file} is damaged. Expected settings and sets of a table. Received others."
        )
    if known != wanted:
        differing = [key for key in wanted if known.get(key) != wanted[key]]
        here, there = ({k: d.get(k) for k in differing} for d in (wanted, known))
        raise ValueError(
            f"{path} holds a table of other settings. Expected another run_dir, or {there}. "
            f"Received {here}."
        )
    return run, sets
