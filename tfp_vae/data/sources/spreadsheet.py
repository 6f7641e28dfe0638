"""A table in a .parquet or .xlsx file, whose columns may be of any kind."""

import pathlib
from typing import Any

from tfp_vae.data.column_files import open_table
from tfp_vae.data.frames import counted_from_one
from tfp_vae.data.source import Raw, Source, check_task
from tfp_vae.data.sources import SOURCES
from tfp_vae.data.sources.frame import of_mixed_columns
from tfp_vae.data.sources.npz import is_file


@SOURCES.register("spreadsheet", "a .parquet or .xlsx file of mixed columns")
class Spreadsheet(Source):
    """A .parquet or .xlsx file; of the latter the first sheet."""

    words = "a .parquet or .xlsx file"
    arguments = ("target", "task", "columns", "in_memory", "unknown")

    def matches(self, source: Any) -> bool:
        """Returns whether it is the path of a file that ends so."""
        return is_file(source, ".parquet") or is_file(source, ".xlsx")

    def read(
        self,
        source: Any,
        data_dir: "str | pathlib.Path | None",
        *,
        target: "str | None" = None,
        task: "str | None" = None,
        columns: Any = None,
        unknown: "str | None" = None,
        in_memory: "bool | None" = None,
    ) -> Raw:
        """Returns the rows; `load` says what the arguments are."""
        del data_dir
        given = {"train": open_table(source, in_memory=in_memory)}
        with counted_from_one():
            return of_mixed_columns(given, columns or {}, target, check_task(task), unknown)
