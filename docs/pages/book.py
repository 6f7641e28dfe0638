"""The book: chapters are scripts in cells, run for their pages, kept as notebooks and as tests.

A chapter docs/book/NN_NAME.py begins with its titles, `# title en: ...` and `# title zh: ...`,
and is made of cells that begin with a line `# %%`:

    # %% [markdown] en           text in English (comments)
    # %% [markdown] zh           the same in Chinese
    # %% runs: 17.3, figure 17.1, block 2      code; what of the sources runs here

What a cell prints and draws stands below it on the page. Claims are `assert`s.
"""

import ast
import contextlib
import dataclasses
import io
import json
import pathlib
import re

FOLDER = pathlib.Path(__file__).parents[1] / "book"
FORMULAS = tuple(f"17.{n}" for n in range(1, 35))
FIGURES = tuple(f"figure 17.{n}" for n in range(1, 16))
BLOCKS = tuple(f"block {n}" for n in range(1, 8))
PROBLEMS = tuple(f"problem 17.{n}" for n in range(1, 8))
ERRATA = tuple(f"erratum {n}" for n in range(1, 19))
SOURCES = FORMULAS + FIGURES + BLOCKS + PROBLEMS + ERRATA
TITLES = {"en": "Book", "zh": "教程"}
_KINDS = {
    "figure": {"en": "figure", "zh": "图"},
    "block": {"en": "code block of the lecture", "zh": "课程代码块"},
    "problem": {"en": "problem", "zh": "习题"},
    "erratum": {"en": "erratum", "zh": "勘误"},
    "formula": {"en": "formula", "zh": "公式"},
}
_INTRO = {
    "en": "Each chapter is a script: what stands below its code was printed and drawn by it when "
    "this site was built, its claims are assertions, and the tests run it. The notebooks are "
    "written from the same files.",
    "zh": "每一章都是一个脚本：代码下方的文字和图是建立本站时由它打印、画出的，"
    "其中的论断是断言，测试会运行它们。笔记本由同样的文件生成。",
}
_WHERE = {"en": "Where it runs", "zh": "在哪里运行"}
_HEAD = {"en": "| of the sources | chapter |", "zh": "| 来源中的 | 章节 |"}
_NOTEBOOK = {"en": "This chapter as a notebook", "zh": "本章的笔记本"}


@dataclasses.dataclass(frozen=True)
class Cell:
    """A cell: kind "code", or a language; its text; what it runs; the line it begins in."""

    kind: str
    text: str
    runs: tuple[str, ...] = ()
    line: int = 1


@dataclasses.dataclass(frozen=True)
class Chapter:
    """A chapter: its file, titles by language, cells."""

    path: pathlib.Path
    titles: "dict[str, str]"
    cells: "tuple[Cell, ...]"

    @property
    def name(self) -> str:
        """The name of its page."""
        return self.path.stem

    @property
    def dear(self) -> bool:
        """Whether only `scripts/test --all` runs it."""
        return "\n# all_only:" in self.path.read_text(encoding="utf-8")


def read(path: pathlib.Path) -> Chapter:
    """Reads a chapter.

    Raises:
        ValueError: if a cell is of no known kind.
    """
    head, *parts = re.split(r"(?m)^# %%(.*)$", path.read_text(encoding="utf-8"))
    titles = dict(re.findall(r"(?m)^# title (\w+): (.+)$", head))
    cells, line = [], head.count("\n") + 1
    for what, text in zip(parts[::2], parts[1::2], strict=True):
        what = what.strip()
        found = re.fullmatch(r"\[markdown\] (en|zh)|(?:runs: (.+))?", what)
        if not found:
            raise ValueError(
                f"A cell of {path.name} is of no kind. Expected [markdown] en or zh, or runs: ... "
                f"or nothing. Received {what!r}."
            )
        if found[1]:
            lines = [each[1:].removeprefix(" ") for each in text.strip().splitlines()]
            cells.append(Cell(found[1], "\n".join(lines)))
        else:
            runs = tuple(each.strip() for each in (found[2] or "").split(",") if each.strip())
            cells.append(Cell("code", text.strip("\n") + "\n", runs, line + 1))
        line += text.count("\n")
    return Chapter(path, titles, tuple(cells))


def chapters() -> "list[Chapter]":
    """Returns all chapters in order."""
    return [read(path) for path in sorted(FOLDER.glob("[0-9]*.py"))]


