"""Files that are written whole or not at all, in folders that one process writes at a time."""

import contextlib
import errno
import os
import pathlib
import socket
import sys
import tempfile
import weakref
from collections.abc import Iterator
from typing import ClassVar

try:
    import fcntl
except ImportError:  # where there is none, nothing is locked
    fcntl = None

LOCK = ".lock"
# Of a full disk, a full quota, and a limit on the size of files.
_NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


@contextlib.contextmanager
def replacing(path: pathlib.Path) -> Iterator[pathlib.Path]:
    """Yields a temporary path beside `path` that replaces it at the end, if nothing failed.

    What was written is on the disk before it gets its name: a machine that dies leaves the old file
    or the new one. An `OSError` on the way, such as one of a full disk, names `path`.
    """
    temporary = path.with_name(f".{os.getpid()}-{path.name}")
    try:
        yield temporary
        _flush(temporary)
        os.replace(temporary, path)
        _flush(path.parent)
    except OSError as error:
        if error.errno is not None and error.filename in (None, str(temporary)):
            error.filename = str(path)  # of what fails at a write Python says no name
        raise
    finally:
        temporary.unlink(missing_ok=True)


def lacks_room(error: BaseException) -> bool:
    """Returns whether an error is of a full disk, of Python's own or in the words of a library."""
    if isinstance(error, OSError):
        return error.errno in _NO_ROOM
    return any(os.strerror(each) in str(error) for each in _NO_ROOM)


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


def user_cache(name: str) -> "pathlib.Path | None":
    """Returns the folder `name` of ours in the user's cache, None if it cannot be the user's alone.

    It need not be there; see `own_folder`.
    """
    home = pathlib.Path(os.path.expanduser("~"))
    if not hasattr(os, "geteuid") or not home.is_dir() or home.stat().st_uid != os.geteuid():
        return None  # as under sudo, which leaves files there that the user cannot write to
    named = pathlib.Path(os.environ.get("XDG_CACHE_HOME", ""))
    usual = home / ("Library/Caches" if sys.platform == "darwin" else ".cache")
    return (named if named.is_absolute() else usual) / "tfp_vae" / name


def own_folder(path: pathlib.Path) -> None:
    """Makes a folder that nobody else can write to, where there is none.

    Raises:
        PermissionError: if it is another's, or others may write to it.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    path.mkdir(mode=0o700, exist_ok=True)  # of its own: `parents` takes the usual mode
    seen = path.stat()
    if hasattr(os, "geteuid") and (seen.st_uid != os.geteuid() or seen.st_mode & 0o022):
        raise PermissionError(f"{path} is another's, or others may write to it (chmod 700)")


class Locked(Exception):
    """Another process writes into a folder; the text says which."""


class Lock:
    """The right to write into a folder, which one process has at a time.

    It is a lock of the operating system on a file `.lock` in the folder, so it goes with its
    process however that ends; the file, which says whose it is, may stay behind and locks nothing.
    Within a process it is shared.

    Args:
        folder: an existing folder.

    Raises:
        Locked: if another process has it.
    """

    _of_folders: ClassVar["weakref.WeakValueDictionary[str, Lock]"] = weakref.WeakValueDictionary()

    def __new__(cls, folder: pathlib.Path) -> "Lock":
        """Returns the lock that this process has on the folder, or takes it."""
        key = os.path.realpath(folder)
        found = cls._of_folders.get(key)
        if found is None:
            found = super().__new__(cls)
            path = folder / LOCK
            found.release = weakref.finalize(found, _release, _taken(path), path, os.getpid())
            cls._of_folders[key] = found
        return found


def check_unlocked(folder: pathlib.Path) -> None:
    """Raises `Locked` if another process writes into a folder; leaves nothing there."""
    path = folder / LOCK
    if os.path.realpath(folder) not in Lock._of_folders and path.is_file():
        os.close(_taken(path))


def _taken(path: pathlib.Path) -> int:
    """Returns the handle of a locked file that says which process has it."""
    while True:
        # To read alone: a file system may become read-only while the lock is held.
        handle = os.open(path, os.O_RDONLY | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o644)
        try:
            if fcntl is not None:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            owner = os.read(handle, 200).decode(errors="replace").strip()
            os.close(handle)
            raise Locked(owner or "another process") from error
        except OSError:  # a file system without locks
            pass
        with contextlib.suppress(FileNotFoundError):
            if os.path.samestat(os.stat(path), os.fstat(handle)):
                with contextlib.suppress(OSError):  # a disk may be full, and the lock is held
                    path.write_text(f"process {os.getpid()} on {socket.gethostname()}")
                return handle
        os.close(handle)  # whoever had it before has removed it meanwhile


def _release(handle: int, path: pathlib.Path, owner: int) -> None:
    if os.getpid() == owner:  # and no copy of it that was forked
        with contextlib.suppress(OSError):  # a disk that became read-only keeps the file
            path.unlink(missing_ok=True)
        os.close(handle)


def _flush(path: pathlib.Path) -> None:
    # Not every file system lets a folder be flushed; the rename is atomic without.
    with contextlib.suppress(OSError if path.is_dir() else ()):
        handle = os.open(path, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
