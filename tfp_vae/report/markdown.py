"""The report of a comparison as Markdown: the same words and numbers as the page."""

from collections.abc import Collection, Mapping

from tfp_vae.report import grids
from tfp_vae.report.comparison import validate
from tfp_vae.report.escaping import alternative, code_block, escape
from tfp_vae.report.escaping import table as rows
from tfp_vae.report.grids import Cell, Grid
from tfp_vae.report.page import (
    STAR,
    alt_of,
    caption_of,
    failures,
    ordered_figures,
    picture_of,
    plain_heading,
    reproduce,
    sentences,
    trainings,
)
from tfp_vae.report.texts import Texts
from tfp_vae.report.verdict import state_verdict


def render_markdown(report: Mapping, language: str = "en", pictures: "Collection[str]" = ()) -> str:
    """Returns the report as Markdown, which looks for its pictures beside it.

    Args:
        report: see `comparison`.
        language: one of `sealed.LANGUAGES`.
        pictures: names of the files that there are, to find those in the language.

    Raises:
        ValueError: if the report has another form.
    """
    validate(report)
    texts = Texts(language)
    words, said = texts.words["page"], sentences(report, texts)
    told = state_verdict(report, language)
    lines = [f"# {escape(plain_heading(report, texts))}", escape(said["facts"])]
    lines += [f"## {words['verdict']}", f"**{escape(told.headline)}**"]
    lines += ["\n".join(f"- **{title}.** {escape(text)}" for title, text in told.points)]
    advised = grids.advised(report, texts)
    if advised.rows:
        lines += [f"## {words['advised']}", _table(advised), escape(words["advised_note"])]
    overview = grids.overview(report, texts)
    if overview.rows:
        lines += [f"## {words['overview']}", _table(overview), escape(said["overview_note"])]
    if report["figures"]:
        lines.append(f"## {words['figures']}")
    for figure in ordered_figures(report):
        file = picture_of(figure["file"], language)
        file = file if file in pictures else figure["file"]
        lines.append(f"![{alternative(alt_of(figure, texts))}]({file})")
        lines.append(
            f"**{texts.title('tasks', figure['task'])}** {escape(caption_of(figure, texts))}",
        )
    details = grids.task_grids(report, texts)
    if details:
        lines.append(f"## {words['details']}")
    for task, found in details.items():
        lines += [f"### {texts.title('tasks', task)}", escape(texts.words["tasks"][task]["note"])]
        for metric, grid in found.items():
            title = [f"#### {escape(texts.title('metrics', metric))}"] if metric else []
            lines += [*title, _table(grid)]
    compared = grids.pair_grids(report, texts)
    if compared:
        lines += [f"## {words['pairs']}", escape(words["pairs_table_note"])]
    for title, grid in compared.items():
        lines += [f"### {escape(title)}", _table(grid)]
    if report["failures"]:
        lines += [f"## {words['failures']}", escape(words["failures_note"])]
        parts = ("model", "seed", "stage", "error")
        head = [words[part] for part in parts]
        body = [[escape(str(f[part])) for part in parts] for f in failures(report, texts)]
        lines.append(rows([head, *body]))
    lines += [f"## {words['costs']}", _table(grids.costs(report, texts))]
    lines += [escape(said["costs_note"])]
    ends = trainings(report, texts)
    if ends:
        lines += [f"## {words['training']}", escape(words["training_note"])]
        lines += ["\n".join(f"- {escape(end)}" for end in ends)]
    lines += [f"## {words['reproduce']}"]
    lines += [escape(words["reproduce_note"]), code_block(report["command"])]
    for title, entries in reproduce(report, texts):
        pairs = texts.words["lists"]["semicolon"].join(
            f"{escape(name)} {escape(value)}".strip() for name, value in entries
        )
        lines.append(f"**{title}:** {pairs}")
    lines += [f"## {words['rule']}", escape(said["rule"])]
    return "\n\n".join(line for line in lines if line) + "\n"


def _table(grid: Grid) -> str:
    head = []
    for column in grid.columns:
        way = {1: " ↑", -1: " ↓"}.get(column.direction, "")
        head.append(escape(column.title) + way)
    body = []
    for row in grid.rows:
        heads = [f"{h.text} ({h.sub})" if h.sub else h.text for h in row.heads]
        body.append([escape(text) for text in heads] + [_cell(cell) for cell in row.cells])
    return rows([head, *body])


def _cell(cell: Cell) -> str:
    if not cell.mean:
        return ""
    text = f"**{cell.mean}** {STAR}" if cell.best else cell.mean
    if cell.interval:
        text += f" ({cell.interval})"
    return text + (f" {escape(cell.note)}" if cell.note else "")
