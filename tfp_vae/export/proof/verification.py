"""Is what was exported what was trained? Every artefact in its own runtime, in a new process.

A cell of the table is one signature of one artefact. It passes if the file is the one that was
written, its runtime loads it, its operators are portable and its answers agree; a quantised file,
which cannot agree, passes if it loses less than `MAX_LOSS`, and says how much it loses.
"""

import dataclasses
import json
import os
import pathlib
import subprocess
import sys
import tempfile

from tfp_vae.export.formats.registry import FORMATS
from tfp_vae.export.package import PORTABLE, digest, size
from tfp_vae.export.proof import runtimes
from tfp_vae.files import replacing
from tfp_vae.report import read_json

# Root mean square error of a quantised answer over the spread of the expected ones.
MAX_LOSS = 0.2
_TIMEOUT = 1800  # seconds for one format


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
        heads = ("format", "signature", "max |diff|", "kB", "ms, 1", "ms, 128", "")
        rows = [heads, *(_row(cell) for cell in self.cells)]
        widths = [max(len(row[i]) for row in rows) for i in range(len(heads))]
        return "\n".join(
            "  ".join(
                text.ljust(width) if i in (0, 1, 6) else text.rjust(width)
                for i, (text, width) in enumerate(zip(row, widths, strict=True))
            ).rstrip()
            for row in rows
        )


def verify(folder: "str | pathlib.Path") -> Verification:
    """Runs every artefact of an export and writes verify.json beside them.

    Args:
        folder: of the export.

    Raises:
        FileNotFoundError: if there is no export.
        ValueError: if its record is damaged.
        ImportError: if a runtime is not installed.
    """
    folder = pathlib.Path(folder).resolve()
    manifest = read_json(folder / "export.json")
    cells = []
    for artefact in manifest["artefacts"]:
        FORMATS[_base(artefact["format"])].check_installed()
    for name in dict.fromkeys(artefact["format"] for artefact in manifest["artefacts"]):
        artefacts = [a for a in manifest["artefacts"] if a["format"] == name]
        found = run(folder, name)
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


def run(folder: pathlib.Path, name: str, check: str = "answers") -> "list[dict]":
    """Returns what the runtime of a format says, cell by cell.

    A runtime that crashes is an answer too: a last entry with a `reason` and no signature.
    """
    runner = FORMATS[_base(name)].runner
    if runner == "browser":
        return _in_browser(folder)
    package = pathlib.Path(__file__).resolve().parents[3]
    environment = {**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3"}
    with tempfile.TemporaryDirectory() as temporary:
        results = pathlib.Path(temporary) / "results.jsonl"
        if runner == "keras":
            arguments = ["-m", "tfp_vae.export.proof.reload", str(folder), str(results)]
            paths = [str(package), environment.get("PYTHONPATH", "")]
            environment["PYTHONPATH"] = os.pathsep.join(filter(None, paths))
        else:
            program = pathlib.Path(runtimes.__file__).resolve()
            arguments = ["-P", str(program), str(folder), name, str(results), f"--check={check}"]
            environment.pop("PYTHONPATH", None)  # the process has no way to the package
        try:
            process = subprocess.run(
                [sys.executable, *arguments],
                env=environment,
                capture_output=True,
                text=True,
                errors="replace",
                timeout=_TIMEOUT,
                cwd=temporary,
            )
            failure = None
            if process.returncode != 0:
                last = (process.stderr.strip().splitlines() or ["without a word"])[-1]
                failure = f"the runtime ended with status {process.returncode}: {last[:200]}"
        except subprocess.TimeoutExpired:
            failure = f"the runtime did not answer within {_TIMEOUT} seconds"
        text = results.read_text(encoding="utf-8") if results.exists() else ""
    found = [json.loads(line) for line in text.splitlines() if line.endswith("}")]
    return [*found, *([{"reason": failure}] if failure else [])]


def _base(name: str) -> str:
    """Returns the name of the format that a variant, such as litert_quantised, is one of."""
    return name if name in FORMATS else name.rsplit("_", 1)[0]


def _in_browser(folder: pathlib.Path) -> "list[dict]":
    """Returns the cell of the page, whose decoder is asked in Chromium for the recorded latents."""
    from tfp_vae.export.page import web

    cell = {"format": "web", "path": "web/index.html", "signature": "decode"}
    examples = runtimes.Examples(folder)
    given = examples.inputs(PORTABLE, "decode", runtimes.LARGE)
    expected = examples.outputs(PORTABLE, "decode", runtimes.LARGE)["mean"]
    try:
        worst = web.check(folder / cell["path"], given["z"], expected, given.get("label"))
    except (ValueError, OSError) as error:
        return [{**cell, "reason": " ".join(str(error).split())[:300]}]
    return [{**cell, "max_abs_difference": worst, "tolerance_share": worst / runtimes.TOLERANCE}]


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
