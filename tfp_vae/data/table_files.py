"""Files of tables, read by pandas: CSV and its like, Parquet, Excel."""

import contextlib
import functools
import io
import pathlib
import re
import warnings
import zipfile
from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import Any
from xml.parsers import expat

from tfp_vae import extras, files
from tfp_vae.arguments import check_choice
from tfp_vae.cells import guarded, line_end, unguarded
from tfp_vae.data.answers import MISSING_TEXT
from tfp_vae.reading import most_unpacked

# Numbers with separators of thousands, and with a decimal comma.
_THOUSANDS = re.compile(r"[+-]?[1-9]\d{0,2}([,' \u00a0]\d{3})+(\.\d+)?")
_PLAIN = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?", re.IGNORECASE)
_COMMA = re.compile(r"[+-]?\d+(,\d+)?")
# Digits that are a code and no number: written as a number they would be others. Of the longer ones
# a float keeps fifteen.
CODE = r"[+-]?0\d+"
_LONG = r"[+-]?\d{16,}"
_POWER = r"\d+[eE]\d+"  # a code or a number, as nobody can tell
_CELLS = 2**18  # in which codes are looked for at a time
_TAIL = 2**14  # bytes of a file in which its last row is looked for
ENDINGS = (".csv", ".tsv", ".parquet", ".xlsx")


def read_frame(
    path: "str | pathlib.Path",
    delimiter: "str | None" = None,
    encoding: "str | None" = None,
    text: "Collection[str]" = (),
) -> Any:
    """Returns the table of a file as a DataFrame of pandas.

    Text in a column whose other cells are numbers stays text, but for numbers with separators of
    thousands or, where commas separate nothing else, with a decimal comma. A column with codes,
    such as 007, or integers whose last digits a float would lose, stays text too.

    Args:
        path: a .csv, .tsv, .parquet or .xlsx file; of .xlsx the first sheet.
        delimiter: see `data.load`.
        encoding: see `data.load`.
        text: names of columns of classes, in which 1e5 is a code too and no number.

    Raises:
        ValueError: if the file holds no table, with the row and the way out.
        FileNotFoundError: if there is no such file.
    """
    extras.need_tables("Tables of mixed columns", path)
    path = pathlib.Path(path)
    if not path.is_file():
        raise FileNotFoundError(
            f"There is no table {str(path)!r}. Expected a {', '.join(ENDINGS)} file. Received no "
            "file."
        )
    if path.suffix.lower() in (".parquet", ".xlsx"):
        read = _parquet if path.suffix.lower() == ".parquet" else _excel
        try:
            frame = read(path)
        except Exception as error:  # what readers raise of a damaged file is anything
            raise ValueError(
                f"{path} could not be read. Expected a {path.suffix} file. Received: "
                f"{str(error).splitlines()[0] if str(error) else type(error).__name__}."
            ) from error
        frame = frame.set_axis([str(name).strip() for name in frame.columns], axis=1)
    else:
        frame = _csv(path, delimiter, encoding, text)
    return _named(frame, path)


def _named(frame, path):
    """Returns a frame without columns that have neither a name nor a cell, as Excel adds them."""
    kept = [i for i, name in enumerate(frame.columns) if name or frame.iloc[:, i].notna().any()]
    nameless = [i for i in kept if not frame.columns[i]]
    if nameless:
        raise ValueError(
            f"{path} has a column without a name. Expected names of all columns in the first line; "
            "pandas writes no row numbers with index=False. Received none for column "
            f"{nameless[0] + 1} of {len(frame.columns)}."
        )
    return frame.iloc[:, kept]


# Cells of a table that are believed whatever its file has; of a believed file, so many for each
# cell that is written.
_ALWAYS_CELLS, _MOST_EMPTY = 10**6, 100
_BATCH = 2**9  # rows of text at a time


def _parquet(path):
    """Returns the table of a .parquet file."""
    import pandas as pd

    check_parquet(path)
    return pd.read_parquet(path)


def check_parquet(path: pathlib.Path) -> None:
    """Raises `ValueError` for a .parquet file that says that a cell is repeated for ever."""
    from pyarrow import parquet

    most = most_unpacked(path.stat().st_size)
    with parquet.ParquetFile(path) as file:
        groups = [file.metadata.row_group(i) for i in range(file.metadata.num_row_groups)]
        columns = [group.column(i) for group in groups for i in range(group.num_columns)]
        texts = sorted({each.path_in_schema for each in columns if "BYTE" in each.physical_type})
        size = sum(8 * each.num_values for each in columns)
        for batch in file.iter_batches(_BATCH, columns=texts) if texts and size <= most else ():
            size += batch.nbytes
            if size > most:
                break
    if size > most:
        raise ValueError(_unbelieved(path, f"{size:,} bytes of cells or more"))