def where() -> "dict[str, list[str]]":
    """Returns {what of the sources: chapters that run it}."""
    found: dict[str, list[str]] = {name: [] for name in SOURCES}
    for chapter in chapters():
        for cell in chapter.cells:
            for name in cell.runs:
                if name not in found:
                    raise ValueError(
                        f"{chapter.name} runs what is not in the sources. Expected one of "
                        f"`SOURCES`. Received {name!r}."
                    )
                if chapter.name not in found[name]:
                    found[name].append(chapter.name)
    return found


def run(chapter: Chapter, folder: "pathlib.Path | None" = None) -> "list[tuple[str, list[str]]]":
    """Runs a chapter; returns (what is printed, its pictures) of each code cell.

    Args:
        chapter: to run.
        folder: for pictures; without it none is drawn.
    """
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    names: dict = {"__name__": chapter.name}
    found = []
    for cell in chapter.cells:
        if cell.kind != "code":
            continue
        printed, pictures = io.StringIO(), []
        code = "\n" * (cell.line - 1) + cell.text
        with contextlib.redirect_stdout(printed):
            exec(compile(ast.parse(code), str(chapter.path), "exec"), names)
        for number in pyplot.get_fignums():
            if folder is not None:
                name = f"{chapter.name}-{len(found)}-{number}.png"
                pyplot.figure(number).savefig(folder / name, dpi=110, bbox_inches="tight")
                pictures.append(name)
        pyplot.close("all")
        found.append((printed.getvalue(), pictures))
    return found


def page(chapter: Chapter, outputs: "list[tuple[str, list[str]]]", language: str) -> str:
    """Returns the page of a chapter."""
    number = int(chapter.name[:2])
    lines = [f"# {number}. {chapter.titles[language]}", ""]
    code = iter(outputs)
    for cell in chapter.cells:
        if cell.kind == language:
            lines += [cell.text, ""]
        elif cell.kind == "code":
            printed, pictures = next(code)
            lines += ["```python", cell.text.strip("\n"), "```", ""]
            if printed.strip():
                lines += ["```text", printed.rstrip(), "```", ""]
            for name in pictures:
                alt = ", ".join(_said(each, language) for each in cell.runs)
                alt = alt or chapter.titles[language]
                lines += [f"![{alt}](pictures/{name})", ""]
    link = f"notebooks/{chapter.name}.ipynb"
    return "\n".join([*lines, f"{{download}}`{_NOTEBOOK[language]} <{link}>`", ""])


def notebook(chapter: Chapter, language: str) -> str:
    """Returns a chapter as a Jupyter notebook, without outputs."""
    cells = [_cell("markdown", f"# {chapter.titles[language]}", 0)]
    for cell in chapter.cells:
        if cell.kind in ("code", language):
            kind = "code" if cell.kind == "code" else "markdown"
            cells.append(_cell(kind, cell.text.strip("\n"), len(cells)))
    spec = {"display_name": "Python 3", "language": "python", "name": "python3"}
    return json.dumps(
        {"cells": cells, "metadata": {"kernelspec": spec}, "nbformat": 4, "nbformat_minor": 5},
        ensure_ascii=False,
        indent=1,
    )


def _cell(kind: str, text: str, number: int) -> dict:
    cell = {
        "cell_type": kind,
        "id": f"cell-{number}",
        "metadata": {},
        "source": text.splitlines(keepends=True),
    }
    return cell | ({"execution_count": None, "outputs": []} if kind == "code" else {})


def _said(name: str, language: str) -> str:
    """Returns a thing of the sources in words: formula 17.4, 图 17.1."""
    kind, _, number = name.rpartition(" ")
    return f"{_KINDS[kind or 'formula'][language]} {number}"


def index(language: str) -> "dict[str, str]":
    """Returns the first page of the book and the table "where it runs"."""
    known = chapters()
    titles = {each.name: f"{int(each.name[:2])}. {each.titles[language]}" for each in known}
    lines = [f"# {TITLES[language]}", "", _INTRO[language], "", "```{toctree}", ":maxdepth: 1", ""]
    first = "\n".join([*lines, *titles, "where", "```", ""])
    rows = [f"# {_WHERE[language]}", "", _HEAD[language], "| --- | --- |"]
    for name, places in where().items():
        links = ", ".join(f"[{titles[place]}]({place}.md)" for place in places)
        rows.append(f"| {_said(name, language)} | {links} |")
    return {"book/index.md": first, "book/where.md": "\n".join([*rows, ""])}
