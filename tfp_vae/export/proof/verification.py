"""Is what was exported what was trained? Every artefact in its own runtime, in a new process.

A cell of the table is one signature of one artefact. It passes if the file is the one that was
written, its runtime loads it, its operators are portable and its answers agree; a quantised file,
which cannot agree, passes if it loses less than `MAX_LOSS`, and says how much it loses.
"""

import dataclasses
import json
import pathlib

from tfp_vae import notebooks
from tfp_vae.export.formats import base
from tfp_vae.export.package import digest, size
from tfp_vae.export.proof import runtimes
from tfp_vae.files import replacing
from tfp_vae.report import aligned, read_json

_HEADS = ("format", "signature", "max |diff|", "kB", "ms, 1", "ms, 128", "")
# Root mean square error of a quantised answer over the spread of the expected ones.
MAX_LOSS = 0.2


@dataclasses.dataclass(frozen=True)
class Verification:
    """The table of an export.

    Attributes:
        cells: one dict per signature of each artefact, as in verify.json.
    """

    cells: "list[dict]"

    @property
    def failures(self) -> "list[dict]":
        """The cells that did not pass; each has a `reason`."""
        return [cell for cell in self.cells if not cell["passed"]]

    def raise_for_failures(self) -> None:
        """Raises `ValueError`, naming cells and reasons, unless all passed."""
        if not self.failures:
            return
        first = "; ".join(
            f"{cell['format']} {cell['signature']}: {cell['reason']}" for cell in self.failures[:5]
        )
        raise ValueError(
            f"{len(self.failures)} of {len(self.cells)} cells failed. Expected every artefact to "
            f"load and to agree. Received {first}"
        )

    def table(self) -> str:
        """Returns the table for the terminal."""
        return aligned([_HEADS, *(_row(cell) for cell in self.cells)], (0, 1, 6))

    def _repr_html_(self) -> str:
        return notebooks.table("Verification", _HEADS, [_row(cell) for cell in self.cells])


def verify(folder: "str | pathlib.Path", seconds: float | None = None) -> Verification:
    """Runs every artefact of an export and writes verify.json beside them.

    Args:
        folder: of the export.
        seconds: of timing for each answer and batch size; 0.2 by default.

    Raises:
        FileNotFoundError: if there is no export.
        ValueError: if its record is damaged.
        ImportError: if a runtime is not installed.
    """
    folder = pathlib.Path(folder).resolve()
    manifest = read_json(folder / "export.json")
    cells = []
    kinds = dict.fromkeys(base.of(a["format"]) for a in manifest["artefacts"])
    for kind in kinds:
        kind().check_installed()
    for kind in kinds:
        names = [kind.name, *kind.variants]
        artefacts = [a for a in manifest["artefacts"] if a["format"] in names]
        found = kind().run(folder, names, effort=seconds)
        cells += [
            _judged(folder, artefact, signature, found)
            for artefact in artefacts
            for signature in artefact["signatures"]
        ]
    result = Verification(cells)
    values = {
        "passed": not result.failures,
        "tolerance": f"|difference| <= {runtimes.TOLERANCE:g} (1 + |expected|)",
        "max_loss_of_quantised": MAX_LOSS,
        "cells": cells,
    }
    with replacing(folder / "verify.json") as temporary:
        temporary.write_text(f"{json.dumps(values, indent=2)}\n", encoding="utf-8")
    return result


def _judged(folder, artefact, signature, found) -> dict:
    """Returns the cell of a signature of an artefact, with `passed` and, if not, `reason`."""
    path = folder / artefact["path"]
    mine = [
        c for c in found if (c.get("path"), c.get("signature")) == (artefact["path"], signature)
    ]
    cell = {"format": artefact["format"], "signature": signature, "path": artefact["path"]}
    crash = next((c["reason"] for c in found if "signature" not in c), None)
    if mine:
        cell |= mine[0]
    else:
        cell["reason"] = crash or "the runtime said nothing about it"
    exists = path.exists()
    cell["size"] = size(path) if exists else 0
    reason = cell.pop("reason", None)
    if not exists or digest(path) != artefact["sha256"]:
        reason = "the file is not the one that was written" + (f"; {reason}" if reason else "")
    if reason is None and artefact["exact"] and cell.get("tolerance_share", 0.0) > 1:
        reason = (
            f"answers differ by up to {cell['max_abs_difference']:.2g}, "
            f"{cell['tolerance_share']:.2g} times what is tolerated"
        )
    if reason is None and not artefact["exact"]:
        relative = max((lost["relative"] or 0.0) for lost in cell["loss"].values())
        if relative > MAX_LOSS:
            reason = f"quantisation loses {relative:.2g} of the spread of the answers"
    return {**cell, "passed": reason is None, **({"reason": reason} if reason else {})}


def _row(cell: dict) -> "tuple[str, ...]":
    def number(key, form):
        return format(cell[key], form) if cell.get(key) is not None else ""

    remark = "ok" if cell["passed"] else f"FAILED: {cell['reason']}"
    if cell["passed"] and cell.get("loss"):
        worst = max((lost["relative"] or 0.0) for lost in cell["loss"].values())
        remark = f"ok, error {worst:.1%} of the spread"
        agreement = cell["loss"].get("probs", {}).get("agreement")
        if agreement is not None:
            remark += f", same class {agreement:.1%}"
    return (
        cell["format"],
        cell["signature"],
        number("max_abs_difference", ".1e"),
        f"{cell['size'] / 1000:.0f}",
        number("milliseconds_1", ".3g"),
        number("milliseconds_128", ".3g"),
        remark,
    )