def _excel(path):
    """Returns the first sheet of a .xlsx file; the others are named in a warning."""
    import pandas as pd

    with zipfile.ZipFile(path) as archive:
        members = archive.infolist()
        size = sum(member.file_size for member in members)
        if size > most_unpacked(path.stat().st_size):
            raise ValueError(_unbelieved(path, f"{size:,} bytes"))
        for member in members:
            if re.fullmatch(r"/?xl/worksheets/[^/]*\.xml", member.filename, re.IGNORECASE):
                with archive.open(member) as file:
                    cells, area = _extent(file)
                if area > max(_ALWAYS_CELLS, _MOST_EMPTY * cells):
                    raise ValueError(f"{cells:,} cells in a sheet of {area:,}, which are too few")
    with pd.ExcelFile(path, engine="openpyxl") as book:
        frame, others = pd.read_excel(book), book.sheet_names[1:]
        names = pd.read_excel(book, header=None, nrows=1, dtype=object).iloc[:1].to_numpy().ravel()
    if len(names) == len(frame.columns):  # pandas makes up one that is missing or is there twice
        places = zip(frame.columns, names, strict=True)
        frame.columns = ["" if pd.isna(old) else old for _, old in places]
    if others:
        warnings.warn(
            f"{path}: sheets that are not read: {', '.join(map(str, others))}", stacklevel=3
        )
    return frame


def _unbelieved(path, what):
    return f"{what} packed in {path.stat().st_size:,} bytes, which is more than is believed"


def _extent(file):
    """Returns how many cells a sheet in XML has, and how many a table up to the last one has."""
    cells = row = width = 0

    def start(name, attributes):
        nonlocal cells, row, width
        name = name.rsplit(" ", 1)[-1]
        if name == "row":
            row = max(row + 1, int(attributes.get("r", 0)))
        elif name == "c":
            cells += 1
            letters = re.match("[A-Za-z]*", attributes.get("r", "")).group().upper()
            column = functools.reduce(lambda n, each: 26 * n + ord(each) - 64, letters, 0)
            width = max(width, column or cells)

    parser = expat.ParserCreate(namespace_separator=" ")
    parser.StartElementHandler = start
    parser.ParseFile(file)
    return cells, row * width


def write_frame(frame: Any, path: "str | pathlib.Path") -> None:
    """Writes a frame of pandas whole or not at all, without its index.

    Text that a spreadsheet would run stays text: an apostrophe is before it in .csv and .tsv, which
    `read_frame` takes off (see `cells`), and its cell in .xlsx is one of text.

    Args:
        frame: what to write.
        path: a .csv (UTF-8 with a mark, which Excel knows), .tsv, .parquet or .xlsx file.

    Raises:
        ValueError: for another ending.
    """
    write_frames([frame], path)


def write_frames(frames: "Iterable[Any]", path: "str | pathlib.Path") -> None:
    """Writes frames of pandas with the same columns one below the other, as `write_frame` does.

    One frame is in memory at a time, but for .xlsx, of which all are.

    Args:
        frames: one or more; a generator may make each when it is asked for.
        path: see `write_frame`.

    Raises:
        ValueError: for another ending.
    """
    path = pathlib.Path(path)
    ending = check_choice("ending of a table", path.suffix.lower(), ENDINGS)
    extras.need_tables("Tables of mixed columns", path)
    write = {".parquet": _to_parquet, ".xlsx": _to_excel}.get(ending, _to_csv)
    with files.replacing(path) as temporary:
        write(frames, temporary, "\t" if ending == ".tsv" else ",")


def _to_csv(frames, path, separator):
    end = None
    for frame in frames:
        frame = _of_cells(frame, guarded)
        is_first, end = end is None, end or _end(frames)
        options = {"sep": separator, "lineterminator": end, "header": is_first}
        encoding = "utf-8-sig" if is_first else "utf-8"
        frame.to_csv(path, index=False, mode="w" if is_first else "a", encoding=encoding, **options)


def _end(frames):
    """Returns what ends the lines: of frames that are not there yet no cell is known."""
    if not isinstance(frames, list):
        return "\r\n"
    columns = [column for frame in frames for _, column in frame.items()]
    texts = [column for column in columns if column.dtype.kind not in "biufcM"]
    names = (name for frame in frames for name in frame.columns)
    return line_end(cell for column in (names, *texts) for cell in column)


