"""What a run leaves behind: folders, tables, and the report of a comparison of models.

report.validate(values)  # the dict that `report.comparison` describes
report.write_report(folder, values, {"reliability.png": png}, language="en")
"""

from tfp_vae.report.comparison import TASKS, validate
from tfp_vae.report.diagnosis import render_diagnosis
from tfp_vae.report.folders import CHECKPOINTS, RunFolder, read_json, resume_table, versions
from tfp_vae.report.markdown import render_markdown
from tfp_vae.report.marks import (
    DIRECTIONS,
    Estimate,
    Marked,
    best_by_pairs,
    best_within_error,
    mark,
    size_of,
)
from tfp_vae.report.pace import paces
from tfp_vae.report.page import render_html
from tfp_vae.report.runs import Reason, Run, RunTable, direction, find_runs, read_run, tabulate
from tfp_vae.report.sealed import LANGUAGES
from tfp_vae.report.tables import aligned, method_table, summary, write_blocks, write_columns
from tfp_vae.report.verdict import Verdict, state_verdict
from tfp_vae.report.writing import write_report

__all__ = [
    "CHECKPOINTS",
    "DIRECTIONS",
    "LANGUAGES",
    "TASKS",
    "Estimate",
    "Marked",
    "Reason",
    "Run",
    "RunFolder",
    "RunTable",
    "Verdict",
    "aligned",
    "best_by_pairs",
    "best_within_error",
    "direction",
    "find_runs",
    "mark",
    "method_table",
    "paces",
    "read_json",
    "read_run",
    "render_diagnosis",
    "render_html",
    "render_markdown",
    "resume_table",
    "size_of",
    "state_verdict",
    "summary",
    "tabulate",
    "validate",
    "versions",
    "write_blocks",
    "write_columns",
    "write_report",
]
