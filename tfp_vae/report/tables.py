"""Tables for the terminal and for Markdown."""

import contextlib
import csv
import math
import pathlib
import shutil
import tempfile
import zipfile
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from tfp_vae import files
from tfp_vae.arguments import printable
from tfp_vae.cells import guarded, line_end
from tfp_vae.report.escaping import escape
from tfp_vae.report.escaping import table as markdown_table


def summary(metrics: Mapping) -> str:
    """Returns the results among `metrics` as a table with standard errors or intervals."""
    rows = {}
    for key, value in metrics.items():
        if value is None or isinstance(value, Mapping) or _belongs_to_another(key, metrics):
            continue
        text, digits = str(value), 2
        error = metrics.get(f"{key}_se")
        low, high = metrics.get(f"{key}_low"), metrics.get(f"{key}_high")
        if isinstance(value, float):
            # Two digits of the error, or three of a small number that has none.
            size = error if error is not None else abs(value) / 10
            if 0 < size < 0.1:
                digits = min(1 - math.floor(math.log10(size)), 8)
            text = f"{value:,.{digits}f}"
        if error is not None:
            text += f" +- {error:.{digits}f}"
        if low is not None and high is not None:
            text += f" ({low:.{digits}f} to {high:.{digits}f})"
        rows[key] = text
    rows = {printable(name): text for name, text in rows.items()}
    width = max(map(len, rows), default=0)
    return "\n".join(f"  {name:<{width}}  {text}" for name, text in rows.items())


def aligned(rows: "Sequence[Sequence[str]]", left: "Collection[int]" = ()) -> str:
    """Returns cells in columns for a terminal, a line per row.

    Args:
        rows: of as many cells each; the head is one of them.
        left: places of the columns of words, which begin at the left; numbers end at the right.
    """
    rows = [[printable(cell) for cell in row] for row in rows]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return "\n".join(
        "  ".join(
            cell.ljust(width) if place in left else cell.rjust(width)
            for place, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in rows
    )


def _belongs_to_another(key: str, metrics: Mapping) -> bool:
    base, _, ending = key.rpartition("_")
    return ending == "se" or (ending in ("low", "high") and base in metrics)


def write_columns(path: "str | pathlib.Path", columns: "Mapping[str, Sequence]") -> None:
    """Writes columns of one length as a .csv file, whole or not at all.

    Args:
        path: of the file.
        columns: {name: values [N]}; floats have the digits that float32 tells apart, text that a
            spreadsheet would run has an apostrophe before it (see `cells`).
    """
    path = pathlib.Path(path)
    rows = zip(*columns.values(), strict=True)
    end = line_end(cell for column in (columns, *columns.values()) for cell in column)
    with files.replacing(path) as written, written.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator=end)
        writer.writerow(map(guarded, columns))
        writer.writerows([_cell(value) for value in row] for row in rows)


def write_blocks(
    table: "str | pathlib.Path",
    arrays: "str | pathlib.Path",
    count: int,
    blocks: "Iterable[tuple[Mapping[str, np.ndarray], Mapping[str, np.ndarray]]]",
) -> None:
    """Writes a .csv and an .npz file block by block: no more than one block is in memory.

    Both are written whole or not at all. The arrays are as `np.load` reads them.

    Args:
        table: path of the .csv.
        arrays: path of the .npz.
        count: rows of all blocks together.
        blocks: ({column: values [n]} of the .csv, {name: values [n, ...]} of the .npz), each with
            the same names and dtypes.

    Raises:
        ValueError: if the blocks have another number of rows in all.
    """
    table, arrays, done = pathlib.Path(table), pathlib.Path(arrays), 0
    with contextlib.ExitStack() as open_files:
        rows_path = open_files.enter_context(files.replacing(table))
        zip_path = open_files.enter_context(files.replacing(arrays))
        parts: dict[str, Any] = {}  # an array cannot go into the archive while another one does
        with rows_path.open("w", encoding="utf-8", newline="") as file:
            # No later cell is known yet: see `cells.line_end`, which would ask for this end.
            writer = csv.writer(file, lineterminator="\r\n")
            for columns, values in blocks:
                if not done:
                    writer.writerow(map(guarded, columns))
                for name, value in values.items():
                    if name not in parts:
                        part = tempfile.TemporaryFile(dir=arrays.parent)
                        parts[name] = open_files.enter_context(part)
                        header = np.lib.format.header_data_from_array_1_0(value)
                        header |= {"shape": (count, *value.shape[1:]), "fortran_order": False}
                        np.lib.format.write_array_header_2_0(part, header)
                    parts[name].write(np.ascontiguousarray(value).tobytes())
                done += len(next(iter(values.values())))
                rows = zip(*columns.values(), strict=True)
                writer.writerows([_cell(value) for value in row] for row in rows)
        if done != count:
            raise ValueError(
                f"The blocks do not fit {table.name}. Expected {count} rows. Received {done}."
            )
        with zipfile.ZipFile(zip_path, "w", zipfile.ZIP_DEFLATED) as archive:
            for name, part in parts.items():
                about = zipfile.ZipInfo(f"{name}.npy")
                about.compress_type = zipfile.ZIP_DEFLATED
                part.seek(0)
                with archive.open(about, "w", force_zip64=True) as member:
                    shutil.copyfileobj(part, member)


def _cell(value):
    return f"{value:.7g}" if isinstance(value, float | np.floating) else guarded(value)


def method_table(table: Mapping, keys: "tuple[str, ...]") -> str:
    """Returns {set: {method: {key, key_se}}} as Markdown tables, one per key, sets in rows.

    Where there is a `key_se_corrected` too, for splits that overlap, it stands behind in brackets.
    """
    methods = list(dict.fromkeys(m for row in table.values() for m in row))
    parts = []
    for key in keys:
        lines = [[key, *methods]]
        for name, row in table.items():
            lines.append([name, *(_with_error(row.get(m), key) for m in methods)])
        parts.append(markdown_table([[escape(cell) for cell in line] for line in lines]) + "\n")
    return "\n".join(parts)


def _with_error(row: "Mapping | None", key: str) -> str:
    if row is None:
        return ""
    text, corrected = f"{row[key]:.4g} +- {row[f'{key}_se']:.2g}", row.get(f"{key}_se_corrected")
    return text if corrected is None else f"{text} ({corrected:.2g})"
