"""How programs fail: what is an error of their input, and its one line."""

import os
import sys
from typing import NoReturn

from tfp_vae.arguments import printable
from tfp_vae.files import lacks_room


def is_expected(error: Exception) -> bool:
    """Whether an error is of what a program was given or runs on, and not one of the program."""
    kinds = (ValueError, OSError, ImportError, ArithmeticError, MemoryError)
    # Those derived from RuntimeError are of programs: what is not written, or calls itself.
    return isinstance(error, kinds) or type(error) is RuntimeError or _of_tensorflow(error)


def _of_tensorflow(error: "BaseException | str") -> bool:
    tensorflow = sys.modules.get("tensorflow")
    return tensorflow is not None and isinstance(error, tensorflow.errors.OpError)


def fail(error: "BaseException | str", status: int = 2) -> NoReturn:
    """Says an error in one line on stderr, and ends the program.

    Args:
        error: what went wrong, or its text.
        status: that the program ends with.
    """
    if _of_tensorflow(error):  # above it where the graph was made, below it where it stands there
        lines = [line.strip() for line in str(error.message).splitlines()]
        error = next((line for line in reversed(lines) if line and line[:2] != "[["), "")
        error = error or type(error).__name__
    if getattr(error, "strerror", None):  # of the system itself, such as a name that is too long
        wanted = "a file or folder that can be read and written"
        if lacks_room(error):
            wanted = "room for it; what was there before is as it was"
        error = (
            f"{error.filename or 'a file or the standard output'} cannot be used. "
            f"Expected {wanted}. Received: {error.strerror}."
        )
    text = " ".join(str(error).split()) or type(error).__name__
    print(f"error: {printable(text)}", file=sys.stderr)
    sys.exit(status)


def end_quietly() -> NoReturn:
    """Ends the program whose output nobody reads any more, as a shell knows it of others."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 1)  # or what is left to write fails once more
    sys.exit(128 + 13)  # as by SIGPIPE


def warn(message: "Warning | str") -> None:
    """Says a warning in one line on stderr."""
    print(f"warning: {printable(' '.join(str(message).split()))}", file=sys.stderr)
