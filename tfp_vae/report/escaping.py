"""Text of data, of models and of run folders in Markdown, where it is shown as it is."""

import re

# What GitHub and others make links, names or pictures of in plain text: a backslash or an entity
# before it is gone by then, an element around a letter stays.
_LINKED = re.compile(
    r"@"  # addresses of mail, names of people
    r"|(?<=:)//|(?<=\bwww)\.|(?<=\bmailto):|(?<=\bxmpp):"  # addresses
    r"|#(?=\d)|(?<=\bgh)-(?=\d)"  # numbers of issues
    r"|(?<!\w):(?=[\w+-]+:)"  # names of small pictures
    r"|\$",  # formulas
    re.IGNORECASE,
)


def escape(text: object) -> str:
    """Returns text that Markdown shows as it is: no markup, no HTML, no link, one line.

    Between letters an underscore marks nothing, and names of metrics stay legible.
    """
    return _LINKED.sub(lambda found: f"<span>{found[0]}</span>", _unmarked(text))


def alternative(text: object) -> str:
    """Returns text that stands for a picture, in which nothing becomes a link."""
    return _unmarked(text)


def _unmarked(text: object) -> str:
    text = re.sub(r"\s+", " ", str(text)).strip()
    text = "".join(letter for letter in text if letter.isprintable())
    text = text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    text = re.sub(r"([\\`*\[\]|~]|#(?!\d))", r"\\\1", text)
    text = re.sub(r"^([-+])(?=[\s-]|$)|^(\d+)([.)])(?=\s|$)", _not_a_list, text)
    return re.sub(r"(?<!\w)_|_(?!\w)", r"\\_", text)


def _not_a_list(found: re.Match) -> str:
    sign, number, end = found.groups()
    return f"\\{sign}" if sign else f"{number}\\{end}"


def code_block(text: str) -> str:
    """Returns a block of code with a fence longer than any inside, so that the text cannot end it.

    Lines keep their ends.
    """
    fence = "`" * max(3, *(len(run) + 1 for run in re.findall(r"`+", text)), 3)
    return f"{fence}\n{text}\n{fence}"


def code(text: object) -> str:
    """Returns a name as code in a line or in the cell of a table."""
    text = re.sub(r"[\s`|]+", " ", str(text)).strip()
    return f"`{text}`"


def table(lines: "list[list[str]]") -> str:
    """Returns a table of cells that are Markdown already; the first line is its head."""
    found = ["| " + " | ".join(line) + " |" for line in lines]
    found.insert(1, "|" + " --- |" * len(lines[0]))
    return "\n".join(found)
