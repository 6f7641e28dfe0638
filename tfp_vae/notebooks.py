"""What a notebook shows of an object: a title and a small table."""

import html
from collections.abc import Iterable, Sequence


def table(title: object, head: "Sequence[object]", rows: "Iterable[Sequence[object]]") -> str:
    """Returns HTML for `_repr_html_`; all text is shown as it is, so that none becomes markup.

    Args:
        title: shown in bold above the table.
        head: names of the columns.
        rows: of as many cells each.
    """

    def line(cells: "Sequence[object]", tag: str) -> str:
        return "<tr>" + "".join(f"<{tag}>{html.escape(str(c))}</{tag}>" for c in cells) + "</tr>"

    body = "".join(line(row, "td") for row in rows)
    return f"<b>{html.escape(str(title))}</b><table>{line(head, 'th')}{body}</table>"
