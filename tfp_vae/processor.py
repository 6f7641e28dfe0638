"""What the processor says of itself, where the system tells: on Linux."""

import pathlib
import platform

CPUINFO = pathlib.Path("/proc/cpuinfo")


def told(field: str) -> list[str]:
    """Returns the values of a field of `CPUINFO`, one for each core; none where nothing tells."""
    try:
        lines = CPUINFO.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return []
    pairs = [line.partition(":") for line in lines]
    return [value.strip() for found, _, value in pairs if found.strip() == field]


def name() -> str:
    """Returns its name, of its kind alone where it has none."""
    return next(iter(told("model name")), platform.processor() or platform.machine())
