"""Text in the cells of a .csv file, which a spreadsheet takes for a formula or does not.

Excel, LibreOffice and others run a cell that begins as a formula, wherever its text came from: a
class that is called `=HYPERLINK(...)` would be one. An apostrophe before it makes it text, here as
in most other programs, and is taken off again where the file is read, so that nothing changes on
the way there and back. Numbers are left as they are, and so is a sign alone.
"""

import math
import re
from collections.abc import Iterable
from typing import Any

# What is already behind such apostrophes gets one more, or it would lose one where it is read.
_FORMULA = re.compile(r"\s*'*\s*[=+\-@\uff1d\uff0b\uff0d\uff20](?!\s*$)|[\t\r]")
_GUARDED = re.compile(rf"'(?={_FORMULA.pattern})")


def guarded(cell: Any) -> Any:
    """Returns what a cell is written as: text that begins like a formula has an apostrophe before.

    Args:
        cell: text, which may be a number; anything else is returned as it is.
    """
    if isinstance(cell, str) and _FORMULA.match(cell) and not _is_number(cell):
        return f"'{cell}"
    return cell


def unguarded(cell: Any) -> Any:
    """Returns what a cell was before `guarded`."""
    return cell[1:] if isinstance(cell, str) and _GUARDED.match(cell) else cell


def line_end(cells: "Iterable[Any]") -> str:
    """Returns what ends the lines of a file with such cells.

    Python's writer and that of pandas put quotes around what ends their own lines alone, so a lone
    carriage return in a text would begin a new line where the file is read.
    """
    return "\r\n" if any(isinstance(cell, str) and "\r" in cell for cell in cells) else "\n"


def _is_number(text: str) -> bool:
    try:
        return not math.isnan(float(text)) and "_" not in text
    except ValueError:
        return False
