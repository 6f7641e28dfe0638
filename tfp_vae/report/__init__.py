"""What a run leaves behind: folders, tables, and the report of a comparison of models."""

from tfp_vae.report.folders import RunFolder, read_json, replacing, resume_table, versions
from tfp_vae.report.tables import method_table, summary

__all__ = [
    "RunFolder",
    "method_table",
    "read_json",
    "replacing",
    "resume_table",
    "summary",
    "versions",
]
