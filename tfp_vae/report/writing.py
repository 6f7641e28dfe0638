"""Writes the report of a comparison into the folder of its run."""

import pathlib
from collections.abc import Mapping

from tfp_vae.report import sealed
from tfp_vae.report.folders import REPORT, RunFolder
from tfp_vae.report.markdown import render_markdown
from tfp_vae.report.page import render_html


def write_report(
    folder: "str | pathlib.Path | RunFolder",
    report: Mapping,
    figures: "Mapping[str, bytes]",
    language: str = "en",
) -> pathlib.Path:
    """Writes the report below a folder in every language, with the pictures.

    In `report/` are `index.html` and `report.md` in English, `index.zh.html` and `report.zh.md` in
    Chinese, which link to each other, and `report.json`, which all are made from. A page holds its
    pictures; they lie beside it too, for the Markdown. Everything is made before anything is
    written, and each file is written whole or not at all. What an earlier report left is replaced.

    Args:
        folder: the folder of the run.
        report: see `comparison`.
        figures: {file name: bytes of a PNG}, see `page.render_html`.
        language: one of `sealed.LANGUAGES`: which page is returned.

    Returns:
        The page in the language.

    Raises:
        ValueError: if the report has another form, a picture is missing, unknown or no PNG, or
            there are no texts in the language.
    """
    parent = folder.path if isinstance(folder, RunFolder) else pathlib.Path(folder)
    run = RunFolder(parent / REPORT, overwrite=True)
    pages = {
        each: sealed.file_of("index", "html", each)
        for each in dict.fromkeys((*sealed.LANGUAGES, language))
    }
    texts = {}
    for each, page in pages.items():
        texts[page] = render_html(report, figures, each, pages)
        texts[sealed.file_of("report", "md", each)] = render_markdown(report, each, figures)
    run.path.mkdir(parents=True, exist_ok=True)
    run.write_json("report.json", report)  # first: it alone could still be refused
    for name, content in figures.items():
        run.write_bytes(name, content)
    for name, text in texts.items():
        run.write_text(name, text)
    for file in run.path.glob("*.png"):
        if file.name not in figures:
            file.unlink()
    return run / pages[language]
