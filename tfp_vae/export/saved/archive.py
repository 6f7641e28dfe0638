"""What of a `.keras` file is looked at before anything is built: the zip and the HDF5 inside it.

Keras opens both with general libraries, and both formats can point out of themselves or promise
more than they hold. What Keras writes is much less than they allow: three members, and in the
weights groups and plain arrays. Everything else is refused.
"""

import io
import math
import pathlib
import re
import stat
import zipfile
import zlib
from typing import NamedTuple

CONFIG, METADATA, WEIGHTS = "config.json", "metadata.json", "model.weights.h5"
# Bytes of each member once unpacked. A config of the largest networks has a few megabytes.
LIMITS = {CONFIG: 2**24, METADATA: 2**16, WEIGHTS: 2**33}
# Keras does not compress. An archive that was packed again may, but zeros compress a
# thousandfold, which is how a small file fills the memory.
MOST_EXPANSION = 100
MOST_OBJECTS, MOST_DEPTH = 100_000, 64  # groups and arrays in the weights

_REGULAR_OR_UNSAID = (0, stat.S_IFREG)
_METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
_HDF5, _PICKLE = b"\x89HDF\r\n\x1a\n", b"\x80"
_PICKLES = (".pkl", ".pickle", ".joblib", ".pt", ".pth")


class Refused(Exception):
    """Why a file is not loaded.

    Args:
        problem: what is wrong with it, to follow the path of the file.
        received: what was found.
    """

    def __init__(self, problem: str, received: str):
        super().__init__(f"{problem}: {received}")
        self.problem, self.received = problem, received


def refuse_other_formats(path: pathlib.Path, start: bytes) -> None:
    """Raises `Refused` if name or first bytes are those of a format whose loading may run code."""
    if path.suffix in (".h5", ".hdf5") or start.startswith(_HDF5):
        raise Refused(
            "is in the legacy HDF5 format, whose loading may run code hidden in the file",
            f"a {path.suffix or 'nameless'} file; save the model again as .keras",
        )
    if start.startswith(_PICKLE) or path.suffix in _PICKLES:
        raise Refused(
            "is a pickle, whose loading runs code in the file",
            f"a {path.suffix or 'nameless'} file; save the model again as .keras",
        )


