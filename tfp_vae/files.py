"""Files that are written whole or not at all."""

import contextlib
import os
import pathlib
import tempfile
from collections.abc import Iterator


@contextlib.contextmanager
def replacing(path: pathlib.Path) -> Iterator[pathlib.Path]:
    """Yields a temporary path beside `path` that replaces it at the end, if nothing failed.

    What was written is on the disk before it gets its name: a machine that dies leaves the old file
    or the new one.
    """
    temporary = path.with_name(f".{os.getpid()}-{path.name}")
    try:
        yield temporary
        _flush(temporary)
        os.replace(temporary, path)
        _flush(path.parent)
    finally:
        temporary.unlink(missing_ok=True)


def remove_leftovers(folder: pathlib.Path, pattern: str) -> None:
    """Removes the temporary files of writers of `pattern` that were killed."""
    for file in folder.glob(f".*-{pattern}"):
        file.unlink(missing_ok=True)


def is_writable(folder: pathlib.Path) -> bool:
    """Returns whether files can be made in `folder`."""
    # os.access answers yes to root on a read-only file system; writing is the test.
    try:
        with tempfile.TemporaryFile(dir=folder):
            return True
    except OSError:
        return False


def _flush(path: pathlib.Path) -> None:
    # Not every file system lets a folder be flushed; the rename is atomic without.
    with contextlib.suppress(OSError if path.is_dir() else ()):
        handle = os.open(path, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
