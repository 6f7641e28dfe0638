"""Builds the site: what scripts/docs does."""

import argparse
import os
import pathlib
import shutil
import sys
import time

from docs.pages import api, book, figures, members, programs, results
from docs.pages.text import LANGUAGES, joined

ROOT = pathlib.Path(__file__).parents[2]
BUILD = ROOT / "docs" / "_build"
_OTHER = {"en": ("zh", "中文"), "zh": ("en", "English")}
_SPHINX = {"en": "en", "zh": "zh_CN"}
_FIRST = """<!doctype html><html lang="en"><head><meta charset="utf-8"><title>tfp_vae</title>
<meta http-equiv="refresh" content="0; url=en/index.html"></head>
<body><a href="en/index.html">English</a> <a href="zh/index.html">中文</a></body></html>
"""


def pages(language: str, drawn: "dict | None" = None) -> "dict[str, str]":
    """Returns {page: text} of all pages but the chapters, without running anything.

    Args:
        language: of the pages.
        drawn: of `figures.draw`.
    """
    found = {}
    for path in sorted((ROOT / "docs" / language).glob("*.md")):
        found[path.name] = path.read_text(encoding="utf-8")
    for room in (api, programs, results):
        found |= room.pages(language)
    found |= members.pages(language, drawn)
    return found | book.index(language)


def write(source: pathlib.Path, run: bool = True) -> None:
    """Writes the sources of both languages; chapters and figures are made once for both."""
    shutil.rmtree(source, ignore_errors=True)
    pictures = source / "pictures"
    pictures.mkdir(parents=True)
    known = book.chapters()
    outputs = {}
    for chapter in known:
        start = time.perf_counter()
        empty = [("", []) for cell in chapter.cells if cell.kind == "code"]
        outputs[chapter.name] = book.run(chapter, pictures) if run else empty
        print(f"  {chapter.name}: {time.perf_counter() - start:.1f} s", flush=True)
    print("Drawing the figures of members", flush=True)
    every = [(family, name) for family in members.FAMILIES for name in members.members(family)]
    drawn = figures.draw(every, BUILD / "figures", new=run)
    for language in LANGUAGES:
        place = source / language
        texts = pages(language, drawn)
        for chapter in known:
            texts[f"book/{chapter.name}.md"] = book.page(chapter, outputs[chapter.name], language)
            texts[f"book/notebooks/{chapter.name}.ipynb"] = book.notebook(chapter, language)
        for name, text in texts.items():
            if language == "zh" and name.endswith(".md"):
                text = joined(text)
            (place / name).parent.mkdir(parents=True, exist_ok=True)
            (place / name).write_text(_with_twin(name, text, language), encoding="utf-8")
        shutil.copytree(pictures, place / "book" / "pictures")
        (place / "members" / "figures").mkdir()
        for each in drawn.values():
            file = each.files[language]
            shutil.copy(BUILD / "figures" / file, place / "members" / "figures" / file)
        shutil.copy(ROOT / "docs" / "report-digits.png", place)


def _with_twin(name: str, text: str, language: str) -> str:
    """Returns a page with a link to the same page in the other language at its top."""
    if not name.endswith(".md"):
        return text
    other, shown = _OTHER[language]
    up = "../" * (name.count("/") + 1)
    link = f'<div class="languages"><a href="{up}{other}/{name[:-3]}.html">{shown}</a></div>'
    return f"{link}\n\n{text}"


def main() -> None:
    """Writes the sources, runs Sphinx for both languages, prints the page to open."""
    parser = argparse.ArgumentParser(prog="scripts/docs", description="Builds the site.")
    parser.add_argument("--quick", action="store_true", help="run no chapter, draw no new figure")
    asked = parser.parse_args()
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    from sphinx.cmd.build import build_main

    source, target = BUILD / "source", BUILD / "html"
    print("Running the chapters of the book", flush=True)
    write(source, run=not asked.quick)
    shutil.rmtree(target, ignore_errors=True)
    for language in LANGUAGES:
        where = [str(source / language), str(target / language)]
        options = ["-q", "-W", "--keep-going", "-c", str(ROOT / "docs"), "-b", "html"]
        options += ["-d", str(BUILD / "doctrees" / language), "-D", f"language={_SPHINX[language]}"]
        if build_main([*options, *where]):
            sys.exit(f"error: the pages in {language} have warnings (above).")
    (target / "index.html").write_text(_FIRST, encoding="utf-8")
    print(f"Open {target / 'en' / 'index.html'} (中文: {target / 'zh' / 'index.html'})")


if __name__ == "__main__":
    main()
