"""Files of tables, read by pandas: CSV and its like, Parquet, Excel."""

import pathlib
import re
from typing import Any

from tfp_vae import extras, files
from tfp_vae.arguments import check_choice
from tfp_vae.data.answers import MISSING_TEXT

# Numbers with separators of thousands, and with a decimal comma.
_THOUSANDS = re.compile(r"[+-]?[1-9]\d{0,2}([,' \u00a0]\d{3})+(\.\d+)?")
_PLAIN = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?", re.IGNORECASE)
_COMMA = re.compile(r"[+-]?\d+(,\d+)?")
ENDINGS = (".csv", ".tsv", ".parquet", ".xlsx")


def read_frame(
    path: "str | pathlib.Path", delimiter: "str | None" = None, encoding: "str | None" = None
) -> Any:
    """Returns the table of a file as a DataFrame of pandas.

    Text in a column whose other cells are numbers stays text, but for numbers with separators of
    thousands or, where commas separate nothing else, with a decimal comma.

    Args:
        path: a .csv, .tsv, .parquet or .xlsx file; of .xlsx the first sheet.
        delimiter: see `data.load`.
        encoding: see `data.load`.

    Raises:
        ValueError: if the file holds no table, with the row and the way out.
        FileNotFoundError: if there is no such file.
    """
    extras.need("tables", "Tables of mixed columns")
    import pandas as pd

    path = pathlib.Path(path)
    if not path.is_file():
        raise FileNotFoundError(
            f"There is no table {str(path)!r}. Expected a {', '.join(ENDINGS)} file. Received no "
            "file."
        )
    if path.suffix.lower() in (".parquet", ".xlsx"):
        read = pd.read_parquet if path.suffix.lower() == ".parquet" else pd.read_excel
        try:
            return read(path)
        except Exception as error:  # what readers raise of a damaged file is anything
            raise ValueError(
                f"{path} could not be read. Expected a {path.suffix} file. Received: "
                f"{str(error).splitlines()[0] if str(error) else type(error).__name__}."
            ) from error
    return _csv(path, delimiter, encoding)


def write_frame(frame: Any, path: "str | pathlib.Path") -> None:
    """Writes a frame of pandas whole or not at all, without its index.

    Args:
        frame: what to write.
        path: a .csv (UTF-8 with a mark, which Excel knows), .tsv, .parquet or .xlsx file.

    Raises:
        ValueError: for another ending.
    """
    path = pathlib.Path(path)
    ending = check_choice("ending of a table", path.suffix.lower(), ENDINGS)
    with files.replacing(path) as temporary:
        if ending == ".parquet":
            frame.to_parquet(temporary, index=False)
        elif ending == ".xlsx":
            with temporary.open("wb") as file:
                frame.to_excel(file, index=False, engine="openpyxl")
        else:
            separator = "\t" if ending == ".tsv" else ","
            frame.to_csv(temporary, index=False, sep=separator, encoding="utf-8-sig")


def _csv(path, delimiter, encoding):
    import pandas as pd

    from tfp_vae.data.sources import csv

    if not path.stat().st_size:
        raise ValueError(f"{path} is empty. Expected a header and rows. Received no lines.")
    encoding, _ = csv.find_encoding(path, encoding)
    delimiter = csv.find_delimiter(path, encoding, delimiter)
    try:
        # A header that says a name twice, which pandas would change.
        options: dict = {
            "sep": delimiter,
            "encoding": encoding,
            "skipinitialspace": True,
            "keep_default_na": False,
        }
        header = pd.read_csv(path, header=None, nrows=1, dtype=str, **options)
        gone = sorted(MISSING_TEXT | {each.upper() for each in MISSING_TEXT} | _TITLES)
        frame = pd.read_csv(path, na_values=gone, low_memory=False, **options)
    except (ValueError, UnicodeError) as error:  # those of pandas are ValueErrors
        raise ValueError(
            f"{path} could not be read. Expected a header and rows of as many cells, separated by "
            f"{delimiter!r}, in {encoding}; delimiter and encoding say others. Received: "
            f"{str(error).strip().splitlines()[0]}"
        ) from error
    names = [str(name).strip() for name in header.iloc[0]]
    if not isinstance(frame.index, pd.RangeIndex):
        raise ValueError(
            f"{path} has rows of another length. Expected {len(names)} cells, as the header has, "
            f"separated by {delimiter!r}. Received more in every row."
        )
    if len(names) == len(frame.columns):
        frame.columns = names
    for name in set(names):
        if names.count(name) == 1 and not pd.api.types.is_numeric_dtype(frame[name]):
            frame[name] = _as_numbers(frame[name], delimiter)
    return frame


_TITLES = {"None", "Null", "NaN", "Nan", "NaT", "<Na>", "#N/a"}


def _as_numbers(series, delimiter):
    """Returns a series of text as numbers if all are, written in another way; or as it is."""
    known = series.dropna()
    if not len(known) or not all(isinstance(each, str) for each in known):
        return series
    texts = [each.strip() for each in known]
    if all(_THOUSANDS.fullmatch(each) or _PLAIN.fullmatch(each) for each in texts):
        return _converted(series, lambda text: re.sub(r"[,' \u00a0]", "", text))
    if delimiter != "," and all(_COMMA.fullmatch(each) or _PLAIN.fullmatch(each) for each in texts):
        return _converted(series, lambda text: text.replace(",", "."))
    return series


def _converted(series, change):
    return series.map(lambda text: float(change(text.strip())), na_action="ignore").astype(float)
