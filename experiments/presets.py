"""Presets: files of flags that are known by name."""

import os
import pathlib
import stat
from collections.abc import Iterable

from absl import flags

from . import helping

_PRESETS = pathlib.Path(__file__).parent / "flags"


def names() -> "list[str]":
    """Returns the names of the presets."""
    return sorted(path.stem for path in _PRESETS.glob("*.flags"))


_MOST_BYTES = 2**20  # of a file of flags


def _check_files(lines: "Iterable[str]", seen: "set[str]") -> None:
    """Raises `ValueError` for files of flags that absl would read for ever; others it knows."""
    lines = [line.strip() for line in lines]
    for line, after in zip(lines, [*lines, ""][1:], strict=True):
        name, has_value, value = line.partition("=")
        path = os.path.expanduser(value if has_value else after)
        if name not in ("--flagfile", "-flagfile") or path in seen or not os.path.exists(path):
            continue
        seen.add(path)
        if os.path.isdir(path):
            continue
        found = os.stat(path)
        if not stat.S_ISREG(found.st_mode) or found.st_size > _MOST_BYTES:
            raise ValueError(
                f"--flagfile does not fit. Expected a file of at most {_MOST_BYTES:,} bytes. "
                f"Received {path}, which is larger or no file."
            )
        with open(path, encoding="utf-8", errors="replace") as file:
            _check_files(file, seen)


def expanded(arguments: "list[str]") -> "list[str]":
    """Returns the arguments with those of files and presets in their places."""
    seen: set[str] = set()
    while True:  # presets may name others
        _check_files(arguments, seen)
        arguments = flags.FLAGS.read_flags_from_files(arguments, force_gnu=False)
        named = [each.startswith(("--preset=", "-preset=")) for each in arguments]
        if not any(named) or "preset" not in flags.FLAGS:
            return arguments
        for place, is_preset in enumerate(named):
            if is_preset:
                name = helping.checked("--preset", arguments[place].partition("=")[2], names())
                arguments[place] = f"--flagfile={_PRESETS / name}.flags"
