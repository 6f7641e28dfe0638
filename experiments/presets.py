"""Presets: files of flags that are known by name."""

import pathlib

from absl import flags

from . import helping

_PRESETS = pathlib.Path(__file__).parent / "flags"


def names() -> "list[str]":
    """Returns the names of the presets."""
    return sorted(path.stem for path in _PRESETS.glob("*.flags"))


def expanded(arguments: "list[str]") -> "list[str]":
    """Returns the arguments with those of files and presets in their places."""
    while True:  # presets may name others
        arguments = flags.FLAGS.read_flags_from_files(arguments, force_gnu=False)
        named = [each.startswith(("--preset=", "-preset=")) for each in arguments]
        if not any(named) or "preset" not in flags.FLAGS:
            return arguments
        for place, is_preset in enumerate(named):
            if is_preset:
                name = helping.checked("--preset", arguments[place].partition("=")[2], names())
                arguments[place] = f"--flagfile={_PRESETS / name}.flags"
