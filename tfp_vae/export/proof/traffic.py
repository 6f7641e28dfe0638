"""Does an artefact answer many clients at once, and refuse what has no answer?

Every artefact of a format that servers run (`Format.allowed`), each loaded once in a process of its
own, asked by 1, 8 and 64 threads: throughput and latencies without a network, which a server adds.
"""

import dataclasses
import json
import pathlib

from tfp_vae.export.formats.base import FORMATS
from tfp_vae.files import replacing
from tfp_vae.report import read_json


@dataclasses.dataclass(frozen=True)
class Traffic:
    """What was measured.

    Attributes:
        rows: one dict per signature and number of clients, and per request without an answer.
    """

    rows: "list[dict]"

    @property
    def failures(self) -> "list[str]":
        """What went wrong, one line each."""
        return [text for row in self.rows if (text := _failure(row))]

    def raise_for_failures(self) -> None:
        """Raises `ValueError` if an answer was wrong, or a bad request got one."""
        if self.failures:
            raise ValueError(
                f"{len(self.failures)} requests went wrong. Expected right answers, and errors to "
                f"impossible requests. Received {'; '.join(self.failures[:5])}"
            )

    def table(self) -> str:
        """Returns the table for the terminal."""
        lines = [
            f"{'format':<11} {'signature':<12} {'clients':>7} {'per second':>10} {'p50 ms':>8} "
            f"{'p99 ms':>8} {'wrong':>5}"
        ]
        for row in self.rows:
            if "clients" in row:
                lines.append(
                    f"{row['format']:<11} {row['signature']:<12} {row['clients']:>7} "
                    f"{row['per_second']:>10.0f} {row['p50_milliseconds']:>8.3g} "
                    f"{row['p99_milliseconds']:>8.3g} {row['wrong']:>5}"
                )
        asked = {}  # to all signatures of a format alike
        for row in self.rows:
            if "request" in row:
                key = row["format"], row["request"], row["answer"]
                asked.setdefault(key, []).append(row["said"])
        for (name, request, answer), said in asked.items():
            words = f", such as: {said[0][:110]}" if said[0] else ""
            lines.append(f"{name:<11} {request} -> {answer} ({len(said)} signatures){words}")
        return "\n".join(lines + [f"FAILED {failure}" for failure in self.failures])


def serve(folder: "str | pathlib.Path", requests: int | None = None) -> Traffic:
    """Asks what servers run of an export, and writes serve.json beside it.

    Args:
        folder: of the export.
        requests: for each number of clients; 1,024 by default.

    Raises:
        FileNotFoundError: if there is no export.
        ValueError: if it holds nothing that servers run.
    """
    folder = pathlib.Path(folder).resolve()
    manifest = read_json(folder / "export.json")
    written = {artefact["format"] for artefact in manifest["artefacts"]}
    served = [name for name, kind in FORMATS.items() if kind.allowed is not None]
    names = [name for name in served if name in written]
    if not names:
        raise ValueError(
            f"There is nothing to serve. Expected an export with {' or '.join(served)}. "
            f"Received one with {', '.join(sorted(written))}."
        )
    traffic = Traffic(
        [
            row | {"format": name}
            for name in names
            for row in FORMATS[name]().run(folder, [name], "serving", requests)
        ]
    )
    values = {"passed": not traffic.failures, "rows": traffic.rows}
    with replacing(folder / "serve.json") as temporary:
        temporary.write_text(f"{json.dumps(values, indent=2)}\n", encoding="utf-8")
    return traffic


def _failure(row: dict) -> str | None:
    if "reason" in row:
        return f"{row['format']}: {row['reason']}"
    who = f"{row['format']} {row['signature']}"
    if "clients" in row:
        return f"{who}: {row['wrong']} wrong answers" if row["wrong"] else None
    rules = FORMATS[row["format"]].allowed
    allowed = rules.get(row["request"], rules[None])
    if row["answer"] in allowed:
        return None
    return f"{who}: {row['request']} was answered with {row['answer']}"
