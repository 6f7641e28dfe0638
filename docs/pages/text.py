"""Markdown of generated pages: escaping, docstrings, tables, words of both languages."""

import ast
import re
import textwrap
from collections.abc import Iterable, Sequence

LANGUAGES = ("en", "zh")
WORDS = {
    "English text": ("", "以下说明由英文文档字符串生成。"),
    "Args": ("Arguments", "参数"),
    "Returns": ("Returns", "返回"),
    "Raises": ("Raises", "异常"),
    "Yields": ("Yields", "产出"),
    "Attributes": ("Attributes", "属性"),
    "Example": ("Example", "示例"),
    "Examples": ("Examples", "示例"),
    "source": ("Source", "源文件"),
}


def word(name: str, language: str) -> str:
    """Returns a word of the pages in a language."""
    return WORDS[name][LANGUAGES.index(language)]


def escape(text: str) -> str:
    """Returns text as markdown that shows it, but for what stands between backticks."""
    parts = re.split(r"(`+[^`]+`+)", text)
    return "".join(
        part if i % 2 else re.sub(r"([\\*_<>\[\]$#|~{}])", r"\\\1", part)
        for i, part in enumerate(parts)
    )


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Returns a table; cells are markdown."""
    lines = [head, ["---"] * len(head), *rows]
    cells = ([cell.replace("\n", " ") for cell in line] for line in lines)
    return "\n".join("| " + " | ".join(line) + " |" for line in cells) + "\n"


def docstring(text: "str | None", language: str) -> str:
    """Returns a Google docstring as markdown."""
    if not text:
        return ""
    found: list[str] = []
    lines = text.expandtabs().splitlines()
    at = 0
    while at < len(lines):
        line = lines[at]
        title = line.strip().removesuffix(":")
        if re.fullmatch(r"[A-Z]\w+:", line.strip()) and title in WORDS:
            block, at = _indented(lines, at + 1)
            found += ["", f"**{word(title, language)}**", "", *_section(title, block), ""]
        elif line.startswith("    ") and (not found or not found[-1].strip()):
            block, at = _indented(lines, at)
            code = textwrap.dedent("\n".join(block)).strip("\n")
            found += [f"```{'python' if _is_python(code) else 'text'}", code, "```", ""]
        else:
            found.append(escape(line))
            at += 1
    return "\n".join(found).strip() + "\n"


def _is_python(code: str) -> bool:
    try:
        ast.parse(code)
    except SyntaxError:
        return False
    return True


def _indented(lines: "list[str]", at: int) -> "tuple[list[str], int]":
    start = at
    while at < len(lines) and (not lines[at].strip() or lines[at].startswith(" ")):
        at += 1
    return lines[start:at], at


def _section(title: str, block: "list[str]") -> "list[str]":
    text = textwrap.dedent("\n".join(block)).strip("\n")
    if title in ("Example", "Examples"):
        return ["```python", text, "```"]
    if title not in ("Args", "Raises", "Attributes"):
        return [escape(" ".join(text.split()))]
    items: list[str] = []
    for line in text.splitlines():
        if line[:1].strip():
            items.append(line)
        elif items:
            items[-1] += " " + line.strip()
    found = []
    for item in items:
        name, colon, rest = item.partition(":")
        found.append(f"- `{name.strip()}`:{escape(rest)}" if colon else f"- {escape(item)}")
    return found


def first_line(node: ast.AST) -> str:
    """Returns the first paragraph of a docstring in one line."""
    text = ast.get_docstring(node) or ""
    return " ".join(text.split("\n\n")[0].split())


_WIDE = "\u3000-\u303f\u4e00-\u9fff\uff00-\uffef"
_ENDS = re.compile(
    rf"(?<=[{_WIDE}])\n(?=[{_WIDE}])"
    rf"|(?<=[，。；：、）])\n(?!\d+\. )(?=[\w$`\[]|\*\*)"
)


def joined(page: str) -> str:
    """Returns a Chinese page without the ends of lines in sentences, which browsers draw as spaces.

    What stands between fences of code stays as it is.
    """
    parts = re.split(r"(?ms)(^```.*?^```)", page)
    return "".join(part if i % 2 else _ENDS.sub("", part) for i, part in enumerate(parts))
