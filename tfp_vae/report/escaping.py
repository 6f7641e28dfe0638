"""Text of data, of models and of run folders in Markdown, where it is shown as it is."""

import re


def escape(text: object) -> str:
    """Returns text that Markdown shows as it is: no markup, no HTML, no link, one line.

    Between letters an underscore marks nothing, and names of metrics stay legible.
    """
    text = re.sub(r"\s+", " ", str(text)).strip()
    text = "".join(letter for letter in text if letter.isprintable())
    text = text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    text = re.sub(r"([\\`*\[\]|~#])", r"\\\1", text)
    text = re.sub(r"(?<!\w)_|_(?!\w)", r"\\_", text)
    # What looks like an address becomes a link by itself.
    return re.sub(r"(:)(?=//)|(?<=\bwww)(\.)", lambda found: f"\\{found[0]}", text)


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