def _to_parquet(frames, path, _):
    import pyarrow as pa
    from pyarrow import parquet

    with contextlib.ExitStack() as stack:
        writer = None
        for frame in frames:
            schema = None if writer is None else writer.schema
            table = pa.Table.from_pandas(frame, schema, preserve_index=False, safe=False)
            if writer is None:
                writer = stack.enter_context(parquet.ParquetWriter(path, table.schema))
            writer.write_table(table)


def _of_cells(frame, change):
    """Returns a frame with the text of its cells and the names of its columns changed."""
    import pandas as pd

    frame = frame.set_axis([change(name) for name in frame.columns], axis=1)
    for place, kind in enumerate(frame.dtypes):
        if isinstance(kind, pd.CategoricalDtype) or pd.api.types.is_string_dtype(kind):
            before = frame.iloc[:, place].astype(object)
            after = before.map(change, na_action="ignore")
            if not after.equals(before):  # a column of other types stays of its type
                frame.isetitem(place, after)
    return frame


def _to_excel(frames, path, _):
    import pandas as pd

    frame, held = pd.concat(list(frames)), io.BytesIO()  # of a full disk its writer is left open
    with pd.ExcelWriter(held, engine="openpyxl") as book:
        frame.to_excel(book, index=False)
        for row in book.book.active.iter_rows():
            for cell in row:
                if cell.data_type == "f":  # what openpyxl makes of all text that begins with =
                    cell.data_type, cell.quotePrefix = "s", True
    path.write_bytes(held.getvalue())


