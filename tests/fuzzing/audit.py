"""Watches what Python itself does: a saved model may run nothing and fetch nothing."""

import contextlib
import sys

# What code in a file would have to do first, as Python's audit events call it.
FORBIDDEN = frozenset(
    """os.system os.exec os.spawn os.posix_spawn os.fork os.forkpty subprocess.Popen pty.spawn
    pickle.find_class code.__new__ function.__new__ socket.connect socket.getaddrinfo
    urllib.Request ctypes.dlopen webbrowser.open builtins.input""".split()
)
_state = {"watching": False, "seen": None, "hooked": False}


class Ran(AssertionError):
    """Something ran that must not."""


def _hook(event, arguments):
    if _state["watching"] and event in FORBIDDEN:
        _state["seen"].append(f"{event} {arguments!r}"[:200])


@contextlib.contextmanager
def nothing_runs():
    """Raises `Ran` if anything in `FORBIDDEN` happens in the block, also if it fails there."""
    if not _state["hooked"]:  # a hook stays as long as the process
        sys.addaudithook(_hook)
        _state["hooked"] = True
    _state["watching"], _state["seen"] = True, []
    try:
        yield
    finally:
        _state["watching"] = False
        if _state["seen"]:
            raise Ran("; ".join(_state["seen"]))