def read(path: pathlib.Path) -> "dict[str, bytes]":
    """Returns the members {name: bytes} of a `.keras` file, whole and of a bounded size.

    Raises:
        Refused: if it is not a zip of these three members, is damaged, or unpacks to too much.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            _check_members(archive.infolist())
            return {name: archive.read(name) for name in LIMITS}
    except Refused:
        raise
    except Exception as error:  # a damaged archive fails in as many ways as it has bytes
        damaged = "CRC" in str(error) or isinstance(error, zlib.error)
        problem = "is damaged" if damaged else "is truncated or is not a model file"
        raise Refused(problem, one_line(error)) from error


def _check_members(members: "list[zipfile.ZipInfo]") -> None:
    names = [member.filename for member in members]
    for name in names:
        parts = pathlib.PurePosixPath(name.replace("\\", "/")).parts
        if ".." in parts or name.startswith(("/", "\\")) or ":" in name:
            raise Refused("has a member that would be written outside its folder", repr(name))
    for member in members:
        if member.filename not in LIMITS:
            raise Refused(
                f"is not a model file or has more in it than {', '.join(LIMITS)}",
                f"a member {member.filename!r}",
            )
        if stat.S_IFMT(member.external_attr >> 16) not in _REGULAR_OR_UNSAID:
            raise Refused("has a member that is a link or a device", repr(member.filename))
        if member.flag_bits & 1 or member.compress_type not in _METHODS:
            raise Refused(
                "is damaged, encrypted or packed by another method than Keras's",
                f"{member.filename} by method {member.compress_type}",
            )
        limit = min(LIMITS[member.filename], MOST_EXPANSION * member.compress_size)
        if member.file_size > limit:
            raise Refused(
                "is damaged or unpacks to too much",
                f"{member.filename} of {member.file_size} bytes in {member.compress_size}, where "
                f"{limit} are the most",
            )
    if len(set(names)) != len(LIMITS) or len(names) != len(LIMITS):
        raise Refused(
            f"is truncated or is not a model file: it lacks one of {', '.join(LIMITS)}, each once",
            f"members {names}"[:200],
        )


class Held(NamedTuple):
    """What weights hold.

    Attributes:
        arrays: how many.
        values: in all of them.
        largest: values of the largest.
        rows: of all of them, along the first axis of each.
    """

    arrays: int
    values: int
    largest: int
    rows: int


def check_weights(content: bytes) -> Held:
    """Looks at every object of an HDF5 file and reads none.

    Returns:
        What the arrays in it hold.

    Raises:
        Refused: for a link out of the file or to another place in it, an array whose values are
            elsewhere or are fewer than it says, values that are not numbers, or too many objects.
    """
    import h5py  # Keras's own dependency, loaded when used

    try:
        with h5py.File(io.BytesIO(content), "r") as file:
            shapes = _check_group(file, h5py, len(content))
    except Refused:
        raise
    except Exception as error:  # h5py raises what the C library says
        raise Refused("has damaged weights", one_line(error)) from error
    sizes = [math.prod(shape) for shape in shapes]
    rows = sum(shape[0] if shape else 1 for shape in shapes)
    return Held(len(sizes), sum(sizes), max(sizes, default=0), rows)


def _check_group(file, h5py, size) -> "list[tuple[int, ...]]":
    """Returns the shapes of the arrays in a file of `size` bytes."""
    seen, pending, shapes, left = set(), [(file, 0)], [], size
    while pending:
        group, depth = pending.pop()
        if depth > MOST_DEPTH:
            raise Refused("has weights nested too deeply", f"more than {MOST_DEPTH} groups")
        for name in group:
            link = group.get(name, getlink=True)
            if not isinstance(link, h5py.HardLink):
                raise Refused(
                    "has weights that link to somewhere else", f"{type(link).__name__} {name!r}"
                )
            entry = group[name]
            where = h5py.h5o.get_info(entry.id).addr
            if where in seen:  # a group inside itself has no end
                raise Refused("has weights that are in two places", f"{entry.name!r} again")
            seen.add(where)
            if len(seen) > MOST_OBJECTS:
                raise Refused("has too many weights", f"more than {MOST_OBJECTS} arrays")
            if isinstance(entry, h5py.Group):
                pending.append((entry, depth + 1))
            elif isinstance(entry, h5py.Dataset):
                _check_array(entry)
                shapes.append(entry.shape)
                left -= entry.id.get_storage_size()
                if left < 0:  # the same bytes would be those of several arrays
                    raise Refused(
                        "has weights that say another size than they have",
                        f"arrays of more than the {size} bytes of the file",
                    )
            else:
                raise Refused("has weights that are not arrays", f"{type(entry).__name__} {name!r}")
    return shapes


def _check_array(array) -> None:
    if array.is_virtual or array.external:
        raise Refused("has weights whose values are in another file", repr(array.name))
    kind, size = array.dtype.kind, array.dtype.itemsize
    # V of two bytes or one is how Keras keeps bfloat16 and float8.
    if kind not in "fiub" and not (kind == "V" and size <= 2 and array.dtype.names is None):
        raise Refused("has weights that are not numbers", f"{array.name!r} of type {array.dtype}")
    if array.shape is None or array.chunks is not None:
        raise Refused("has weights that Keras does not write so", f"{array.name!r} in pieces")
    declared, stored = math.prod(array.shape) * size, array.id.get_storage_size()
    if declared != stored:
        raise Refused(
            "has weights that say another size than they have",
            f"{array.name!r} of shape {array.shape} in {stored} bytes",
        )


def write(path: pathlib.Path, members: "dict[str, bytes]") -> None:
    """Writes members as Keras does: not compressed, one after the other."""
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in members.items():
            archive.writestr(name, content)


def one_line(error: "Exception | str", length: int = 200) -> str:
    """Returns what an error says, in one line without what a terminal would obey."""
    text = re.sub(r"\x1b\[[0-9;]*m", "", str(error))
    text = "".join(each if each.isprintable() else " " for each in text)
    return " ".join(text.split())[:length] or type(error).__name__