class Cells:
    """How the cells of a .csv file are written, and what its columns are called.

    Args:
        path: of the file.
        delimiter: see `data.load`.
        encoding: see `data.load`.

    Attributes:
        options: of `pandas.read_csv`.
        names: of the columns, as they are in the header.

    Raises:
        ValueError: for an empty file, or one in another encoding.
    """

    def __init__(self, path: pathlib.Path, delimiter: "str | None", encoding: "str | None"):
        import pandas as pd

        from tfp_vae.data.sources import csv

        if not path.stat().st_size:
            raise ValueError(f"{path} is empty. Expected a header and rows. Received no lines.")
        self.path = path
        self.encoding, _ = csv.find_encoding(path, encoding)
        self.delimiter = csv.find_delimiter(path, self.encoding, delimiter)
        options: dict[str, Any] = {
            "sep": self.delimiter,
            "encoding": self.encoding,
            "skipinitialspace": True,
            "keep_default_na": False,
        }
        with self.errors():
            # A header that says a name twice, which pandas would change.
            header = pd.read_csv(path, header=None, nrows=1, dtype=str, **options)
        self.names = [str(name).strip() for name in header.iloc[0]]
        gone = sorted(MISSING_TEXT | {each.upper() for each in MISSING_TEXT} | _TITLES)
        self.options = {"na_values": gone, "low_memory": False, **options}

    @contextlib.contextmanager
    def errors(self) -> Iterator[None]:
        """Says of what pandas raises where it was and what to do."""
        try:
            yield
        except (ValueError, UnicodeError) as error:  # those of pandas are ValueErrors
            raise ValueError(
                f"{self.path} could not be read. Expected a header and rows of as many cells, "
                f"separated by {self.delimiter!r}, in {self.encoding}; delimiter and encoding say "
                f"others. Received: {str(error).strip().splitlines()[0]}"
            ) from error

    def check(self, frame: Any) -> None:
        """Raises `ValueError` if rows have a cell more than the header."""
        import pandas as pd

        if not isinstance(frame.index, pd.RangeIndex):
            raise ValueError(
                f"{self.path} has rows of another length. Expected {len(self.names)} cells, as the "
                f"header has, separated by {self.delimiter!r}. Received more in every row."
            )

    def warn_of_cut(self) -> None:
        """Warns if the last row is shorter than the others, as of a file that was cut off.

        pandas takes what it lacks for missing, and half a number for one.
        """
        if self.encoding.startswith("utf-16"):
            return
        with self.path.open("rb") as file:
            file.seek(max(0, self.path.stat().st_size - _TAIL))
            last = file.read().decode(self.encoding, errors="replace").rstrip("\r\n")
        last = last.rpartition("\n")[2]
        cells = last.count(self.delimiter) + 1
        if last.strip() and '"' not in last and len(last) < _TAIL and cells < len(self.names):
            warnings.warn(
                f"{self.path} may be cut off: its last row has {cells} of {len(self.names)} cells, "
                f"and what it lacks counts as missing. It is {last[-60:]!r}",
                UserWarning,
                stacklevel=4,
            )

    def codes(self, numbers: "Mapping[int, str]", text: "Collection[str]" = ()) -> "list[int]":
        """Returns which columns of numbers hold codes, of which a number loses digits.

        Args:
            numbers: {column: "i" or "f"} of those that pandas makes numbers of, integers or floats.
            text: see `read_frame`.

        Warns:
            UserWarning: of 1e5 and the like in other columns, which may be codes.
        """
        import pandas as pd

        if not numbers or not self._may_have_codes():
            return []
        places, found = sorted(numbers), set()
        powers: dict[int, str] = {}
        options = self.options | {"dtype": str, "usecols": places}
        options["chunksize"] = max(1, _CELLS // len(places))
        with self.errors(), pd.read_csv(self.path, **options) as reader:
            for frame in reader:
                for column, place in enumerate(places):
                    said = unguarded(self.names[place]) in text
                    pattern = CODE + f"|{_LONG}" * (numbers[place] == "f") + f"|{_POWER}" * said
                    texts = frame.iloc[:, column].dropna().str.strip()
                    if place not in found and texts.str.fullmatch(pattern).any():
                        found.add(place)
                    like = texts[texts.str.fullmatch(_POWER)]
                    if len(like):
                        powers.setdefault(place, like.iloc[0])
        for place in powers.keys() - found:
            name, cell = unguarded(self.names[place]), powers[place]
            warnings.warn(
                f"{self.path}: {cell} in column {name!r} is read as the number {float(cell):g}; "
                f"--columns={name}:categorical keeps codes as they are written",
                UserWarning,
                stacklevel=4,
            )
        return sorted(found)

    def _may_have_codes(self) -> bool:
        """Whether a cell may begin as a code does: a look at bytes, which costs little."""
        if self.encoding.startswith("utf-16") or not self.delimiter.isascii():
            return True
        begins = b"[\r\n\"' " + re.escape(self.delimiter.encode()) + b"]"
        pattern, last = re.compile(begins + rb"[+-]?(0[0-9]|[0-9]{16}|[0-9]+[eE][0-9])"), b""
        with self.path.open("rb") as file:
            while block := file.read(2**20):
                if pattern.search(last + block):
                    return True
                last = block[-20:]
        return False


def _csv(path, delimiter, encoding, text):
    import pandas as pd

    form = Cells(path, delimiter, encoding)
    with form.errors():
        frame = pd.read_csv(path, **form.options)
    form.check(frame)
    form.warn_of_cut()
    kinds = {place: dtype.kind for place, dtype in enumerate(frame.dtypes)}
    kinds = {place: "f" if kind == "f" else "i" for place, kind in kinds.items() if kind in "iuf"}
    codes = form.codes(kinds, text)
    if codes:
        with form.errors():
            texts = pd.read_csv(path, usecols=codes, dtype=str, **form.options)
        for column, place in enumerate(codes):
            frame.isetitem(place, texts.iloc[:, column])
    names = form.names
    if len(names) == len(frame.columns):
        frame.columns = names
    frame, names = _of_cells(frame, unguarded), [unguarded(name) for name in names]
    kept = {names[place] for place in codes}
    for name in set(names) - kept:
        if names.count(name) == 1 and not pd.api.types.is_numeric_dtype(frame[name]):
            frame[name] = as_numbers(frame[name], form.delimiter)
    return frame


_TITLES = {"None", "Null", "NaN", "Nan", "NaT", "<Na>", "#N/a"}


def as_numbers(series: Any, delimiter: str) -> Any:
    """Returns a series of text as numbers if all are, written in another way; or as it is."""
    known = series.dropna()
    if not len(known) or not all(isinstance(each, str) for each in known):
        return series
    texts = [each.strip() for each in known]
    if any(re.fullmatch(f"{CODE}|{_LONG}", each) for each in texts):
        return series
    if all(_THOUSANDS.fullmatch(each) or _PLAIN.fullmatch(each) for each in texts):
        return _converted(series, lambda text: re.sub(r"[,' \u00a0]", "", text))
    if delimiter != "," and all(_COMMA.fullmatch(each) or _PLAIN.fullmatch(each) for each in texts):
        return _converted(series, lambda text: text.replace(",", "."))
    return series


def _converted(series, change):
    return series.map(lambda text: float(change(text.strip())), na_action="ignore").astype(float)
