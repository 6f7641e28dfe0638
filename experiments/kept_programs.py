"""Where programs keep what XLA compiled, for the next start: `TFP_VAE_XLA_CACHE`.

TensorFlow reads and runs what lies in the folder, ends where a file is broken or cannot be written,
and never removes one. So the folder belongs to the user alone, broken files go before TensorFlow
looks, nothing is written where a disk is nearly full, and old files make room. Imported before
TensorFlow: nothing here may need it.
"""

import contextlib
import hashlib
import importlib.metadata
import os
import pathlib
import platform
import re
import shutil
import sys
import time

from tfp_vae import processor
from tfp_vae.files import own_folder, user_cache

VARIABLE = "TFP_VAE_XLA_CACHE"
FLAG = "--tf_xla_persistent_cache"
BYTES = 500 * 2**20  # kept at most
DAYS = 30  # without being read
ROOM = 2**30  # bytes that are left free
_FOLDER = re.compile("[0-9a-f]{16}")  # as `compiled_folder` names them
_FILES = "xla_compile_cache__*"  # as TensorFlow names them


def flags() -> str:
    """Returns the flags for `TF_XLA_FLAGS`, "" where nothing is kept.

    The variable names a folder, "" turns it off, and without it the folder is the user's own cache.
    """
    named = os.environ.get(VARIABLE)
    try:
        root = user_cache("xla") if named is None else named and pathlib.Path(named).absolute()
        if not root:
            return ""
        folder = compiled_folder(root)
        for path in (root, folder):
            own_folder(path)
        tidy(root)
        full = shutil.disk_usage(folder).free < ROOM
    except (OSError, importlib.metadata.PackageNotFoundError) as error:
        if named is not None:
            print(
                f"{VARIABLE}: what XLA compiles is not kept. Expected a folder of yours that "
                f"nobody else can write to. Received {named}: {error}.",
                file=sys.stderr,
            )
        return ""
    # Quoted: blanks end a flag. What a GPU compiles is for one kind of card, which no folder tells.
    kept = f'{FLAG}_directory="{folder}" {FLAG}_device_types=CPU'
    return f"{kept} {FLAG}_read_only=true" if full else kept


def compiled_folder(root: pathlib.Path) -> pathlib.Path:
    """Returns the folder below `root` for what XLA compiles here.

    TensorFlow finds a program by what it computes alone. But what was compiled is machine code, of
    one version, with some flags, for one kind of processor: each has a folder of its own.
    """
    known = [
        importlib.metadata.version("tensorflow"),
        os.environ.get("XLA_FLAGS", ""),
        platform.machine(),
        str(os.cpu_count()),
    ]
    for field in ("model name", "flags", "Features", "CPU part"):
        known += sorted({*processor.told(field)})
    return root / hashlib.sha256("\n".join(known).encode()).hexdigest()[:16]


def tidy(root: pathlib.Path) -> None:
    """Removes what is broken, what nobody read for long, and the oldest beyond `BYTES`.

    Of files that TensorFlow wrote to folders of `compiled_folder`: whatever else lies below `root`
    is its owner's, and stays.
    """
    now, total = time.time(), 0
    found = []
    for folder in root.iterdir():
        for path in folder.glob(_FILES) if _FOLDER.fullmatch(folder.name) else ():
            with contextlib.suppress(FileNotFoundError):  # another process tidies too
                seen = path.lstat()
                # A file system may keep no times of reading.
                found.append((max(seen.st_mtime, seen.st_atime), path, seen))
    for used, path, seen in sorted(found, reverse=True):
        # One that is being written has another name, and is left alone for a day.
        fresh = path.suffix != ".pb" and now - used < 86400
        with contextlib.suppress(FileNotFoundError):
            old = now - used > DAYS * 86400
            if old or total + seen.st_size > BYTES or not (fresh or is_whole(path)):
                path.unlink()
            else:
                total += seen.st_size
                # That we looked does not count as being read.
                os.utime(path, ns=(seen.st_atime_ns, seen.st_mtime_ns))


def is_whole(path: pathlib.Path) -> bool:
    """Whether fields of a protocol buffer fill the file, as where its writing was not cut off."""
    with path.open("rb") as file:
        size = file.seek(0, os.SEEK_END)
        position = file.seek(0)
        while position < size:
            head = file.read(11)  # a tag, and a length in groups of seven bits, the lowest first
            ends = [place for place, byte in enumerate(head) if place and byte < 0x80]
            if not ends or not 0 < head[0] < 0x80 or head[0] % 8 != 2:  # 2: bytes of a given length
                return False
            groups = (byte % 0x80 << 7 * place for place, byte in enumerate(head[1 : ends[0] + 1]))
            position = file.seek(position + ends[0] + 1 + sum(groups))
    return 0 < size == position
