"""Writes the report of a comparison into the folder of its run."""

import pathlib
from collections.abc import Mapping

from tfp_vae.report.folders import REPORT, RunFolder
from tfp_vae.report.markdown import render_markdown
from tfp_vae.report.page import render_html


def write_report(
    folder: "str | pathlib.Path | RunFolder",
    report: Mapping,
    figures: "Mapping[str, bytes]",
    language: str = "en",
) -> pathlib.Path:
    """Writes `report/index.html`, `report.md` and `report.json` below a folder, with the pictures.

    The page holds its pictures; they lie beside it too, for the Markdown. Everything is made
    before anything is written, and each file is written whole or not at all. What an earlier
    report left is replaced.

    Args:
        folder: the folder of the run.
        report: see `comparison`.
        figures: {file name: bytes of a PNG}, see `page.render_html`.
        language: one of `sealed.LANGUAGES`.

    Returns:
        The page.

    Raises:
        ValueError: if the report has another form, or a picture is missing, unknown or no PNG.
    """
    parent = folder.path if isinstance(folder, RunFolder) else pathlib.Path(folder)
    run = RunFolder(parent / REPORT, overwrite=True)
    html = render_html(report, figures, language)
    text = render_markdown(report, language)
    run.path.mkdir(parents=True, exist_ok=True)
    run.write_json("report.json", report)  # first: it alone could still be refused
    for name, content in figures.items():
        run.write_bytes(name, content)
    run.write_text("report.md", text)
    run.write_text("index.html", html)
    for file in run.path.glob("*.png"):
        if file.name not in figures:
            file.unlink()
    return run / "index.html"
