"""The one command: `tfp-vae NAME ...` where the package is installed, `python -m experiments`."""

import ast
import importlib
import pathlib
import sys

from tfp_vae.version import __version__

from . import cli, completion, helping, presets

_HERE = pathlib.Path(__file__).parent


def programs() -> "dict[str, str]":
    """Returns {name as it is typed: what it does in one line} of all programs."""
    found = {}
    for path in sorted(_HERE.glob("*.py")):
        text = path.read_text(encoding="utf-8")
        if "\n    cli.run(main)\n" in text:
            found[helping.typed(path.stem)] = ast.get_docstring(ast.parse(text)).splitlines()[0]
    return found


def main() -> None:
    """Runs the program that the first argument names."""
    known = programs()
    name, *rest = sys.argv[1:] or ["--help"]
    if name in cli.HELP:
        names = ", ".join(presets.names())
        print(
            f"{helping.COMMAND} PROGRAM --NAME=VALUE ...\n\n{helping.listed(known.items())}\n\n"
            f"{helping.COMMAND} PROGRAM -h lists the flags of a program.\n"
            f"A training takes the flags of a model that was measured with --preset=NAME: {names}."
            "\n"
            f"{helping.COMMAND} --completion=bash (or zsh) prints what completes all of it with "
            "the tab key."
        )
    elif name == "--version":
        print(__version__)
    elif name.startswith("--completion"):
        print(cli.or_error(completion.script, name.partition("=")[2], known), end="")
    else:
        name = cli.or_error(helping.checked, "the program", helping.typed(name), [*known])
        module = importlib.import_module(f"{__package__}.{name.replace('-', '_')}")
        sys.argv = [f"{helping.COMMAND} {name}", *rest]
        cli.run(module.main)


if __name__ == "__main__":
    main()
